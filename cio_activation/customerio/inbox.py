"""The inbox: what Customer.io's webhooks brought, durable before they are answered, each event once.

A table of the journal's database. Rows go through three states: new (body, ``landed_at`` NULL), landed (the warehouse
has it: the body is gone, the key stays), pruned (no honest repetition can come any more).

What is new is found by its state and not by a cursor: on PostgreSQL a row with a smaller id can become visible after
one with a larger id, and a cursor would step over it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from cio_activation.journal.attempts import Journal
from cio_activation.journal.schema import inbox, versions

DAY_S = 86_400.0
REPLAY_WINDOW_S = 15 * DAY_S
"""How old the signed time of a request may be. Customer.io retries for 7 days and queues later events behind the
failing one; whether a retry is signed anew is not documented ("when the request was sent" suggests it). 7 days in the
queue, 7 of its own retries and one for the clocks: an honest request is never refused."""
SKEW_S = DAY_S
"""How far in the future the signed time may be: a clock of ours that is behind must not cost events."""
REMEMBERED_S = REPLAY_WINDOW_S + SKEW_S + DAY_S
"""How long an event's key is kept: longer than a request with it can still pass the two limits above."""

_PIECE = 500
"""Rows of one statement that lists their ids."""


class Source(StrEnum):
    """Which kind of webhook brought an event; event ids are unique within a source."""

    REPORTING = "reporting"
    JOURNEY = "journey"


@dataclass(frozen=True)
class Event:
    """One event as it arrived. Times are seconds since the epoch, UTC.

    ``signature`` is given where the event's id is not part of the signed bytes: the same signed bytes under another
    id are then the same event. ``body`` is what was signed, byte for byte; it may be anything.
    """

    source: Source
    event_id: str
    kind: str
    body: bytes
    received_at: float
    signed_at: float | None = None
    signature: str | None = None
    delivery_id: str | None = None


@dataclass(frozen=True)
class Waiting:
    """An event that is not landed yet; ``number`` grows with the order of insertion, with gaps."""

    number: int
    event: Event


@dataclass(frozen=True)
class News:
    """What waits: how many events, the highest number among them, since when the oldest waits (epoch seconds)."""

    events: int
    highest: int
    oldest_at: float | None

    @property
    def mark(self) -> str:
        """A text that changes when an event arrives or lands: what a run for these events can be known by."""
        return f"{self.highest}-{self.events}"


class Inbox:
    """The inbox in ``journal``. Safe for several processes at once."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        dialect = sqlite if journal.engine.dialect.name == "sqlite" else postgresql
        # Either key makes a repetition: the event's own, or the signature of the bytes.
        self._insert = dialect.insert(inbox).on_conflict_do_nothing()

    def add(self, events: Sequence[Event]) -> int:
        """Store ``events`` in one durable commit and return how many were new; a known one is left as it is.

        Once this returns, every event given is in the inbox, whatever happens to the process or the machine.
        Raises SQLAlchemy's errors, and then none of this call's events is stored.
        """
        if not events:
            return 0
        # In one order everywhere: two receivers with the same events would else wait for each other.
        rows = [e.__dict__ for e in sorted(events, key=lambda e: (e.source, e.event_id))]
        with self._journal.transaction() as con:
            return len(con.execute(self._insert.returning(inbox.c.id), rows).all())

    def new(self, limit: int = 10_000) -> list[Waiting]:
        """Return up to ``limit`` events that are not landed, those that came first at the front."""
        query = sa.select(inbox).where(inbox.c.landed_at.is_(None)).order_by(inbox.c.id).limit(limit)
        with self._journal.engine.connect() as con:
            return [_waiting(row) for row in con.execute(query)]

    def news(self) -> News:
        """Return how much waits, by index only."""
        query = sa.select(sa.func.count(), sa.func.max(inbox.c.id), sa.func.min(inbox.c.received_at))
        with self._journal.engine.connect() as con:
            events, highest, oldest = con.execute(query.where(inbox.c.landed_at.is_(None))).one()
        return News(int(events), int(highest or 0), None if oldest is None else float(oldest))

    def landed(self, numbers: Sequence[int]) -> None:
        """Note that the warehouse has these events, and drop their bodies. Call after the warehouse's commit.

        A process killed between the two lands them again, which the warehouse knows by their ids.
        """
        if not numbers:
            return
        with self._journal.transaction() as con:
            done = sa.update(inbox).values(landed_at=time.time(), body=None)
            for start in range(0, len(numbers), _PIECE):
                con.execute(done.where(inbox.c.id.in_(numbers[start : start + _PIECE])))

    def prune(self, before: float, limit: int = 10_000) -> int:
        """Delete up to ``limit`` landed events received before ``before`` (epoch seconds); return how many.

        Events that are not landed stay, however old. ``before`` has to be REMEMBERED_S ago or more, else a
        repetition would be taken for a new event.
        """
        if before > time.time() - REMEMBERED_S:
            raise ValueError(f"keys are kept for {REMEMBERED_S / DAY_S:.0f} days, as long as repetitions can come")
        old = sa.select(inbox.c.id).where(inbox.c.received_at < before, inbox.c.landed_at.is_not(None)).limit(limit)
        with self._journal.transaction() as con:
            return con.execute(sa.delete(inbox).where(inbox.c.id.in_(old))).rowcount

    def probe(self) -> None:
        """Raise SQLAlchemy's error if nothing could be written now. Changes nothing."""
        with self._journal.engine.connect() as con:
            if con.dialect.name == "sqlite":
                con.exec_driver_sql("BEGIN IMMEDIATE")
            con.execute(sa.update(versions).values(version=versions.c.version))
            con.rollback()


def _waiting(row: sa.Row[tuple[object, ...]]) -> Waiting:
    return Waiting(
        row.id,
        Event(
            Source(row.source),
            row.event_id,
            row.kind,
            bytes(row.body),
            row.received_at,
            row.signed_at,
            row.signature,
            row.delivery_id,
        ),
    )
