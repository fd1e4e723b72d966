"""A run launcher that starts runs by forking a warm process: 0.2 s of CPU instead of the 3 s that imports take.

Named in ``dagster.yaml`` under ``run_launcher``; without that entry Dagster's own launcher is used and everything else
is the same. Runs start on the host of the daemon, which therefore needs the project and its settings. Why, and what of
Dagster's insides it rests on: ``docs/decisions/0004-runs-from-a-warm-process.md``.
"""

from __future__ import annotations

import hashlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import dagster
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, RunLauncher, WorkerStatus
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClass, serialize_value
from dagster._serdes.config_class import ConfigurableClassData

from cio_activation.dagster_runtime.fork_server import ERROR, TAKEN
from cio_activation.dagster_runtime.run_claims import WORKER_TAG, living
from cio_activation.lanes.partitions import LANE_TAG

NICE = {"daily": 10}
"""Lane -> how far behind others a run stands for the processor: an hour of daily work must not slow a cart down."""
WAIT_S = 60.0
"""A warm process that does not answer for so long is given up, and another one started."""
END_S = 10.0
"""A warm process that is still there so long after its input ended is killed."""
_PACKAGE = Path(__file__).parent.parent
_CODE = (".py", ".sql", ".yaml", ".json")


class ForkingRunLauncher(RunLauncher[Any], ConfigurableClass):
    """Launches runs in processes forked from a warm one, which lives as long as this launcher."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        self._lock = threading.Lock()
        self._warm: subprocess.Popen[str] | None = None
        self._stamp = ""
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
        """Have a process forked that claims the run. Raises OSError if none can: Dagster fails the run and retries."""
        run = context.dagster_run
        assert context.job_code_origin is not None, f"run {run.run_id} has no origin"
        arguments = ExecuteRunArgs(context.job_code_origin, run.run_id, self._instance.get_ref(), True)
        with self._lock:
            answer = self._ask(f"{NICE.get(run.tags.get(LANE_TAG, ''), 0)} {serialize_value(arguments)}")
        told = "Another process has the run already." if answer == TAKEN else f"Forked process {answer} for the run."
        self._instance.report_engine_event(told, run)

    def terminate(self, run_id: str) -> bool:
        """Interrupt the run's process; False if there is none on this host any more."""
        run = self._instance.get_run_by_id(run_id)
        pid = living(run.tags.get(WORKER_TAG, "")) if run and not run.is_finished else None
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
        if not worker or worker.partition(":")[0] != socket.gethostname() or living(worker) is not None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, "the run's process is gone")

    def warm_up(self) -> None:
        """Start the warm process, if it does not run or holds code that has changed since."""
        stamp = _fingerprint()
        if self._warm is not None and self._warm.poll() is None and stamp == self._stamp:
            return
        self.dispose()
        command = [sys.executable, "-m", "cio_activation.dagster_runtime.fork_server"]
        self._warm = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._stamp = stamp
        if self._answer() != "ready":
            self._give_up()
            raise OSError("the warm process does not start; its output is in the daemon's log")

    def dispose(self) -> None:
        """Let the warm process end, and wait for that a little; runs go on."""
        if self._warm is not None:
            _close(self._warm)
            with suppress(subprocess.TimeoutExpired):
                self._warm.wait(END_S)
        self._give_up()

    def _ask(self, request: str) -> str:
        """Return the forked process's answer; asks again where none can come, which a claim makes safe."""
        for last in (False, True):
            try:
                self.warm_up()
                assert self._warm is not None
                assert self._warm.stdin is not None
                print(request, file=self._warm.stdin, flush=True)
                answer = self._answer()
            except OSError:
                self._give_up()
                if last:
                    raise
                continue
            if answer.startswith(ERROR):
                raise OSError(f"the run's process cannot begin: {answer.removeprefix(ERROR)}")
            if answer:
                return answer
            self._give_up()  # it was killed from outside, or hangs
        raise OSError("the warm process ended twice without an answer; its output is in the daemon's log")

    def _give_up(self) -> None:
        if self._warm is not None:
            self._warm.kill()
            self._warm.wait()
            _close(self._warm)
            self._warm = None

    def _answer(self) -> str:
        assert self._warm is not None
        assert self._warm.stdout is not None
        ready, _, _ = select.select([self._warm.stdout], [], [], WAIT_S)
        return self._warm.stdout.readline().strip() if ready else ""


def _close(process: subprocess.Popen[str]) -> None:
    """Close what is shared with a process: it ends, and whom it forked sees that nobody hears its answer."""
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):  # it is gone, and with it who would have read the rest
            if pipe is not None:
                pipe.close()


def _fingerprint() -> str:
    """Return a text that changes with the project's code and with the packages beside Dagster.

    A run must never execute other code than is installed; an older release comes with older times of its files, but was
    put there later.
    """
    found = hashlib.sha256(str(Path(dagster.__file__).parent.parent.stat().st_mtime_ns).encode())
    for file in sorted(path for path in _PACKAGE.rglob("*.*") if path.suffix in _CODE):
        told = file.stat()
        found.update(f"{file} {told.st_ino} {told.st_ctime_ns}\n".encode())
    return found.hexdigest()
