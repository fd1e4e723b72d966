"""Tasks: one an entry, whatever gets lost on the way; brought up to date; taken back only while nobody took them up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from unittest import mock

import pytest

from cio_activation.activation.models import AttributeType, Audience, Lane
from cio_activation.delivery.report import StepReport
from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers.hubspot import HubSpotBench, audience, make_activation, person
from cio_activation_tests.drivers.warm import warm_warehouses

Build = Callable[..., HubSpotBench]


@pytest.fixture(scope="module", autouse=True)
def warm() -> Iterator[None]:
    """Keep warehouses attached: these tests run many windows."""
    with warm_warehouses():
        yield


ADA, GRACE = "70000001", "70000002"
DUE = datetime(2026, 11, 25, 15, 30)
CREATE, UPDATE, READ = (f"/crm/objects/*/tasks/batch/{verb}" for verb in ("create", "update", "read"))
WHO = {"owner_id": ADA, "due_at": DUE, "inputs": {"spent": 249.9, "plan": "<gold> & more"}}
ONE = {"p00001": WHO}
IN_QUEUE: dict[str, Any] = {"owner_id": None, "queue": "4711"}
PEOPLE = 300


def asks(name: str = "vip", lane: Lane = Lane.DAILY, label: str = "VIP carts", **task: Any) -> Audience:
    """Return an audience that asks for a task, and keeps no list."""
    said = {"subject": "Call about {spent}", "body": "Offer help with the {plan} cart"} | task
    return audience(name, lane, label, list=False, task=said)


def asking(build: Build, people: int = 1, *audiences: Audience, linked: bool = True, **portal: Any) -> HubSpotBench:
    """A portal in which everybody has a contact, and an audience that asks for tasks; ``linked``: that is known here."""
    seed = [{"email": f"person{n}@example.com"} for n in range(1, people + 1)]
    world = build(seed, activation(*audiences), **portal)
    world.persons([person(n) for n in range(1, people + 1)])
    impatient(world)
    world.schema()
    if linked:
        rows = ", ".join(
            f"('hubspot', 'p{n:05d}', '{world.id_of(seed[n - 1]['email'])}')" for n in range(1, people + 1)
        )
        world.sql(f"INSERT INTO delivery.links (destination, cio_id, record_id) VALUES {rows}")
    return world


def turn(world: HubSpotBench) -> StepReport:
    """Run what makes the tasks of the one audience, for the next window."""
    return world.run(only="task/vip")["task/vip"]


def activation(*audiences: Audience, **settings: Any) -> Any:
    """Return an activation whose audiences ask for tasks."""
    types = {"spent": AttributeType.MONEY, "plan": AttributeType.TEXT}
    known = builders.activation(attributes=types).attributes
    return make_activation((), audiences or (asks(),), **settings).model_copy(update={"attributes": known})


def impatient(world: HubSpotBench) -> None:
    """Wait for nobody: the stand-in does at once what it does."""
    world.runtime = world.runtime_with(vendor_settle_s=0.0, vendor_backoff_s=0.005)


def the_task(world: HubSpotBench) -> dict[str, Any]:
    (task,) = world.tasks().values()
    return task


def action(world: HubSpotBench, *columns: str) -> tuple[Any, ...]:
    (row,) = world.query(f"SELECT {', '.join(columns)} FROM delivery.actions")
    return row


def task_calls(world: HubSpotBench, since: int) -> list[str]:
    return [e.path.rsplit("/", 1)[-1] for e in world.entries(since) if "/tasks/batch" in e.path]


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


# -- brought up to date, and taken back


def test_an_open_task_is_brought_up_to_date_where_its_reasons_changed(build: Build) -> None:
    world = asking(build)
    world.enter("vip", ONE)
    turn(world)
    world.enter("vip", {"p00001": WHO | {"inputs": {"spent": 500.0}}})
    mark = world.mark()
    assert turn(world).by_kind == {"change_task": 1}
    assert task_calls(world, mark) == ["read", "update"]
    assert the_task(world)["properties"]["hs_task_subject"] == "Call about 500 USD"
    mark = world.mark()
    turn(world)
    assert task_calls(world, mark) == []
    world.enter("vip", {})
    turn(world)
    assert the_task(world)["properties"]["hs_task_status"] == "COMPLETED"


@pytest.mark.parametrize(
    ("on_end", "reason", "status"),
    [
        ("complete", "left_segment", "withdrawn"),
        ("complete", "expired", "expired"),
        ("delete", "purchase", "withdrawn"),
    ],
)
def test_who_leaves_has_the_task_taken_back(build: Build, on_end: str, reason: str, status: str) -> None:
    world = asking(build, 1, asks(on_end=on_end))
    world.enter("vip", ONE)
    turn(world)
    world.enter("vip", {}, reason)
    turn(world)
    task = the_task(world)
    assert task["archived"] is (on_end == "delete")
    if on_end == "complete":
        assert task["properties"]["hs_task_status"] == "COMPLETED"
        assert task["properties"]["hs_task_body"].startswith("<p><strong>Nothing to do any more: ")
    assert action(world, "status", "end_reason") == (status, reason)
    mark = world.mark()
    turn(world)
    assert task_calls(world, mark) == []


def test_a_thousand_would_be_taken_back_in_twenty_calls(build: Build) -> None:
    world = asking(build, PEOPLE)
    world.enter("vip", {f"p{n:05d}": WHO for n in range(1, PEOPLE + 1)})
    for inside, most in ((None, 0.01), ({}, 0.02)):
        if inside is not None:
            world.enter("vip", inside)
        mark = world.mark()
        assert turn(world).delivered == PEOPLE
        assert len(world.entries(mark)) <= PEOPLE * most
    assert {t["properties"]["hs_task_status"] for t in world.tasks().values()} == {"COMPLETED"}


HANDS: dict[str, tuple[str, dict[str, Any], str]] = {
    "completes": ("complete_task", {}, "done"),
    "deletes": ("delete_task", {}, "deleted"),
    "takes up": ("complete_task", {"status": "IN_PROGRESS"}, "taken_up"),
    "waits": ("complete_task", {"status": "WAITING"}, "taken_up"),
    "writes": ("set_task", {"properties": {"hs_task_body": "<p>Called, will call again</p>"}}, "taken_up"),
    "renames": ("set_task", {"properties": {"hs_task_subject": "Mine"}}, "taken_up"),
}


@pytest.mark.parametrize("next_", ["changes", "ends", "ends, deleted"])
def test_what_a_human_did_is_never_overwritten_or_closed(build: Build, next_: str) -> None:
    world = asking(build, len(HANDS), asks(on_end="delete" if "deleted" in next_ else "complete"))
    people = dict(zip((f"p{n:05d}" for n in range(1, len(HANDS) + 1)), HANDS, strict=True))
    world.enter("vip", dict.fromkeys(people, WHO))
    turn(world)
    tasks = dict(world.query("SELECT cio_id, record_id FROM delivery.actions"))
    for cio_id, hand in people.items():
        deed, values, _ = HANDS[hand]
        world.edit(deed, id=tasks[cio_id], **values)
    before = world.tasks()
    world.enter("vip", dict.fromkeys(people, WHO | {"inputs": {"spent": 1.0}}) if next_ == "changes" else {})
    mark = world.mark()
    turn(world)
    assert world.tasks() == before
    assert task_calls(world, mark) == ["read"]
    found = world.query("SELECT cio_id, status, end_reason FROM delivery.actions")
    assert {(people[cio_id], status, reason) for cio_id, status, reason in found} == {
        (hand, status, None) for hand, (_, _, status) in HANDS.items()
    }


def test_one_taken_up_is_told_once_that_its_reason_ended(build: Build) -> None:
    world = asking(build)
    world.enter("vip", ONE)
    turn(world)
    world.edit("complete_task", id=the_task(world)["id"], status="IN_PROGRESS")
    before = the_task(world)["properties"]["hs_task_body"]
    world.enter("vip", {}, "purchase")
    turn(world)
    world.fault(path=UPDATE, kind="status", status=502, when="after", times=100)
    assert turn(world).by_kind == {"tell_task": 1}
    world.stand_in.mend()
    assert turn(world).by_kind == {"tell_task": 1}  # whether the line is there was not known
    held = the_task(world)["properties"]
    assert held["hs_task_body"] == f"<p><strong>Nothing to do any more: the person bought.</strong></p>{before}"
    assert held["hs_task_status"] == "IN_PROGRESS"
    assert action(world, "status", "told_end") == ("taken_up", True)
    mark = world.mark()
    turn(world)
    assert task_calls(world, mark) == []


@pytest.mark.parametrize(("on_end", "verb"), [("complete", "update"), ("delete", "archive")])
def test_our_own_completion_is_never_taken_for_a_humans(build: Build, on_end: str, verb: str) -> None:
    world = asking(build, 1, asks(on_end=on_end))
    world.enter("vip", ONE)
    turn(world)
    world.enter("vip", {"p00001": WHO | {"inputs": {"spent": 1.0}}})
    world.fault(path=f"/crm/objects/*/tasks/batch/{verb}", kind="reset", when="after", times=100)
    turn(world)  # the text is there, and we have not heard so
    world.enter("vip", {}, "expired")
    turn(world)
    world.stand_in.mend()
    turn(world)
    assert action(world, "status", "end_reason") == ("expired", "expired")
    assert (the_task(world)["archived"], the_task(world)["properties"]["hs_task_status"]) == (
        (True, "NOT_STARTED") if on_end == "delete" else (False, "COMPLETED")
    )


# -- what left the activation


def test_an_audience_that_leaves_has_its_tasks_taken_back_also_one_whose_answer_was_lost(build: Build) -> None:
    world = asking(build, 2, asks("vip"), asks("other"))
    world.enter("other", {"p00002": WHO})
    world.enter("vip", ONE)
    world.fault(path=CREATE, kind="reset", when="after")
    world.run()
    world.run(only="task/other")
    world.use(activation(asks("other")))
    impatient(world)
    world.schema()
    report = world.run()["retired_tasks"]
    assert (report.recovered, report.delivered) == (1, 1)
    by_status = {t["properties"]["hs_task_status"]: t["contacts"] for t in world.tasks().values()}
    assert by_status == {
        "COMPLETED": [world.id_of("person1@example.com")],
        "NOT_STARTED": [world.id_of("person2@example.com")],
    }
    mark = world.mark()
    world.run()
    assert task_calls(world, mark) == []


def test_another_account_knows_nothing_of_the_tasks(build: Build) -> None:
    from cio_activation.destinations.hubspot import DESTINATION

    world = asking(build)
    world.enter("vip", ONE)
    turn(world)
    with world.runtime.warehouse.write() as con:
        DESTINATION.forget_account(con)
    assert world.query("SELECT count(*) FROM delivery.actions") == [(0,)]
