"""I13 over a life: bad cells, rows, lines, files and answers at random, in both lanes, day after day, up to both CRMs.

Beside it the same days without them. On each day nothing but the refused cells may differ for the people concerned, and
nobody leaves anything; once the source has recovered everything has to be equal, byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from cio_activation.activation.models import Lane
from cio_activation.customerio.people import FILES_PER_RUN
from cio_activation.errors import ContractError
from cio_activation.sandbox.customerio.exports import Exports
from cio_activation_tests.drivers.town import Town
from cio_activation_tests.forms import form
from cio_activation_tests.invariants.conftest import MakeTown

pytestmark = pytest.mark.slow
TOWNS = settings.get_profile("towns")
DAYS = form(3, 30)
"""Days on which something is wrong; one before and one after them nothing is."""
PEOPLE = 6
"""People whose values are set each day, and spoilt; the others stand by."""
LEAVES, COMES = 4, 5
"""Of them: deleted in Customer.io on the third day; made on the second."""
BAD: Mapping[str, tuple[str, ...]] = {
    "last_order_at": ("-2209161600", "1900-01-01T00:00:00+01:00", "yesterday", "0000-00-00"),
    "total_spent": ("1e16", "nan", "$12", "1_000"),
    "orders_count": ("3.7", "1_000", "many"),
    "cart_value": ("-9e99", "12,50"),
}
READS = {
    "lapse_bucket": "last_order_at",
    "spent": "total_spent",
    "returning": "orders_count",
    "cart_tier": "cart_value",
}
"""Property -> the attribute it is derived from."""
LINES = ("with id", "without id", "no id")
FILES = ("mixed_line_ends", "cut_archive", "damaged_archive", "wrong_header", "cut", "without_its_end", "open_quote",
         "page", "empty")  # fmt: skip
TABLES = {
    "raw.people": "changed_at, observed_at, received_hash",
    "identity.persons": "changed_at",
    "state.daily_properties": "as_of",
    "state.realtime_properties": "as_of",
}
"""Table -> columns that say when, and differ."""


@dataclass(frozen=True)
class Day:
    """What is wrong on a day."""

    cells: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    lines: Mapping[int, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    pages: int = 0

    @property
    def without_people(self) -> bool:
        """Whether the day's run gets no usable people file."""
        return len(self.files) >= FILES_PER_RUN


GOOD = Day()
anybody = st.integers(0, PEOPLE - 1)
cells = st.sampled_from([(name, text) for name, texts in BAD.items() for text in texts])
days = st.builds(
    Day,
    cells=st.dictionaries(anybody, cells, max_size=4),
    lines=st.dictionaries(anybody, st.sampled_from(LINES), max_size=2),
    files=st.lists(st.sampled_from(FILES), max_size=FILES_PER_RUN).map(tuple),
    pages=st.integers(0, 3),
)
Shown = dict[str, dict[str, Any]]
"""E-mail -> what both CRMs have of that person: values of ours, names, lists and flags."""


