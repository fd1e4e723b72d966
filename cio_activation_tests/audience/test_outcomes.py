"""What an outcome leads to: how long nobody is asked again, when somebody comes again, and who tries once more."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cio_activation.activation.models import Lane
from cio_activation.activation.outcomes import Follows, Outcomes, Retry
from cio_activation.activation.working_time import Capacity
from cio_activation_tests.audience.stage import DAY, HOUR, NOW, Stage
from cio_activation_tests.audience.test_touch import POOR, codes, inside, told
from cio_activation_tests.audience.test_who_and_when import OTHER, REP, RICH, asking, heard, limits, stage_of
from cio_activation_tests.drivers.tables import noting

TRY = Outcomes(no_answer=Follows(retry=Retry(after=2 * DAY, max=2)))


def begun(home: Path, *people: str, task: dict[str, Any] | None = None, **changes: Any) -> Stage:
    """People who are asked for by REP, whose action is made."""
    capacity = changes.pop("capacity", Capacity())
    said = {"outcomes": TRY, "expires_after": 30 * DAY, "task": task or {"owner": [REP, OTHER]}} | changes
    stage = stage_of(home, asking(**said), limits=limits(capacity=capacity))
    heard(stage, NOW, {p: {} for p in people})
    stage.at(NOW, dict.fromkeys(people, RICH), people)
    assert inside(stage) == sorted(people)
    made(stage)
    return stage


def made(stage: Stage, at: datetime = NOW) -> None:
    """Make the action of every assignment that has none."""
    with stage.world.runtime.warehouse.write() as con, noting(con, "delivery.actions"):
        con.execute(
            """INSERT INTO delivery.actions BY NAME
            SELECT destination, 'task' AS kind, entry_id, attempt, audience, cio_id,
                concat(entry_id, '/', attempt) AS record_id, owner_id, 'open' AS status, CAST(? AS TIMESTAMP) AS opened_at
            FROM audience.assignments AS a WHERE NOT EXISTS (
                SELECT 1 FROM delivery.actions AS x WHERE x.entry_id = a.entry_id AND x.attempt = a.attempt)""",
            [at],
        )


def said(
    stage: Stage, cio_id: str, outcome: str, at: datetime, until: datetime | None = None, done: bool = True
) -> None:
    """Have a human complete a person's newest action, if not told otherwise, and say what came of it."""
    with stage.world.runtime.warehouse.write() as con, noting(con, "feedback.acts", "delivery.actions"):
        newest = "SELECT max(record_id) FROM delivery.actions WHERE cio_id = ?"
        if done:
            con.execute(
                f"UPDATE delivery.actions SET status = 'done', ended_at = ? WHERE record_id = ({newest})", [at, cio_id]
            )
        for act, detail in [*([("done", None)] if done else []), ("outcome", outcome)]:
            con.execute(
                f"""INSERT INTO feedback.acts BY NAME
                SELECT destination, kind, record_id, entry_id, audience, cio_id, ? AS act, CAST(? AS TIMESTAMP) AS happened_at,
                    CAST(? AS TIMESTAMP) AS until, ? AS detail FROM delivery.actions WHERE record_id = ({newest})""",
                [act, at, until if act == "outcome" else None, detail, cio_id],
            )


def attempts(stage: Stage) -> list[tuple[Any, ...]]:
    return stage.world.rows("SELECT cio_id, attempt, owner_id, owner_from FROM audience.assignments ORDER BY ALL")


def at(stage: Stage, when: datetime, people: dict[str, Any] | None = None) -> None:
    """Decide a window for which the CRMs were asked."""
    everybody = [r[0] for r in stage.world.rows("SELECT DISTINCT cio_id FROM audience.memberships")]
    heard(stage, when, {p: {} for p in everybody})
    stage.at(when, people)


@pytest.mark.parametrize("outcome", ["converted", "wrong_person"])
def test_an_outcome_that_settles_it_ends_the_entry_and_nobody_asks_for_long(tmp_path: Path, outcome: str) -> None:
    stage = begun(tmp_path, "a", "b")
    said(stage, "a", outcome, NOW + HOUR)
    said(stage, "b", outcome, NOW + HOUR, done=False)
    at(stage, NOW + DAY)
    assert told(stage, "a")[-1] == told(stage, "b")[-1] == ("left", "outcome")
    (detail,) = stage.world.rows("SELECT detail FROM audience.decisions WHERE cio_id = 'a' AND decision = 'left'")
    assert json.loads(detail[0])["outcome"] == outcome
    with stage.world.runtime.warehouse.write() as con, noting(con, "delivery.actions"):
        con.execute("UPDATE delivery.actions SET status = 'withdrawn', ended_at = now() WHERE ended_at IS NULL")
    at(stage, NOW + 2 * DAY)
    assert codes(stage) == {"a": "spent", "b": "spent"}
    at(stage, NOW + 3 * DAY, {"a": POOR, "b": POOR})
    for days, code in ((20, "cooldown"), (89, "cooldown")):
        at(stage, NOW + days * DAY, {"a": RICH, "b": RICH})
        assert codes(stage) == {"a": code, "b": code}
    at(stage, NOW + 91 * DAY)
    assert inside(stage) == ["a", "b"]


