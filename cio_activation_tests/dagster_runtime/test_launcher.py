"""The launcher of forked runs: what it says of a run's process, and how it ends one. Launching: ``test_killed``."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus

from cio_activation.dagster_runtime import launcher as module
from cio_activation.dagster_runtime.launcher import ForkingRunLauncher
from cio_activation.dagster_runtime.run_claims import WORKER_TAG

HERE = socket.gethostname()


@dg.op
def works() -> None:
    """Stand in for the lane's assets."""


@dg.job
def lane() -> None:
    works()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def started(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def launcher(instance: dg.DagsterInstance) -> ForkingRunLauncher:
    made = ForkingRunLauncher()
    made.register_instance(instance)
    return made


def run_of(instance: dg.DagsterInstance, worker: str) -> dg.DagsterRun:
    return instance.create_run_for_job(lane, status=dg.DagsterRunStatus.STARTED, tags={WORKER_TAG: worker})


def test_a_living_process_is_healthy_and_a_dead_one_is_not(instance: dg.DagsterInstance) -> None:
    pid = os.getpid()
    health = launcher(instance).check_run_worker_health
    assert health(run_of(instance, f"{HERE}:{pid}:{started(pid)}")).status is WorkerStatus.RUNNING
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        worker = f"{HERE}:{process.pid}:{started(process.pid)}"
    assert health(run_of(instance, worker)).status is WorkerStatus.FAILED


def test_a_number_that_another_process_has_by_now_is_not_the_runs(instance: dg.DagsterInstance) -> None:
    run = run_of(instance, f"{HERE}:{os.getpid()}:1")
    assert launcher(instance).check_run_worker_health(run).status is WorkerStatus.FAILED
    assert not launcher(instance).terminate(run.run_id)


def test_a_process_of_another_host_is_believed_and_left_alone(instance: dg.DagsterInstance) -> None:
    run = run_of(instance, "elsewhere:1:1")
    assert launcher(instance).check_run_worker_health(run).status is WorkerStatus.RUNNING
    assert not launcher(instance).terminate(run.run_id)


def test_a_run_is_ended_by_an_interrupt(instance: dg.DagsterInstance) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stderr=subprocess.DEVNULL) as process:
        run = run_of(instance, f"{HERE}:{process.pid}:{started(process.pid)}")
        assert launcher(instance).terminate(run.run_id)
        assert process.wait(30) in (-signal.SIGINT, 1)
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    assert found.status is dg.DagsterRunStatus.CANCELING


def test_a_warm_process_that_does_not_start_is_said(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.sys, "executable", "/bin/true")
    with pytest.raises(OSError, match="does not start"):
        launcher(instance).warm_up()
