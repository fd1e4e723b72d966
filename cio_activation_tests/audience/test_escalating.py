"""Who takes over what nobody touched, who has no room for it, and of what a person is told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from cio_activation.activation.models import Lane
from cio_activation.activation.working_time import Capacity
from cio_activation.errors import ConfigError
from cio_activation_tests.audience.stage import DAY, NOW, Stage
from cio_activation_tests.audience.test_touch import stage_of
from cio_activation_tests.audience.test_who_and_when import OTHER, REP, RICH, asking, heard, limits
from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers.state import window
from cio_activation_tests.drivers.tables import noting

THIRD = "third@example.com"
OWNERS = (("1", REP), ("2", OTHER), ("3", THIRD))


def asked(stage: Stage, people: Sequence[str]) -> None:
    """Let everybody who was assigned be asked for, by the destination's word, and nobody act."""
    with stage.world.runtime.warehouse.write() as con, noting(con, "delivery.actions"):
        con.execute(
            """INSERT INTO delivery.actions BY NAME
            SELECT destination, 'task' AS kind, entry_id, 1 AS attempt, audience, cio_id, concat('t-', cio_id) AS record_id,
                concat('r-', cio_id) AS about, owner_id, due_at, 'open' AS status, planned_at AS opened_at
            FROM audience.assignments WHERE list_contains(?, cio_id)""",
            [list(people)],
        )


def looked_at(stage: Stage, at: datetime, **handled: str) -> None:
    """Write what the room ``feedback`` would have landed of the records for the window that ends at ``at``."""
    heard(stage, at, {}, owners=OWNERS)
    with stage.world.runtime.warehouse.write() as con:
        con.execute("DELETE FROM feedback.records")
        con.execute(
            """INSERT INTO feedback.records BY NAME
            SELECT 'hubspot' AS destination, 'realtime' AS lane, cio_id, about AS record_id, ? AS window_key
            FROM delivery.actions""",
            [window(at, Lane.REALTIME).key],
        )
        for cio_id, by in handled.items():
            con.execute("UPDATE feedback.records SET handled_by = ? WHERE cio_id = ?", [by, cio_id])


def steps(stage: Stage) -> list[tuple[Any, ...]]:
    return stage.world.rows("SELECT cio_id, step, does FROM audience.escalations ORDER BY as_of, cio_id")


def owners(stage: Stage, audience: str = "vip") -> dict[str, str]:
    """Return who is to act for whom now."""
    rows = stage.world.rows(f"SELECT cio_id, owner_id FROM audience.assignments WHERE audience = '{audience}'")
    return dict(sorted(rows))


def carried_out(stage: Stage) -> None:
    """Let the destination have taken what was decided."""
    with stage.world.runtime.warehouse.write() as con, noting(con, "delivery.actions"):
        con.execute(
            """UPDATE delivery.actions AS x SET owner_id = a.owner_id, given_to = a.owner_id
            FROM audience.assignments AS a WHERE a.entry_id = x.entry_id"""
        )


def test_people_take_turns_in_taking_over_and_what_the_last_one_leaves_too_is_told(tmp_path: Path) -> None:
    sla = {"after": "2 working hours", "then": ["reassign", "tell"]}
    chain = [REP, {"rotate": [OTHER, THIRD]}]
    stage = stage_of(tmp_path, asking(task={"owner": chain, "sla": sla}), limits=limits())
    people = ("a", "b", "c")
    heard(stage, NOW, {p: {} for p in people}, owners=OWNERS)
    stage.at(NOW, dict.fromkeys(people, RICH), people)
    asked(stage, people)
    assert owners(stage) == {"a": "1", "b": "1", "c": "1"}
    looked_at(stage, NOW + DAY)  # Monday at five: nobody was at work since
    stage.at(NOW + DAY)
    assert steps(stage) == []
    looked_at(stage, NOW + 2 * DAY, c="open_task")
    stage.at(NOW + 2 * DAY)
    assert steps(stage) == [("a", 1, "reassign"), ("b", 1, "reassign")]
    assert sorted(owners(stage).values()) == ["1", "2", "3"]
    stage.at(NOW + 2 * DAY)
    assert len(steps(stage)) == 2
    carried_out(stage)
    stage.at(NOW + 3 * DAY)  # what was read is of another window
    assert len(steps(stage)) == 2
    looked_at(stage, NOW + 4 * DAY)
    stage.at(NOW + 4 * DAY)
    assert steps(stage)[2:] == [("a", 2, "tell"), ("b", 2, "tell"), ("c", 1, "reassign")]


def test_who_has_no_room_takes_nothing_over_but_whoever_is_named_for_it_does(tmp_path: Path) -> None:
    sla = {"after": "2 working hours", "then": ["reassign", {"reassign": THIRD}]}
    vip = asking(task={"owner": [REP, OTHER], "sla": sla})
    desks = limits(capacity=Capacity(open_per_owner=2))
    other = asking("other", task={"owner": OTHER}, gate="spent >= 1000")
    stage = stage_of(tmp_path, vip, other, limits=desks)
    people = {"a": RICH, "b": RICH, "x": {"spent": 2000.0}}
    heard(stage, NOW, {p: {} for p in people}, owners=OWNERS)
    stage.at(NOW, people, ["a", "b", "x"])
    asked(stage, [*people])
    had = owners(stage)
    looked_at(stage, NOW + 2 * DAY)
    stage.at(NOW + 2 * DAY)
    taken = [s for s in steps(stage) if s[2] == "reassign"]
    assert len(taken) < len(had), "a desk takes two"
    assert ("tell" in {s[2] for s in steps(stage)}) is True
    carried_out(stage)
    looked_at(stage, NOW + 4 * DAY)
    stage.at(NOW + 4 * DAY)
    assert set(owners(stage).values()) == {"3"}


@pytest.mark.parametrize(
    ("then", "told"),
    [
        ("[raise_priority, tell, tell]", "has one step, or two"),
        ("shout", "'shout' is no step; write raise_priority, reassign, tell, or {reassign: lead@example.com}"),
        ("{reassign: nobody}", "is no step"),
    ],
)
def test_a_step_that_is_none_names_the_mend(tmp_path: Path, then: str, told: str) -> None:
    text = f"""
workspace: {{timezone: UTC}}
attributes: {{}}
audiences:
  vip: {{label: V, owner: a@example.com, segment: 1, lane: daily,
        deliver: {{hubspot: {{task: {{subject: Call, sla: {{after: 8 working hours, then: {then}}}}}}}}}}}
destinations: {{hubspot: {{}}}}
"""
    with pytest.raises(ConfigError) as caught:
        builders.load(tmp_path, text)
    assert told in " ".join(caught.value.problems)
