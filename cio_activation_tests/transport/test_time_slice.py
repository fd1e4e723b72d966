"""A real-time step with a long plan: others go first, the newest people first of all, and nothing is lost or doubled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import dagster as dg
import pytest

from cio_activation.activation.models import Lane
from cio_activation.delivery import assets
from cio_activation.delivery.report import StepReport
from cio_activation.delivery.run import run_step
from cio_activation.delivery.send import LINED_UP
from cio_activation.lanes.partitions import LANE_TAG, Lanes
from cio_activation.lanes.runs import DEFERRED_TAG
from cio_activation.transport import time_slice
from cio_activation.transport.time_slice import YIELDED, TimeSlice
from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers.toy import ToyFields
from cio_activation_tests.drivers.toy_bench import ToyBench, sized

PEOPLE = 22
"""Six of the toy's batches of four, the last one of two."""
KEY = dg.AssetKey(["toy", "people_realtime"])


class SlicedBench(ToyBench):
    """A toy destination with one real-time property, and people whom Customer.io told of one minute after another."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, sized(Lane.REALTIME))
        self.names = [f"p{i:02d}" for i in range(PEOPLE)]
        self.decide({n: {"size": "low"} for n in self.names}, Lane.REALTIME)
        seen = [(name, datetime(2026, 11, 1) + timedelta(minutes=7 * i % PEOPLE)) for i, name in enumerate(self.names)]
        self.newest_first = sorted(self.names, key=dict(seen).__getitem__, reverse=True)
        with self.runtime.warehouse.write() as con:
            con.execute("CREATE OR REPLACE TABLE raw.people_current (cio_id VARCHAR, observed_at TIMESTAMP)")
            con.executemany("INSERT INTO raw.people_current VALUES (?, ?)", seen)

    def run_slice(self, is_awaited: Callable[[], bool], least_s: float = 0.0, most_s: float = 60.0) -> StepReport:
        slice_ = TimeSlice(is_awaited, least_s=least_s, most_s=most_s)
        return run_step(self.runtime, self.toy, self.step, builders.window(1, Lane.REALTIME), "run", slice_)

    @property
    def arrived(self) -> list[str]:
        """Return who arrived, in order."""
        return list(self.toy.vendor.people)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SlicedBench:
    monkeypatch.setenv("ACTIVATION_HOME", str(tmp_path))
    return SlicedBench(tmp_path)


def test_while_another_run_waits_only_the_newest_go_out_and_the_rest_is_held_without_an_alarm(
    bench: SlicedBench,
) -> None:
    report = bench.run_slice(lambda: True)
    assert (report.planned, report.delivered, report.held) == (PEOPLE, 4, PEOPLE - 4)
    assert (report.yielded, report.stopped, dict(report.reasons)) == (True, False, {YIELDED: PEOPLE - 4})
    assert set(bench.arrived) == set(bench.newest_first[:4])


def test_runs_that_give_way_again_and_again_deliver_everybody_once(bench: SlicedBench) -> None:
    reports = [bench.run_slice(lambda: True) for _ in range(7)]
    assert [r.delivered for r in reports] == [4, 4, 4, 4, 4, 2, 0]
    assert [r.yielded for r in reports] == [True] * 5 + [False] * 2
    assert (bench.toy.vendor.calls, set(bench.arrived)) == (6, set(bench.names))


def test_who_comes_meanwhile_goes_before_whom_earlier_runs_left_over(bench: SlicedBench) -> None:
    bench.run_slice(lambda: True)
    people = {n: {"size": "low"} for n in [*bench.names, "cart"]}
    bench.decide(people, Lane.REALTIME)
    with bench.runtime.warehouse.write() as con:
        con.execute("INSERT INTO raw.people_current VALUES ('cart', TIMESTAMP '2026-11-01 06:00:00')")
    bench.run_slice(lambda: True)
    assert "cart" in bench.arrived


def test_time_for_the_steps_after_it_ends_a_step_that_nobody_waits_for(bench: SlicedBench) -> None:
    report = bench.run_slice(lambda: False, most_s=0.0)
    assert (report.delivered, report.yielded) == (4, True)


def test_a_refusal_after_it_gave_way_is_told_as_a_refusal(bench: SlicedBench) -> None:
    bench.toy.vendor.answers = [401]
    report = bench.run_slice(lambda: False, most_s=0.0)
    assert (report.delivered, report.held, report.stopped, report.yielded) == (0, PEOPLE, True, False)


def test_nobody_is_asked_before_the_least_time_and_without_a_waiting_run_all_is_sent(bench: SlicedBench) -> None:
    def asked() -> bool:
        raise AssertionError("asked too early")

    assert bench.run_slice(asked, least_s=60.0).delivered == PEOPLE


def test_once_it_is_over_no_more_than_a_few_are_waited_for_whose_turn_has_not_come(
    bench: SlicedBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ToyFields, "concurrency", 16)
    monkeypatch.setattr(bench.toy, "limits", lambda _: {"toy": (1.0, 0.5)})  # two calls a second
    monkeypatch.setattr(time_slice, "ASK_EVERY_S", 0.0)
    report = bench.run_slice(lambda: bench.toy.vendor.calls > 0)
    assert report.yielded
    assert 1 <= bench.toy.vendor.calls <= 1 + LINED_UP < PEOPLE / ToyFields.batch_size
    assert set(bench.arrived) == set(bench.newest_first[: report.delivered])


@pytest.mark.parametrize("awaited", [True, False])
def test_a_run_that_left_something_over_for_a_waiting_one_says_so_by_a_tag(
    bench: SlicedBench, monkeypatch: pytest.MonkeyPatch, awaited: bool
) -> None:
    monkeypatch.setattr(assets, "TimeSlice", partial(TimeSlice, least_s=0.0))
    monkeypatch.setattr(assets, "MOST_S", 0.0)  # of no account: this step is the destination's last
    activation = bench.runtime.activation
    built = assets.build_assets(activation, Lanes.of(activation), (bench.toy,), {})
    chosen = [a for a in built if isinstance(a, dg.AssetsDefinition) and KEY in a.keys]
    with dg.DagsterInstance.ephemeral() as instance:
        lane = Lane.REALTIME if awaited else Lane.DAILY
        instance.create_run_for_job(waiting, status=dg.DagsterRunStatus.NOT_STARTED, tags={LANE_TAG: str(lane)})
        result = dg.materialize(chosen, instance=instance, partition_key="2026-11-01T00:00")
        run = instance.get_run_by_id(result.run_id)
    assert result.success
    assert run is not None
    assert run.tags.get(DEFERRED_TAG) == ("toy/people_realtime" if awaited else None)
    assert len(bench.arrived) == (4 if awaited else PEOPLE)


@dg.op
def works() -> None:
    """Stand in for the lane's assets."""


@dg.job
def waiting() -> None:
    works()
