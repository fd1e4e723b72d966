"""Tasks are made: one an entry, whatever gets lost on the way, and whatever HubSpot does not take."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest

from cio_activation.activation.models import Lane
from cio_activation_tests.destinations.hubspot.asking import (
    ADA,
    CREATE,
    DUE,
    IN_QUEUE,
    ONE,
    WHO,
    Build,
    action,
    activation,
    asking,
    asks,
    impatient,
    task_calls,
    the_task,
    turn,
)

# -- made


def test_a_task_says_what_to_do_and_why_to_whom_and_until_when(build: Build) -> None:
    world = asking(build, 1, asks(priority="high", type="call"))
    world.enter("vip", ONE)
    assert turn(world).delivered == 1
    task = the_task(world)
    held = task["properties"]
    assert task["contacts"] == [world.id_of("person1@example.com")]
    assert held["hs_task_subject"] == "Call about 249.90 USD"
    lines = [line.split("<")[0] for line in held["hs_task_body"].split("<p>")[1:]]
    assert lines[0] == "Offer help with the &lt;gold&gt; &amp; more cart"
    assert lines[1].startswith("Why now: in Customer.io segment 1 since ")
    assert "Plan: &lt;gold&gt; &amp; more" in lines
    (entry_id,) = action(world, "entry_id")
    assert f">[task:{entry_id}:1] " in held["hs_task_body"].rsplit("<p>", 1)[1]
    assert (held["hs_task_status"], held["hs_task_priority"], held["hs_task_type"]) == ("NOT_STARTED", "HIGH", "CALL")
    assert (held["hubspot_owner_id"], held["hs_timestamp"]) == (ADA, "2026-11-25T15:30:00Z")
    assert action(world, "record_id", "about", "owner_id", "due_at", "status") == (
        task["id"], task["contacts"][0], ADA, DUE, "open",
    )  # fmt: skip


def test_a_second_run_makes_no_call_about_tasks(build: Build) -> None:
    world = asking(build)
    world.enter("vip", ONE)
    world.run()
    mark = world.mark()
    world.run()
    assert task_calls(world, mark) == []
    assert not world.writes(mark)


def test_a_hundred_tasks_are_one_call(build: Build) -> None:
    world = asking(build, 100)
    world.enter("vip", {f"p{n:05d}": WHO for n in range(1, 101)})
    mark = world.mark()
    turn(world)
    assert task_calls(world, mark) == ["create"]
    assert len(world.tasks()) == 100


def test_nobody_is_asked_for_ghosts_baseline_and_people_who_left(build: Build) -> None:
    world = asking(build, 3)
    world.enter("vip", {"p00001": {"ghost": True}, "p00002": {"baseline": True}, "p00003": {}})
    world.enter("vip", {"p00001": {"ghost": True}, "p00002": {"baseline": True}})
    turn(world)
    assert world.tasks() == {}


def test_who_comes_back_is_asked_for_again_once(build: Build) -> None:
    world = asking(build)
    for inside in (ONE, {}, ONE, ONE):
        world.enter("vip", inside)
        turn(world)
    assert [t["properties"]["hs_task_status"] for t in world.tasks().values()] == ["COMPLETED", "NOT_STARTED"]


def test_a_realtime_audience_asks_in_its_lane_after_its_list(build: Build) -> None:
    world = asking(build, 1, asks("hot", Lane.REALTIME))
    world.enter("hot", ONE)
    assert world.run(Lane.REALTIME)["task/hot"].delivered == 1
    world.enter("hot", {"p00001": {"inputs": {"spent": 300.0}}})
    assert world.run(Lane.REALTIME)["task/hot"].by_kind == {"change_task": 1}
    world.enter("hot", {}, "purchase")
    assert world.run(Lane.REALTIME)["task/hot"].by_kind == {"withdraw_task": 1}
    assert the_task(world)["properties"]["hs_task_status"] == "COMPLETED"


# -- answers that get lost, and runs that die


LOST = {
    "reset before": {"kind": "reset"},
    "reset after": {"kind": "reset", "when": "after"},
    "truncated": {"kind": "truncate", "when": "after"},
    "502 after": {"kind": "status", "status": 502, "when": "after"},
}


def test_a_lost_answer_makes_one_task(build: Build) -> None:
    world = asking(build, len(LOST))
    inside: dict[str, Any] = {}
    for number, (name, fault) in enumerate(LOST.items(), 1):
        inside[f"p{number:05d}"] = WHO
        world.enter("vip", inside)
        world.fault(path=CREATE, **fault)
        first = turn(world)
        assert (name, first.held, first.delivered) == (name, 1, 0)
        mark = world.mark()
        assert turn(world).recovered == 1
        assert len(world.tasks()) == number
        assert (name, task_calls(world, mark).count("create")) == (name, int(name == "reset before"))
        assert not [e for e in world.entries(mark) if e.path.endswith("/search")]
    assert world.query("SELECT count(DISTINCT record_id) FROM delivery.actions WHERE status = 'open'") == [(len(LOST),)]


def test_a_batch_that_does_not_mention_the_contact_is_not_taken_for_no_tasks(build: Build) -> None:
    world = asking(build, 2)
    for number, lost in enumerate(({"kind": "reset", "when": "after"}, {"kind": "reset"}), 1):
        world.enter("vip", {f"p{n:05d}": WHO for n in range(1, number + 1)})
        world.fault(path=CREATE, **lost)
        turn(world)
        nothing = {"status": "COMPLETE", "results": [], "errors": []}
        world.fault(path="/crm/associations/*/batch/read", kind="status", status=200, body=nothing)
        assert turn(world).recovered == 1
        assert len(world.tasks()) == number


@pytest.mark.parametrize("when", ["before the answer is recorded", "before the call"])
def test_a_run_that_dies_at_the_call_makes_one_task(build: Build, when: str) -> None:
    world = asking(build)
    world.enter("vip", ONE)
    where = "cio_activation.journal.attempts.Journal.record" if "answer" in when else (
        "cio_activation.destinations.hubspot.task_api.create_tasks"
    )  # fmt: skip
    with mock.patch(where, side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        world.run(only="task/vip") if world.link("p00001") else turn(world)
    world.runtime = world.runtime_with(vendor_settle_s=0.0)
    turn(world)
    turn(world)
    assert len(world.tasks()) == 1
    assert action(world, "record_id", "owner_id", "due_at") == (the_task(world)["id"], ADA, DUE)


@pytest.mark.parametrize("keeps", [False, True])
def test_a_lost_task_is_found_on_what_is_left_of_a_merge(build: Build, keeps: bool) -> None:
    world = asking(build, linked=False)
    world.edit("settings", merge_keeps_primary=keeps)
    world.enter("vip", ONE)
    world.fault(path=CREATE, kind="reset", when="after")
    world.run()
    world.edit("create", properties={"email": "main@example.com"})
    world.edit("merge", email="main@example.com", other_email="person1@example.com")
    world.run()
    world.run()
    assert action(world, "record_id", "status") == (the_task(world)["id"], "open")


def test_after_the_contact_is_deleted_no_second_task_is_made(build: Build) -> None:
    world = asking(build, linked=False)
    world.use(activation(on_deleted="recreate"))
    impatient(world)
    world.run()
    world.enter("vip", ONE)
    world.fault(path=CREATE, kind="reset", when="after")
    world.run()
    world.edit("delete", email="person1@example.com")
    for _ in range(3):
        world.run()
    assert len(world.tasks()) == 1
    ends = world.query("SELECT \"end\", reason FROM delivery.ledger WHERE kind = 'open_task'")
    assert ("unneeded" in dict(ends), "contact is gone" in str(ends)) == (True, True)
    mark = world.mark()
    world.run()
    assert task_calls(world, mark) == []


def test_a_contact_that_is_gone_is_found_out_and_its_heir_asked_for_in_the_same_run(build: Build) -> None:
    world = asking(build, linked=False)
    world.run()
    world.enter("vip", ONE)
    world.edit("create", properties={"email": "main@example.com"})
    heir = world.edit("merge", email="main@example.com", other_email="person1@example.com")["id"]
    world.run()
    assert the_task(world)["contacts"] == [heir]


# -- what HubSpot does not take


def test_of_a_batch_that_is_written_in_part_the_rest_is_queued(build: Build) -> None:
    world = asking(build, 3)
    world.enter("vip", {"p00001": WHO, "p00002": WHO | {"owner_id": "12345"}, "p00003": WHO})
    report = turn(world)
    assert (report.delivered, report.rejected) == (2, 1)
    assert world.rejected() == {"p00002": "VALIDATION_ERROR INVALID_OWNER_ID hubspot_owner_id"}
    assert len(world.tasks()) == 2


def test_answers_without_trace_ids_are_matched_by_marker(build: Build) -> None:
    world = asking(build, 3, echo_trace_ids=False)
    world.enter("vip", {f"p{n:05d}": WHO for n in (1, 2, 3)})
    assert turn(world).delivered == 3
    about = world.query("SELECT record_id, about FROM delivery.actions")
    assert {(t["id"], t["contacts"][0]) for t in world.tasks().values()} == set(about)


def test_an_owner_that_hubspot_drops_does_not_pass_silently(build: Build) -> None:
    world = asking(build)
    world.edit("settings", unknown_owners="dropped")
    world.enter("vip", {"p00001": WHO | {"owner_id": "12345"}})
    turn(world)
    assert action(world, "owner_id", "status") == (None, "open")
    assert world.query("SELECT reason FROM delivery.ledger WHERE kind = 'open_task'") == [
        ("made, but HubSpot did not give it its owner",)
    ]


def test_a_queue_is_set_where_hubspot_lets_it_be(build: Build) -> None:
    world = asking(build, 18)
    inside: dict[str, Any] = {}
    for stage, (taken, echo) in enumerate((t, e) for t in ("taken", "dropped", "refused") for e in (True, False)):
        world.edit("settings", queues=taken, echo_trace_ids=echo)
        newcomers = [f"p{3 * stage + i:05d}" for i in (1, 2, 3)]
        inside |= {newcomers[0]: WHO, newcomers[1]: IN_QUEUE, newcomers[2]: IN_QUEUE}
        world.enter("vip", inside)
        before = world.tasks().keys()
        assert (taken, turn(world).delivered) == (taken, 3)
        made = [t for i, t in world.tasks().items() if i not in before]
        queues = [t["properties"].get("hs_queue_membership_ids") for t in made]
        assert (taken, sorted(queues, key=str)) == (taken, [None] * 3 if taken != "taken" else ["4711", "4711", None])
    told = "made, but HubSpot did not put it into its queue"
    assert world.query(f"SELECT count(*) FROM delivery.ledger WHERE reason = '{told}'") == [(8,)]
