"""The real-time lane plans for whom something moved. Each such plan is compared with a whole one: see ``few``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cio_activation.activation.guards import Guards
from cio_activation.activation.models import Lane, Limits, PropertyType
from cio_activation.delivery.report import StepReport
from cio_activation.warehouse import change_log
from cio_activation_tests.drivers.hubspot import (
    DAILY,
    REALTIME,
    HubSpotBench,
    hubspot_bench,
    make_activation,
    person,
    prop,
)
from cio_activation_tests.drivers.tables import noted
from cio_activation_tests.forms import form

Build = Callable[..., HubSpotBench]
PEOPLE = 6
STEP = "properties_realtime"


def start(world: HubSpotBench) -> HubSpotBench:
    """Six people with a cart, four of whom the portal has; nobody has been looked up yet."""
    world.schema()
    world.persons([person(n) for n in range(PEOPLE)])
    world.state({f"p{n:05d}": {"cart_tier": "low"} for n in range(PEOPLE)}, Lane.REALTIME)
    world.members("hot_cart", ["p00001", "p00002"])
    return world


def quiet(build: Build, *args: Any) -> HubSpotBench:
    """Return a world in which everything is delivered and nothing has moved since."""
    world = start(build([{"email": f"person{n}@example.com"} for n in range(4)], *args))
    world.run(Lane.REALTIME)
    again(world)
    assert {report.people_in_scope for report in again(world).values()} == {0}
    return world


def again(world: HubSpotBench) -> dict[str, StepReport]:
    """Run the real-time lane once more in the same window."""
    world.day -= 1
    return world.run(Lane.REALTIME)


def tier(world: HubSpotBench, n: int, value: str) -> None:
    world.sql(
        f"UPDATE state.realtime_properties SET cart_tier = '{value}', hash_hubspot = hash('{value}') "
        f"WHERE cio_id = 'p{n:05d}'"
    )


def test_a_change_makes_each_step_look_at_one(build: Build) -> None:
    world = quiet(build)
    tier(world, 3, "high")
    reports = again(world)
    # The links' step too: who has a changed row may be new. The list's step looks at whom the write was for.
    assert [r.people_in_scope for r in reports.values()] == [1, 1, 1]
    assert reports[STEP].by_kind == {"update": 1}
    assert world.contacts()["p00003"]["cio_cart_tier"] == "high"


def test_a_first_run_and_one_a_day_later_look_at_everybody(build: Build) -> None:
    world = start(build())
    assert {r.people_in_scope for r in world.run(Lane.REALTIME).values()} == {None}
    # Whom the folds have touched since: the list's own, two.
    assert [r.people_in_scope for r in again(world).values()] == [PEOPLE, PEOPLE, 2]
    assert {r.people_in_scope for r in world.run(Lane.REALTIME).values()} == {None}


def test_of_a_daily_fold_only_what_the_real_time_lane_reads_is_noted(build: Build) -> None:
    world = quiet(build)

    def moved() -> set[str | None]:
        with world.runtime.warehouse.write() as con:
            return noted(con, "delivery.hubspot")

    world.state({"p00001": {"ltv": 1.0}, "p00004": {"ltv": 1.0}})
    world.members("winback", ["p00001"])
    moved()
    assert world.run()["properties_daily"].delivered == 2
    assert moved() == set(), "values and places on a daily list are not read"
    world.edit("delete", type="contacts", id=world.id_of("person1@example.com"))
    world.state({"p00001": {"ltv": 2.0}, "p00004": {"ltv": 2.0}})
    moved()
    assert world.run()["properties_daily"].rejected == 1
    assert moved() == {"p00001"}, "a record that is gone is another one for the real-time lane, too"


def _declare(world: HubSpotBench) -> None:
    world.use(make_activation((*DAILY, *REALTIME, prop("reorder", PropertyType.TEXT))))
    world.schema()


def _other_schema(world: HubSpotBench) -> None:
    world.edit("delete_list", name="RET - Hot Cart - Help Now [v1]")
    world.schema()


def _everybody(world: HubSpotBench) -> None:
    with world.runtime.warehouse.write() as con:
        change_log.note(con, "identity.persons", None)


@pytest.mark.parametrize("happens", [_declare, _other_schema, _everybody])
def test_what_may_concern_everybody_makes_all_look(build: Build, happens: Callable[[HubSpotBench], None]) -> None:
    world = quiet(build)
    happens(world)
    assert {r.people_in_scope for r in again(world).values()} == {None}


def test_a_plan_that_was_held_is_no_ground_to_build_on(build: Build) -> None:
    world = quiet(build)
    strict = world.activation.model_copy(update={"limits": Limits(guards=Guards(max_operations=1))})
    free = world.activation
    for n in range(3):
        tier(world, n, "mid")
    world.use(strict)
    assert again(world)[STEP].stopped
    assert again(world)[STEP].people_in_scope is None
    world.use(free)
    assert again(world)[STEP].delivered == 3


def test_who_was_left_over_is_looked_at_until_it_is_done(build: Build) -> None:
    world = quiet(build)
    tier(world, 2, "mid")
    world.fault(kind="status", status=503, path="*/contacts/batch/update", times=20)
    report = again(world)[STEP]
    assert (report.delivered, report.held) == (0, 1)
    world.shared.faults.clear()
    report = again(world)[STEP]
    assert (report.people_in_scope, report.delivered) == (1, 1)


def test_who_was_refused_is_counted_by_each_run(build: Build) -> None:
    world = quiet(build)
    keep = [{"label": v, "value": v, "displayOrder": i, "hidden": False} for i, v in enumerate(["low", "mid"])]
    world.edit("set_options", name="cio_cart_tier", options=keep)
    tier(world, 2, "high")
    assert again(world)[STEP].rejected == 1
    for _ in range(2):
        report = again(world)[STEP]
        assert (report.people_in_scope, report.planned, report.waiting) == (1, 0, 1)
    tier(world, 2, "mid")
    assert again(world)[STEP].delivered == 1
    assert world.rejected() == {}


def test_who_is_in_quarantine_is_listed_by_each_run(build: Build) -> None:
    world = quiet(build)
    tier(world, 2, "enormous")
    for _ in range(3):
        assert again(world)[STEP].planned == 0
        assert world.sql("SELECT cio_id FROM quarantine.rows WHERE layer = 'payload'") == [("p00002",)]
    tier(world, 2, "mid")
    assert again(world)[STEP].delivered == 1


who = st.integers(0, PEOPLE - 1)
events = st.lists(
    st.one_of(
        st.tuples(st.just("tier"), who, st.sampled_from(["low", "mid", "high", "enormous"])),
        st.tuples(st.just("state"), st.sets(who)),
        st.tuples(st.just("members"), st.sets(who)),
        st.tuples(st.just("email"), who, st.one_of(st.none(), st.integers(0, PEOPLE))),
        st.tuples(st.just("persons"), st.sets(who)),
        st.tuples(st.just("delete"), st.integers(0, PEOPLE - 1)),
        st.tuples(st.just("fault"), st.sampled_from([400, 423, 503]), st.sampled_from(["before", "after"])),
        st.tuples(st.just("daily")),
        st.tuples(st.just("later")),
    ),
    min_size=2,
    max_size=8,
)


@pytest.mark.slow
@settings(max_examples=form(6, 60), deadline=None)
@given(history=events)
def test_few_are_enough_whatever_happens(history: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as home, pytest.MonkeyPatch.context() as patch:
        patch.setenv("VENDOR_BACKOFF_S", "0.01")
        world = hubspot_bench(Path(home), [{"email": f"person{n}@example.com"} for n in range(4)])
        try:
            start(world).run(Lane.REALTIME)
            for what, *details in history:
                _happens(world, what, details)
                again(world)
        finally:
            world.stop()


def _happens(world: HubSpotBench, what: str, details: list[Any]) -> None:
    ids = [f"p{n:05d}" for n in range(PEOPLE)]
    if what == "tier":
        tier(world, *details)
    elif what == "state":
        world.state({ids[n]: {"cart_tier": "mid"} for n in details[0]}, Lane.REALTIME)
    elif what == "members":
        world.members("hot_cart", [ids[n] for n in details[0]])
    elif what == "email":
        email = None if details[1] is None else f"person{details[1]}@example.com"
        mail = "NULL" if email is None else f"'{email}'"
        world.sql(
            f"UPDATE identity.persons SET email = {mail}, deliverable = {email is not None} "
            f"WHERE cio_id = '{ids[details[0]]}'"
        )
    elif what == "persons":
        world.persons([person(n) for n in details[0]])
    elif what == "delete":
        found = world.portal.account.records["contacts"].lookup("email", f"person{details[0]}@example.com")
        if found is not None:
            world.edit("delete", type="contacts", id=str(found.id))
    elif what == "fault":
        status, when = details
        world.fault(kind="status", status=status, when=when, path="*/batch/*", times=3)
    elif what == "daily":
        world.state({one: {"ltv": 1.0} for one in ids[:3]})
        world.day -= 1
        world.run(Lane.DAILY)
    elif what == "later":
        world.day += 1
