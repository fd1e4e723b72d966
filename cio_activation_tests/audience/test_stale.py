"""A value that is older than its row lets nobody into anything that makes a human act, and throws nobody out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cio_activation.activation.life_cycle import Baseline, Launch
from cio_activation.activation.models import Lane
from cio_activation_tests.audience.stage import DAY, HOUR, NOW, Stage, audience

ALL_IN = Launch(baseline=Baseline.INCLUDE)
RICH, POOR = {"spent": 500.0}, {"spent": 1.0}


def mark(stage: Stage, cio_id: str, column: str | None, relation: str = "raw.people") -> None:
    with stage.world.runtime.warehouse.write() as con:
        con.execute("INSERT INTO raw.stale_cells VALUES (?, ?, ?, 'odd', ?, NULL)", [relation, cio_id, column, NOW])


def clear(stage: Stage) -> None:
    with stage.world.runtime.warehouse.write() as con:
        con.execute("DELETE FROM raw.stale_cells")


def inside(stage: Stage) -> list[Any]:
    return [row[0] for row in stage.intervals() if row[3] is None]


@pytest.mark.parametrize("lane", list(Lane))
@pytest.mark.parametrize(
    ("gate", "column"),
    [
        ("spent >= 100", "spent"),
        ("spent >= 100", None),
        ("tier = 'high'", "spent"),
        ("lapse = '31-90' AND spent > 1", "last_order_at"),
    ],
)
def test_nobody_enters_a_touch_audience_on_a_stale_value_until_it_can_be_read_again(
    tmp_path: Path, lane: Lane, gate: str, column: str | None
) -> None:
    stage = Stage(tmp_path, audience(gate=gate, lane=lane, touch=True, launch=ALL_IN))
    people = {who: RICH | {"last_order_at": NOW - 40 * DAY} for who in ("stale", "other", "fine")}
    stage.world.people(people)
    mark(stage, "stale", column)
    mark(stage, "other", "category")
    found = stage.at(NOW, None, people, lane)["vip"]
    assert (inside(stage), found.waiting) == (["fine", "other"], 1)
    clear(stage)
    stage.at(NOW + DAY, None, people, lane)
    assert inside(stage) == ["fine", "other", "stale"]


def test_a_property_that_was_refused_in_the_state_counts_too(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience(gate="tier = 'high'", touch=True, launch=ALL_IN))
    stage.at(NOW, {"a": RICH}, [])
    mark(stage, "a", "tier", "state.daily_properties")
    stage.at(NOW + HOUR, None, ["a"])
    assert inside(stage) == []


def test_whoever_is_in_stays_also_in_a_new_version_and_leaves_as_ever(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience(touch=True, launch=ALL_IN))
    stage.at(NOW, {"a": RICH, "b": RICH, "c": RICH}, ["a", "b", "c"])
    for who in "abc":
        mark(stage, who, "spent")
    stage.declare(audience(touch=True, launch=ALL_IN, version=2))
    stage.at(NOW + HOUR)
    assert inside(stage) == ["a", "b", "c"]
    stage.at(NOW + 2 * HOUR, {"a": RICH, "b": POOR}, ["a", "b", "c"])
    stage.at(NOW + 3 * HOUR, None, ["b", "c"])
    assert [(row[0], row[4]) for row in stage.intervals()] == [("a", "left_segment"), ("b", "gate"), ("c", "deleted")]


def test_where_no_human_acts_a_stale_value_counts_and_is_told_in_the_evidence(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience())
    stage.world.people({"a": RICH, "b": RICH})
    mark(stage, "a", "spent")
    stage.at(NOW, None, ["a", "b"])
    told = stage.world.rows("SELECT cio_id, evidence FROM audience.memberships ORDER BY 1")
    assert [(who, json.loads(text).get("stale")) for who, text in told] == [("a", ["spent"]), ("b", None)]


def test_the_live_row_of_a_person_says_what_is_stale_in_the_realtime_lane(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience(touch=True, launch=ALL_IN))
    stage.world.people({"a": POOR, "b": POOR})
    mark(stage, "a", "spent")
    stage.world.fetched({"a": RICH, "b": RICH})
    mark(stage, "b", "spent", "raw.people_live")
    stage.at(NOW, None, ["a", "b"])
    assert inside(stage) == ["a"]
