"""Open tasks are given to somebody else as was decided: not what a human took, gave or finished meanwhile."""

from __future__ import annotations

from cio_activation_tests.destinations.hubspot.asking import (
    ADA,
    GRACE,
    WHO,
    Build,
    asking,
    asks,
    task_calls,
    turn,
)
from cio_activation_tests.drivers.hubspot import HubSpotBench
from cio_activation_tests.drivers.tables import noting

PEOPLE = ("plain", "changed", "given", "done", "nobody")
FOLLOWS = {"owner": ["record_owner"], "follow_owner": True}


def assign(world: HubSpotBench, number: int, owner: str) -> None:
    """Decide that somebody else has a person's task."""
    with world.runtime.warehouse.write() as con, noting(con, "audience.assignments"):
        con.execute(
            "UPDATE audience.assignments SET owner_id = ?, given_at = now()::TIMESTAMP WHERE cio_id = ?",
            [owner, f"p{number:05d}"],
        )


def owners(world: HubSpotBench) -> dict[str, str | None]:
    """Return the owner of everybody's task."""
    tasks = {i: t["properties"].get("hubspot_owner_id") for i, t in world.tasks().items()}
    rows = world.query("SELECT cio_id, record_id FROM delivery.actions")
    return {PEOPLE[int(cio_id[1:]) - 1]: tasks[record_id] for cio_id, record_id in rows}


def test_what_was_decided_is_written_once_and_what_a_human_did_meanwhile_stays(build: Build) -> None:
    world = asking(build, len(PEOPLE), asks(**FOLLOWS))
    everybody = {f"p{n:05d}": WHO for n in range(1, len(PEOPLE) + 1)}
    world.enter("vip", everybody)
    turn(world)
    carl = world.edit("add_owner", email="carl@example.com")["id"]
    tasks = dict(world.query("SELECT cio_id, record_id FROM delivery.actions"))
    for number in range(1, len(PEOPLE) + 1):
        assign(world, number, "999" if PEOPLE[number - 1] == "nobody" else GRACE)
    world.enter("vip", everybody | {"p00002": WHO | {"inputs": {"spent": 1.0}}})
    world.edit("set_task", id=tasks["p00003"], properties={"hubspot_owner_id": carl})
    world.edit("complete_task", id=tasks["p00004"])
    report = turn(world)
    assert report.by_kind == {"assign_task": 5, "change_task": 1}
    assert (report.delivered, report.unneeded, report.rejected) == (4, 1, 1)
    assert owners(world) == {"plain": GRACE, "changed": GRACE, "given": carl, "done": ADA, "nobody": ADA}
    assert world.tasks()[tasks["p00002"]]["properties"]["hs_task_subject"] == "Call about 1 USD"
    assert world.query("SELECT cio_id, act, detail FROM feedback.acts") == [("p00003", "reassigned", carl)]
    known = dict(world.query("SELECT cio_id, owner_id FROM delivery.actions WHERE cio_id <> 'p00004'"))
    assert known == {"p00001": GRACE, "p00002": GRACE, "p00003": carl, "p00005": ADA}
    world.sql("UPDATE delivery.actions SET status = 'done', ended_at = now()::TIMESTAMP WHERE cio_id = 'p00004'")
    assign(world, 5, ADA)
    mark = world.mark()
    turn(world)
    assert task_calls(world, mark) == []


def test_an_owner_whom_hubspot_leaves_out_without_a_word_is_asked_for_once(build: Build) -> None:
    world = asking(build, 1, asks(**FOLLOWS))
    world.enter("vip", {"p00001": WHO})
    turn(world)
    world.edit("settings", unknown_owners="dropped")
    assign(world, 1, "999")
    turn(world)
    assert world.query("""SELECT reason FROM delivery.ledger WHERE kind = 'assign_task'""") == [
        ("given to somebody else, but the destination did not take that",)
    ]
    mark = world.mark()
    turn(world)
    assert (task_calls(world, mark), owners(world)) == ([], {"plain": ADA})
