"""Landing whose cells differ gives, day after day, what landing everybody anew gives, and touches nobody else's row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from cio_activation.activation.models import Activation, Attribute, AttributeType, Guards, Limits, Match
from cio_activation.customerio import snapshot
from cio_activation.customerio.landing import ensure_tables
from cio_activation.customerio.people import PeoplePull, land
from cio_activation.errors import ContractError
from cio_activation.identity.resolve import resolve
from cio_activation.privacy import requests
from cio_activation.runtime import Runtime
from cio_activation.warehouse import change_log
from cio_activation_tests.drivers.builders import runtime, window
from cio_activation_tests.drivers.landing import enter, landed, small_activation, write_people
from cio_activation_tests.drivers.tables import query
from cio_activation_tests.drivers.warm import warm_warehouses
from cio_activation_tests.forms import form

WHO = tuple(f"p{n}" for n in range(8))
CELLS: Mapping[str, tuple[str, ...]] = {
    "cart_value": ("1", "2", " 2", "2.0", "", "n/a"),
    "score": ("7", "1e16", "many"),
    "email": ("A@example.com", "a@example.com", " p3@example.com", "no address", "no address!", ""),
    "id": ("", "Cp1", "cP1", "Cp2"),
    "phone": ("+12125550123", "212 555 0123", "call me", "call you", ""),
    "created_at": ("1577836801", ""),
    "first_name": ("Ada", ""),
    "last_category": ("Tea", " Tea", "x" * 10_001),
    "last_order_at": ("2024-01-15T12:00:00Z", "1705320000", "yesterday"),
}
"""What somebody's cells may become: other text of the same value, another value, and what is refused."""
LINES = ("absent", "twice", "twice as it is", "odd", "no id", "odd without id")
PLAIN = small_activation().model_copy(update={"limits": Limits(guards=Guards(min_snapshot_share=0.5, refused_floor=9))})


def with_attributes(**attributes: Attribute) -> Activation:
    return PLAIN.model_copy(update={"attributes": {**PLAIN.attributes, **attributes}})


ACTIVATIONS: Mapping[str, Activation] = {
    "plain": PLAIN,
    "typed": with_attributes(cart_value=Attribute(name="cart_value", source="cart_value", type=AttributeType.TEXT)),
    "wider": with_attributes(tier=Attribute(name="tier", source="tier", type=AttributeType.TEXT)),
    "narrower": PLAIN.model_copy(update={"attributes": {n: a for n, a in PLAIN.attributes.items() if n != "score"}}),
    "by phone": PLAIN.model_copy(update={"match": Match(phone=True)}),
    "renamed": with_attributes(score=Attribute(name="score", source="points", type=AttributeType.NUMBER)),
}
TABLES = (
    "SELECT * EXCLUDE (observed_at, received_hash) FROM raw.people ORDER BY ALL",
    "SELECT * FROM raw.people_current ORDER BY ALL",
    "SELECT * FROM raw.people_live ORDER BY ALL",
    "SELECT * FROM raw.people_gone ORDER BY ALL",
    "SELECT * FROM raw.stale_cells ORDER BY ALL",
    "SELECT * FROM raw.membership_changes ORDER BY ALL",
    "SELECT * FROM quarantine.rows ORDER BY ALL",
    "SELECT * FROM identity.persons ORDER BY ALL",
    "SELECT * EXCLUDE (window_key) FROM identity.key_clashes ORDER BY ALL",
    "SELECT name, rows FROM meta.published ORDER BY ALL",
    "SELECT observed_at, window_key, reading FROM raw.people_snapshot",
)


@dataclass(frozen=True)
class Day:
    """What is so from a day on, and what is so on that day alone."""

    cells: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    lines: Mapping[str, str] = field(default_factory=dict)
    activation: str = "plain"
    looked: str = ""
    """The activation of a real-time run before the day."""
    fetched: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    forgotten: tuple[str, ...] = ()
    again: bool = False
    unresolved: bool = False
    cut: bool = False


