"""Contacts that are deleted, erased or merged: who is left alone and listed, who is made anew, who survives with what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cio_activation.activation.models import Lane
from cio_activation.delivery.rejected import queue_anew
from cio_activation.delivery.unmatched import IS_GONE, OWNS_PRIMARY, people
from cio_activation.destinations.common.records import GONE
from cio_activation_tests.drivers.hubspot import LABEL, HubSpotBench, make_activation, person

Build = Callable[..., HubSpotBench]


def linked(build: Build, count: int = 2, *, members: tuple[int, ...] = (), **options: Any) -> HubSpotBench:
    """Return a portal where everybody is linked and written, and ``members`` are on the list."""
    seed = [{"email": f"person{n}@example.com"} for n in range(1, count + 1)]
    world = build(seed, make_activation(**options))
    world.schema()
    world.persons([person(n) for n in range(1, count + 1)])
    world.state({f"p{n:05d}": {"lapse_bucket": "0-30", "ltv": n} for n in range(1, count + 1)})
    world.members("winback", [f"p{n:05d}" for n in members])
    world.run()
    return world


def change(world: HubSpotBench, *numbers: int, bucket: str = "91+") -> None:
    which = ", ".join(f"'p{n:05d}'" for n in numbers)
    world.sql(
        f"UPDATE state.daily_properties SET lapse_bucket = '{bucket}', hash_hubspot = hash_hubspot + 1 "
        f"WHERE cio_id IN ({which})"
    )


def listed(world: HubSpotBench) -> list[tuple[str, str, bool]]:
    with world.runtime.warehouse.read() as con:
        return [(p["cio_id"], p["reason"], p["in_audience"]) for p in people(con)]


@pytest.mark.parametrize("how", ["delete", "gdpr_delete"])
def test_a_deleted_contact_is_left_alone_and_listed(build: Build, how: str) -> None:
    world = linked(build, members=(2,))
    old = world.id_of("person2@example.com")
    world.edit(how, email="person2@example.com")
    change(world, 1, 2)
    report = world.run()["properties_daily"]
    assert report.reasons == {GONE: 1}
    assert listed(world) == [("p00002", IS_GONE, True)]
    change(world, 1, 2, bucket="31-90")
    mark = world.mark()
    world.run()
    assert not [e for e in world.entries(mark) if e.path.endswith("batch/create")]
    assert set(world.contacts()) == {"p00001"}
    assert listed(world) == [("p00002", IS_GONE, True)]
    # Neither is it made for a profile that comes with the same address.
    world.persons([person(1), person(9, email="person2@example.com")])
    world.state({"p00001": {"ltv": 1}, "p00009": {"ltv": 9}})
    world.run()
    assert set(world.contacts()) == {"p00001"}
    assert listed(world) == [("p00009", IS_GONE, False)]
    if how == "delete":  # somebody takes it out of the recycle bin
        world.edit("restore", id=old)
        with world.runtime.warehouse.write() as con:
            queue_anew(con)
        world.run()
        assert world.contacts()["p00009"]["cio_ltv"] == "9"
        assert listed(world) == []


def test_recreate_makes_anew_what_lies_in_the_recycle_bin_and_nothing_else(build: Build) -> None:
    world = linked(build, 3, members=(2, 3), on_deleted="recreate")
    world.edit("delete", email="person2@example.com")
    world.edit("gdpr_delete", email="person3@example.com")
    change(world, 1, 2, 3)
    world.run()
    held = world.contacts()
    assert set(held) == {"p00001", "p00002"}
    assert (held["p00002"]["cio_lapse_bucket"], held["p00002"]["cio_ltv"]) == ("91+", "2")
    assert world.on_list(f"{LABEL} [v1]") == {"p00002"}
    assert listed(world) == [("p00003", IS_GONE, True)]
    # A second time, too.
    world.edit("delete", email="person2@example.com")
    change(world, 2, bucket="31-90")
    world.run()
    assert world.contacts()["p00002"]["cio_lapse_bucket"] == "31-90"
    mark = world.mark()
    world.run()
    assert world.entries(mark) == []


def test_a_member_whose_contact_was_deleted_does_not_pass_for_delivered(build: Build) -> None:
    world = linked(build, members=(1, 2))
    world.edit("delete", email="person2@example.com")
    world.schema()
    report = world.run()["contact_links_daily"]
    assert (report.planned, report.delivered) == (2, 2)
    assert listed(world) == [("p00002", IS_GONE, True)]
    mark = world.mark()
    world.schema()
    assert sum(r.planned for r in world.run().values()) == 0
    assert [e for e in world.entries(mark) if "batch/read" in e.path] == []


@pytest.mark.parametrize("keeps_primary", [False, True])
@pytest.mark.parametrize("changed", [1, 2])
def test_two_linked_contacts_merged_settle_in_the_run_that_learns_of_it(
    build: Build, keeps_primary: bool, changed: int
) -> None:
    world = linked(build, members=(2,))
    world.sql("UPDATE state.daily_properties SET last_category = 'TEA', hash_hubspot = 5 WHERE cio_id = 'p00002'")
    world.run()
    world.edit("settings", merge_keeps_primary=keeps_primary)
    heir = world.edit("merge", email="person1@example.com", other_email="person2@example.com")["id"]
    assert world.contact(heir)["cio_last_category"] == "TEA"  # what the first had empty
    change(world, changed)
    world.run()
    if keeps_primary and changed == 1:
        assert world.contact(heir)["cio_lapse_bucket"] == "91+"
        return  # nothing told us: the other one's record is looked at when that is written to
    held = world.contacts()
    assert set(held) == {"p00001"}
    assert (held["p00001"]["cio_ltv"], held["p00001"].get("cio_last_category") or "") == ("1", "")
    assert world.link("p00001")[0] == heir  # type: ignore[index]
    link = world.link("p00002")
    assert link is None or link[0] is None
    assert listed(world) == [("p00002", OWNS_PRIMARY, True)]
    assert world.on_list(f"{LABEL} [v1]") == set()


def test_a_merge_is_learned_by_the_other_lane_too(build: Build) -> None:
    world = linked(build)
    world.state({f"p0000{n}": {"cart_tier": "low"} for n in (1, 2)}, Lane.REALTIME)
    world.run(Lane.REALTIME)
    heir = world.edit("merge", email="person1@example.com", other_email="person2@example.com")["id"]
    world.state({"p00001": {"cart_tier": "low"}, "p00002": {"cart_tier": "high"}}, Lane.REALTIME)
    world.run(Lane.REALTIME)
    assert world.contact(heir)["cio_cart_tier"] == "low"
    assert listed(world) == [("p00002", OWNS_PRIMARY, False)]
    world.run()
    assert world.contact(heir)["cio_ltv"] == "1"
