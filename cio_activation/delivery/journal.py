"""The journal: the durable record of every attempt, committed *before* a call and again after its answer.

Small, transactional, shared by processes: SQLite in WAL mode with full sync by default, PostgreSQL by URL, one
schema through SQLAlchemy Core. Ended attempts are moved into the warehouse by folding and deleted here.

A creation (a person, later a task or note) also takes a *claim* keyed by what it creates. A claim outlives its
attempt, so a second run that planned the same creation from an older picture finds it taken.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from cio_activation.delivery.destination import End, Operation, Result

SENDING = "sending"

metadata = sa.MetaData()

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("operation_id", sa.String(32), nullable=False),
    sa.Column("run_id", sa.String(64), nullable=False),
    sa.Column("plan_id", sa.String(64), nullable=False),
    sa.Column("destination", sa.String(64), nullable=False),
    sa.Column("step", sa.String(128), nullable=False),
    sa.Column("lane", sa.String(16), nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("cio_id", sa.String(64), nullable=False),
    sa.Column("record_id", sa.String(64)),
    sa.Column("target", sa.String(128)),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("keys", sa.Text, nullable=False),
    sa.Column("row_hash", sa.String(20)),
    sa.Column("window_key", sa.String(64), nullable=False),
    sa.Column("window_end", sa.Float, nullable=False),
    sa.Column("end", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("result_record_id", sa.String(64)),
    sa.Column("status", sa.Integer),
    sa.Column("request_id", sa.String(128)),
    sa.Column("observed", sa.Text),
    sa.Column("intent_at", sa.Float, nullable=False),
    sa.Column("ended_at", sa.Float),
    sa.Index("attempts_by_step", "destination", "step", "end"),
    sa.Index("attempts_by_operation", "operation_id"),
)

claims = sa.Table(
    "claims",
    metadata,
    sa.Column("destination", sa.String(64), primary_key=True),
    sa.Column("entry", sa.String(128), primary_key=True),
    sa.Column("operation_id", sa.String(32), nullable=False),
    sa.Column("record_id", sa.String(64)),
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("owner", sa.String(200), nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False),
)

paces = sa.Table(
    "paces",
    metadata,
    sa.Column("vendor", sa.String(64), primary_key=True),
    sa.Column("bucket", sa.String(64), primary_key=True),
    sa.Column("lane", sa.String(16), primary_key=True),
    sa.Column("arrival", sa.Float, nullable=False),
    sa.Column("used_at", sa.Float, nullable=False),
    sa.Column("paused_until", sa.Float, nullable=False, default=0.0),
)


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


def owner_name() -> str:
    """Return this process's name as a lease owner: host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


class Journal:
    """Opens (and creates) the journal at a SQLAlchemy URL. Safe for several processes at once."""

    def __init__(self, url: str) -> None:
        self.engine = sa.create_engine(
            url,
            connect_args={"timeout": 30} if url.startswith("sqlite") else {},
            hide_parameters=True,  # payloads are personal data and would be printed by SQLAlchemy's errors
        )
        if self.engine.dialect.name == "sqlite":
            sa.event.listen(self.engine, "connect", _sqlite_pragmas)
        self._create_tables()

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    def intend(self, batch: Sequence[Operation], provenance: Provenance) -> tuple[list[Operation], list[Operation]]:
        """Record that ``batch`` is about to be sent; commit before returning.

        Returns (to send, already created elsewhere): creations whose claim another attempt holds are left out.
        """
        now = time.time()
        with self._transaction() as con:
            free, taken = self._claim(con, batch, provenance.destination)
            if free:
                con.execute(sa.insert(attempts), [_attempt_row(o, provenance, now) for o in free])
        return free, taken

    def record(self, results: Sequence[Result], provenance: Provenance) -> None:
        """Record how attempts ended, in one commit. A refused or surely unapplied creation frees its claim."""
        now = time.time()
        statement = (
            sa.update(attempts)
            .where(
                attempts.c.operation_id == sa.bindparam("b_operation"),
                attempts.c.plan_id == provenance.plan_id,
                sa.or_(attempts.c.end == SENDING, attempts.c.end == End.UNKNOWN),
            )
            .values(
                {name: sa.bindparam(f"b_{name}") for name in ("end", "reason", "status", "request_id", "observed")}
                | {"result_record_id": sa.bindparam("b_record"), "ended_at": now}
            )
        )
        with self._transaction() as con:
            con.execute(
                statement,
                [
                    {
                        "b_operation": r.operation_id,
                        "b_end": str(r.end),
                        "b_reason": r.reason,
                        "b_status": r.status,
                        "b_request_id": r.request_id,
                        "b_observed": json.dumps(dict(r.observed)) if r.observed else None,
                        "b_record": r.record_id,
                    }
                    for r in results
                ],
            )
            self._settle_claims(con, results, provenance.destination)

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
            with self._transaction() as con:
                con.execute(
                    sa.delete(attempts).where(attempts.c.id == sa.bindparam("b_id")),
                    [{"b_id": i} for i in ids],
                )

    @contextmanager
    def lease(self, name: str, *, ttl_s: float = 30.0, wait_s: float = 600.0) -> Iterator[Lease]:
        """Hold the lease ``name``; waits for a living holder, takes over from a dead one.

        Raises TimeoutError, naming the holder, after ``wait_s``.
        """
        lease = Lease(self, name, ttl_s)
        deadline = time.monotonic() + wait_s
        while not lease.take():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} is still being worked on by {lease.holder()}; wait for that run to end")
            time.sleep(0.1)
        try:
            yield lease
        finally:
            lease.release()

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        with self.engine.connect() as con:
            if self.engine.dialect.name == "sqlite":
                con.exec_driver_sql("BEGIN IMMEDIATE")  # a deferred one can fail half-way with "database is locked"
                yield con
                con.commit()
            else:
                with con.begin():
                    yield con

    def _create_tables(self) -> None:
        with self._transaction() as con:
            if self.engine.dialect.name == "postgresql":
                # Two processes at once would race on CREATE TABLE; the lock ends with the transaction.
                con.execute(sa.text("SELECT pg_advisory_xact_lock(7206821)"))
            metadata.create_all(con)

    def _claim(
        self, con: sa.Connection, batch: Sequence[Operation], destination: str
    ) -> tuple[list[Operation], list[Operation]]:
        free: list[Operation] = []
        taken: list[Operation] = []
        for operation in batch:
            if not operation.creates:
                free.append(operation)
                continue
            mine = con.execute(
                sa.select(claims.c.operation_id).where(
                    claims.c.destination == destination, claims.c.entry == operation.creates
                )
            ).first()
            if mine is None:
                con.execute(
                    sa.insert(claims).values(
                        destination=destination, entry=operation.creates, operation_id=operation.operation_id
                    )
                )
            (free if mine is None else taken).append(operation)
        return free, taken

    def _settle_claims(self, con: sa.Connection, results: Sequence[Result], destination: str) -> None:
        for result in results:
            if result.frees:
                freed = (claims.c.destination == destination) & (claims.c.entry == result.frees)
                con.execute(sa.delete(claims).where(freed))
            mine = (claims.c.destination == destination) & (claims.c.operation_id == result.operation_id)
            if result.end in (End.REJECTED, End.RETRY):
                con.execute(sa.delete(claims).where(mine, claims.c.record_id.is_(None)))
            elif result.end is End.DELIVERED and result.record_id:
                con.execute(sa.update(claims).where(mine).values(record_id=result.record_id))