def test_bad_timing_brings_people_back_on_their_day_or_after_a_span_also_told_late(tmp_path: Path) -> None:
    stage = begun(tmp_path, "a", "b", "c")
    said(stage, "a", "bad_timing", NOW + HOUR, until=NOW + 20 * DAY)
    said(stage, "b", "bad_timing", NOW + HOUR, until=NOW)  # the day it was told
    with stage.world.runtime.warehouse.write() as con, noting(con, "feedback.acts", "delivery.actions"):
        con.execute(
            """INSERT INTO feedback.acts BY NAME SELECT destination, kind, record_id, entry_id, audience, cio_id,
            'done' AS act, CAST(? AS TIMESTAMP) AS happened_at FROM delivery.actions WHERE cio_id = 'c'""",
            [NOW + HOUR],
        )
        con.execute("UPDATE delivery.actions SET status = 'done', ended_at = ? WHERE cio_id = 'c'", [NOW + HOUR])
    at(stage, NOW + DAY)
    assert [told(stage, who)[-1] for who in "abc"] == [("left", "outcome"), ("left", "outcome"), ("left", "done")]
    said(stage, "c", "bad_timing", NOW + 2 * DAY, done=False)
    at(stage, NOW + 10 * DAY)
    assert codes(stage) == dict.fromkeys("abc", "snoozed")
    at(stage, NOW + 14 * DAY + 2 * HOUR)
    assert inside(stage) == ["b"]
    at(stage, NOW + 17 * DAY)
    assert inside(stage) == ["b", "c"]
    at(stage, NOW + 20 * DAY)
    assert inside(stage) == ["a", "b", "c"]


def test_nobody_reached_is_tried_again_so_often_and_only_while_the_reason_lives(tmp_path: Path) -> None:
    stage = begun(tmp_path, "a", "b", "c")
    for who in "abc":
        said(stage, who, "no_answer", NOW + HOUR)
    at(stage, NOW + DAY, {"a": RICH, "b": POOR, "c": RICH})
    assert [row[1] for row in attempts(stage)] == [1, 1, 1]
    at(stage, NOW + 2 * DAY + HOUR)
    assert attempts(stage)[1:] == [
        ("a", 2, "1", "retry"),
        ("b", 1, "1", "named"),
        ("c", 1, "1", "named"),
        ("c", 2, "1", "retry"),
    ]
    at(stage, NOW + 2 * DAY + HOUR)
    assert len(attempts(stage)) == 5, "the same window again"
    made(stage, NOW + 2 * DAY)
    said(stage, "a", "converted", NOW + 3 * DAY)
    said(stage, "c", "no_answer", NOW + 3 * DAY)
    at(stage, NOW + 3 * DAY + HOUR)
    assert (inside(stage), told(stage, "a")[-1]) == (["c"], ("left", "outcome"))
    at(stage, NOW + 5 * DAY)
    made(stage, NOW + 5 * DAY)
    said(stage, "c", "no_answer", NOW + 6 * DAY)
    at(stage, NOW + 9 * DAY)
    assert ([row[1] for row in attempts(stage) if row[0] == "c"], told(stage, "c")[-1]) == (
        [1, 2, 3],
        ("left", "outcome"),
    )


def test_a_further_attempt_takes_a_place_and_goes_to_who_can_act(tmp_path: Path) -> None:
    one = Capacity(new_per_owner_per_day=1)
    stage = begun(tmp_path, "a", task={"owner": REP}, capacity=one)
    said(stage, "a", "no_answer", NOW + HOUR)
    heard(stage, NOW + 3 * DAY, {"a": {}, "b": {}})
    stage.at(NOW + 3 * DAY, {"a": RICH, "b": RICH}, ["a", "b"])
    assert (inside(stage), codes(stage)) == (["a"], {"b": "capacity"}), "what was begun goes first"
    made(stage, NOW + 3 * DAY)
    said(stage, "a", "no_answer", NOW + 4 * DAY)
    heard(stage, NOW + 7 * DAY, {"a": {}, "b": {}}, owners=(("2", OTHER),))
    stage.at(NOW + 7 * DAY)
    assert [row[1] for row in attempts(stage)] == [1, 2], "nobody of those named can act"
    heard(stage, NOW + 8 * DAY, {"a": {}, "b": {}}, owners=(("7", REP),))
    stage.at(NOW + 8 * DAY)
    assert attempts(stage) == [("a", 1, "1", "named"), ("a", 2, "1", "retry"), ("a", 3, "7", "named")]
    due = stage.world.rows("SELECT due_at FROM audience.assignments WHERE attempt = 3")[0][0]
    assert due > NOW + 8 * DAY


def test_what_is_not_read_any_more_keeps_nobody(tmp_path: Path) -> None:
    stage = begun(tmp_path, "a", outcomes=None, lane=Lane.REALTIME)
    said(stage, "a", "converted", NOW + HOUR, done=False)
    at(stage, NOW + DAY)
    assert inside(stage) == ["a"]
    assert timedelta(0) < stage.world.runtime.activation.audiences["vip"].cooldown
