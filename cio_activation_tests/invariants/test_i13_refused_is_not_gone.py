"""I13: nothing that we refuse ever causes an exit, a clearing, a removal or a deletion.

Random mixtures of cells, rows and lines that cannot be read go through extract and decision over many days, beside the
same days without them, with a model of what each cell has to be. Two scenes then look at what arrives in the CRMs.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cio_activation.activation.loader import load_activation
from cio_activation.activation.models import Lane
from cio_activation.activation.windows import Window
from cio_activation.audience.members import update
from cio_activation.customerio.people import land
from cio_activation.customerio.people_table import sources
from cio_activation.destinations import DESTINATIONS
from cio_activation.identity.resolve import resolve
from cio_activation.runtime import Runtime
from cio_activation.sandbox.customerio.exports import Exports
from cio_activation.state.derive import derive
from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers.landing import enter
from cio_activation_tests.drivers.tables import noting
from cio_activation_tests.drivers.town import Town
from cio_activation_tests.drivers.warm import warm_warehouses
from cio_activation_tests.forms import form
from cio_activation_tests.invariants.conftest import MakeTown
from cio_activation_tests.invariants.test_i6_exit import ASKED, HOT, QUARTER, VALUES, held, placed, shoppers

TOWNS = settings.get_profile("towns")
ACTIVATION = """
workspace: {timezone: UTC, currency: USD, default_region: US, prefix: cio_, purchase_attribute: last_order_at}
profile: {phone: phone, first_name: first_name, last_name: last_name}
attributes:
  last_order_at: {type: timestamp}
  birthday: {type: date}
  orders_count: {type: integer}
  total_spent: {type: money}
  member: {type: boolean}
  favourite: {type: text}
properties:
  lapse_bucket: {days_since: last_order_at, edges: [3, 9], labels: ["0-3", "4-9", "10+"], lane: daily,
                 owner: a@example.com}
  spent: {value: total_spent, lane: daily, owner: a@example.com}
  is_member: {flag: member, lane: daily, owner: a@example.com}
  liked: {value: favourite, lane: daily, owner: a@example.com}
audiences:
  spenders: {label: Spenders, owner: a@example.com, segment: 1, lane: daily, gate: "total_spent >= 50 AND member",
             touch: true, launch: {baseline: include}, cooldown: 0m, expires_after: 999d,
             deliver: {hubspot: {list: true}}}
  everybody: {label: Everybody, owner: a@example.com, segment: 2, lane: daily, deliver: {hubspot: {list: true}}}
