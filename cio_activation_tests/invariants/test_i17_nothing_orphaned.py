"""I17: lists, fields and options are known by the vendor's id; what leaves the activation is emptied wherever we wrote.

Histories of renames here and there, new versions, and audiences and properties that leave and come back. Afterwards
each audience still has the list and the option it began with, with exactly its people, and nothing of what left is held
by anybody.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cio_activation.activation.models import Lane
from cio_activation_tests.drivers import lanes
from cio_activation_tests.drivers.histories import ACTIONS, Event, play
from cio_activation_tests.drivers.oracles.expected import decided
from cio_activation_tests.drivers.town import Town
from cio_activation_tests.forms import form
from cio_activation_tests.invariants.conftest import MakeTown

pytestmark = pytest.mark.slow
TOWNS = settings.get_profile("towns")
AUDIENCES = ("asked_where", "refunded", "hot_cart")
FLAGGED = ("asked_where", "hot_cart")
PROPERTIES = ("spent", "returning", "cart_tier")

CHANGES: st.SearchStrategy[Event] = st.one_of(
    st.tuples(st.just("list renamed there"), st.sampled_from(AUDIENCES)),
    st.tuples(st.just("option renamed there"), st.sampled_from(FLAGGED)),
    st.tuples(st.just("label changed here"), st.sampled_from(AUDIENCES)),
    st.tuples(st.just("new version"), st.sampled_from(AUDIENCES)),
    st.tuples(st.just("removed or back"), st.sampled_from(AUDIENCES)),
    st.tuples(st.just("dropped or back"), st.sampled_from(PROPERTIES)),
    st.tuples(st.just("run"), st.sampled_from(list(Lane))),
)


class Account:
    """A town whose activation changes, and the ids its audiences began with."""

    def __init__(self, town: Town) -> None:
        self.town, self.file, self.away = town, yaml.safe_load(lanes.ACTIVATION), dict[str, Any]()
        self.renames = 0
        names = {one["name"]: str(one["id"]) for one in town.there["hubspot"]["lists"]}
        given = self.file["audiences"]
        self.lists = {a: names[f"{given[a]['label']} [v1]"] for a in AUDIENCES}
        self.options = {a: self.labels()[given[a]["label"]] for a in FLAGGED}

    def labels(self) -> dict[str, int]:
        """Return label -> id of the options of Pipedrive's audiences field."""
        [field] = [f for f in self.town.there["pipedrive"]["fields"] if f["field_name"] == "cio_audiences"]
        return {o["label"]: o["id"] for o in field["options"]}

    def change(self, what: str, whom: str) -> None:
        """Let one thing be renamed, removed or brought back; here it holds from the next run on."""
        self.renames += 1
        name, audiences = f"Name {self.renames}", self.file["audiences"]
        if what == "list renamed there":
            self.town.by_hand("hubspot", "rename_list", list_id=self.lists[whom], new_name=name)
        elif what == "option renamed there":
            option = self.options[whom]
            self.town.by_hand("pipedrive", "rename_option", field="cio_audiences", option=option, label=name)
        elif what == "label changed here":
            audiences.get(whom, self.away.get(whom))["label"] = name
        elif what == "new version":
            audiences.get(whom, self.away.get(whom))["version"] += 1
        else:
            room = self.file["audiences" if what == "removed or back" else "properties"]
            if whom in room:
                self.away[whom] = room.pop(whom)
            else:
                room[whom] = self.away.pop(whom)
        self.town.activation = lanes.small_activation(self.town.home, yaml.safe_dump(self.file))
        self.town.runtime = lanes.build_runtime(self.town.home, self.town.sandbox.environment(), self.town.activation)

    def orphans(self) -> list[str]:
        """Return in words what is not as it should be; empty: nothing is orphaned."""
        wanted, there = decided(self.town.runtime), self.town.there
        people = {c["cio_id"]: i for i, c in there["hubspot"]["contacts"].items() if c.get("cio_id")}
        found = []
        living = {str(one["id"]): set(one["members"]) for one in there["hubspot"]["lists"] if not one["deleted"]}
        if living.keys() != set(self.lists.values()):
            found.append(f"lists {sorted(living)}, not {sorted(self.lists.values())}")
        for audience, list_id in self.lists.items():
            inside = wanted.inside.get(audience, set()) if audience in self.file["audiences"] else set()
            if living.get(list_id) != {people[c] for c in inside if c in people}:
                found.append(f"the list of {audience} holds {living.get(list_id)}")
        options = {number: label for label, number in self.labels().items()}
        for person in there["pipedrive"]["persons"].values():
            held = set(person["custom_fields"].get("cio_audiences") or ())
            cio_id = person["custom_fields"].get("cio_id")
            mine = {a for a in FLAGGED if a in self.file["audiences"] and cio_id in wanted.inside.get(a, ())}
            if held != {options.get(self.options[a]) for a in mine}:
                found.append(f"person {person['id']} holds {held}, is in {mine}")
        for name in set(PROPERTIES) & self.away.keys():
            for record in there["hubspot"]["contacts"].values():
                if record.get(f"cio_{name}"):
                    found.append(f"a contact still holds {name}")
            for person in there["pipedrive"]["persons"].values():
                if person["custom_fields"].get(f"cio_{name}"):
                    found.append(f"a person still holds {name}")
        return found


def settled(make_town: MakeTown) -> Account:
    town = make_town(people=25)
    for who in town.people()[:8]:
        town.act("fill_cart", cio_id=who, value=120.0)
    for who in town.people()[8:14]:
        for _ in range(2):
            town.act("click", cio_id=who, kind="wismo")
    town.wait(timedelta(minutes=20))
    town.settle()
    account = Account(town)
    assert account.orphans() == []
    assert all(decided(town.runtime).inside[a] for a in FLAGGED)
    return account


def test_an_audience_and_a_property_that_left_are_held_by_nobody_and_come_back_to_what_they_had(
    make_town: MakeTown,
) -> None:
    account = settled(make_town)
    for what, whom in (
        ("removed or back", "hot_cart"),
        ("removed or back", "asked_where"),
        ("dropped or back", "spent"),
    ):
        account.change(what, whom)
    account.town.settle()
    assert account.orphans() == []
    mark = account.town.mark()
    account.town.settle()
    assert account.town.writes(mark) == []
    for what, whom in (
        ("removed or back", "hot_cart"),
        ("dropped or back", "spent"),
        ("label changed here", "hot_cart"),
    ):
        account.change(what, whom)
    account.town.settle()
    assert account.orphans() == []


@settings(TOWNS, max_examples=form(2, 40))
@given(events=st.lists(st.one_of(CHANGES, CHANGES, ACTIONS), min_size=3, max_size=7))
def test_nothing_is_orphaned_whatever_is_renamed_removed_or_brought_back(
    make_town: MakeTown, events: list[Event]
) -> None:
    account = settled(make_town)
    changes = {"list renamed there", "option renamed there", "label changed here", "new version"}
    for event in events:
        if event[0] in changes or event[0].endswith("or back"):
            account.change(*event)
        else:
            assert play(account.town, [event]) == []
    account.town.wait(timedelta(minutes=20))
    account.town.settle()
    assert account.orphans() == []
