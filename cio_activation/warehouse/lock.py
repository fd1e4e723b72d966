"""The priority lock of the warehouse: one writer or several readers at a time, over all processes; urgent ones first.

DuckDB never waits: while a process holds the file, every other open fails at once, read-only too (measured with
1.5 and 2.0). So each session takes two ``flock`` files: everyone passes the *queue lock*, which lets a waiting writer
stop new readers, then holds the *lock*. The kernel drops both when the process dies, also on SIGKILL.

Sessions of the real-time lane are *urgent*: they stamp a third file, and long sessions of the daily lane let that lane
finish first. A real-time run has some twenty short sessions; between each two a transaction of seconds would fit.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import IO

from cio_activation.errors import WarehouseBusy
from cio_activation.warehouse.file_locks import fcntl

_POLL_SECONDS = 0.01
QUIET_S = 2.0
"""So long after its last session the real-time lane counts as at work: the next step, or the next run, takes it."""
NEXT_S = 4.0
"""So long a run that waits for the present one takes to begin, once that has ended."""


class PriorityLock:
    """The lock of one file, by three files beside it: ``.lock``, ``.queue`` and ``.urgent``."""

    def __init__(self, path: Path, *, urgent: bool | None, timeout_s: float) -> None:
        """``urgent``: True lets this one's sessions go first, False makes the long ones wait; None does neither."""
        self._path = path
        self._urgent = urgent
        self._timeout = timeout_s

    @contextmanager
    def exclusive(self, purpose: str, yield_s: float = 0.0) -> Iterator[None]:
        """Hold the lock alone, under the name of ``purpose``; WarehouseBusy if it is not free in time.

        ``yield_s``: how long it waits for the urgent ones to be done, if this one is not urgent.
        """
        with self._locked(fcntl.LOCK_EX, yield_s if self._urgent is False else 0.0) as lock:
            lock.seek(0)
            lock.truncate()
            lock.write(f"pid {os.getpid()} ({purpose})")
            lock.flush()
            yield

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold the lock together with others who share it; WarehouseBusy if it is not free in time."""
        with self._locked(fcntl.LOCK_SH):
            yield

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Make long sessions of others wait between this one's sessions too; if urgent."""
        if not self._urgent:
            yield
            return
        over = Event()

        def stamp() -> None:
            while not over.wait(QUIET_S / 4):
                self._stamp()

        stamping = Thread(target=stamp, daemon=True)
        stamping.start()
        try:
            yield
        finally:
            over.set()
            stamping.join()

    def awaited(self) -> bool:
        """Return whether anybody waits for the lock; asked by who holds it alone."""
        with open(f"{self._path}.queue", "a+") as queue:
            try:
                fcntl.flock(queue, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def reserve_next(self) -> None:
        """Make long sessions of others wait for the next urgent run too, which waits for this one to end; if urgent."""
        self._stamp(NEXT_S)

    @contextmanager
    def _locked(self, mode: int, yield_s: float = 0.0) -> Iterator[IO[str]]:
        deadline = time.monotonic() + self._timeout
        yield_until = time.monotonic() + yield_s
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(f"{self._path}.lock", "a+") as lock:
            while True:
                while (rest := yield_until - time.monotonic()) > 0 and self._urgent_at_work():
                    time.sleep(min(rest, 10 * _POLL_SECONDS))
                with open(f"{self._path}.queue", "a+") as queue:
                    self._stamp()
                    self._acquire(queue, fcntl.LOCK_EX, deadline)
                    # Who queued behind an urgent session waits for its next ones too.
                    if time.monotonic() >= yield_until or not self._urgent_at_work():
                        self._acquire(lock, mode, deadline)
                        self._stamp()
                        break
            try:
                yield lock
            finally:
                self._stamp()

    def _stamp(self, ahead_s: float = 0.0) -> None:
        if self._urgent:
            until = max(time.time() + ahead_s, self._stamped())
            Path(f"{self._path}.urgent").touch()
            os.utime(f"{self._path}.urgent", (until, until))

    def _stamped(self) -> float:
        """Return until when the real-time lane said it is at work; nothing that a clock set back makes absurd."""
        try:
            stamp = os.stat(f"{self._path}.urgent").st_mtime
        except FileNotFoundError:
            return 0.0
        return stamp if stamp < time.time() + 2 * NEXT_S else 0.0

    def _urgent_at_work(self) -> bool:
        return time.time() - self._stamped() < QUIET_S

    def _acquire(self, handle: IO[str], mode: int, deadline: float) -> None:
        while True:
            try:
                fcntl.flock(handle, mode | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    handle.seek(0)
                    holder = handle.read().strip() or "another process"
                    raise WarehouseBusy(
                        f"{self._path} stayed locked for {self._timeout:.0f} s by {holder}; "
                        "wait for that run to end, or stop it"
                    ) from None
                time.sleep(_POLL_SECONDS)
            else:
                return


def holder(path: Path) -> str | None:
    """Return who has the file at ``path`` now, as they wrote it down; None if nobody has. Waits for nobody."""
    try:
        lock = open(f"{path}.lock")  # noqa: SIM115 - closed below, where there is one
    except FileNotFoundError:
        return None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return lock.read().strip() or "another process"
    return None
