"""The journal: the durable record of every attempt, committed *before* a call and again after its answer.

Small, transactional, shared by processes: SQLite in WAL mode with full sync by default, PostgreSQL by URL, one
schema through SQLAlchemy Core. Ended attempts are moved into the warehouse by folding and deleted here.

A creation (a person, later a task or note) also takes a *claim* keyed by what it creates. A claim outlives its
attempt, so a second run that planned the same creation from an older picture finds it taken.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from cio_activation.delivery.destination import End, Operation, Result
from cio_activation.journal import connections, schema, statements
from cio_activation.journal.leases import Lease, owner_name
from cio_activation.journal.schema import attempts, claims, helpers
from cio_activation.journal.statements import SENDING

__all__ = ["SENDING", "Attempt", "Journal", "Lease", "Provenance", "owner_name"]

_PIECE = 500
"""Rows of one statement that lists their ids."""


@dataclass(frozen=True)
class Attempt:
    """One row of the journal: an operation, its plan, and how the attempt ended (``sending`` while open)."""

    id: int
    operation: Operation
    plan_id: str
    end: str
    intent_at: float


@dataclass(frozen=True)
class Provenance:
    """What every attempt of one step's run has in common."""

    run_id: str
    plan_id: str
    destination: str
    step: str
    lane: str
    window_key: str
    window_end: float
    worker: str | None = None
    """The helper that sends (see ``sharing``); None for the holder of the step's lease."""


