"""What entries came to: read off attributes or moments, first entries only, once their span is over."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cio_activation.activation.life_cycle import Baseline, Launch, Measure, PersonCap, PurchaseMoment
from cio_activation.activation.models import Limits
from cio_activation.outcome.audiences import Outcome, outcomes
from cio_activation.outcome.entries import read
from cio_activation_tests.audience.stage import DAY, HOUR, NOW, Stage, audience

WITHIN = 10 * DAY
MEASURE = Measure(within=WITHIN, lapsed_after=60 * DAY)
LONG_AGO, LATELY = NOW - 100 * DAY, NOW - 5 * DAY


def stage_of(home: Path, *, holdout: float = 0.0, **workspace: Any) -> Stage:
    told = {"order_count_attribute": "orders", "total_spent_attribute": "spent"} | workspace
    vip = audience(
        touch=True, launch=Launch(baseline=Baseline.INCLUDE), measure=MEASURE, cooldown=timedelta(0), holdout=holdout,
        gate=None,
    )  # fmt: skip
    stage = Stage(home, vip)
    declared = stage.world.runtime.activation
    changed = {
        "workspace": declared.workspace.model_copy(update=told),
        "limits": Limits(human_touches_per_person=PersonCap(max=99)),
    }
    stage.world = stage.world.using(declared.model_copy(update=changed))
    return stage


def person(orders: int, spent: float, last: Any) -> dict[str, Any]:
    return {"orders": orders, "spent": spent, "last_order_at": last}


def reading(stage: Stage, days: int, hours: int = 0) -> tuple[int, int]:
    with stage.world.runtime.warehouse.write() as con:
        found = read(con, stage.world.runtime.activation, NOW + days * DAY + hours * HOUR)
    return found.read, found.closed


def came_to(stage: Stage) -> list[Outcome]:
    with stage.world.runtime.warehouse.read() as con:
        return outcomes(con)


def entries(stage: Stage) -> dict[str, tuple[int, float | None]]:
    rows = stage.world.rows("SELECT cio_id, orders, revenue FROM outcome.entries ORDER BY 1")
    return {cio_id: (orders, revenue) for cio_id, orders, revenue in rows}


def test_purchases_are_what_came_after_the_entry_and_before_the_span_was_over(tmp_path: Path) -> None:
    stage = stage_of(tmp_path)
    people = {
        "again": person(3, 100.0, LATELY), "lapsed": person(1, 20.0, LONG_AGO), "first": person(0, 0.0, None),
        "never": person(2, 50.0, LATELY), "late": person(2, 50.0, LATELY),
    }  # fmt: skip
    stage.at(NOW, people, people)
    bought = people | {"again": person(4, 130.0, NOW + DAY)}
    stage.world.people(bought)
    assert reading(stage, 2) == (5, 0)
    bought |= {
        "again": person(5, 175.5, NOW + 3 * DAY), "lapsed": person(2, 45.0, NOW + 4 * DAY),
        "first": person(1, 10.0, NOW + 10 * DAY), "late": person(3, 80.0, NOW + 10 * DAY + HOUR),
    }  # fmt: skip
    stage.world.people(bought)
    assert reading(stage, 9, 23) == (5, 0), "a span is not over before its end"
    assert reading(stage, 10) == (5, 5)
    assert entries(stage) == {
        "again": (2, 75.5), "first": (1, 10.0), "lapsed": (1, 25.0), "late": (0, 0.0), "never": (0, 0.0),
    }  # fmt: skip
    stage.world.people({"never": person(9, 999.0, NOW + 5 * DAY)})
    assert reading(stage, 11) == (0, 0), "what is over stays as it was found"
    [one] = came_to(stage)
    assert (one.people, one.open, one.buyers, one.orders, one.revenue) == (5, 0, 3, 4, 110.5)
    assert (one.repeat_rate, one.reactivation_rate) == (pytest.approx(2 / 4), 1.0)


def test_a_purchase_after_the_span_leaves_what_was_read_before_it(tmp_path: Path) -> None:
    stage = stage_of(tmp_path)
    stage.at(NOW, {"a": person(1, 10.0, LATELY), "b": person(1, 10.0, LATELY)}, ["a", "b"])
    stage.world.people({"a": person(2, 30.0, NOW + 2 * DAY), "b": person(1, 10.0, LATELY)})
    reading(stage, 3)
    stage.world.people({"a": person(7, 500.0, NOW + 12 * DAY)})  # b is deleted meanwhile
    assert reading(stage, 14) == (2, 2)
    assert entries(stage) == {"a": (1, 20.0), "b": (0, 0.0)}


def test_what_was_not_told_at_the_entry_is_not_taken_for_nothing(tmp_path: Path) -> None:
    stage = stage_of(tmp_path)
    stage.at(NOW, {"told": person(0, 0.0, None), "not": {"last_order_at": LATELY}, "new": {}}, ["told", "not", "new"])
    bought = person(40, 900.0, NOW + DAY)
    stage.world.people({"told": bought, "not": bought, "new": bought})
    reading(stage, 10)
    assert entries(stage) == {"told": (40, 900.0), "not": (1, None), "new": (40, 900.0)}


def test_an_older_window_and_the_same_again_change_nothing(tmp_path: Path) -> None:
    stage = stage_of(tmp_path)
    stage.at(NOW, {"a": person(1, 10.0, LATELY), "b": person(1, 10.0, LATELY)}, ["a", "b"])
    stage.world.people({"a": person(2, 30.0, NOW + 2 * DAY), "b": person(1, 10.0, LATELY)})
    everything = "SELECT * FROM outcome.entries ORDER BY cio_id"
    reading(stage, 3)
    first = stage.world.rows(everything)
    for days in (3, 2):
        reading(stage, days)
        assert stage.world.rows(everything) == first
    reading(stage, 12)
    closed = stage.world.rows(everything)
    for days in (12, 11, 13):
        assert reading(stage, days) == (0, 0)
    assert stage.world.rows(everything) == closed


def test_only_the_first_entry_of_a_version_is_measured(tmp_path: Path) -> None:
    stage = stage_of(tmp_path)
    stage.at(NOW, {"a": person(1, 10.0, LATELY)}, ["a"])
    stage.at(NOW + DAY, members=[])
    stage.at(NOW + 2 * DAY, members=["a"])
    assert len(stage.intervals()) == 2
    found = stage.world.rows("SELECT version, entered_at FROM outcome.entries")
    assert found == [(1, NOW)]
    declared = stage.world.runtime.activation
    second = declared.audiences["vip"].model_copy(update={"version": 2})
    stage.world = stage.world.using(declared.model_copy(update={"audiences": {"vip": second}}))
    stage.at(NOW + 3 * DAY, members=[])
    stage.at(NOW + 4 * DAY, members=["a"])
    found = stage.world.rows("SELECT version, entered_at FROM outcome.entries ORDER BY ALL")
    assert found == [(1, NOW), (2, NOW + 4 * DAY)]


def test_purchases_told_by_moments_count_to_the_minute(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, purchase_moment=PurchaseMoment(name="ordered", value="order.total"))
    for who, at in (("a", NOW - HOUR), ("a", NOW + HOUR), ("a", NOW + WITHIN), ("b", NOW + WITHIN + HOUR)):
        stage.happened(who, "ordered", at, order={"total": 12.5})
    stage.happened("b", "ordered", NOW + 2 * DAY, machine=True, order={"total": 1})
    stage.happened("b", "clicked", NOW + 2 * DAY, order={"total": 1})
    stage.at(NOW, {"a": {}, "b": {}}, ["a", "b"])
    assert reading(stage, 11) == (2, 2)
    assert entries(stage) == {"a": (2, 25.0), "b": (0, 0.0)}
    [one] = came_to(stage)
    assert (one.had_bought, one.bought_again) == (1, 1)


def test_acts_and_who_was_synced_are_kept_with_the_close_and_ghosts_apart(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, holdout=0.5)
    people = {f"p{number}": person(1, 10.0, LATELY) for number in range(40)}
    stage.at(NOW, people, people)
    rows = stage.world.rows("SELECT cio_id, entry_id FROM outcome.entries WHERE NOT ghost ORDER BY 1")
    (one, first), (two, _), *_ = rows
    with stage.world.runtime.warehouse.write() as con:
        con.execute(
            """INSERT INTO delivery.actions BY NAME SELECT 'hubspot' AS destination, 'task' AS kind, ? AS entry_id,
                'vip' AS audience, ? AS cio_id, 'done' AS status, ? AS opened_at, ? AS ended_at""",
            [first, one, NOW + HOUR, NOW + 6 * HOUR],
        )
        con.execute(
            """INSERT INTO delivery.ledger BY NAME SELECT 'add' AS kind, 'vip' AS target, ? AS cio_id,
                'delivered' AS "end", ? AS window_end, '{}' AS payload""",
            [two, NOW],
        )
    stage.world.people({c: person(2, 25.0, NOW + DAY) for c in people})
    reading(stage, 10)
    treated, ghosts = came_to(stage)
    assert (treated.ghost, ghosts.ghost, treated.people + ghosts.people) == (False, True, 40)
    assert (treated.actions, treated.done, treated.hours_to_act, treated.synced) == (1, 1, 6.0, 2)
    assert treated.acts_per_buyer == pytest.approx(1 / len(rows))
    assert (ghosts.actions, ghosts.synced, ghosts.hours_to_act, ghosts.rate) == (0, 0, None, 1.0)
    assert stage.world.rows("SELECT DISTINCT holdout FROM outcome.entries") == [(0.5,)]


def test_an_audience_that_is_not_measured_keeps_nothing(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience(gate=None))
    stage.at(NOW, {"a": person(1, 10.0, LATELY)}, ["a"])
    assert stage.world.rows("SELECT count(*) FROM outcome.entries") == [(0,)]
