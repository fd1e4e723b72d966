"""I5 on HubSpot: kept properties are read before they are written, one call per 100 people."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_activation.activation.models import OnConflict
from cio_activation.destinations.common.kinds import STAMP, UPDATE
from cio_activation.destinations.hubspot import writes
from cio_activation.journal.operations import Operation
from cio_activation.transport.http import VendorClient
from cio_activation_tests.drivers.hubspot import DAILY, HubSpotBench, make_activation, person

Build = Callable[..., HubSpotBench]
READ = "/contacts/batch/read"
WRITE = "/contacts/batch/update"


def keeping(*names: str, **settings: Any) -> Any:
    keep = {"on_conflict": OnConflict.KEEP}
    kept = [p.model_copy(update=keep) if p.name in names else p for p in DAILY]
    return make_activation(kept, audiences=(), **settings)


def filled(build: Build, people: int, activation: Any) -> HubSpotBench:
    """Return a world whose contacts hold ltv 1 and last_category Tea."""
    world = build([{"email": f"person{n}@example.com"} for n in range(people)], activation)
    world.schema()
    world.persons([person(n) for n in range(people)])
    world.state({f"p{n:05d}": {"ltv": 1, "last_category": "Tea"} for n in range(people)})
    world.run()
    return world


def edit(world: HubSpotBench, n: int, **values: str) -> None:
    world.edit("set", email=f"person{n}@example.com", properties=values)


def test_a_colleagues_value_stays_and_the_rest_of_the_contact_is_written(build: Build) -> None:
    world = filled(build, 3, keeping("ltv"))
    edit(world, 1, cio_ltv="77")
    mark = world.mark()
    world.state({f"p{n:05d}": {"ltv": 2, "last_category": "Coffee"} for n in range(3)})
    report = world.run()["properties_daily"]
    assert (report.planned, report.delivered) == (3, 3)
    held = world.contacts()
    assert [held[f"p{n:05d}"]["cio_ltv"] for n in range(3)] == ["2", "77", "2"]
    assert {held[f"p{n:05d}"]["cio_last_category"] for n in range(3)} == {"Coffee"}
    assert (world.calls(mark)[READ], world.calls(mark)[WRITE]) == (1, 1)
    assert world.sql("SELECT cio_id, field, ours, theirs FROM delivery.conflicts") == [("p00001", "ltv", "2", "77")]


def test_an_unchanged_conflict_costs_no_call(build: Build) -> None:
    world = filled(build, 1, keeping("ltv"))
    edit(world, 0, cio_ltv="77")
    world.state({"p00000": {"ltv": 2, "last_category": "Tea"}})
    assert world.run()["properties_daily"].unneeded == 1
    mark = world.mark()
    assert world.run()["properties_daily"].planned == 0
    assert world.entries(mark) == []


def test_one_read_serves_a_hundred_people_and_nobody_is_read_without_need(build: Build) -> None:
    world = filled(build, 120, keeping("ltv"))
    mark = world.mark()
    world.state({f"p{n:05d}": {"ltv": 1, "last_category": "Coffee"} for n in range(120)})
    assert world.run()["properties_daily"].delivered == 120
    assert (world.calls(mark)[READ], world.calls(mark)[WRITE]) == (0, 2)
    mark = world.mark()
    world.state({f"p{n:05d}": {"ltv": 2, "last_category": "Coffee"} for n in range(120)})
    assert world.run()["properties_daily"].delivered == 120
    assert (world.calls(mark)[READ], world.calls(mark)[WRITE]) == (2, 2)


def test_without_keep_a_colleagues_value_is_overwritten_and_nothing_is_read(build: Build) -> None:
    world = filled(build, 1, keeping())
    edit(world, 0, cio_ltv="77")
    mark = world.mark()
    world.state({"p00000": {"ltv": 2, "last_category": "Tea"}})
    world.run()
    assert world.contacts()["p00000"]["cio_ltv"] == "2"
    assert world.calls(mark)[READ] == 0


def test_the_destinations_own_setting_is_the_default_of_its_properties(build: Build) -> None:
    world = filled(build, 1, make_activation(DAILY, audiences=(), on_conflict="keep"))
    edit(world, 0, cio_last_category="Cocoa")
    world.state({"p00000": {"ltv": 1, "last_category": "Coffee"}})
    world.run()
    assert world.contacts()["p00000"]["cio_last_category"] == "Cocoa"


def test_who_leaves_keeps_what_a_colleague_wrote(build: Build) -> None:
    world = filled(build, 2, keeping("ltv"))
    edit(world, 1, cio_ltv="77")
    world.state({"p00000": {"ltv": 1, "last_category": "Tea"}})
    report = world.run()["properties_daily"]
    assert dict(report.by_kind) == {"clear": 1}
    held = world.contact(world.id_of("person1@example.com"))
    assert (held["cio_ltv"], held.get("cio_last_category")) in {("77", ""), ("77", None)}


def test_a_contact_that_is_gone_when_it_is_read_is_looked_up_again(build: Build) -> None:
    world = filled(build, 2, keeping("ltv", on_deleted="recreate"))
    world.edit("delete", email="person1@example.com")
    world.state({f"p{n:05d}": {"ltv": 2, "last_category": "Tea"} for n in range(2)})
    report = world.run()["properties_daily"]
    # The other person's values, then a look for who has taken the place, and the contact that is made anew.
    assert (report.delivered, dict(report.reasons)) == (3, {"record is gone": 1})
    world.run()
    assert {c: v["cio_ltv"] for c, v in world.contacts().items()} == {"p00000": "2", "p00001": "2"}


class _Written(Exception):
    """Raised where a request would go out."""


class _Recorder(VendorClient):
    """A client that keeps the first body and goes no further."""

    def __init__(self) -> None:
        self.properties: dict[str, str] = {}

    async def request(self, *_: Any, json: Any = None, **__: Any) -> Any:
        self.properties = json["inputs"][0]["properties"]
        raise _Written


def written(write: Callable[..., Any], operation: Operation) -> dict[str, str]:
    """Return the properties that ``write`` would send for ``operation``."""
    client = _Recorder()
    with pytest.raises(_Written):
        asyncio.run(write(client, "acme_", [operation]))
    return client.properties


def test_nothing_but_our_prefix_and_our_key_goes_to_a_contact_that_is_there() -> None:
    operation = Operation("o", "s", STAMP, "p1", "1", None, {"ltv": "2"}, {"email": "a@example.com"})
    assert written(writes.update, operation) == {"acme_ltv": "2", "cio_id": "p1"}
    assert set(written(writes.create, operation)) == {"acme_ltv", "cio_id", "email"}


@given(names=st.sets(st.sampled_from(["email", "lifecyclestage", "hs_lead_status", "ltv", "id", "cio_id"]), min_size=1))
def test_whatever_a_plan_names_lands_under_our_prefix(names: set[str]) -> None:
    operation = Operation("o", "s", UPDATE, "p1", "1", None, dict.fromkeys(names, "x"), {"email": "a@example.com"})
    found = written(writes.update, operation)
    assert len(found) == len(names)
    assert all(name.startswith("acme_") for name in found)
