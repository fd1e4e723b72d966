"""The life of a task: brought up to date, taken back only while nobody took it up, and left to whoever did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cio_activation.delivery.outreach import HandledBy
from cio_activation.destinations.hubspot import DESTINATION
from cio_activation_tests.destinations.hubspot.asking import (
    CREATE,
    ONE,
    PEOPLE,
    UPDATE,
    WHO,
    Build,
    action,
    activation,
    ask,
    asking,
    asks,
    impatient,
    ours,
    task_calls,
    the_task,
    turn,
)

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


def test_what_full_batches_cost_in_calls(build: Build) -> None:
    """A task takes 0.01 calls to make and to look at, 0.02 to take back; whom somebody is on, 3 for 100 people.

    So a thousand are taken back by twenty.
    """
    world = asking(build, PEOPLE)
    everybody = range(1, PEOPLE + 1)
    calls: dict[str, int] = {}

    def counted(what: str, deed: Callable[[], object]) -> None:
        mark = world.mark()
        deed()
        calls[what] = len(world.entries(mark))

    world.enter("vip", {f"p{n:05d}": WHO for n in everybody})
    counted("made", lambda: turn(world))
    known = ours(world, *everybody)
    contacts = [str(one.about) for one in known]
    for contact in contacts:
        world.edit("create_task", contacts=[contact])
    counted("looked at", lambda: ask(world, lambda client, context: DESTINATION.actions(client, context, known)))
    found = []
    counted("handled", lambda: found.extend(ask(world, lambda cl, ctx: DESTINATION.contexts(cl, ctx, contacts, known))))
    world.enter("vip", {})
    counted("taken back", lambda: turn(world))
    hundreds = PEOPLE // 100
    assert calls == {"made": hundreds, "looked at": hundreds, "handled": 3 * hundreds, "taken back": 2 * hundreds}
    assert [one.handled_by for one in found] == [HandledBy.OPEN_TASK] * PEOPLE
    ended = [t["properties"]["hs_task_status"] for i, t in world.tasks().items() if i in {o.record_id for o in known}]
    assert ended == ["COMPLETED"] * PEOPLE


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
    world = asking(build)
    world.enter("vip", ONE)
    turn(world)
    with world.runtime.warehouse.write() as con:
        DESTINATION.forget_account(con)
    assert world.query("SELECT count(*) FROM delivery.actions") == [(0,)]
