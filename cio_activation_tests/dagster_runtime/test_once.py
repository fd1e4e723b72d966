"""A run starts once and is not lost, whoever is killed between the launcher and the run's process."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.launcher import WorkerStatus

from cio_activation.activation.settings import DEFAULT_ACTIVATION
from cio_activation.dagster_runtime import launcher as module
from cio_activation_tests.dagster_runtime.launching import Launching, wait

pytestmark = pytest.mark.slow


@pytest.fixture
def launching(tmp_path: Path) -> Iterator[Launching]:
    before = dict(os.environ)
    made = Launching(tmp_path)
    yield made
    made.close()
    os.environ.clear()
    os.environ.update(before)


def ends_well(launching: Launching, run: dg.DagsterRun) -> None:
    """Let everything through, and wait until no process of the run is left."""
    launching.open("begin", "work")
    launching.ended()
    assert launching.status(run) is dg.DagsterRunStatus.SUCCESS
    assert len(launching.noted("work")) == 1


def health(launching: Launching, run: dg.DagsterRun) -> WorkerStatus:
    found = launching.instance.get_run_by_id(run.run_id)
    return launching.launcher.check_run_worker_health(found).status


def test_a_warm_process_killed_right_after_a_fork_does_not_start_the_run_twice(launching: Launching) -> None:
    run = launching.run()
    launching.order("kill")
    launching.launch(run)
    wait(lambda: launching.settled("begin"))
    ends_well(launching, run)


def test_the_process_that_works_is_the_one_that_is_watched(launching: Launching) -> None:
    run = launching.run()
    launching.open("begin")
    launching.order("kill")
    launching.launch(run)
    wait(lambda: launching.noted("work"))
    wait(lambda: launching.settled("work"))
    assert health(launching, run) is WorkerStatus.RUNNING
    ends_well(launching, run)
    assert health(launching, run) is WorkerStatus.FAILED


def test_a_request_that_dies_with_the_warm_process_is_made_again(launching: Launching) -> None:
    run = launching.run()
    launching.order("die")
    launching.launch(run)
    ends_well(launching, run)


def test_of_two_daemons_at_one_run_one_starts_it(launching: Launching) -> None:
    run = launching.run()
    launching.order("stop")
    with launching.another_instance() as other, ThreadPoolExecutor() as pool:
        first = pool.submit(launching.launch, run)
        wait(lambda: launching.noted("forked") and stopped(launching.noted("forked")[0]))
        launching.launch(run, other)  # the other daemon's process claims it first
        os.kill(launching.noted("forked")[0], signal.SIGCONT)
        first.result(90)
        wait(lambda: launching.settled("begin"))
        ends_well(launching, run)
    assert "Another process has the run already" in launching.events(run)


def test_a_process_that_comes_after_the_run_has_ended_leaves_it_alone(launching: Launching) -> None:
    run = launching.run()
    launching.launch(run)
    ends_well(launching, run)
    launching.launch(run)
    ends_well(launching, run)


def test_a_claim_that_cannot_be_made_is_said_and_nothing_runs(launching: Launching) -> None:
    run = launching.run()
    (launching.home / "activation").write_text("a file where the project's home should be")
    with pytest.raises(OSError, match=r"cannot begin: FileExistsError.*activation"):
        launching.launch(run)
    assert launching.noted("begin") == []
    (launching.home / "activation").unlink()
    launching.launch(run)
    ends_well(launching, run)


def test_a_run_reads_the_activation_as_it_is_now(launching: Launching, monkeypatch: pytest.MonkeyPatch) -> None:
    activation = launching.home / "activation.yaml"
    activation.write_text(DEFAULT_ACTIVATION.read_text())
    monkeypatch.setenv("ACTIVATION_FILE", str(activation))
    realtime = ReconstructableRepository.for_module("cio_activation.definitions", "defs", None)
    run = launching.run(realtime.get_reconstructable_job("realtime"))
    launching.launcher.warm_up()
    activation.write_text(DEFAULT_ACTIVATION.read_text() + "\nunheard_of: 1\n")
    launching.launch(run)
    launching.ended()
    assert launching.status(run) is dg.DagsterRunStatus.FAILURE
    assert "unheard_of" in launching.events(run)


def test_changed_code_gets_a_new_warm_process(
    launching: Launching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "installed"
    installed.mkdir()
    file = installed / "rules.sql"
    file.write_text("SELECT 1")
    (installed / "newest.py").touch()
    monkeypatch.setattr(module, "_PACKAGE", installed)
    parents = []
    for release in ("SELECT 2", None, "SELECT 3"):
        if release:
            file.write_text(release)
            os.utime(file, (1, 1))  # a release may be older than what it replaces
        run = launching.run()
        launching.launch(run)
        wait(lambda: launching.settled("begin"))
        parents.append(parent(launching.noted("begin")[-1]))
    assert parents[0] == parents[1] != parents[2]


def stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
