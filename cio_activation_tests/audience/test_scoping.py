"""Deciding by differences: of whom it is asked from window to window.

That those left out would have come out as they were is held by the plugin over all tests (``drivers.scopes``).
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cio_activation.activation.models import Lane
from cio_activation_tests.audience.stage import DAY, HOUR, Stage, audience
from cio_activation_tests.audience.stage import NOW as SUNDAY

NOW = SUNDAY + DAY
"""A Monday: a new week begins with everybody."""
MANY = [f"p{number}" for number in range(20)]


def stage(home: Path, *, lane: Lane, **changes: Any) -> Stage:
    """Return a stage on which everybody is in the audience since ``NOW``, and was decided once more."""
    here = Stage(home, audience(lane=lane, **changes))
    here.at(NOW, {p: {"spent": 200} for p in MANY}, MANY, lane)
    here.at(NOW, lane=lane)
    return here


@pytest.mark.parametrize("lane", Lane)
def test_a_window_in_which_nothing_happened_asks_of_nobody_and_counts_as_before(tmp_path: Path, lane: Lane) -> None:
    here = stage(tmp_path, lane=lane)
    found = here.at(NOW + DAY, lane=lane)["vip"]
    assert (found.people_in_scope, found.members, found.candidates) == (0, 20, 20)


@pytest.mark.parametrize("lane", Lane)
def test_whom_a_change_touched_is_asked_of_in_the_next_window(tmp_path: Path, lane: Lane) -> None:
    here = stage(tmp_path, lane=lane)
    changed = {p: {"spent": 50 if p == "p3" else 200} for p in MANY if p != "p4"}
    found = here.at(NOW + DAY, changed, [p for p in MANY if p != "p5"], lane)["vip"]
    assert (found.people_in_scope, found.exited) == (3, {"deleted": 1, "gate": 1, "left_segment": 1})


def test_people_outside_the_segment_are_not_asked_of_whatever_changes(tmp_path: Path) -> None:
    here = stage(tmp_path, lane=Lane.DAILY)
    others = {f"other{number}": {"spent": 200} for number in range(5)}
    assert here.at(NOW + DAY, {p: {"spent": 200} for p in MANY} | others, lane=Lane.DAILY)["vip"].people_in_scope == 0


def test_time_alone_brings_on_whoever_waits_expires_or_grows_old_enough(tmp_path: Path) -> None:
    here = Stage(
        tmp_path,
        audience("waits", grace=3 * HOUR),
        audience("expires", expires_after=3 * HOUR),
        audience("old", gate="days_since(last_order_at) >= 2"),
    )
    ordered = {p: {"spent": 200, "last_order_at": NOW - DAY * 2 + HOUR * number} for number, p in enumerate(MANY)}
    here.at(NOW, ordered, MANY)
    here.at(NOW)
    quiet = here.at(NOW + timedelta(minutes=15))
    assert {name: result.people_in_scope for name, result in quiet.items()} == {"waits": 0, "expires": 0, "old": 0}
    hour = here.at(NOW + HOUR)["old"]
    assert (hour.people_in_scope, hour.entered, hour.members) == (1, 1, 2)
    later = here.at(NOW + HOUR * 3)
    assert {name: result.people_in_scope for name, result in later.items()} == {"waits": 20, "expires": 20, "old": 2}
    assert (later["waits"].entered, later["expires"].exited, later["old"].members) == (20, {"expired": 20}, 4)


def test_other_rules_and_another_week_ask_of_everybody(tmp_path: Path) -> None:
    here = stage(tmp_path, lane=Lane.DAILY)
    assert NOW.isoweekday() == 1
    assert here.at(NOW + 6 * DAY, lane=Lane.DAILY)["vip"].people_in_scope == 0
    assert here.at(NOW + 7 * DAY, lane=Lane.DAILY)["vip"].people_in_scope is None
    assert here.at(NOW + 8 * DAY, lane=Lane.DAILY)["vip"].people_in_scope == 0
    here.declare(audience(lane=Lane.DAILY, gate="spent >= 90"))
    assert here.at(NOW + 9 * DAY, lane=Lane.DAILY)["vip"].people_in_scope is None
