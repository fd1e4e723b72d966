"""Attempts: the durable record of every try to send an operation, committed *before* a call and after its answer.

Ended attempts are moved into the warehouse by folding and deleted here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from cio_activation.journal import claims, statements
from cio_activation.journal.engine import JournalDatabase
from cio_activation.journal.open_plans import require_open
from cio_activation.journal.operations import End, Kind, Operation, Result, kind_named
from cio_activation.journal.schema import attempts
from cio_activation.journal.statements import SENDING

__all__ = ["SENDING", "Attempt", "Journal", "Provenance"]

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
    """What every attempt of one step's run has in common. ``window_end`` is in seconds since the epoch."""

    run_id: str
    plan_id: str
    destination: str
    step: str
    lane: str
    window_key: str
    window_end: float


class Journal(JournalDatabase):
    """The journal with its attempts."""

    def intend(self, batch: Sequence[Operation], provenance: Provenance) -> tuple[list[Operation], list[Operation]]:
        """Record that ``batch`` is about to be sent; commit before returning.

        Returns (to send, already created elsewhere): creations whose claim another attempt has are left out. Raises
        PlanClosed, and records nothing, if the plan may not be sent any more.
        """
        with self.transaction() as con:
            require_open(con, provenance.plan_id)
            free, taken = claims.take(con, batch, provenance.destination)
            if free:
                statements.insert_attempts(con, free, provenance.__dict__ | {"intent_at": time.time()})
        return free, taken

    def record(self, results: Sequence[Result], provenance: Provenance) -> None:
        """Record how attempts ended, in one commit. A refused or surely unapplied creation frees its claim."""
        if not results:
            return
        with self.transaction() as con:
            statements.record_ends(con, results, provenance.plan_id, time.time())
            claims.free(con, results, provenance.destination)

    def open_attempts(self, destination: str, step: str, kinds: Mapping[str, Kind]) -> list[Attempt]:
        """Return attempts of the step that have an intent but no certain end (``sending``, ``unknown``).

        ``kinds``: those the step declares, by name; ContractError for an attempt of another.
        """
        query = sa.select(attempts).where(
            attempts.c.destination == destination,
            attempts.c.step == step,
            attempts.c.end.in_([SENDING, End.UNKNOWN]),
        )
        with self.engine.connect() as con:
            return [_attempt(row, kinds) for row in con.execute(query.order_by(attempts.c.id)).mappings()]

    def provenance_of(self, attempt: Attempt) -> Provenance:
        """Return the provenance an open attempt was recorded with."""
        with self.engine.connect() as con:
            row = con.execute(sa.select(attempts).where(attempts.c.id == attempt.id)).mappings().one()
        return Provenance(*(row[name] for name in Provenance.__dataclass_fields__))

    def ended(self, destination: str, step: str, limit: int = 100_000) -> dict[str, tuple[Any, ...]]:
        """Return up to ``limit`` ended attempts of the step, oldest first, by column; empty if there is none."""
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
            found = con.execute(query)
            return dict(zip(found.keys(), zip(*found.all(), strict=True), strict=False))

    def people_at_work(self, destination: str) -> set[str]:
        """Return whom an attempt that is not folded yet is about: what the destination holds of them is on its way."""
        query = sa.select(attempts.c.cio_id).where(attempts.c.destination == destination).distinct()
        with self.engine.connect() as con:
            return {str(cio_id) for (cio_id,) in con.execute(query)}

    def records_at_work(self, destination: str) -> set[str]:
        """Return the records that an attempt that is not folded yet is about."""
        query = sa.select(attempts.c.record_id).where(
            attempts.c.destination == destination, attempts.c.record_id.is_not(None)
        )
        with self.engine.connect() as con:
            return {str(record_id) for (record_id,) in con.execute(query.distinct())}

    def prune(self, ids: Sequence[int]) -> None:
        """Delete folded attempts."""
        if ids:
            with self.transaction() as con:
                for start in range(0, len(ids), _PIECE):
                    con.execute(sa.delete(attempts).where(attempts.c.id.in_(ids[start : start + _PIECE])))


def _attempt(row: Mapping[Any, Any], kinds: Mapping[str, Kind]) -> Attempt:
    operation = Operation(
        operation_id=row["operation_id"],
        step=row["step"],
        kind=kind_named(kinds, row["kind"], row["step"]),
        cio_id=row["cio_id"],
        record_id=row["record_id"],
        target=row["target"],
        payload=json.loads(row["payload"]),
        keys=json.loads(row["keys"]),
        row_hash=None if row["row_hash"] is None else int(row["row_hash"]),
        claim=row["claim"],
    )
    return Attempt(row["id"], operation, row["plan_id"], row["end"], row["intent_at"])
