"""Group commit: one thread writes to the inbox what all requests of the moment brought, in one durable commit.

A request waits for the commit that holds its event, never longer than its deadline. When commits stop, new requests
are refused at once instead of waiting in line, and one at a time is let through to find out whether it works again.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import sqlalchemy as sa

from cio_activation.customerio.inbox import REMEMBERED_S, Event, Inbox

log = logging.getLogger("cio_activation.receiver")

MOST_WAITING = 2_000
"""Requests in line; with more, new ones are refused. At the slowest rate seen they are served within a second."""
MOST_IN_COMMIT = 500
STALLED_S = 1.0
"""A request in line for longer than this means that commits have stopped: new ones are refused."""
GATHER_S = 0.005
"""How long a commit waits for company: what it costs is spread over more events."""
_AGAIN_S = 0.25
"""A commit that failed within this time was not waiting for a lock, and is tried once more."""
_PRUNE_EVERY_S = 60.0
_PRUNE_AT_ONCE = 2_000


class NotStored(Exception):
    """The event is not known to be in the inbox; says why in one word."""


@dataclass(eq=False, slots=True)
class _Ticket:
    event: Event
    arrived: float
    stored: asyncio.Future[None]
    settled: bool = field(default=False)
    """The writer is done with it, whether or not the request still waits."""


class InboxWriter:
    """Writes to ``inbox`` for the requests of one event loop; every method but the thread's belongs to that loop."""

    def __init__(self, inbox: Inbox, on_death: Callable[[], None] = lambda: None) -> None:
        """``on_death`` is called, in the writer's thread, when that thread ends without being told to."""
        self._inbox, self._on_death = inbox, on_death
        self._queue: queue.SimpleQueue[_Ticket | None] = queue.SimpleQueue()
        self._line: deque[_Ticket] = deque()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="inbox-writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pruned_at = time.monotonic()
        self.commits = self.new = self.known = 0
        """Commits so far, and the events in them that were new and that were known already."""

    def start(self) -> None:
        """Begin to write, for the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def stop(self) -> None:
        """Write what is in line, then end the thread."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    @property
    def waiting(self) -> int:
        """Requests in line, those of the commit under way included."""
        self._forget()
        return len(self._line)

    def refusal(self, now: float) -> str | None:
        """Return why a new request should be refused at once; None if it can be stored in time. ``now``: monotonic."""
        self._forget()
        if not self._thread.is_alive():
            return "writer_ended"
        if not self._line:
            return None
        if self._failing:
            return "inbox_unavailable"
        if len(self._line) >= MOST_WAITING:
            return "queue_full"
        return "inbox_stalled" if now - self._line[0].arrived > STALLED_S else None

    async def store(self, event: Event, deadline: float) -> None:
        """Return once ``event`` is durable; NotStored if it is not by ``deadline`` (monotonic seconds).

        An event that was not stored in time may still be stored later; its repetition is then known.
        """
        assert self._loop is not None
        now = time.monotonic()
        ticket = _Ticket(event, now, self._loop.create_future())
        self._line.append(ticket)
        self._queue.put(ticket)
        try:
            async with asyncio.timeout(deadline - now):
                await ticket.stored
        except TimeoutError:
            raise NotStored("deadline") from None

    def _forget(self) -> None:
        while self._line and self._line[0].settled:
            self._line.popleft()

    def _run(self) -> None:
        told = False
        try:
            while not told:
                batch, told = self._gather()
                # A request that gave up was answered 503: it will come again, and others are in time.
                late = [t for t in batch if t.stored.done()]
                self._call(self._settle, late)
                self._commit([t for t in batch if t not in late] if late else batch)
                if time.monotonic() - self._pruned_at > _PRUNE_EVERY_S:
                    self._prune()
        finally:
            if not told:
                self._on_death()

    def _gather(self) -> tuple[list[_Ticket], bool]:
        """Wait for work; return it, and whether it is the last."""
        batch: list[_Ticket] = []
        try:
            ticket = self._queue.get(timeout=_PRUNE_EVERY_S)
            time.sleep(GATHER_S)
            while ticket is not None:
                batch.append(ticket)
                if len(batch) == MOST_IN_COMMIT:
                    return batch, False
                ticket = self._queue.get_nowait()
        except queue.Empty:
            return batch, False
        return batch, True

    def _commit(self, batch: list[_Ticket]) -> None:
        if not batch:
            return
        events = [t.event for t in batch]
        began = time.monotonic()
        try:
            try:
                new = self._inbox.add(events)
            except sa.exc.OperationalError:
                if time.monotonic() - began > _AGAIN_S:
                    raise
                new = self._inbox.add(events)  # a lost connection, or two receivers that waited for each other
        except sa.exc.SQLAlchemyError as error:
            if len(batch) > 1 and not isinstance(error, sa.exc.OperationalError):
                for ticket in batch:  # one event that the database does not take must not cost the others
                    self._commit([ticket])
                return
            log.error("the inbox could not be written: %s", type(getattr(error, "orig", error)).__name__)
            self._call(self._failed, batch)
        else:
            self._call(self._stored, batch, new)

    def _call(self, then: Callable[..., object], batch: list[_Ticket], *more: int) -> None:
        if batch:
            assert self._loop is not None
            self._loop.call_soon_threadsafe(then, batch, *more)

    def _stored(self, batch: list[_Ticket], new: int) -> None:
        self._failing = False
        self.commits += 1
        self.new += new
        self.known += len(batch) - new
        for ticket in self._settle(batch):
            ticket.stored.set_result(None)

    def _failed(self, batch: list[_Ticket]) -> None:
        self._failing = True
        for ticket in self._settle(batch):
            ticket.stored.set_exception(NotStored("inbox_unavailable"))

    @staticmethod
    def _settle(batch: list[_Ticket]) -> list[_Ticket]:
        """Note that the writer is done with these; return those whose request still waits."""
        for ticket in batch:
            ticket.settled = True
        return [t for t in batch if not t.stored.done()]

    def _prune(self) -> None:
        self._pruned_at = time.monotonic()
        try:
            self._inbox.prune(time.time() - REMEMBERED_S, _PRUNE_AT_ONCE)
        except sa.exc.SQLAlchemyError as error:
            log.warning("the inbox could not be pruned: %s", type(getattr(error, "orig", error)).__name__)
