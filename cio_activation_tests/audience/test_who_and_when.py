"""Who acts for an entry, in which CRM and due when; whom nobody is sent to because somebody is on it already."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cio_activation.activation.life_cycle import Baseline, Launch, PersonCap
from cio_activation.activation.models import Audience, Lane, Limits
from cio_activation.activation.working_time import Capacity, WorkingTime
from cio_activation.destinations.hubspot.config import HubSpotAudience
from cio_activation.destinations.pipedrive.config import PipedriveAudience
from cio_activation_tests.audience.stage import DAY, HOUR, NOW, Stage, audience
from cio_activation_tests.audience.test_touch import codes, inside, stage_of
from cio_activation_tests.drivers.state import window
from cio_activation_tests.drivers.tables import noting

RICH = {"spent": 500.0}
UNCAPPED = {"human_touches_per_person": PersonCap(max=99)}
REP, OTHER = "rep@example.com", "other@example.com"


def asking(name: str = "vip", *, task: Mapping[str, Any] | None = None, **changes: Any) -> Audience:
    asked = {"subject": "Call them", **(task or {})}
    deliver = {"hubspot": HubSpotAudience.model_validate({"task": asked})}
    given = {"touch": True, "launch": Launch(baseline=Baseline.INCLUDE), "cooldown": 7 * DAY, "deliver": deliver}
    return audience(name, **(given | changes))


def heard(
    stage: Stage,
    at: datetime,
    people: Mapping[str, Mapping[str, Any]],
    *,
    owners: Sequence[tuple[str, str]] = (("1", REP), ("2", OTHER)),
    place: str = "hubspot",
    lane: Lane = Lane.REALTIME,
    zones: Mapping[str, str] | None = None,
) -> None:
    """Write what the room ``feedback`` would have landed for the window that ends at ``at``."""
    its_window = window(at, lane)
    with stage.world.runtime.warehouse.write() as con, noting(con, "feedback.contexts"):
        con.execute("DELETE FROM feedback.owners WHERE destination = ?", [place])
        con.execute("DELETE FROM feedback.contexts WHERE destination = ?", [place])
        for number, email in owners:
            zone = (zones or {}).get(email)
            con.execute("INSERT INTO feedback.owners VALUES (?, ?, ?, TRUE, ?, ?)", [place, number, email, zone, at])
        for cio_id, said in people.items():
            con.execute(
                "INSERT INTO feedback.contexts BY NAME SELECT ? AS destination, ? AS lane, ? AS cio_id, ? AS record_id, "
                "? AS owner_id, ? AS handled_by, CAST(? AS TIMESTAMP) AS handled_at, ? AS window_key",
                [place, lane.value, cio_id, said.get("record", f"r-{cio_id}"), said.get("owner"), said.get("by"),
                 said.get("at"), its_window.key],
            )  # fmt: skip
        con.execute(
            "INSERT INTO feedback.readings VALUES (?, ?, ?, ?, ?, 0, NULL)", [place, lane.value, its_window.key, at, at]
        )


def assigned(stage: Stage) -> dict[str, tuple[Any, ...]]:
    rows = stage.world.rows("SELECT cio_id, destination, owner_id, owner_from FROM audience.assignments ORDER BY as_of")
    return {r[0]: tuple(r[1:]) for r in rows}


def limits(**more: Any) -> Limits:
    return Limits.model_validate({**UNCAPPED, **more})


def detail(stage: Stage, cio_id: str) -> dict[str, Any]:
    rows = stage.world.rows(f"SELECT detail FROM audience.decisions WHERE cio_id = '{cio_id}' ORDER BY sequence DESC")
    found: dict[str, Any] = json.loads(rows[0][0])
    return found


def test_the_records_owner_goes_first_then_who_is_named(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, asking(task={"owner": ["record_owner", OTHER]}), limits=limits())
    heard(stage, NOW, {"a": {"owner": "1"}, "b": {"owner": "gone"}, "c": {}})
    stage.at(NOW, {"a": RICH, "b": RICH, "c": RICH}, ["a", "b", "c"])
    assert assigned(stage) == {
        "a": ("hubspot", "1", "record_owner"), "b": ("hubspot", "2", "named"), "c": ("hubspot", "2", "named"),
    }  # fmt: skip


def test_without_anybody_who_can_act_nobody_enters(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, asking(task={"owner": ["record_owner", "left@example.com"]}), limits=limits())
    heard(stage, NOW, {"a": {"owner": "1"}, "b": {}})
    stage.at(NOW, {"a": RICH, "b": RICH}, ["a", "b"])
    assert (inside(stage), codes(stage)) == (["a"], {"b": "no_owner"})
    heard(stage, NOW + DAY, {"b": {}}, owners=(("7", "left@example.com"),))
    stage.at(NOW + DAY)
    assert (inside(stage), assigned(stage)["b"]) == (["a", "b"], ("hubspot", "7", "named"))


def test_a_rotation_goes_on_where_it_stopped_and_passes_over_full_desks(tmp_path: Path) -> None:
    both = {"owner": [{"rotate": [REP, OTHER]}]}
    stage = stage_of(tmp_path, asking(task=both), limits=limits(capacity=Capacity(open_per_owner=2)))
    people = [f"p{i}" for i in range(6)]
    heard(stage, NOW, {p: {} for p in people})
    stage.at(NOW, dict.fromkeys(people, RICH), people[:3])
    assert [assigned(stage)[p][1] for p in people[:3]] == ["1", "2", "1"]
    stage.at(NOW + DAY, dict.fromkeys(people, RICH), people)
    assert codes(stage)["p5"] == "stale_input", "nobody was asked for the second window"
    heard(stage, NOW + 2 * DAY, {p: {} for p in people})
    stage.at(NOW + 2 * DAY)
    assert assigned(stage)["p3"] == ("hubspot", "2", "rotation")
    assert (codes(stage), detail(stage, "p5")["in"]) == ({"p4": "capacity", "p5": "capacity"}, "hubspot")


def test_a_day_has_so_many_new_ones_and_the_ranking_says_for_whom(tmp_path: Path) -> None:
    daily = limits(capacity=Capacity(new_per_owner_per_day=1))
    stage = stage_of(tmp_path, asking(task={"owner": REP}, rank="spent DESC"), limits=daily)
    heard(stage, NOW, {"a": {}, "b": {}})
    stage.at(NOW, {"a": {"spent": 300.0}, "b": RICH}, ["a", "b"])
    assert (inside(stage), codes(stage)) == (["b"], {"a": "capacity"})
    heard(stage, NOW + DAY, {"a": {}})
    stage.at(NOW + DAY)
    assert inside(stage) == ["a", "b"]


def test_what_a_human_passed_on_was_given_that_day_all_the_same(tmp_path: Path) -> None:
    """Who passes work on has a free place on the desk, and no more of a day."""
    both = {"owner": [{"rotate": [REP, OTHER]}]}
    stage = stage_of(tmp_path, asking(task=both), limits=limits(capacity=Capacity(new_per_owner_per_day=1)))
    people = {"a": RICH, "b": RICH, "c": RICH}
    begin = NOW + HOUR  # of the workspace's day the first hour is over
    heard(stage, begin, {"a": {}})
    stage.at(begin, people, ["a"])
    assert assigned(stage)["a"][1] == "1"
    with stage.world.runtime.warehouse.write() as con:
        con.execute(
            """INSERT INTO delivery.actions BY NAME SELECT 'hubspot' AS destination, 'task' AS kind, '9' AS record_id,
            entry_id, audience, cio_id, '2' AS owner_id, 'open' AS status, attempt FROM audience.assignments"""
        )
    later = begin + HOUR
    heard(stage, later, {"b": {}, "c": {}})
    stage.at(later, people, ["a", "b", "c"])
    assert codes(stage) == {"b": "capacity", "c": "capacity"}


def test_held_out_people_take_nobodys_time(tmp_path: Path) -> None:
    daily = limits(capacity=Capacity(new_per_owner_per_day=4))
    stage = stage_of(tmp_path, asking(task={"owner": REP}, holdout=0.5), limits=daily)
    people = [f"p{i:02}" for i in range(40)]
    heard(stage, NOW, {p: {} for p in people})
    stage.at(NOW, dict.fromkeys(people, RICH), people)
    ghosts = stage.world.rows("SELECT count(*) FROM audience.memberships WHERE ghost")[0][0]
    assert len(inside(stage)) == 4
    assert 0 < ghosts < 12
    assert len(assigned(stage)) == 4
    assert set(codes(stage).values()) == {"capacity", "holdout"} or set(codes(stage).values()) == {"capacity"}


@pytest.mark.parametrize("lane", list(Lane))
def test_nobody_is_sent_to_whom_somebody_is_on_already(tmp_path: Path, lane: Lane) -> None:
    stage = stage_of(tmp_path, asking(task={"owner": REP}, lane=lane), limits=limits())
    on_it = {"by": "open_task", "at": NOW - HOUR}
    heard(stage, NOW, {"a": on_it, "b": {}}, lane=lane)
    stage.at(NOW, {"a": RICH, "b": RICH}, ["a", "b"], lane)
    assert (inside(stage), codes(stage)) == (["b"], {"a": "being_handled"})
    assert detail(stage, "a") == {"by": "open_task", "in": "hubspot", "at": f"{NOW - HOUR}"}
    heard(stage, NOW, {"a": {}}, lane=lane)
    stage.at(NOW, lane=lane)
    assert inside(stage) == ["a", "b"], "the same window again, and the human is through"


def test_an_audience_may_say_that_it_does_not_matter_who_is_on_it(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, asking(task={"owner": REP}, respect_handled=False), limits=limits())
    heard(stage, NOW, {"a": {"by": "open_task"}})
    stage.at(NOW, {"a": RICH}, ["a"])
    assert (inside(stage), codes(stage)) == (["a"], {})


def test_an_open_deal_that_is_to_be_moved_is_no_reason_to_stay_away(tmp_path: Path) -> None:
    moving = {"activity": {"subject": "Call", "owner": REP},
              "deal": {"mode": "move_existing", "pipeline": "Sales", "stage": "Won back"}}  # fmt: skip
    deliver = {"pipedrive": PipedriveAudience.model_validate(moving)}
    stage = stage_of(tmp_path, asking(deliver=deliver), limits=limits())
    heard(stage, NOW, {"a": {"by": "open_deal"}, "b": {"by": "open_activity"}}, place="pipedrive")
    stage.at(NOW, {"a": RICH, "b": RICH}, ["a", "b"])
    assert (inside(stage), codes(stage)) == (["a"], {"b": "being_handled"})


def test_a_list_that_makes_people_act_may_ask_the_crms_too(tmp_path: Path) -> None:
    listed = audience("vip", touch=True, launch=Launch(baseline=Baseline.INCLUDE), respect_handled=True,
                      deliver={"hubspot": {}})  # fmt: skip
    stage = stage_of(tmp_path, listed, limits=limits())
    heard(stage, NOW, {"a": {"by": "contacted"}, "b": {}})
    stage.at(NOW, {"a": RICH, "b": RICH}, ["a", "b"])
    assert (inside(stage), codes(stage)) == (["b"], {"a": "being_handled"})
    assert assigned(stage) == {}


def test_by_what_was_known_before_nobody_enters_and_nobody_leaves(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, asking(task={"owner": REP}), limits=limits())
    heard(stage, NOW, {"a": {}})
    stage.at(NOW, {"a": RICH}, ["a"])
    stage.at(NOW + DAY, {"a": RICH, "b": RICH}, ["a", "b"])
    assert (inside(stage), codes(stage)) == (["a"], {"b": "stale_input"})
    assert detail(stage, "b") == {"stale": ["hubspot"]}


def test_the_action_goes_where_the_person_has_a_record_by_the_route(tmp_path: Path) -> None:
    deliver = {
        "hubspot": HubSpotAudience.model_validate({"task": {"subject": "Call", "owner": REP}}),
        "pipedrive": PipedriveAudience.model_validate({"activity": {"subject": "Call", "owner": REP}}),
    }
    stage = stage_of(tmp_path, asking(deliver=deliver, route=("pipedrive", "hubspot")), limits=limits())
    people = {"a": {}, "b": {}, "c": {}}
    heard(stage, NOW, {**people, "b": {"record": None}, "c": {"record": None}}, place="pipedrive")
    heard(stage, NOW, {**people, "c": {"record": None}})
    stage.at(NOW, dict.fromkeys(people, RICH), list(people))
    assert {p: a[0] for p, a in assigned(stage).items()} == {"a": "pipedrive", "b": "hubspot", "c": "pipedrive"}


def test_due_in_working_time_of_whoever_acts(tmp_path: Path) -> None:
    working = WorkingTime.model_validate({"people": {OTHER: {"timezone": "Australia/Sydney"}}})
    chain = {"owner": ["record_owner", REP], "due": "4 working hours"}
    stage = stage_of(tmp_path, asking(task=chain), limits=limits(working_time=working))
    friday = datetime(2026, 3, 6, 22)
    heard(stage, friday, {"a": {"owner": "1"}, "b": {"owner": "2"}}, zones={REP: "America/New_York"})
    stage.at(friday, {"a": RICH, "b": RICH}, ["a", "b"])
    due = dict(stage.world.rows("SELECT cio_id, due_at FROM audience.assignments"))
    # Monday after the clock went forward in New York; in Sydney it is Saturday already.
    assert due == {"a": datetime(2026, 3, 9, 17), "b": datetime(2026, 3, 9, 2)}


def test_who_waits_for_the_opening_enters_with_it(tmp_path: Path) -> None:
    chain = {"owner": REP, "wait_for_opening": True}
    stage = stage_of(tmp_path, asking(task=chain, lane=Lane.REALTIME), limits=limits())
    night, morning = datetime(2026, 3, 4, 8), datetime(2026, 3, 4, 14)  # 3 and 9 o'clock in New York
    heard(stage, night, {"a": {}}, lane=Lane.REALTIME)
    stage.at(night, {"a": RICH}, ["a"], Lane.REALTIME)
    assert codes(stage) == {"a": "working_time"}
    heard(stage, morning, {"a": {}}, lane=Lane.REALTIME)
    stage.at(morning, lane=Lane.REALTIME)
    assert (inside(stage), codes(stage)) == (["a"], {})


def test_what_the_rules_read_of_an_open_entry_is_kept_up_to_date(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, asking(task={"owner": REP, "subject": "Spent {spent}"}), limits=limits())
    heard(stage, NOW, {"a": {}})
    stage.at(NOW, {"a": RICH}, ["a"])
    stage.at(NOW + DAY)
    assert stage.world.rows("SELECT count(*) FROM audience.current_evidence") == [(0,)]
    stage.at(NOW + 2 * DAY, {"a": {"spent": 700.0}})
    kept = stage.world.rows("SELECT evidence FROM audience.current_evidence")
    assert json.loads(kept[0][0])["inputs"]["spent"] == 700.0
    stage.at(NOW + 3 * DAY, members=[])
    assert stage.world.rows("SELECT count(*) FROM audience.current_evidence") == [(0,)]


def test_the_runs_instant_counts_where_it_is_later_than_the_window(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, asking(task={"owner": REP, "due": "2h"}), limits=limits())
    heard(stage, NOW, {"a": {}})
    stage.at(NOW, {"a": RICH}, ["a"])
    planned, due = stage.world.rows("SELECT planned_at, due_at FROM audience.assignments")[0]
    assert planned == NOW
    assert due >= NOW + timedelta(hours=2)


def test_nobody_gets_a_second_action_while_the_first_is_in_a_humans_hands(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, asking(cooldown=DAY, expires_after=2 * DAY, again_after=DAY), limits=limits())
    heard(stage, NOW, {"a": {"owner": "1"}})
    stage.at(NOW, {"a": RICH}, ["a"])
    with stage.world.runtime.warehouse.write() as con, noting(con, "delivery.actions"):
        con.execute(
            """INSERT INTO delivery.actions BY NAME
            SELECT 'hubspot' AS destination, 'task' AS kind, entry_id, 1 AS attempt, audience, cio_id, '7' AS record_id,
                'r-a' AS about, '1' AS owner_id, 'taken_up' AS status, entered_at AS opened_at
            FROM audience.memberships"""
        )
    heard(stage, NOW + 2 * DAY, {})
    stage.at(NOW + 2 * DAY)
    assert inside(stage) == []
    heard(stage, NOW + 5 * DAY, {"a": {"owner": "1"}})
    stage.at(NOW + 5 * DAY)
    assert (inside(stage), codes(stage)) == ([], {"a": "being_handled"})
    assert detail(stage, "a")["by"] == "our_action"
    with stage.world.runtime.warehouse.write() as con, noting(con, "delivery.actions"):
        con.execute("UPDATE delivery.actions SET status = 'done', ended_at = entered_at FROM audience.memberships")
    heard(stage, NOW + 6 * DAY, {"a": {"owner": "1"}})
    stage.at(NOW + 6 * DAY)
    assert inside(stage) == ["a"]


@pytest.mark.parametrize("ended", [False, True])
def test_what_a_human_took_up_is_on_their_desk_though_its_entry_has_ended(tmp_path: Path, ended: bool) -> None:
    stage = stage_of(tmp_path, asking(expires_after=DAY), limits=limits(capacity=Capacity(open_per_owner=1)))
    heard(stage, NOW, {"a": {"owner": "1"}})
    stage.at(NOW, {"a": RICH, "b": RICH}, ["a"])
    with stage.world.runtime.warehouse.write() as con, noting(con, "delivery.actions"):
        con.execute(
            """INSERT INTO delivery.actions BY NAME
            SELECT 'hubspot' AS destination, 'task' AS kind, entry_id, 1 AS attempt, audience, cio_id, '7' AS record_id,
                'r-a' AS about, '1' AS owner_id, CASE WHEN $1 THEN 'done' ELSE 'taken_up' END AS status,
                entered_at AS opened_at, CASE WHEN $1 THEN entered_at END AS ended_at
            FROM audience.memberships""",
            [ended],
        )
    heard(stage, NOW + DAY, {})
    stage.at(NOW + DAY)
    assert inside(stage) == []
    heard(stage, NOW + 2 * DAY, {"b": {"owner": "1"}})
    stage.at(NOW + 2 * DAY, members=["a", "b"])
    assert ("b" in inside(stage), codes(stage).get("b")) == ((True, None) if ended else (False, "capacity"))
