"""Leases: named rights in the journal, each held by one process at a time."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import sqlalchemy as sa

from cio_activation.journal.engine import JournalDatabase
from cio_activation.journal.schema import leases


def owner_name() -> str:
    """Return this process's name as a lease owner: host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


@contextmanager
def lease(journal: JournalDatabase, name: str, *, ttl_s: float = 30.0, wait_s: float = 600.0) -> Iterator[Lease]:
    """Hold the lease ``name``; waits for a living holder, takes over from a dead one.

    Raises TimeoutError, naming the holder, after ``wait_s``.
    """
    mine = Lease(journal, name, ttl_s)
    deadline = time.monotonic() + wait_s
    while not mine.take():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{name} is still being worked on by {mine.holder()}; wait for that run to end")
        time.sleep(0.1)
    try:
        yield mine
    finally:
        mine.release()


class Lease:
    """A named right held by one process for ``ttl_s``; renewed while it works."""

    def __init__(self, journal: JournalDatabase, name: str, ttl_s: float) -> None:
        self._journal, self._name, self._ttl = journal, name, ttl_s
        self._owner = f"{owner_name()}:{time.monotonic_ns()}"
        self._renewed_at = 0.0

    def take(self) -> bool:
        """Take or renew the lease; False while a living other process holds it."""
        with self._journal.transaction() as con:
            now = self._journal.now(con)
            mine = {"name": self._name, "owner": self._owner, "expires_at": now + self._ttl}
            if self._journal.insert_if_absent(con, leases, mine):
                return True
            key = leases.c.name == self._name
            row = con.execute(sa.select(leases).where(key).with_for_update()).mappings().first()
            if row is None:
                return False  # given back this instant: whoever asks again first gets it
            if row["owner"] != self._owner and is_leased(row["owner"], row["expires_at"], now):
                return False
            con.execute(sa.update(leases).where(key).values(mine))
        return True

    def renew(self) -> bool:
        """Keep the lease; asks the journal only when a third of its time has passed."""
        if time.monotonic() - self._renewed_at < self._ttl / 3:
            return True
        if not self.take():
            return False
        self._renewed_at = time.monotonic()
        return True

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Renew in the background, so that neither a slow vendor nor a long statement costs the lease.

        In a thread of its own: the warehouse's work does not give an event loop its turn.
        """
        done = threading.Event()

        def renewing() -> None:
            # What goes wrong here is met again by the worker itself, at its own next renewal.
            with suppress(sa.exc.SQLAlchemyError):
                while self.renew() and not done.wait(self._ttl / 3):
                    continue

        renewer = threading.Thread(target=renewing, name=f"lease {self._name}", daemon=True)
        renewer.start()
        try:
            yield
        finally:
            done.set()
            renewer.join()

    def holder(self) -> str:
        """Return who holds the lease now."""
        with self._journal.engine.connect() as con:
            owner = con.execute(sa.select(leases.c.owner).where(leases.c.name == self._name)).scalar()
        return str(owner or "nobody")

    def release(self) -> None:
        """Give the lease back if it is still ours."""
        with self._journal.transaction() as con:
            con.execute(sa.delete(leases).where(leases.c.name == self._name, leases.c.owner == self._owner))


def is_leased(owner: str, expires_at: float, now: float) -> bool:
    """Tell whether a lease is in force: not expired, and its owner, if of this host, still runs."""
    return expires_at > now and _alive(owner)


def _alive(owner: str) -> bool:
    """Tell whether a lease owner of this host still runs; owners elsewhere are believed until expiry."""
    host, pid, *_ = owner.split(":")
    if host != socket.gethostname():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