limits: {guards: {min_snapshot_share: 0.1}, human_touches_per_person: {max: 99}}
destinations: {hubspot: {}}
"""
WHO = tuple(f"p{n:02}" for n in range(12))
BAD: Mapping[str, Sequence[str]] = {
    "last_order_at": (
        "-2209161600",
        "1900-01-01T00:00:00+01:00",
        "2199-12-31T23:59:59-05:00",
        "yesterday",
        "0000-00-00 00:00:00",
    ),
    "birthday": ("-2209161600", "05/06/1990"),
    "orders_count": ("3.7", "1_000"),
    "total_spent": ("1e16", "nan", "$12", "1_000"),
    "member": ("perhaps",),
    "favourite": ("x" * 20_000,),
}
"""Values that are refused, in every spelling: unreadable, sentinel, out of range, too long."""
HIDDEN, BROKEN, NAMELESS, MISNAMED = "line without id", "line with id", "row without id", "row with no id of ours"
ROWS = (HIDDEN, BROKEN, NAMELESS, MISNAMED)
Fault = tuple[str, str]
"""A column and a bad text, or one of ``ROWS`` and nothing."""

faults = st.one_of(
    st.sampled_from([(column, text) for column, texts in BAD.items() for text in texts]),
    st.sampled_from([(kind, "") for kind in ROWS]),
)
days = st.lists(st.dictionaries(st.sampled_from(WHO), faults, max_size=4), min_size=3, max_size=form(6, 28))
leavers = st.dictionaries(st.sampled_from(WHO[:4]), st.integers(1, 5), max_size=2)


def person(who: str, day: int) -> dict[str, str]:
    """Return what Customer.io truly has of a person on a day."""
    number = WHO.index(who)
    seen = builders.START + timedelta(days=day - day % (number + 2), hours=number)
    return {
        "cio_id": who,
        "id": f"C{number}",
        "email": f"{who}@example.com",
        "first_name": f"Name {day // 4}",
        "last_order_at": str(int(seen.timestamp())),
        "birthday": f"19{60 + number}-01-0{1 + day % 9}",
        "orders_count": str(day + number),
        "total_spent": str(20.0 * ((day + number) % 6)),
        "member": "true" if (day // 3 + number) % 3 else "false",
        "favourite": f"Tea {day // 2}",
    }


@dataclass
class Carrier:
    """One installation that extracts and decides, day by day, from files written by hand."""

    runtime: Runtime

    @classmethod
    def at(cls, home: Path) -> Carrier:
        home.mkdir(parents=True)
        path = home / "activation.yaml"
        path.write_text(ACTIVATION)
        return cls(builders.runtime(home, load_activation(path, DESTINATIONS)))

    def day(self, number: int, there: Sequence[str], bad: Mapping[str, Fault]) -> None:
        window = builders.window(number + 1)
        path = self.runtime.raw_folder("daily", window.key) / "people.csv"
        path.write_text(written(self.runtime, number, there, bad), newline="")
        observed = window.end.astimezone(UTC).replace(tzinfo=None)
        land(self.runtime, window, enter(self.runtime, window, path, len(there), observed))
        self._members(there, window)
        resolve(self.runtime, window)
        derive(self.runtime, window)
        update(self.runtime, window)

    def _members(self, there: Sequence[str], window: Window) -> None:
        with self.runtime.warehouse.write() as con, noting(con, "raw.memberships"):
            con.execute("DELETE FROM raw.memberships")
            con.execute(
                "INSERT INTO raw.memberships SELECT 'daily', segment, cio_id, ?, ? "
                "FROM (SELECT unnest(?::VARCHAR[]) AS cio_id), (VALUES (1), (2)) AS s(segment)",
                [window.as_of, window.key, list(there)],
            )

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.runtime.warehouse.read() as con:
            return con.execute(sql).fetchall()

    def state(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return all that was decided, without the times at which it was."""
        inside = "SELECT audience, cio_id FROM audience.memberships WHERE exited_at IS NULL ORDER BY ALL"
        return {
            "people": self.rows(
                "SELECT * EXCLUDE (changed_at, observed_at, received_hash) FROM raw.people ORDER BY cio_id"
            ),
            "persons": self.rows("SELECT * EXCLUDE (changed_at) FROM identity.persons ORDER BY cio_id"),
            "state": self.rows("SELECT * EXCLUDE (as_of) FROM state.daily_properties ORDER BY cio_id"),
            "inside": self.rows(inside),
        }


def written(runtime: Runtime, day: int, there: Sequence[str], bad: Mapping[str, Fault]) -> str:
    """Return the people file of a day, with what cannot be read."""
    names = sources(runtime.activation)
    out = io.StringIO(newline="")
    csv.writer(out).writerow(names)
    for who in there:
        column, text = bad.get(who, ("", ""))
        row = person(who, day)
        row |= (
            {column: text}
            if column in BAD
            else {"cio_id": ""}
            if column in (NAMELESS, HIDDEN)
            else {"cio_id": f"{who} x"}
            if column == MISNAMED
            else {}
        )
        csv.writer(out).writerow(
            [*(row.get(name, "") for name in names), *(["odd"] if column in (HIDDEN, BROKEN) else [])]
        )
    return out.getvalue()


