"""What keeps people out of an audience with a human act, one code at a time, and what takes them out of it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cio_activation.activation.life_cycle import Baseline, Exclusive, Launch, PersonCap
from cio_activation.activation.models import Audience, Lane, Limits
from cio_activation_tests.audience.stage import DAY, HOUR, NOW, Stage, audience
from cio_activation_tests.drivers.decided import write_persons
from cio_activation_tests.drivers.tables import noting

RICH, POOR = {"spent": 500.0}, {"spent": 1.0}
ALL_IN = Launch(baseline=Baseline.INCLUDE)
UNCAPPED = Limits(human_touches_per_person=PersonCap(max=99))


def touching(name: str = "vip", **changes: Any) -> Audience:
    return audience(name, **({"touch": True, "launch": ALL_IN, "cooldown": 7 * DAY} | changes))


def stage_of(home: Path, *audiences: Audience, limits: Limits = UNCAPPED, **workspace: Any) -> Stage:
    stage = Stage(home, *audiences)
    act = stage.world.runtime.activation
    changed = {"limits": limits, "workspace": act.workspace.model_copy(update=workspace)}
    stage.world = stage.world.using(act.model_copy(update=changed))
    return stage


def inside(stage: Stage, name: str = "vip") -> list[str]:
    return [r[0] for r in stage.world.rows(
        f"SELECT cio_id FROM audience.memberships WHERE audience = '{name}' AND exited_at IS NULL AND NOT ghost ORDER BY 1"
    )]  # fmt: skip


def codes(stage: Stage, name: str = "vip") -> dict[str, str]:
    return dict(
        stage.world.rows(f"SELECT cio_id, code FROM audience.eligibility WHERE audience = '{name}' AND code <> ''")
    )


def acted(stage: Stage, cio_id: str, act: str, at: datetime, until: datetime | None = None, name: str = "vip") -> None:
    with stage.world.runtime.warehouse.write() as con, noting(con, "feedback.acts"):
        con.execute(
            """INSERT INTO feedback.acts BY NAME
            SELECT 'hubspot' AS destination, 'task' AS kind, 'r' AS record_id, entry_id, audience, cio_id, ? AS act,
                CAST(? AS TIMESTAMP) AS happened_at, CAST(? AS TIMESTAMP) AS until
            FROM audience.memberships WHERE audience = ? AND cio_id = ? ORDER BY number DESC LIMIT 1""",
            [act, at, until, name, cio_id],
        )


def told(stage: Stage, cio_id: str) -> list[tuple[Any, ...]]:
    return stage.world.rows(
        f"SELECT decision, code FROM audience.decisions WHERE cio_id = '{cio_id}' ORDER BY sequence"
    )


@pytest.mark.parametrize("lane", list(Lane))
def test_nobody_comes_again_within_the_cooldown(tmp_path: Path, lane: Lane) -> None:
    stage = stage_of(tmp_path, touching(lane=lane))
    stage.at(NOW, {"a": RICH}, ["a"], lane)
    stage.at(NOW + DAY, {"a": POOR}, lane=lane)
    stage.at(NOW + 2 * DAY, {"a": RICH}, lane=lane)
    assert (inside(stage), codes(stage)) == ([], {"a": "cooldown"})
    stage.at(NOW + 8 * DAY - HOUR, lane=lane)
    assert inside(stage) == []
    stage.at(NOW + 8 * DAY, lane=lane)
    assert (inside(stage), codes(stage)) == (["a"], {})


def test_a_done_action_ends_the_entry_and_the_cooldown_runs_from_the_act(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, touching())
    stage.at(NOW, {"a": RICH}, ["a"])
    acted(stage, "a", "done", NOW + HOUR)
    result = stage.at(NOW + 2 * DAY)["vip"]
    assert (result.exited, inside(stage)) == ({"done": 1}, [])
    stage.at(NOW + 3 * DAY)
    assert codes(stage) == {"a": "spent"}  # eligible all the time: the same spell
    stage.at(NOW + 4 * DAY, {"a": POOR})
    stage.at(NOW + 5 * DAY, {"a": RICH})
    assert codes(stage) == {"a": "cooldown"}
    stage.at(NOW + 7 * DAY + HOUR)
    assert inside(stage) == ["a"]


def test_what_a_human_deleted_counts_as_handled(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, touching())
    stage.at(NOW, {"a": RICH}, ["a"])
    acted(stage, "a", "deleted", NOW + HOUR)
    assert stage.at(NOW + DAY)["vip"].exited == {"done": 1}


def test_again_after_lets_the_same_spell_come_back(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, touching(expires_after=DAY, again_after=10 * DAY))
    stage.at(NOW, {"a": RICH}, ["a"])
    stage.at(NOW + DAY)
    stage.at(NOW + 9 * DAY)
    assert (inside(stage), codes(stage)) == ([], {"a": "spent"})
    stage.at(NOW + 11 * DAY)
    assert inside(stage) == ["a"]


def test_snoozed_moves_the_expiry_along_and_creates_nothing_meanwhile(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, touching(expires_after=2 * DAY, cooldown=timedelta(0)))
    stage.at(NOW, {"a": RICH, "b": RICH}, ["a", "b"])
    for who in "ab":
        acted(stage, who, "snoozed", NOW + HOUR, NOW + 5 * DAY)
    stage.at(NOW + 3 * DAY, {"a": RICH, "b": POOR})
    assert inside(stage) == ["a"]
    stage.at(NOW + 4 * DAY, {"a": RICH, "b": RICH})
    assert (inside(stage), codes(stage)) == (["a"], {"b": "snoozed"})
    assert stage.at(NOW + 5 * DAY)["vip"].exited == {"expired": 1}
    assert inside(stage) == ["b"]


def test_of_a_group_the_highest_priority_has_the_person_and_the_other_gives_them_up(tmp_path: Path) -> None:
    low = touching("low", segment=13, exclusive=Exclusive(group="calls", priority=1))
    high = touching("high", exclusive=Exclusive(group="calls", priority=2))
    stage = stage_of(tmp_path, low, high)
    stage.segments(["a", "b"], 13)
    stage.at(NOW, {"a": RICH, "b": RICH}, ["a"])
    assert (inside(stage, "high"), inside(stage, "low"), codes(stage, "low")) == (["a"], ["b"], {"a": "exclusive"})
    found = stage.at(NOW + HOUR, members=["a", "b"])
    assert (inside(stage, "high"), found["low"].exited) == (["a", "b"], {"exclusive": 1})


def test_the_cap_counts_touches_over_all_audiences_and_both_lanes(tmp_path: Path) -> None:
    day = touching("day", segment=13, lane=Lane.DAILY)
    stage = stage_of(tmp_path, touching(), day, limits=Limits())
    stage.segments(["a", "b"], 13, Lane.DAILY)
    stage.at(NOW, {"a": RICH, "b": RICH}, ["a"])
    stage.at(NOW + HOUR, lane=Lane.DAILY)
    assert (inside(stage, "day"), codes(stage, "day")) == (["b"], {"a": "person_cap"})
    detail = stage.world.rows("SELECT detail FROM audience.decisions WHERE code = 'person_cap'")
    assert json.loads(detail[0][0]) == {"touches": 1, "max": 1, "last": "vip", "at": "2026-11-22 05:00:00"}
    stage.at(NOW + 7 * DAY, lane=Lane.DAILY)
    assert inside(stage, "day") == ["a", "b"]


def test_whoever_a_start_does_not_let_in_is_skipped_in_its_first_window_already(tmp_path: Path) -> None:
    """Backfilled or not: a run more of the window changes nothing."""
    day = touching("day", segment=13, lane=Lane.DAILY)
    stage = stage_of(tmp_path, touching(launch=Launch(backfill=2)), day, limits=Limits())
    stage.segments(["a"], 13, Lane.DAILY)
    stage.at(NOW, {"a": RICH, "b": RICH}, ["a", "b"], Lane.DAILY)
    for _ in range(2):
        stage.segments(["a", "b"])
        stage.at(NOW)
        assert (inside(stage), codes(stage)) == (["b"], {"a": "launch_baseline"})


def test_lists_that_ask_nobody_wait_for_nothing(tmp_path: Path) -> None:
    media = audience("media", segment=13, lane=Lane.DAILY)
    stage = stage_of(tmp_path, touching(), media, limits=Limits(), holdout=0.9)
    stage.segments(["a"], 13, Lane.DAILY)
    stage.at(NOW, {"a": RICH}, ["a"])
    stage.at(NOW + HOUR, lane=Lane.DAILY)
    assert inside(stage, "media") == ["a"]


def test_nobody_enters_while_a_journey_talks_to_them(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, touching(hold_while="hours_since(clicked_at) < 5"))
    stage.at(NOW, {"a": RICH | {"clicked_at": NOW}, "b": RICH}, ["a", "b"])
    assert (inside(stage), codes(stage)) == (["b"], {"a": "journey"})
    stage.at(NOW + 5 * HOUR)
    assert inside(stage) == ["a", "b"]


def test_who_takes_no_messages_is_left_alone_and_taken_out(tmp_path: Path) -> None:
    quiet = RICH | {"unsubscribed": True}
    stage = stage_of(tmp_path, touching(), unsubscribed_attribute="unsubscribed")
    stage.at(NOW, {"a": RICH, "b": quiet}, ["a", "b"])
    assert (inside(stage), codes(stage)) == (["a"], {"b": "suppressed"})
    assert stage.at(NOW + HOUR, {"a": quiet, "b": quiet})["vip"].exited == {"suppressed": 1}
    stage = stage_of(tmp_path, touching(respect_unsubscribed=False), unsubscribed_attribute="unsubscribed")
    stage.at(NOW, {"b": quiet}, ["b"])
    assert inside(stage) == ["b"]


def test_who_cannot_be_delivered_is_withheld_with_that_reason(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, touching())
    write_persons(stage.world.runtime, [{"cio_id": "a", "deliverable": False}, {"cio_id": "b", "deliverable": True}])
    stage.at(NOW, {"a": RICH, "b": RICH}, ["a", "b"])
    assert (inside(stage), codes(stage)) == (["b"], {"a": "undeliverable"})


def test_a_start_skips_those_who_were_eligible_already(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, touching(launch=Launch(), grace=HOUR))
    stage.at(NOW, {"a": RICH, "b": POOR}, ["a", "b"])
    stage.at(NOW + 2 * HOUR, {"a": RICH, "b": RICH})
    stage.at(NOW + 3 * HOUR)
    assert (inside(stage), codes(stage)) == (["b"], {"a": "launch_baseline"})
    stage.at(NOW + 4 * HOUR, {"a": POOR, "b": RICH})
    stage.at(NOW + 5 * HOUR, {"a": RICH, "b": RICH})
    stage.at(NOW + 6 * HOUR)
    assert inside(stage) == ["a", "b"]


def test_an_audience_that_gets_its_human_act_later_asks_nobody_for_those_who_are_in(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, audience())
    stage.at(NOW, {"a": RICH, "b": POOR}, ["a", "b"])
    stage.declare(touching(launch=Launch()))
    stage.at(NOW + HOUR, {"a": RICH, "b": RICH})
    stage.at(NOW + 2 * HOUR, members=["a", "b"])
    entries = stage.world.rows("SELECT cio_id, touch, baseline FROM audience.memberships ORDER BY 1")
    assert entries == [("a", False, True)]
    assert codes(stage) == {"b": "launch_baseline"}


def test_a_start_may_let_in_the_first_by_rank(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, touching(launch=Launch(backfill=2), rank="spent DESC"))
    people = {who: {"spent": 100.0 + n} for n, who in enumerate("abcd")}
    stage.at(NOW, people, people)
    assert (inside(stage), codes(stage)) == (["c", "d"], {"a": "launch_baseline", "b": "launch_baseline"})
    stage.at(NOW + DAY)
    assert inside(stage) == ["c", "d"]


def test_a_day_has_so_many_entries_of_the_best_rank_by_the_workspaces_calendar(tmp_path: Path) -> None:
    launch = Launch(baseline=Baseline.INCLUDE, max_entries_per_day=2)
    stage = stage_of(tmp_path, touching(launch=launch, rank="spent DESC"))
    people = {who: {"spent": 100.0 + n} for n, who in enumerate("abcde")}
    evening = datetime(2026, 11, 22, 23)  # 18:00 in New York
    stage.at(evening, people, ["a", "b", "c"])
    assert (inside(stage), codes(stage)) == (["b", "c"], {"a": "launch_limit"})
    stage.at(evening + 6 * HOUR, members=people)  # its last quarter of an hour is still that day's
    assert inside(stage) == ["b", "c"]
    stage.at(evening + 7 * HOUR)
    assert inside(stage) == ["b", "c", "d", "e"]


def test_a_start_on_few_lets_in_nobody_else(tmp_path: Path) -> None:
    only = Launch(baseline=Baseline.INCLUDE, only="category = 'tea'")
    stage = stage_of(tmp_path, touching(launch=only))
    stage.at(NOW, {"a": RICH | {"category": "tea"}, "b": RICH}, ["a", "b"])
    assert (inside(stage), codes(stage)) == (["a"], {"b": "launch_scope"})


@pytest.mark.parametrize(("of_this", "of_all"), [(0.3, 0.0), (0.0, 0.3)])
def test_held_out_people_have_all_the_bookkeeping_and_nothing_is_delivered(
    tmp_path: Path, of_this: float, of_all: float
) -> None:
    people = {f"p{n:03}": RICH for n in range(400)}
    stage = stage_of(tmp_path, touching(holdout=of_this, expires_after=DAY), holdout=of_all)
    result = stage.at(NOW, people, people)["vip"]
    assert 80 < result.ghosts < 160
    assert result.members + result.ghosts == 400
    assert result.withheld == {"holdout": result.ghosts}
    ghosts = [r[0] for r in stage.world.rows("SELECT cio_id FROM audience.memberships WHERE ghost")]
    assert told(stage, ghosts[0]) == [("withheld", "holdout")]
    ended = stage.at(NOW + DAY)["vip"]
    assert (ended.members, ended.ghosts, ended.exited) == (0, 0, {"expired": 400})
    stage.at(NOW + 10 * DAY, members=[])
    stage.at(NOW + 11 * DAY, members=people)  # the same person draws the same again
    again = [
        r[0] for r in stage.world.rows("SELECT cio_id FROM audience.memberships WHERE ghost AND exited_at IS NULL")
    ]
    assert sorted(again) == sorted(ghosts)


def test_held_out_people_take_no_place_of_a_limit(tmp_path: Path) -> None:
    launch = Launch(baseline=Baseline.INCLUDE, max_entries_per_day=50)
    stage = stage_of(tmp_path, touching(launch=launch, holdout=0.5))
    people = {f"p{n:03}": RICH for n in range(200)}
    result = stage.at(NOW, people, people)["vip"]
    assert result.members == 50
    assert 30 < result.ghosts < 75
    assert result.withheld == {"holdout": result.ghosts, "launch_limit": 150 - result.ghosts}


def test_a_new_version_goes_on_with_whoever_is_in(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, touching())
    stage.at(NOW, {"a": RICH}, ["a"])
    stage.declare(touching(version=2))
    assert stage.at(NOW + HOUR)["vip"].entered == 0
    assert stage.intervals() == [("a", 1, NOW, None, None)]


def test_every_stay_has_an_id_and_a_number_of_its_own(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, touching(cooldown=timedelta(0)))
    for n in range(3):
        stage.at(NOW + 2 * n * HOUR, {"a": RICH}, ["a"])
        stage.at(NOW + (2 * n + 1) * HOUR, {"a": POOR})
    found = stage.world.rows("SELECT number, entry_id FROM audience.memberships ORDER BY number")
    assert [n for n, _ in found] == [1, 2, 3]
    assert len({entry for _, entry in found}) == 3
    assert told(stage, "a") == [("entered", None), ("left", "gate")] * 3


def test_decisions_tell_the_whole_story_once(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, touching(grace=2 * HOUR))
    stage.at(NOW, {"a": RICH | {"last_order_at": NOW - DAY}}, ["a"])
    stage.at(NOW + HOUR)
    stage.at(NOW + 2 * HOUR)
    stage.at(NOW + 3 * HOUR, {"a": RICH | {"last_order_at": NOW + 2 * HOUR}})
    for n in (4, 5):
        stage.at(NOW + n * HOUR)
    stage.at(NOW + 6 * HOUR, members=[])
    assert told(stage, "a") == [
        ("withheld", "grace"), ("entered", None), ("left", "purchase"), ("withheld", "spent"), ("dropped", "left_segment"),
    ]  # fmt: skip
    rules = stage.world.rows(
        "SELECT count(*) FROM audience.decisions SEMI JOIN audience.activations USING (activation)"
    )
    assert rules == [(5,)]


def test_who_was_in_an_audience_that_left_the_activation_is_told_so_and_its_return_is_a_start(tmp_path: Path) -> None:
    both = (touching(launch=Launch()), touching("other", segment=13))
    stage = stage_of(tmp_path, *both)
    stage.at(NOW, {"a": POOR, "b": RICH}, ["a", "b"])
    stage.at(NOW + HOUR, {"a": RICH, "b": RICH})
    assert (inside(stage), codes(stage)) == (["a"], {"b": "launch_baseline"})
    stage.declare(both[1])
    stage.at(NOW + 2 * HOUR)
    assert told(stage, "a")[-1] == ("left", "audience_removed")
    assert told(stage, "b")[-1] == ("dropped", "audience_removed")
    stage.declare(touching(launch=Launch(), cooldown=timedelta(0)), both[1])
    stage.at(NOW + 3 * HOUR)
    assert (inside(stage), codes(stage)) == ([], {"a": "launch_baseline", "b": "launch_baseline"})


def test_an_audience_that_stops_asking_people_starts_anew_when_it_asks_again(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, touching(launch=Launch()))
    stage.at(NOW, {}, [])
    stage.declare(audience(gate="spent >= 900"))
    stage.at(NOW + HOUR, {"a": RICH}, ["a"])
    stage.declare(touching(launch=Launch()))
    stage.at(NOW + 2 * HOUR)
    assert codes(stage) == {"a": "launch_baseline"}


def test_a_window_that_is_run_again_lets_nobody_in_whom_it_let_go(tmp_path: Path) -> None:
    at_once = touching(cooldown=0 * DAY, again_after=0 * DAY, lane=Lane.DAILY)
    stage = stage_of(tmp_path, at_once)
    stage.at(NOW, {"a": RICH}, ["a"], Lane.DAILY)
    acted(stage, "a", "done", NOW + HOUR)
    for _ in range(2):
        stage.at(NOW + DAY, lane=Lane.DAILY)
        assert inside(stage) == []
    stage.at(NOW + 2 * DAY, lane=Lane.DAILY)
    assert inside(stage) == ["a"]