class Journal:
    """Opens (and creates) the journal at a SQLAlchemy URL. Safe for several processes at once."""

    def __init__(self, url: str, wait_s: float = 30.0) -> None:
        """Raises ConfigError when the URL cannot be used, or the journal was made by a newer release.

        ``wait_s``: seconds to wait for another process's lock.
        """
        self.engine = connections.open_engine(url, wait_s)
        try:
            with self.engine.connect() as con:
                known = schema.version_of(con) == schema.NEWEST
            if not known:
                with self.transaction() as con:
                    schema.upgrade(con, connections.place(self.engine.url))
        except sa.exc.OperationalError as error:
            raise connections.cannot_open(self.engine.url, error) from None

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    def intend(self, batch: Sequence[Operation], provenance: Provenance) -> tuple[list[Operation], list[Operation]]:
        """Record that ``batch`` is about to be sent; commit before returning.

        Returns (to send, already created elsewhere): creations whose claim another attempt holds are left out.
        """
        with self.transaction() as con:
            return self.intend_in(con, batch, provenance)

    def intend_in(
        self, con: sa.Connection, batch: Sequence[Operation], provenance: Provenance
    ) -> tuple[list[Operation], list[Operation]]:
        """Do what ``intend`` does inside the caller's transaction, who commits before anything is sent."""
        free, taken = _claim(con, batch, provenance.destination)
        if free:
            statements.insert_attempts(con, free, provenance.__dict__ | {"intent_at": time.time()})
        return free, taken

    def record(self, results: Sequence[Result], provenance: Provenance) -> None:
        """Record how attempts ended, in one commit. A refused or surely unapplied creation frees its claim."""
        if not results:
            return
        with self.transaction() as con:
            statements.record_ends(con, results, provenance.plan_id, time.time())
            _free_claims(con, results, provenance.destination)
            if provenance.worker is not None:
                _count_for_helper(con, results, provenance.plan_id, provenance.worker)

    def open_attempts(self, destination: str, step: str) -> list[Attempt]:
        """Return attempts of the step that have an intent but no certain end (``sending``, ``unknown``)."""
        query = sa.select(attempts).where(
            attempts.c.destination == destination,
            attempts.c.step == step,
            attempts.c.end.in_([SENDING, End.UNKNOWN]),
        )
        with self.engine.connect() as con:
            return [_attempt(row) for row in con.execute(query.order_by(attempts.c.id)).mappings()]

    def provenance_of(self, attempt: Attempt) -> Provenance:
        """Return the provenance an open attempt was recorded with."""
        with self.engine.connect() as con:
            row = con.execute(sa.select(attempts).where(attempts.c.id == attempt.id)).mappings().one()
        return Provenance(*(row[name] for name in Provenance.__dataclass_fields__))

    def ended(self, destination: str, step: str, limit: int = 100_000) -> list[dict[str, Any]]:
        """Return up to ``limit`` ended attempts of the step, oldest first, as rows for the fold."""
        query = (
            sa.select(attempts)
            .where(
                attempts.c.destination == destination,
                attempts.c.step == step,
                attempts.c.ended_at.is_not(None),
            )
            .where(attempts.c.end != End.UNKNOWN)
            .order_by(attempts.c.id)
            .limit(limit)
        )
        with self.engine.connect() as con:
            return [dict(row) for row in con.execute(query).mappings()]

    def prune(self, ids: Sequence[int]) -> None:
        """Delete folded attempts."""
        if ids:
            with self.transaction() as con:
                for start in range(0, len(ids), _PIECE):
                    con.execute(sa.delete(attempts).where(attempts.c.id.in_(ids[start : start + _PIECE])))

    @contextmanager
    def lease(
        self,
        name: str,
        *,
        ttl_s: float = 30.0,
        wait_s: float = 600.0,
        meanwhile: Callable[[], bool] = lambda: False,
    ) -> Iterator[Lease]:
        """Hold the lease ``name``; waits for a living holder, takes over from a dead one.

        ``meanwhile`` is called while another holds it, and may do something useful: True if it did, which starts the
        wait anew. Raises TimeoutError, naming the holder, after ``wait_s``.
        """
        lease = Lease(self, name, ttl_s)
        deadline = time.monotonic() + wait_s
        while not lease.take():
            if meanwhile():
                deadline = time.monotonic() + wait_s
                continue
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} is still being worked on by {lease.holder()}; wait for that run to end")
            time.sleep(0.1)
        try:
            yield lease
        finally:
            lease.release()

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sa.Connection]:
        """Yield a connection inside one transaction: commit on success, roll back on any error.

        Not ``durable``: it survives the death of any process, but may be lost with the machine's power. For what is
        counted, not promised: it does not wait for the disk.
        """
        with self.engine.connect() as con:
            if self.engine.dialect.name == "sqlite":
                with connections.sqlite_commits(con, durable=durable):
                    con.exec_driver_sql("BEGIN IMMEDIATE")  # a deferred one can fail half-way: "database is locked"
                    yield con
            else:
                with con.begin():
                    if not durable:
                        con.exec_driver_sql("SET LOCAL synchronous_commit = off")
                    yield con

    def now(self, con: sa.Connection) -> float:
        """Return seconds since the epoch by the one clock all processes share: with PostgreSQL, the server's."""
        if self.engine.dialect.name == "sqlite":
            return time.time()
        return float(con.execute(sa.text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())

    def insert_if_absent(self, con: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> bool:
        """Insert ``row`` unless its key is there; False if it is. Of several processes at once, one gets True."""
        insert = sqlite.insert(table) if self.engine.dialect.name == "sqlite" else postgresql.insert(table)
        return con.execute(insert.values(dict(row)).on_conflict_do_nothing()).rowcount > 0


def _claim(con: sa.Connection, batch: Sequence[Operation], destination: str) -> tuple[list[Operation], list[Operation]]:
    wanted = {entry: o for o in reversed(batch) if (entry := o.creates)}
    if not wanted:
        return list(batch), []
    won = statements.insert_claims(con, {e: o.operation_id for e, o in wanted.items()}, destination)
    free = [o for o in batch if not o.creates or (o.creates in won and wanted[o.creates] is o)]
    mine = {id(o) for o in free}
    return free, [o for o in batch if id(o) not in mine]


def _free_claims(con: sa.Connection, results: Sequence[Result], destination: str) -> None:
    freed = [r.frees for r in results if r.frees]
    if freed:
        con.execute(sa.delete(claims).where(claims.c.destination == destination, claims.c.entry.in_(freed)))
    undone = [r.operation_id for r in results if r.end in (End.REJECTED, End.RETRY)]
    if undone:
        con.execute(sa.delete(claims).where(claims.c.operation_id.in_(undone), claims.c.record_id.is_(None)))


def _count_for_helper(con: sa.Connection, results: Sequence[Result], plan_id: str, worker: str) -> None:
    """Add to what a helper has done for a plan; the plan's own worker reads it when all is sent."""
    key = (helpers.c.plan_id == plan_id) & (helpers.c.worker == worker)
    row = con.execute(sa.select(helpers.c.ends, helpers.c.reasons).where(key).with_for_update()).first()
    if row is None:
        return  # the plan is closed and counted: a later run settles what was left open
    ends = Counter(json.loads(row.ends)) + Counter(str(r.end) for r in results)
    told = Counter(r.reason for r in results if r.reason and r.end is not End.DELIVERED)
    reasons = Counter(json.loads(row.reasons)) + told
    con.execute(sa.update(helpers).where(key).values(ends=json.dumps(ends), reasons=json.dumps(reasons)))


def _attempt(row: Mapping[Any, Any]) -> Attempt:
    operation = Operation(
        operation_id=row["operation_id"],
        step=row["step"],
        kind=row["kind"],
        cio_id=row["cio_id"],
        record_id=row["record_id"],
        target=row["target"],
        payload=json.loads(row["payload"]),
        keys=json.loads(row["keys"]),
        row_hash=None if row["row_hash"] is None else int(row["row_hash"]),
    )
    return Attempt(row["id"], operation, row["plan_id"], row["end"], row["intent_at"])