class Lease:
    """A named right held by one process for ``ttl_s``; renewed while it works."""

    def __init__(self, journal: Journal, name: str, ttl_s: float) -> None:
        self._journal, self._name, self._ttl = journal, name, ttl_s
        self._owner = f"{owner_name()}:{time.monotonic_ns()}"
        self._renewed_at = 0.0

    def take(self) -> bool:
        """Take or renew the lease; False while a living other process holds it."""
        now = time.time()
        with self._journal._transaction() as con:
            row = con.execute(sa.select(leases).where(leases.c.name == self._name)).mappings().first()
            if row is None:
                con.execute(sa.insert(leases).values(name=self._name, owner=self._owner, expires_at=now + self._ttl))
                return True
            if row["owner"] != self._owner and row["expires_at"] > now and _alive(row["owner"]):
                return False
            con.execute(
                sa.update(leases)
                .where(leases.c.name == self._name)
                .values(owner=self._owner, expires_at=now + self._ttl)
            )
        return True

    def renew(self) -> bool:
        """Keep the lease; asks the journal only when a third of its time has passed."""
        if time.monotonic() - self._renewed_at < self._ttl / 3:
            return True
        if not self.take():
            return False
        self._renewed_at = time.monotonic()
        return True

    async def keep(self) -> None:
        """Renew for as long as this task runs, so that a slow vendor does not cost the lease."""
        while self.renew():
            await asyncio.sleep(self._ttl / 3)

    def holder(self) -> str:
        """Return who holds the lease now."""
        with self._journal.engine.connect() as con:
            owner = con.execute(sa.select(leases.c.owner).where(leases.c.name == self._name)).scalar()
        return str(owner or "nobody")

    def release(self) -> None:
        """Give the lease back if it is still ours."""
        with self._journal._transaction() as con:
            con.execute(sa.delete(leases).where(leases.c.name == self._name, leases.c.owner == self._owner))


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


def _sqlite_pragmas(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's BEGIN stays ours, so that it can be IMMEDIATE
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000"):
        connection.execute(f"PRAGMA {pragma}")


def _attempt_row(operation: Operation, provenance: Provenance, now: float) -> dict[str, Any]:
    return {
        "operation_id": operation.operation_id,
        "run_id": provenance.run_id,
        "plan_id": provenance.plan_id,
        "destination": provenance.destination,
        "step": provenance.step,
        "lane": provenance.lane,
        "kind": operation.kind,
        "cio_id": operation.cio_id,
        "record_id": operation.record_id,
        "target": operation.target,
        "payload": json.dumps(dict(operation.payload)),
        "keys": json.dumps(dict(operation.keys)),
        "row_hash": None if operation.row_hash is None else str(operation.row_hash),
        "window_key": provenance.window_key,
        "window_end": provenance.window_end,
        "end": SENDING,
        "intent_at": now,
    }


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
