"""What one DuckDB may use: how much memory, and the folder that it spills the rest to.

A process is to stay below 4 GiB at ten million people, Python, Arrow's chunks and what DuckDB does not count included,
however much the machine has. What does not fit goes to ``<warehouse>.tmp/``, a folder for each DuckDB: two that spilled
into one would overwrite each other. Who was killed leaves theirs, and the next one to start empties it.
"""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from cio_activation.warehouse.file_locks import fcntl

MEMORY_MB = 2_560
"""Most memory of the DuckDB that serves a warehouse, unless a setting says otherwise."""
SCRATCH_MB = 512
"""Most memory of the one for databases in memory, which the same process may have beside it."""
MACHINE_SHARE = 0.8
"""Of a smaller machine it is no more than this, as DuckDB itself would have it."""


def memory_limit(most_mb: int = MEMORY_MB) -> str:
    """Return the memory limit as DuckDB reads it."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20
    return f"{min(most_mb, int(MACHINE_SHARE * machine))}MiB"


class SpillFolder:
    """A folder of one DuckDB to spill to, beside the file at ``path``; DuckDB makes it when it first needs it.

    Its lock says that it is in use, for as long as the process lives, and goes with it however it ends.
    """

    def __init__(self, path: Path) -> None:
        """Empty what nobody uses any more, and take a name."""
        base = path.with_name(f"{path.name}.tmp")
        base.mkdir(exist_ok=True)
        _empty(base)
        self.path = base / f"{os.getpid()}-{secrets.token_hex(4)}"
        self._lock_file = _lock_of(self.path)
        self._lock = self._lock_file.open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Remove the folder; DuckDB must be stopped."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock_file.unlink(missing_ok=True)
        self._lock.close()


def _empty(base: Path) -> None:
    for left in base.glob("duckdb_temp*"):  # a release before this one spilled into the folder itself
        left.unlink(missing_ok=True)
    for lock_file in base.glob("*.lock"):
        try:
            with lock_file.open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock_file.with_suffix(""), ignore_errors=True)
                lock_file.unlink(missing_ok=True)
        except (BlockingIOError, FileNotFoundError):
            continue  # in use, or another one that starts is emptying it


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")
