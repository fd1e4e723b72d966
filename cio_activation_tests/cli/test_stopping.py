"""A request to stop is heard, whoever took the signal."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime

import dagster as dg
import pytest

from cio_activation.activation.models import Lane
from cio_activation.cli.stopping import ended_by_sigterm, noticed
from cio_activation.cli.windows import Windows
from cio_activation_tests.drivers import lanes


def tell(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noticed_whoever_takes_it(number: int) -> None:
    before = signal.signal(number, lambda _number, _frame: None)
    try:
        with noticed() as asked_to_stop:
            assert not asked_to_stop()
            tell(number)
            assert asked_to_stop()
        with noticed() as asked_to_stop:
            assert not asked_to_stop()
    finally:
        signal.signal(number, before)


def test_another_signal_is_none_to_stop() -> None:
    before = signal.signal(signal.SIGUSR1, lambda _number, _frame: None)
    try:
        with noticed() as asked_to_stop:
            tell(signal.SIGUSR1)
            assert not asked_to_stop()
    finally:
        signal.signal(signal.SIGUSR1, before)


@dg.asset(partitions_def=dg.DailyPartitionsDefinition("2026-01-01"))
def takes_it() -> None:
    with pytest.raises(dg.DagsterExecutionInterruptedError):
        tell(signal.SIGTERM)


def test_a_window_that_ends_well_in_spite_of_it_is_the_last(tmp_path_factory: pytest.TempPathFactory) -> None:
    windows = Windows(lanes.small_activation(tmp_path_factory.mktemp("home")))
    windows._definitions = dg.Definitions(assets=[takes_it], jobs=[dg.define_asset_job("daily", [takes_it])])
    window = windows.newest(Lane.DAILY, datetime(2026, 3, 4, tzinfo=UTC))
    with dg.DagsterInstance.ephemeral() as instance, ended_by_sigterm():
        with pytest.raises(KeyboardInterrupt):
            windows.run(instance, window)
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.SUCCESS]
