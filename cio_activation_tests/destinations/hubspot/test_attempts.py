"""A further attempt for the same entry: another task under a claim of its own, once, however a run dies."""

from __future__ import annotations

from datetime import timedelta
from unittest import mock

import pytest

from cio_activation.activation.outcomes import Outcomes
from cio_activation_tests.destinations.hubspot.asking import ADA, DUE, GRACE, ONE, WHO, Build, asking, asks, turn
from cio_activation_tests.drivers.hubspot import HubSpotBench
from cio_activation_tests.drivers.tables import noting

LATER = DUE + timedelta(days=2)


def tried_once(build: Build) -> HubSpotBench:
    """A portal in which the first task was completed, and another attempt was given to somebody else."""
    world = asking(build, 1, asks().model_copy(update={"outcomes": Outcomes()}))
    world.enter("vip", ONE)
    turn(world)
    (first,) = world.tasks()
    world.edit("complete_task", id=first)
    with world.runtime.warehouse.write() as con, noting(con, "audience.assignments", "delivery.actions"):
        con.execute("UPDATE delivery.actions SET status = 'done', ended_at = now()")
        con.execute(
            """INSERT INTO audience.assignments BY NAME
            SELECT * REPLACE (2 AS attempt, ? AS owner_id, CAST(? AS TIMESTAMP) AS due_at) FROM audience.assignments""",
            [GRACE, LATER],
        )
    return world


@pytest.mark.parametrize("dies", ["before the answer is recorded", "before the call", "answer lost"])
def test_it_is_made_once_beside_the_first(build: Build, dies: str) -> None:
    world = tried_once(build)
    if dies == "answer lost":
        world.fault(path="/crm/objects/*/tasks/batch/create", kind="reset", when="after")
        assert turn(world).held == 1
    else:
        where = "journal.attempts.Journal.record" if "answer" in dies else "destinations.hubspot.task_api.create_tasks"
        with mock.patch(f"cio_activation.{where}", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
            turn(world)
    world.runtime = world.runtime_with(vendor_settle_s=0.0)
    turn(world)
    assert turn(world).planned == 0
    first, second = sorted(world.tasks().values(), key=lambda task: int(task["id"]))
    entry = world.query("SELECT DISTINCT entry_id FROM audience.memberships")[0][0]
    assert [f"[task:{entry}:{n}]" in t["properties"]["hs_task_body"] for n, t in ((1, first), (2, second))] == [
        True
    ] * 2
    assert (first["properties"]["hs_task_status"], first["properties"]["hubspot_owner_id"]) == ("COMPLETED", ADA)
    assert second["properties"]["hubspot_owner_id"] == GRACE
    assert "Attempt 2" in second["properties"]["hs_task_body"]
    assert world.query("SELECT attempt, status, due_at FROM delivery.actions ORDER BY attempt") == [
        (1, "done", DUE), (2, "open", LATER),
    ]  # fmt: skip
    world.enter("vip", {"p00001": WHO | {"inputs": {"spent": 300.0, "plan": "gold"}}})
    assert turn(world).by_kind == {"change_task": 1}
    assert f"[task:{entry}:2]" in world.tasks()[second["id"]]["properties"]["hs_task_body"]
    world.enter("vip", {})
    assert turn(world).by_kind == {"withdraw_task": 1}
