"""A property that leaves the activation is cleared wherever we wrote it, or left where that is declared."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from cio_activation.activation.models import Lane, OnConflict, PropertyType
from cio_activation.destinations.common.removed_fields import OnRemoval
from cio_activation_tests.drivers.hubspot import (
    DAILY,
    REALTIME,
    HubSpotBench,
    make_activation,
    person,
    prop,
)

Build = Callable[..., HubSpotBench]
PEOPLE = [person(n) for n in range(1, 4)]
STATE = {p["cio_id"]: {"ltv": 5.0, "last_category": "Tea"} for p in PEOPLE}
KEPT = tuple(p for p in DAILY if p.name != "last_category")


def delivered(build: Build, **settings: Any) -> HubSpotBench:
    world = build([], make_activation(audiences=(), **settings))
    world.persons(PEOPLE)
    world.state(STATE)
    world.state({p["cio_id"]: {"cart_tier": "low"} for p in PEOPLE}, Lane.REALTIME)
    world.schema()
    world.run()
    world.run(Lane.REALTIME)
    assert shown(world, "last_category") == ["Tea"] * 3
    assert shown(world, "cart_tier") == ["low"] * 3
    time.sleep(0.4)  # until new definitions show
    return world


def shown(world: HubSpotBench, name: str) -> list[str | None]:
    return [world.contacts()[p["cio_id"]].get(f"cio_{name}") or None for p in PEOPLE]


def use(world: HubSpotBench, *properties: Any, **settings: Any) -> None:
    world.use(make_activation(properties, (), **settings))
    given = {c: {k: v for k, v in values.items() if k in {p.name for p in properties}} for c, values in STATE.items()}
    world.state(given)
    world.schema()


def test_a_dropped_property_is_cleared_in_the_next_daily_run_and_then_there_is_quiet(build: Build) -> None:
    world = delivered(build)
    use(world, *KEPT, *REALTIME)
    assert world.run()["removed_fields"].by_kind == {"withdraw": 3}
    assert shown(world, "last_category") == [None] * 3
    assert (shown(world, "ltv"), shown(world, "cart_tier")) == (["5"] * 3, ["low"] * 3)
    mark = world.mark()
    assert world.run()["removed_fields"].planned == 0
    assert not world.writes(mark)


def test_a_lane_that_lost_its_last_property_is_cleared_by_the_daily_lane(build: Build) -> None:
    world = delivered(build)
    use(world, *DAILY)
    world.run()
    assert shown(world, "cart_tier") == [None] * 3


def test_a_property_that_left_a_while_ago_is_still_known_after_other_values_were_written(build: Build) -> None:
    world = delivered(build, on_removal=OnRemoval.LEAVE)
    use(world, *KEPT, *REALTIME, on_removal=OnRemoval.LEAVE)
    world.state({c: {"ltv": 6.0} for c in STATE})
    world.run()
    assert (shown(world, "ltv"), shown(world, "last_category")) == (["6"] * 3, ["Tea"] * 3)
    use(world, *KEPT, *REALTIME)
    world.run()
    assert shown(world, "last_category") == [None] * 3


def test_left_values_of_somebody_who_left_customerio_are_cleared_all_the_same(build: Build) -> None:
    world = delivered(build, on_removal=OnRemoval.LEAVE)
    use(world, *KEPT, *REALTIME, on_removal=OnRemoval.LEAVE)
    world.persons(PEOPLE[1:])
    world.state({p["cio_id"]: {"ltv": 5.0} for p in PEOPLE[1:]})
    world.run()
    assert shown(world, "last_category") == [None, "Tea", "Tea"]
    assert shown(world, "ltv") == [None, "5", "5"]


def test_a_property_that_moves_to_the_other_lane_stays(build: Build) -> None:
    world = delivered(build)
    moved = prop("last_category", PropertyType.TEXT, Lane.REALTIME)
    use(world, *KEPT, *REALTIME, moved)
    world.state({c: {"last_category": "Tea"} for c in STATE}, Lane.REALTIME)
    assert world.run()["removed_fields"].planned == 0
    world.run(Lane.REALTIME)
    assert shown(world, "last_category") == ["Tea"] * 3


def test_a_property_that_somebody_archived_keeps_nobody_from_anything(build: Build) -> None:
    world = delivered(build)
    world.edit("archive_property", name="cio_last_category")
    use(world, *KEPT, *REALTIME)
    report = world.run()["removed_fields"]
    assert (report.planned, report.rejected) == (0, 0)


def test_what_a_human_changed_stays_where_the_destination_keeps_it(build: Build) -> None:
    world = delivered(build, on_conflict=OnConflict.KEEP)
    world.edit("set", email=PEOPLE[0]["email"], properties={"cio_last_category": "Coffee"})
    use(world, *KEPT, *REALTIME, on_conflict=OnConflict.KEEP)
    world.run()
    assert shown(world, "last_category") == ["Coffee", None, None]
    assert world.run()["removed_fields"].planned == 0


def test_a_colleagues_own_property_under_our_prefix_is_never_touched(build: Build) -> None:
    world = delivered(build)
    mark = world.mark()
    use(world, *DAILY, *REALTIME)
    assert world.run()["removed_fields"].planned == 0
    assert not world.writes(mark)
