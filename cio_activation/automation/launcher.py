"""A run launcher that starts runs by forking a warm process: 0.2 s of CPU instead of the 3 s that imports take.

Named in ``dagster.yaml`` under ``run_launcher``; without that entry Dagster's own launcher is used and everything else
is the same. Runs start on the host of the daemon, which therefore needs the project and its settings. Why, and what of
Dagster's insides it rests on: ``docs/decisions/0004-runs-from-a-warm-process.md``.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, RunLauncher, WorkerStatus
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClass, serialize_value
from dagster._serdes.config_class import ConfigurableClassData

from cio_activation.lanes import LANE_TAG

WORKER_TAG = "cio/worker"
"""Tag of a run: host, number and start of its process."""
NICE = {"daily": 10}
"""Lane -> how far behind others a run stands for the processor: an hour of daily work must not slow a cart down."""
WAIT_S = 60.0
"""A warm process that does not answer for so long is given up, and another one started."""
_PACKAGE = Path(__file__).parent.parent


class WarmRunLauncher(RunLauncher[Any], ConfigurableClass):
    """Launches runs in processes forked from a warm one, which lives as long as this launcher."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        self._lock = threading.Lock()
        self._warm: subprocess.Popen[str] | None = None
        self._stamp = 0.0
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """What ``dagster.yaml`` said."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """There is nothing to configure."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:  # noqa: ARG003
        """Make the launcher that ``dagster.yaml`` asks for."""
        return cls(inst_data)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Fork a process for the run. Raises OSError if no warm process can be had: the queue tries again."""
        run = context.dagster_run
        assert context.job_code_origin is not None, f"run {run.run_id} has no origin"
        arguments = ExecuteRunArgs(context.job_code_origin, run.run_id, self._instance.get_ref(), True)
        with self._lock:
            pid = self._fork(f"{NICE.get(run.tags.get(LANE_TAG, ''), 0)} {serialize_value(arguments)}")
        self._instance.add_run_tags(run.run_id, {WORKER_TAG: f"{socket.gethostname()}:{pid}:{_started(pid)}"})
        self._instance.report_engine_event(f"Forked process {pid} for the run from the warm one.", run)

    def terminate(self, run_id: str) -> bool:
        """Interrupt the run's process; False if there is none on this host any more."""
        run = self._instance.get_run_by_id(run_id)
        pid = _living(run.tags.get(WORKER_TAG, "")) if run and not run.is_finished else None
        if run is None or pid is None:
            return False
        self._instance.report_run_canceling(run)
        os.kill(pid, signal.SIGINT)
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring may ask whether a run's process lives."""
        return True

    def check_run_worker_health(self, run: Any) -> CheckRunHealthResult:
        """Tell whether the run's process lives; one on another host is believed."""
        worker = run.tags.get(WORKER_TAG, "")
        if not worker or worker.partition(":")[0] != socket.gethostname() or _living(worker) is not None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, "the run's process is gone")

    def warm_up(self) -> None:
        """Start the warm process, if it does not run or holds code that has changed since."""
        stamp = _changed_at()
        if self._warm is not None and self._warm.poll() is None and stamp == self._stamp:
            return
        self.dispose()
        command = [sys.executable, "-m", "cio_activation.automation.warm"]
        self._warm = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._stamp = stamp
        if self._answer() != "ready":
            raise OSError("the warm process does not start; its output is in the daemon's log")

    def dispose(self) -> None:
        """Let the warm process end; runs go on."""
        if self._warm is not None and self._warm.stdin is not None:
            self._warm.stdin.close()
            self._warm = None

    def _fork(self, arguments: str) -> int:
        for last in (False, True):
            try:
                self.warm_up()
                assert self._warm is not None
                assert self._warm.stdin is not None
                print(arguments, file=self._warm.stdin, flush=True)
                return int(self._answer())
            except (OSError, ValueError):
                # Killed from outside: nothing was forked, or the run's own start finds that it was.
                if self._warm is not None:
                    self._warm.kill()
                    self._warm = None
                if last:
                    raise
        raise AssertionError

    def _answer(self) -> str:
        assert self._warm is not None
        assert self._warm.stdout is not None
        ready, _, _ = select.select([self._warm.stdout], [], [], WAIT_S)
        return self._warm.stdout.readline().strip() if ready else ""


def _changed_at() -> float:
    """Return when the project's code last changed, so that a run never executes older code than is installed."""
    return max(file.stat().st_mtime for file in _PACKAGE.rglob("*.py"))


def _living(worker: str) -> int | None:
    """Return the process of a worker tag if it lives on this host and is the one that was meant."""
    host, pid, started = [*worker.split(":"), "", ""][:3]
    return int(pid) if host == socket.gethostname() and pid and _started(int(pid)) == started else None


def _started(pid: int) -> str:
    """Return when a process started, in the kernel's ticks; empty if there is none (or no /proc: then any living)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return "" if Path("/proc/self").exists() else "unknown"
    return "" if fields[0] == "Z" else fields[19]
