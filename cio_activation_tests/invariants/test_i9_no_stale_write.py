"""I9: re-running or backfilling an old window never overwrites newer state at a destination."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cio_activation.activation.models import Lane
from cio_activation.activation.windows import Window
from cio_activation_tests.drivers import lanes
from cio_activation_tests.drivers.histories import ACTIONS, Event, play
from cio_activation_tests.drivers.town import Town
from cio_activation_tests.invariants.conftest import MakeTown
from cio_activation_tests.invariants.sizes import HISTORIES

pytestmark = pytest.mark.slow
TOWNS = settings.get_profile("towns")


def live(town: Town, days: int, actions: list[Event]) -> list[Window]:
    """Run both lanes on ``days`` days while people act; return the windows, oldest first."""
    windows: list[Window] = []
    for day in range(days):
        if day:
            town.wait(timedelta(days=1))
        play(town, actions[day::days])
        for lane in Lane:
            town.run(lane)
            windows.append(town.window(lane))
    return windows


def held(town: Town) -> list[object]:
    """Return all records and lists of both CRMs."""
    there = town.there
    return [there["hubspot"]["contacts"], there["hubspot"]["lists"], there["pipedrive"]["persons"]]


@settings(TOWNS, max_examples=HISTORIES)
@given(actions=st.lists(ACTIONS, min_size=6, max_size=12), order=st.permutations(range(4)))
def test_old_windows_in_any_order_write_nothing(make_town: MakeTown, actions: list[Event], order: list[int]) -> None:
    town = make_town(people=25)
    *old, _, _ = live(town, 3, actions)
    town.settle()
    before, mark = held(town), town.mark()
    for index in order:
        window = old[index]
        run = lanes.run_lane(town.runtime, window.lane, window, refresh=False)
        assert all("superseded" in (r.note or "") for r in run.reports.values())
    assert town.writes(mark) == []
    assert held(town) == before
    town.run(Lane.DAILY)  # the newest again: nothing has been undone that would have to be written anew
    assert town.writes(mark) == []


@pytest.mark.parametrize("lane", list(Lane))
def test_windows_that_never_ran_publish_nothing_and_succeed_after_a_newer_one(make_town: MakeTown, lane: Lane) -> None:
    town = make_town(people=12)
    older = town.window(lane)
    town.wait(timedelta(days=1))
    town.settle()
    tables = ("raw.people", "raw.memberships", "identity.persons", "state.daily_properties", "audience.memberships")
    there = [town.query(f"SELECT * FROM {table} ORDER BY ALL") for table in tables]
    before, mark = held(town), town.mark()
    for refresh in (True, False):
        run = lanes.run_lane(town.runtime, lane, older, refresh=refresh)
        assert all("superseded" in (r.note or "") for r in run.reports.values())
    assert [town.query(f"SELECT * FROM {table} ORDER BY ALL") for table in tables] == there
    assert (town.writes(mark), held(town)) == ([], before)


def test_a_backfill_between_a_killed_run_and_the_next_sends_only_what_is_newest(make_town: MakeTown) -> None:
    """The newest window decided and never delivered; an older one is run again: nothing older than that goes out."""
    town = make_town()
    town.settle()
    old = town.window(Lane.DAILY)
    for who in town.people()[:8]:
        town.act("place_order", cio_id=who, value=500.0)
    town.wait(timedelta(days=1))
    lanes.decide_lane(town.runtime, Lane.DAILY, town.window(Lane.DAILY))
    lanes.run_lane(town.runtime, Lane.DAILY, old, refresh=False)
    town.run(Lane.DAILY)
    mark = town.mark()
    assert town.differences([Lane.DAILY]) == []
    lanes.run_lane(town.runtime, Lane.DAILY, old, refresh=False)
    assert town.writes(mark) == []
    assert town.differences([Lane.DAILY]) == []
