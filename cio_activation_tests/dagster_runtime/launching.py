"""A Dagster instance with the warm launcher, a toy job that waits at gates, and a warm process that can be killed.

The processes are the real ones. What the warm process does around a fork is watched by a ``sitecustomize`` module that
only it takes up: it notes each child's number, and kills the warm process between the fork and whatever comes next.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableJob
from dagster._core.launcher import LaunchRunContext

from cio_activation.dagster_runtime.launcher import ForkingRunLauncher

JOB = """
import os, time
from pathlib import Path
import dagster as dg
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor

def pass_by(gate):
    with (Path({home!r}) / gate).open("a") as notes:
        notes.write(f"{{os.getpid()}}\\n")
    while not (Path({home!r}) / f"{{gate}}.open").exists():
        time.sleep(0.01)

@dg.executor(name="gated")
def gated(_):
    pass_by("begin")  # Dagster has looked at the run's status, and has not yet written that it started
    return InProcessExecutor(retries=RetryMode.DISABLED)

@dg.op
def works():
    pass_by("work")

@dg.job(executor_def=gated)
def lane():
    works()
"""
SITE = """
import os, signal, sys
from pathlib import Path
if "cio_activation.dagster_runtime.fork_server" in sys.orig_argv:
    fork = os.fork
    def watched():
        if (Path({home!r}) / "die").exists():
            (Path({home!r}) / "die").unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        pid = fork()
        if pid:
            with (Path({home!r}) / "forked").open("a") as notes:
                notes.write(f"{{pid}}\\n")
            if (Path({home!r}) / "kill").exists():
                (Path({home!r}) / "kill").unlink()
                os.kill(os.getpid(), signal.SIGKILL)
        elif (Path({home!r}) / "stop").exists():
            (Path({home!r}) / "stop").unlink()
            os.kill(os.getpid(), signal.SIGSTOP)
        return pid
    os.fork = watched
"""
INSTANCE = """
telemetry: {enabled: false}
run_launcher: {module: cio_activation.dagster_runtime.launcher, class: ForkingRunLauncher}
run_monitoring: {enabled: true}
"""


class Launching:
    """An instance under ``home`` and what happened to the processes of its runs."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "dagster").mkdir()
        (home / "dagster" / "dagster.yaml").write_text(INSTANCE)
        (home / "toy_lane.py").write_text(JOB.format(home=str(home)))
        (home / "site").mkdir()
        (home / "site" / "sitecustomize.py").write_text(SITE.format(home=str(home)))
        os.environ["PYTHONPATH"] = os.pathsep.join([str(home / "site"), os.environ.get("PYTHONPATH", "")])
        os.environ["ACTIVATION_HOME"] = str(home / "activation")
        self.instance = self.another_instance()

    def another_instance(self) -> dg.DagsterInstance:
        """Return an instance as a second daemon has it, with a launcher of its own."""
        return dg.DagsterInstance.from_config(str(self.home / "dagster"))

    @property
    def launcher(self) -> ForkingRunLauncher:
        launcher = self.instance.run_launcher
        assert isinstance(launcher, ForkingRunLauncher)
        return launcher

    def run(self, job: ReconstructableJob | None = None) -> dg.DagsterRun:
        """Return a new run, as far as the queue brings it before it asks the launcher."""
        job = job or ReconstructableJob.for_file(str(self.home / "toy_lane.py"), "lane")
        origin = job.get_python_origin()
        starting = dg.DagsterRunStatus.STARTING
        return self.instance.create_run_for_job(job.get_definition(), status=starting, job_code_origin=origin)

    def launch(self, run: dg.DagsterRun, instance: dg.DagsterInstance | None = None) -> None:
        (instance or self.instance).run_launcher.launch_run(LaunchRunContext(run, None))

    def order(self, what: str) -> None:
        """Have the warm process killed before (``die``) or after its next fork (``kill``), or the child stopped there."""
        (self.home / what).touch()

    def open(self, *gates: str) -> None:
        for gate in gates:
            (self.home / f"{gate}.open").touch()

    def noted(self, name: str) -> list[int]:
        """Return processes: ``forked``, or those that came to a gate (``begin``, ``work``)."""
        path = self.home / name
        return [int(line) for line in path.read_text().splitlines()] if path.exists() else []

    def settled(self, gate: str) -> bool:
        """Tell whether every process that was forked has come to the gate, or ended."""
        return all(pid in self.noted(gate) or not alive(pid) for pid in self.noted("forked"))

    def events(self, run: dg.DagsterRun) -> str:
        """Return all that the run's log says."""
        return "\n".join(entry.message + str(entry.dagster_event) for entry in self.instance.all_logs(run.run_id))

    def status(self, run: dg.DagsterRun) -> dg.DagsterRunStatus:
        found = self.instance.get_run_by_id(run.run_id)
        assert found is not None
        return found.status

    def ended(self) -> None:
        """Wait until every process that was forked is gone."""
        for pid in self.noted("forked"):
            wait(lambda pid=pid: not alive(pid))  # type: ignore[misc]

    def close(self) -> None:
        """End what still runs."""
        self.open("begin", "work")
        self.ended()
        self.instance.dispose()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone, or going while it is read
        return False


def wait(found: Callable[[], Any], seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < until
        time.sleep(0.01)
