"""The one way into the warehouse: one DuckDB file, many processes, one opener at a time (see ``lock.py``).

Rules: no vendor call inside a session; sessions are short; never nest two sessions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import duckdb

from cio_activation.warehouse import compacting, migrations
from cio_activation.warehouse.bounds import memory_limit
from cio_activation.warehouse.connection import Connection
from cio_activation.warehouse.instance import Config, blank, session
from cio_activation.warehouse.lock import PriorityLock

__all__ = ["Connection", "SqlError", "Warehouse", "scratch"]

SqlError = duckdb.Error
"""What DuckDB raises, for code that has to tell a bad statement from a bug."""

_CONFIG: Config = {
    # Files made by DuckDB 2.0 stay readable by 1.5, so going back stays possible.
    "storage_compatibility_version": "v1.5.0",
    # Extensions are never fetched from the network.
    "autoinstall_known_extensions": False,
}
YIELD_S = 60.0
"""What a long session waits for the real-time lane: a stream of news slows a daily run down and never stops it."""


class Warehouse:
    """One DuckDB file shared by processes through short, exclusive-or-shared sessions."""

    def __init__(
        self, path: Path, *, urgent: bool | None = None, lock_timeout_s: float = 120.0, memory_limit: str | None = None
    ) -> None:
        """``urgent``: True lets this one's sessions go first, False makes the long ones wait; None does neither.

        ``memory_limit``: what DuckDB may use in this process, such as ``3GB``; see ``bounds`` if None.
        """
        self.path = Path(path)
        self._memory_limit, self._lock_timeout_s = memory_limit, lock_timeout_s
        self._lock = PriorityLock(self.path, urgent=urgent, timeout_s=lock_timeout_s)

    @contextmanager
    def write(self, *, yield_s: float = 0.0) -> Iterator[Connection]:
        """Yield a read-write connection inside one transaction: commit on success, roll back on any error.

        ``yield_s``: how long it waits for the real-time lane to be done, if it works for the daily one; for
        sessions that take seconds themselves where there are a million people.
        Raises WarehouseBusy, naming the holder, when the lock is not free within the bounded wait.
        """
        with self._lock.exclusive("write", yield_s), self._session(read_only=False) as con:
            con.begin()
            yield con
            con.commit()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a read-only connection; several readers may be in at once."""
        with self._lock.shared(), self._session(read_only=True) as con:
            yield con

    @contextmanager
    def preview(self) -> Iterator[Connection]:
        """Yield a read-write connection whose changes are always rolled back: to compute without keeping."""
        with self._lock.exclusive("preview"), self._session(read_only=False) as con:
            con.begin()
            yield con
            con.rollback()

    def at_work(self) -> AbstractContextManager[None]:
        """Make long sessions of others wait between this one's sessions too, while vendors are called; if urgent."""
        return self._lock.at_work()

    def awaited(self) -> bool:
        """Return whether anybody waits for the session to end that this one has open to write."""
        return self._lock.awaited()

    def reserve_next(self) -> None:
        """Make long sessions of others wait for the next urgent run too, which waits for this one to end; if urgent."""
        self._lock.reserve_next()

    def migrate(self) -> None:
        """Create the file if needed and apply the migrations it does not have yet, all of them or none."""
        if self.path.exists():
            with self.read() as con:
                if not migrations.pending(con):
                    return
        with self.write() as con:
            migrations.apply(con)

    def compact(self) -> None:
        """Write the file anew, without anything that was deleted; nobody else gets in meanwhile.

        Takes as long as copying the file. Never inside a session.
        """
        with self._lock.exclusive("compact", YIELD_S):
            compacting.rewrite(self.path, self._config())

    def _session(self, *, read_only: bool) -> AbstractContextManager[Connection]:
        return session(self.path, self._config(), read_only=read_only, max_wait_s=self._lock_timeout_s)

    def _config(self) -> Config:
        return dict(_CONFIG) | {"memory_limit": self._memory_limit or memory_limit()}


def scratch() -> AbstractContextManager[Connection]:
    """Return a session with an empty database: to check statements or read files without touching the warehouse."""
    return blank()