few = st.lists(st.sampled_from(WHO), max_size=2, unique=True).map(tuple)
rarely = st.sampled_from([(), (), (), ("p6",), ("p7",)])
known = st.sampled_from(["plain"] * 6 + list(ACTIVATIONS))
days = st.builds(
    Day,
    cells=st.dictionaries(
        st.sampled_from(WHO),
        st.sampled_from([(name, text) for name, texts in CELLS.items() for text in texts]),
        max_size=3,
    ),
    lines=st.dictionaries(st.sampled_from(WHO), st.sampled_from(LINES), max_size=2),
    activation=known,
    looked=st.sampled_from(["", "", "", *ACTIVATIONS]),
    fetched=few,
    gone=rarely,
    forgotten=rarely,
    again=st.booleans(),
    unresolved=st.sampled_from([False, False, True]),
    cut=st.sampled_from([False, False, False, True]),
)


class Home:
    """One installation that lands everybody anew each time, or by difference."""

    def __init__(self, home: Path, *, whole: bool) -> None:
        self.home, self.whole = home, whole
        self.people = {who: person(who) for who in WHO}
        self.number = 0

    def runtime(self, activation: str) -> Runtime:
        return runtime(self.home, ACTIVATIONS[activation])

    def day(self, day: Day) -> PeoplePull | str:
        """Live a day; return what landing came to, or how it ended."""
        self.number += 1
        run = self.runtime(day.activation)
        for who, (name, text) in day.cells.items():
            self.people[who][name] = text
        self._between(day)
        path = write_people(run, window(self.number), self._rows(day.lines)).path
        rows = spoil(path, day.lines)
        if day.cut:
            path.write_bytes(path.read_bytes()[:-40])
        try:
            for _ in range(2 if day.again else 1):
                found = land(run, window(self.number), enter(run, window(self.number), path, rows), whole=self.whole)
                if not day.unresolved:
                    resolve(run, window(self.number), whole=self.whole)
        except ContractError as problem:
            return str(problem)
        return found

    def _between(self, day: Day) -> None:
        """Do what happens between two snapshots: real-time runs, by another activation too, and people forgotten."""
        seen = window(self.number).as_of - timedelta(hours=1 if self.number % 2 else -1)
        with self.runtime(day.looked or day.activation).warehouse.write() as con:
            ensure_tables(con, ACTIVATIONS[day.looked or day.activation])
            for who in (*day.fetched, *day.gone):
                con.execute("DELETE FROM raw.people_live WHERE cio_id = ?", [who])
                con.execute("DELETE FROM raw.people_gone WHERE cio_id = ?", [who])
            for who in day.fetched:
                con.execute(
                    "INSERT INTO raw.people_live BY NAME SELECT ? AS cio_id, 'live' AS email, hash(?) AS content_hash, "
                    "TIMESTAMP '2026-01-01' AS changed_at, ? AS observed_at",
                    [who, self.number, seen],
                )
            for who in day.gone:
                con.execute("INSERT INTO raw.people_gone VALUES (?, ?)", [who, seen])
            fetched = [*day.fetched, *day.gone]
            change_log.note(con, "raw.people_current", "SELECT unnest(?::VARCHAR[]) AS cio_id", [fetched])
            if day.forgotten:
                requests.ask(con, day.forgotten, seen, "somebody", "asked")
                con.execute("UPDATE privacy.salt SET value = 'the same in both'")
                con.execute("UPDATE privacy.tombstones SET person_hash = sha256(concat('the same in both', r.cio_id)) "
                            "FROM privacy.requests AS r WHERE r.person_hash = tombstones.person_hash")  # fmt: skip

    def _rows(self, lines: Mapping[str, str]) -> list[dict[str, str]]:
        rows = []
        for who, cells in self.people.items():
            how = lines.get(who, "")
            if how == "absent":
                continue
            rows.append({**cells, "cio_id": ""} if how == "no id" else cells)
            if how.startswith("twice"):
                rows.append(cells if how == "twice as it is" else {**cells, "orders_count": "99"})
        return rows

    def tables(self) -> list[list[tuple[Any, ...]]]:
        return [query(self.runtime("plain"), table) for table in TABLES]


