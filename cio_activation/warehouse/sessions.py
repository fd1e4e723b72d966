"""The one way into the warehouse: one DuckDB file, many processes, one opener at a time.

DuckDB never waits: while a process holds the file, every other open fails at once, read-only too (measured with
1.5 and 2.0). So each session takes two ``flock`` files: everyone passes the *gate*, which lets a waiting writer
stop new readers, then holds the *lock*. The kernel drops both when the process dies, also on SIGKILL.

Sessions of the real-time lane are *urgent*: they stamp a third file, and long sessions of the daily lane let that lane
finish first. A real-time run has some twenty short sessions; between each two a transaction of seconds would fit.

Rules: no vendor call inside a session; sessions are short; never nest two sessions.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import resources
from pathlib import Path
from threading import Event, Thread
from typing import IO

import duckdb

from cio_activation.errors import WarehouseBusy
from cio_activation.warehouse.instance import Config, Connection, blank, session

__all__ = ["Connection", "SqlError", "Warehouse", "scratch"]

SqlError = duckdb.Error
"""What DuckDB raises, for code that has to tell a bad statement from a bug."""

_CONFIG: Config = {
    # Files made by DuckDB 2.0 stay readable by 1.5, so going back stays possible.
    "storage_compatibility_version": "v1.5.0",
    # Extensions are never fetched from the network.
    "autoinstall_known_extensions": False,
}
_POLL_SECONDS = 0.01
QUIET_S = 2.0
"""So long after its last session the real-time lane counts as at work: the next step, or the next run, takes it."""
NEXT_S = 4.0
"""So long a run that waits for the present one takes to begin, once that has ended."""
YIELD_S = 60.0
"""What a long session waits for that: a stream of news slows a daily run down and never stops it."""


class Warehouse:
    """One DuckDB file shared by processes through short, exclusive-or-shared sessions."""

    def __init__(
        self, path: Path, *, urgent: bool | None = None, lock_timeout_s: float = 120.0, memory_limit: str | None = None
    ) -> None:
        """``urgent``: True lets this one's sessions go first, False makes the long ones wait; None does neither.

        ``memory_limit``: what DuckDB may use in this process, such as ``3GB``; its own default if None.
        """
        self.path = Path(path)
        self._memory_limit = memory_limit
        self._urgent = urgent
        self._timeout = lock_timeout_s

    @contextmanager
    def write(self, *, yield_s: float = 0.0) -> Iterator[Connection]:
        """Yield a read-write connection inside one transaction: commit on success, roll back on any error.

        ``yield_s``: how long it waits for the real-time lane to be done, if it works for the daily one; for
        sessions that take seconds themselves where there are a million people.
        Raises WarehouseBusy, naming the holder, when the lock is not free within the bounded wait.
        """
        yield_s = yield_s if self._urgent is False else 0.0
        with self._locked(fcntl.LOCK_EX, "write", yield_s), self._session(read_only=False) as con:
            con.begin()
            yield con
            con.commit()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a read-only connection; several readers may be in at once."""
        with self._locked(fcntl.LOCK_SH, "read"), self._session(read_only=True) as con:
            yield con

    @contextmanager
    def preview(self) -> Iterator[Connection]:
        """Yield a read-write connection whose changes are always rolled back: to compute without keeping."""
        with self._locked(fcntl.LOCK_EX, "preview"), self._session(read_only=False) as con:
            con.begin()
            yield con
            con.rollback()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Make long sessions of others wait between this one's sessions too, while vendors are called; if urgent."""
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

    def reserve_next(self) -> None:
        """Make long sessions of others wait for the next urgent run too, which waits for this one to end; if urgent."""
        self._stamp(NEXT_S)

    def migrate(self) -> None:
        """Create the file if needed and apply the migrations it does not have yet, in order, once each."""
        files = sorted(
            (f for f in resources.files("cio_activation.warehouse.migrations").iterdir() if f.name.endswith(".sql")),
            key=lambda f: f.name,
        )
        if self.path.exists():
            with self.read() as con:
                known = _applied(con)
            if all(f.name in known for f in files):
                return
        with self.write() as con:
            con.execute("CREATE SCHEMA IF NOT EXISTS meta")
            con.execute("CREATE TABLE IF NOT EXISTS meta.migrations (name VARCHAR, applied_at TIMESTAMP)")
            known = _applied(con)
            for file in files:
                if file.name not in known:
                    con.execute(file.read_text())
                    con.execute("INSERT INTO meta.migrations VALUES (?, current_localtimestamp())", [file.name])

    def _session(self, *, read_only: bool) -> AbstractContextManager[Connection]:
        config = dict(_CONFIG)
        if self._memory_limit:
            config["memory_limit"] = self._memory_limit
        return session(self.path, config, read_only=read_only)

    @contextmanager
    def _locked(self, mode: int, purpose: str, yield_s: float = 0.0) -> Iterator[None]:
        deadline = time.monotonic() + self._timeout
        yield_until = time.monotonic() + yield_s
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(f"{self.path}.lock", "a+") as lock:
            while True:
                while (rest := yield_until - time.monotonic()) > 0 and self._urgent_at_work():
                    time.sleep(min(rest, 10 * _POLL_SECONDS))
                with open(f"{self.path}.gate", "a+") as gate:
                    self._stamp()
                    self._acquire(gate, fcntl.LOCK_EX, deadline)
                    # Who waited at the gate behind an urgent session waits for its next ones too.
                    if time.monotonic() >= yield_until or not self._urgent_at_work():
                        self._acquire(lock, mode, deadline)
                        self._stamp()
                        break
            if mode == fcntl.LOCK_EX:
                lock.seek(0)
                lock.truncate()
                lock.write(f"pid {os.getpid()} ({purpose})")
                lock.flush()
            try:
                yield
            finally:
                self._stamp()

    def _stamp(self, ahead_s: float = 0.0) -> None:
        if self._urgent:
            until = max(time.time() + ahead_s, self._stamped())
            Path(f"{self.path}.urgent").touch()
            os.utime(f"{self.path}.urgent", (until, until))

    def _stamped(self) -> float:
        """Return until when the real-time lane said it is at work; nothing that a clock set back makes absurd."""
        try:
            stamp = os.stat(f"{self.path}.urgent").st_mtime
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
                        f"{self.path} stayed locked for {self._timeout:.0f} s by {holder}; "
                        "wait for that run to end, or stop it"
                    ) from None
                time.sleep(_POLL_SECONDS)
            else:
                return


def scratch() -> AbstractContextManager[Connection]:
    """Return a session with an empty database: to check statements or read files without touching the warehouse."""
    return blank()


def _applied(con: Connection) -> set[str]:
    exists = con.execute(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = 'meta' AND table_name = 'migrations'"
    ).fetchall()
    return {row[0] for row in con.execute("SELECT name FROM meta.migrations").fetchall()} if exists else set()