class Model:
    """What the people table has to hold: of each person the newest of each cell that could be read."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, str]] = {}

    def day(self, number: int, there: Sequence[str], bad: Mapping[str, Fault]) -> None:
        absent_is_gone = not any(bad.get(who, ("",))[0] in (HIDDEN, NAMELESS, MISNAMED) for who in there) and all(
            who in self.known for who in there if bad.get(who, ("",))[0] == BROKEN
        )
        for who in there:
            column = bad.get(who, ("",))[0]
            if column not in ROWS:
                row = person(who, number)
                last = self.known.get(who, {})
                self.known[who] = row | ({column: last.get(column, "")} if column else {})
        if absent_is_gone:
            self.known = {who: row for who, row in self.known.items() if who in there}

    def rows(self) -> dict[str, tuple[str, ...]]:
        names = ("last_order_at", "birthday", "orders_count", "total_spent", "member", "favourite", "first_name")
        return {who: tuple(row[name] for name in names) for who, row in self.known.items()}


SHOWN = """SELECT cio_id, epoch(last_order_at)::BIGINT::VARCHAR, birthday::VARCHAR, orders_count::VARCHAR,
    total_spent::VARCHAR, member::VARCHAR, favourite, first_name FROM raw.people"""


@settings(TOWNS, max_examples=form(3, 120))
@given(mixture=days, leaving=leavers)
def test_a_mixture_of_what_cannot_be_read_changes_nothing_but_the_refused_cells(
    tmp_path_factory: pytest.TempPathFactory, mixture: list[dict[str, Fault]], leaving: dict[str, int]
) -> None:
    home = tmp_path_factory.mktemp("i13")
    spoilt, clean, model = Carrier.at(home / "spoilt"), Carrier.at(home / "clean"), Model()
    with warm_warehouses():
        for number, bad in enumerate([{}, *mixture, {}]):
            there = [who for who in WHO if number < leaving.get(who, 99)]
            spoilt.day(number, there, bad)
            model.day(number, there, bad)
            found = {who: tuple(v or "" for v in cells) for who, *cells in spoilt.rows(SHOWN)}
            assert found == model.rows()
            exits = "SELECT cio_id FROM audience.memberships WHERE audience = 'everybody' AND exited_at IS NOT NULL"
            assert {who for (who,) in spoilt.rows(exits)} <= {w for w, day in leaving.items() if day <= number}
            stale = {who for (who,) in spoilt.rows("SELECT cio_id FROM raw.stale_cells")}
            assert {w for w in there if w in bad and w in model.known} <= stale
    assert spoilt.rows("SELECT count(*) FROM raw.stale_cells") == [(0,)]
    with warm_warehouses():
        for number in range(len(mixture) + 2):
            clean.day(number, [who for who in WHO if number < leaving.get(who, 99)], {})
    assert spoilt.state() == clean.state()


def same_in_both(town: Town, mark: int) -> None:
    """Carry both lanes and see that nothing was taken from the shopper, nor anything written about them."""
    town.wait(QUARTER)
    town.run(Lane.REALTIME)
    town.run(Lane.DAILY)
    assert (placed(town, 0), held(town, 0)) == (ASKED | HOT, VALUES)
    assert not [e for e in town.writes(mark) if "shopper0" in str(e)]


@pytest.mark.slow
def test_a_bad_cell_takes_nothing_from_its_person_in_either_crm(make_town: MakeTown) -> None:
    town = make_town(people=20)
    (who,) = shoppers(town, 1)
    for text in BAD["last_order_at"]:
        mark = town.mark()
        town.act("set_attribute", cio_id=who, name="last_order_at", value=text)
        same_in_both(town, mark)
        found = town.query(
            f"SELECT relation FROM raw.stale_cells WHERE cio_id = '{who}' AND \"column\" = 'last_order_at'"
        )
        assert found, text


@pytest.mark.slow
@pytest.mark.parametrize("with_id", [True, False])
def test_a_malformed_line_takes_nothing_from_its_person_in_either_crm(make_town: MakeTown, with_id: bool) -> None:
    town = make_town(people=20)
    (who,) = shoppers(town, 1)
    create = Exports.create

    def spoilt(self: Exports, content: bytes, *given: Any) -> Any:
        lines = content.split(b"\n")
        at = next(i for i, line in enumerate(lines) if b"shopper0@" in line)
        lines[at] = (lines[at] if with_id else lines[at].replace(who.encode(), b"?")) + b",odd"
        return create(self, b"\n".join(lines), *given)

    mark = town.mark()
    with mock.patch.object(Exports, "create", spoilt):
        town.wait(timedelta(days=1))
        same_in_both(town, mark)
    assert town.query(f"SELECT DISTINCT \"column\" FROM raw.stale_cells WHERE cio_id = '{who}'") == [(None,)]