def person(who: str) -> dict[str, str]:
    return {
        "cio_id": who, "id": f"C{who}", "email": f"{who}@example.com", "created_at": "1577836800", "cart_value": "1",
        "score": "7", "points": "8", "unsubscribed": "true", "last_category": "Tea", "tier": "gold",
    }  # fmt: skip


def spoil(path: Path, lines: Mapping[str, str]) -> int:
    """Add a cell too many to the lines of these people, and take their id away; return the rows of the file."""
    text = path.read_bytes().decode().split("\r\n")
    for who, how in lines.items():
        at = next((i for i, line in enumerate(text) if f",{who}," in line), None)
        if at is not None and how.startswith("odd"):
            text[at] = (text[at].replace(f",{who},", ",?,") if how == "odd without id" else text[at]) + ",odd"
    path.write_bytes("\r\n".join(text).encode())
    return len(text) - 2


NOTHING = Day()


@settings(max_examples=form(5, 400), deadline=None, phases=(Phase.explicit, Phase.generate))
@given(life=st.lists(days, min_size=2, max_size=form(6, 12)))
@example(life=[NOTHING, Day(lines={"p1": "twice as it is"}), NOTHING])
@example(life=[NOTHING, Day(lines={"p1": "twice"}), Day(lines={"p1": "twice"}), NOTHING])
@example(life=[NOTHING, Day(cells={"p1": ("cart_value", "n/a")}, lines={"p2": "odd"}), NOTHING, NOTHING])
@example(life=[NOTHING, Day(looked="typed"), NOTHING])
@example(life=[NOTHING, Day(forgotten=("p6",)), NOTHING])
@example(life=[NOTHING, Day(lines={"p1": "absent", "p2": "no id"}, fetched=("p1", "p3")), NOTHING])
def test_who_differs_lands_as_everybody_would(tmp_path_factory: pytest.TempPathFactory, life: Sequence[Day]) -> None:
    base = tmp_path_factory.mktemp("by_difference")
    everybody, differing = Home(base / "everybody", whole=True), Home(base / "differing", whole=False)
    with warm_warehouses(), mock.patch.object(snapshot, "WHOLE_FROM", 2):
        for day in life:
            assert differing.day(day) == everybody.day(day)
            assert differing.tables() == everybody.tables()


def test_nobody_elses_row_is_touched(tmp_path: Path) -> None:
    """Rows that stand are not even looked at; the snapshot says once when everybody was observed."""
    run = runtime(tmp_path, PLAIN)
    people = [person(who) for who in WHO]
    landed(run, window(1), people)
    with run.warehouse.write() as con:
        con.execute("UPDATE raw.people SET first_name = 'by hand'")
    result = landed(run, window(2), [{**p, "cart_value": "5"} if p["cio_id"] == "p3" else p for p in people[:7]])
    assert (result.rows, result.changed, result.departed, result.validated) == (7, 1, 1, 1)
    names = dict(query(run, "SELECT cio_id, first_name FROM raw.people"))
    assert {who for who, name in names.items() if name is None} == {"p3"}
    assert query(run, "SELECT DISTINCT observed_at FROM raw.people_current") == [(window(2).as_of,)]
    for table in ("raw.people", "raw.people_current"):
        noted = f"SELECT cio_id FROM meta.change_log WHERE table_name = '{table}' ORDER BY sequence, cio_id"
        assert query(run, noted) == [(None,), ("p3",), ("p7",)]


def test_while_most_differ_everybody_is_landed_in_one_go(tmp_path: Path) -> None:
    run = runtime(tmp_path, PLAIN)
    values, shares = ("1", "2", "3", "3"), []
    for day, value in enumerate(values, start=1):
        landed(run, window(day), [{**person(who), "cart_value": value} for who in WHO])
        shares += query(run, "SELECT differing FROM raw.people_snapshot")
    assert shares == [(0.0,), (1.0,), (1.0,), (0.0,)]
