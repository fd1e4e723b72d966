"""The process of a run: its claim to it, its name in the run's tags, and whether it lives.

More than one process may come to be started for a run: a warm process is killed before it can be told that it forked
one, or two daemons overlap for a while. The one that claims the run executes it. A claim is a lock on one byte of a
file, which the kernel drops with its process: nothing is left behind, and a run whose process dies before it began can
still be started.
"""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

from dagster import DagsterInstance, DagsterRunStatus
from dagster._grpc.types import ExecuteRunArgs

from cio_activation.warehouse.file_locks import fcntl

WORKER_TAG = "cio/worker"
"""Tag of a run: host, number and start of its process. Every run that a forked process began has it."""
CLAIMS = "runs.lock"
"""In the project's home, which a run has to write to anyway. Always empty: it takes no room on a full disk."""
_WAITING = (DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING)


def claimed(arguments: ExecuteRunArgs, home: Path) -> bool:
    """Make the run this process's, until it ends, and say so in its tags; False if another has or had it."""
    if not _locked(arguments.run_id, home):
        return False
    with DagsterInstance.from_ref(arguments.instance_ref) as instance:  # type: ignore[arg-type]
        run = instance.get_run_by_id(arguments.run_id)
        if run is None or run.status not in _WAITING:
            return False
        pid = os.getpid()
        # By the run's own process, before it begins: no daemon that dies can leave a run that nobody watches.
        instance.add_run_tags(run.run_id, {WORKER_TAG: f"{socket.gethostname()}:{pid}:{started(pid)}"})
    return True


def living(worker: str) -> int | None:
    """Return the process of a worker tag if it lives on this host and is the one that was meant."""
    host, pid, began = [*worker.split(":"), "", ""][:3]
    return int(pid) if host == socket.gethostname() and pid and started(int(pid)) == began else None


def started(pid: int) -> str:
    """Return when a process started, in the kernel's ticks; empty if there is none (or no /proc: then any living)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return "" if Path("/proc/self").exists() else "unknown"
    return "" if fields[0] == "Z" else fields[19]


def _locked(run_id: str, home: Path) -> bool:
    """Lock the run's byte of the file. The file stays open: closing it would drop the lock."""
    home.mkdir(parents=True, exist_ok=True)
    file = os.open(home / CLAIMS, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    byte = int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:7], "big")
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
    except (BlockingIOError, PermissionError):  # either is how a system says that it is held
        os.close(file)
        return False
    return True
