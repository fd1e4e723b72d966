"""The queue of refused operations: when they are tried again, when they are given up for now, what is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cio_activation.delivery.rejected import MAX_ATTEMPTS, UNANSWERED, operations, queue_anew, summary
from cio_activation.delivery.resync import fields_in_doubt
from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers.toy import ToyOptions
from cio_activation_tests.drivers.toy_bench import ToyBench


class Queue(ToyBench):
    """A toy whose catalog the test changes, and one person whose value is refused."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.catalog({"people": "1"})
        self.state(a="bad", b="low")

    def catalog(self, catalog: dict[str, Any]) -> None:
        async def ensure(client: Any, context: Any) -> dict[str, Any]:
            return catalog

        self.toy.ensure_schema = ensure  # type: ignore[method-assign]
        self.schema()

    def queued(self) -> list[tuple[Any, ...]]:
        with self.runtime.warehouse.read() as con:
            return con.execute("SELECT cio_id, attempts, CAST(next_try_at AS DATE) FROM delivery.rejected").fetchall()


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path)


def test_a_refused_value_is_tried_after_one_two_four_and_eight_days_then_every_thirty_without_end(queue: Queue) -> None:
    tried = [day for day in (*range(1, 10), 15, 16, 17, 45, 46, 47, 75, 76) if queue.run(day).rejected]
    assert tried == [1, 2, 4, 8, 16, 46, 76]
    assert queue.queued()[0][:2] == ("a", MAX_ATTEMPTS + 2)
    assert queue.run(77).waiting == 1


def test_what_is_asked_for_again_is_due_with_the_next_run_as_if_new(queue: Queue) -> None:
    for day in (1, 2, 4, 8, 16):
        queue.run(day)
    with queue.runtime.warehouse.write() as con:
        assert (queue_anew(con, "elsewhere"), queue_anew(con, "toy")) == (0, 1)
    assert queue.run(30).rejected == 1
    assert queue.queued()[0][1] == 1
    assert queue.run(31).rejected == 1


def test_a_new_schema_makes_it_due_at_once_parked_or_not(queue: Queue) -> None:
    queue.run(1)
    assert queue.run(1).waiting == 1
    queue.catalog({"people": "2"})
    assert queue.run(1).rejected == 1
    assert queue.run(1).waiting == 1
    for day in (3, 7, 15):
        queue.run(day)
    assert queue.queued()[0][1] >= MAX_ATTEMPTS
    queue.catalog({"people": "3"})
    assert queue.run(30).rejected == 1
    assert queue.run(31).waiting == 1


def test_an_unchanged_schema_run_makes_nothing_due(queue: Queue) -> None:
    queue.run(1)
    queue.catalog({"people": "1"})
    assert queue.run(1).waiting == 1


def test_another_value_is_another_operation_and_goes_at_once(queue: Queue) -> None:
    queue.run(1)
    queue.state(a="high", b="low")
    assert queue.run(1).delivered == 1
    assert queue.queued() == []


def test_a_try_that_was_not_answered_keeps_its_place_in_the_queue(queue: Queue) -> None:
    queue.run(1)
    queue.toy.vendor.answers = [401]
    assert queue.run(2).held == 1
    assert queue.queued()[0][:2] == ("a", 1)
    assert queue.run(2).rejected == 1
    assert queue.queued()[0][:2] == ("a", 2)


def test_an_operation_that_is_never_answered_is_listed_and_still_tried_by_each_run(queue: Queue) -> None:
    queue.state(a="low")
    for day in range(1, UNANSWERED + 2):
        queue.toy.vendor.answers = ["lost"]
        assert queue.run(day).held == 1
    with queue.runtime.warehouse.read() as con:
        assert [r.reason for r in summary(con)] == [f"no answer, {UNANSWERED} times in a row"]
    assert queue.run(UNANSWERED + 2).delivered == 1
    assert queue.queued() == []


def test_what_was_in_doubt_and_is_refused_or_waits_stays_in_doubt_until_it_is_written(tmp_path: Path) -> None:
    fields = [builders.tier(name, "toy") for name in ("size", "shade", "shape")]
    bench = ToyBench(tmp_path, builders.activation(*fields, destinations={"toy": ToyOptions()}))
    bench.decide({"a": {"size": "low", "shade": "low", "shape": "low"}})
    bench.run(1)
    with bench.runtime.warehouse.write() as con:
        fields_in_doubt(con, "toy", ["size", "shade"])
    bench.toy.vendor.answers = [400, 400, 200]
    assert (bench.run(2).delivered, bench.query("SELECT field FROM delivery.rejected")) == (1, [("size",)])
    assert bench.run(2).planned == 0
    bench.decide({"a": {"size": "low", "shade": "low", "shape": "high"}})
    assert bench.run(2).delivered == 1
    assert bench.run(2).planned == 0
    assert bench.query("SELECT field FROM delivery.rejected") == [("size",)]
    bench.toy.vendor.people["a"].clear()
    assert bench.run(3).delivered == 1
    assert bench.toy.vendor.people["a"] == {"size": "low"}
    assert bench.run(4).planned == 0


def test_the_summary_counts_by_reason_and_names_nobody(queue: Queue) -> None:
    queue.state(a="bad", b="bad", c="low")
    queue.run(1)
    with queue.runtime.warehouse.read() as con:
        found, listed = summary(con), operations(con)
    assert [(r.destination, r.step, r.reason, r.operations, r.people, r.parked) for r in found] == [
        ("toy", "people_daily", "400 BAD_VALUE", 2, 2, 0)
    ]
    assert str(found[0].next_try_at) == "2026-11-03 00:00:00"
    assert "'a'" not in str(found)
    assert [(o["cio_id"], o["attempts"]) for o in listed] == [("a", 1), ("b", 1)]