class Life:
    """One town that lives the same days, with or without what is wrong on them."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.people = {n: self._added(n) for n in range(PEOPLE) if n != COMES}
        self.day_number = 0

    def _added(self, number: int) -> str:
        who = str(self.town.act("add_person", id=f"S{number}", email=email(number))["cio_id"])
        for _ in range(2):
            self.town.act("click", cio_id=who, kind="wismo")
        return who

    def day(self, wrong: Day) -> None:
        """Live one day; without a usable people file the daily lane has to fail, and says so."""
        town, self.day_number = self.town, self.day_number + 1
        town.wait(timedelta(days=1))
        if self.day_number == 2:
            self.people[COMES] = self._added(COMES)
        if self.day_number == 3:
            town.act("delete_person", cio_id=self.people.pop(LEAVES))
        for number, who in self.people.items():
            for name, text in true_values(number, self.day_number, town.now.timestamp()).items():
                bad, spoilt = wrong.cells.get(number, ("", ""))
                town.act("set_attribute", cio_id=who, name=name, value=spoilt if name == bad else text)
            town.act("click", cio_id=who, kind="wismo")
        town.act("spoil_members", times=wrong.pages)
        town.act("spoil_exports", how=list(wrong.files))
        fails = pytest.raises(ContractError, match="could be used") if wrong.without_people else nullcontext()
        with fails, mock.patch.object(Exports, "create", self._spoiling(wrong)):
            town.run(Lane.DAILY)
        town.act("spoil_members", times=wrong.pages)
        town.run(Lane.REALTIME)
        town.act("spoil_members", times=0)

    def _spoiling(self, wrong: Day) -> Any:
        create, people = Exports.create, self.people

        def spoilt(exports: Exports, content: bytes, *given: Any) -> Any:
            lines = content.split(b"\n")
            for number, how in wrong.lines.items():
                who = people.get(number, "nobody").encode()
                at = next((i for i, line in enumerate(lines) if who in line), None)
                if at is not None:
                    lines[at] = (
                        lines[at] if how == "with id" else lines[at].replace(who, b"" if how == "no id" else b"?")
                    )
                    lines[at] += b"" if how == "no id" else b",odd"
            return create(exports, b"\n".join(lines), *given)

        return spoilt

    def shown(self) -> Shown:
        """Return what the CRMs show of everybody."""
        there, found = self.town.there, dict[str, dict[str, Any]]()
        records = {key: str(c.get("email")) for key, c in there["hubspot"]["contacts"].items()}
        for contact in there["hubspot"]["contacts"].values():
            own = {k: v for k, v in contact.items() if v and (k.startswith("cio_") or k in ("firstname", "lastname"))}
            found.setdefault(str(contact.get("email")), {}).update({f"hubspot {k}": v for k, v in own.items()})
        for one in there["hubspot"]["lists"]:
            for member in one["members"]:
                found[records[member]][f"list {one['name']}"] = True
        for person in there["pipedrive"]["persons"].values():
            own = {f"pipedrive {k}": v for k, v in person["custom_fields"].items() if v}
            found.setdefault(person["emails"][0] if person["emails"] else "", {}).update(own)
        return found

    def lived(self, wrong: Day) -> Shown:
        """Live one day and return what the CRMs show then."""
        self.day(wrong)
        return self.shown()

    def held(self) -> str:
        """Return all that was decided and delivered, as one text."""
        town, there = self.town, dict[str, Any]()
        for table, when in TABLES.items():
            there[table] = town.query(f"SELECT * EXCLUDE ({when}) FROM {table} ORDER BY cio_id")
        there["members"] = town.query("SELECT lane, segment_id, cio_id FROM raw.memberships ORDER BY ALL")
        inside = "SELECT audience, version, cio_id FROM audience.memberships WHERE exited_at IS NULL ORDER BY ALL"
        there["inside"] = town.query(inside)
        return json.dumps([there, self.shown()], sort_keys=True, default=str)


def email(number: int) -> str:
    return f"shopper{number}@example.com"


def true_values(number: int, day: int, now: float) -> dict[str, str]:
    """Return what Customer.io truly has of a person on a day."""
    seen = now - (day % (number + 3)) * 17 * 86_400 - 3_600
    return {
        "last_order_at": str(int(seen)),
        "total_spent": f"{100 + 10 * number + day}.5",
        "orders_count": str(1 + (day + number) // 2),
        "cart_value": f"{40.0 * (1 + (day + number) % 6)}",
    }


class Clean:
    """The days without anything wrong: lived once, as they are the same for every mixture."""

    pictures: tuple[Shown, ...] = ()
    end = ""

    @classmethod
    def lived(cls, make_town: MakeTown) -> type[Clean]:
        if not cls.pictures:
            life = Life(make_town(people=8, dirty_share=0.0))
            cls.pictures = tuple(life.lived(GOOD) for _ in range(DAYS + 1))
            recover(life)
            cls.end = life.held()
        return cls


def recover(life: Life) -> None:
    life.day(GOOD)
    life.town.settle()


def may_differ(property_: str, number: int, wrong: Day) -> bool:
    """Whether what a property says of a person is allowed to be older on such a day."""
    return wrong.without_people or number in wrong.lines or wrong.cells.get(number, ("",))[0] == READS.get(property_)


def compared(spoilt: Shown, before: Shown, clean: Shown, wrong: Day, present: Mapping[int, str]) -> Iterator[str]:
    """Return what is not as it has to be on a day on which ``wrong`` was wrong."""
    numbers = {email(n): n for n in present}
    for who in {*clean, *before} - {email(LEAVES)}:
        number = numbers.get(who, -1)
        there, wanted, old = spoilt.get(who, {}), clean.get(who, {}), before.get(who, {})
        for name in {*there, *wanted}:
            if name.startswith(("list ", "pipedrive cio_audiences")):
                older = wrong.without_people or wrong.pages > 1 or number in wrong.lines or number in wrong.cells
            else:
                older = may_differ(name.partition("cio_")[2], number, wrong) or number in wrong.lines
            if older and name in old and name not in there and name in wanted:
                yield f"{who} lost {name}"
            if not older and there.get(name) != wanted.get(name):
                yield f"{who} has {name} = {there.get(name)}, not {wanted.get(name)}"


SOME = [
    Day({0: ("last_order_at", "yesterday"), COMES: ("total_spent", "$12"), 1: ("cart_value", "12,50")},
        {2: "with id"}, ("mixed_line_ends", "cut_archive"), 1),
    Day({0: ("last_order_at", "-2209161600"), 3: ("orders_count", "3.7")}, {1: "without id"}, ("wrong_header",), 3),
    Day({2: ("total_spent", "1e16")}, {0: "no id"}, ("page", "cut", "empty"), 2),
]  # fmt: skip
"""What the short form lives."""


@settings(TOWNS, max_examples=10, phases=form((Phase.explicit,), (Phase.explicit, Phase.generate)))
@example(mixture=[SOME[n % len(SOME)] for n in range(DAYS)])
@given(mixture=st.lists(days, min_size=DAYS, max_size=DAYS))
def test_days_of_bad_cells_rows_lines_and_files_change_nothing_else_and_leave_no_trace(
    make_town: MakeTown, mixture: list[Day]
) -> None:
    clean = Clean.lived(make_town)
    life = Life(make_town(people=8, dirty_share=0.0))
    before: Shown = {}
    for wrong, wanted in zip([GOOD, *mixture], clean.pictures, strict=True):
        now = life.lived(wrong)
        assert list(compared(now, before, wanted, wrong, life.people)) == []
        before = now
    recover(life)
    assert life.held() == clean.end
    assert life.town.query("SELECT count(*) FROM raw.stale_cells") == [(0,)]
