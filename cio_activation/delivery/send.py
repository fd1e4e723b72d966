"""Sends a plan: intent before, result after, batches at the vendor's maximum, bounded concurrency.

A refused batch is split until the guilty record stands alone; the others go through. A batch without a
trustworthy answer is recorded as unknown and never sent again blindly.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from cio_activation.delivery.apart import REFUSED, take_apart, told_of
from cio_activation.delivery.destination import EXIT, Context, Step
from cio_activation.journal.attempts import Journal, Provenance
from cio_activation.journal.days import ordinary
from cio_activation.journal.leases import Lease
from cio_activation.journal.open_plans import PlanClosed
from cio_activation.journal.operations import End, Operation, Result
from cio_activation.transport.errors import BudgetSpent, OutcomeUnknown, Rejected, Retryable, Stop, VendorError
from cio_activation.transport.http import Answer, VendorClient, answers
from cio_activation.transport.retry import asks_too_long
from cio_activation.transport.time_slice import YIELDED, TimeSlice

BATCH_REFUSALS = (400, 409, 413, 422)
"""Statuses that may be the fault of one record of a batch."""
T = TypeVar("T")
FOLD_EVERY_S = 30.0
"""Seconds between two folds of one push."""
LINED_UP = 3
"""Batches that a step with a time slice has begun and not sent yet, at most: once the slice is over, they are waited
for until their turn at the vendor's rate has come."""
SEEN_EVERY_S = 0.02
"""How soon it is seen that one of them was sent."""


@dataclass
class Tally:
    """How the operations of one plan ended so far. ``held`` counts those not sent or not certain."""

    ends: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    fields_rejected: int = 0
    stopped: str | None = None
    spent: bool = False
    """It stopped because our part of the vendor's day is used up."""
    yielded: bool = False
    """It stopped to let the lane's next run, or the run's next step, go first."""
    made_elsewhere: list[str] = field(default_factory=list)
    """``cio_id`` of whom another attempt has made, or is about to."""

    def stop(self, why: str | Stop) -> None:
        """Note why nothing more is sent; the first reason stays, unless that was to let others go first."""
        if self.stopped is None or self.yielded:
            self.stopped, self.spent, self.yielded = str(why), isinstance(why, BudgetSpent), False

    def yield_to_others(self) -> None:
        """Note that nothing more is begun, for the sake of others; what was begun goes on."""
        if self.stopped is None:
            self.stopped, self.yielded = YIELDED, True

    def add(self, results: Iterable[Result]) -> None:
        """Count results."""
        for result in results:
            self.ends[_counted_as(result.end)] += 1
            if refused := result.observed.get(REFUSED):  # of hardly any: this is asked of everybody
                self.fields_rejected += len(refused)
                self.reasons.update({told_of(name, refusal) for name, refusal in refused.items()})
            if result.reason and result.end is not End.DELIVERED and REFUSED not in result.observed:
                self.reasons[result.reason] += 1

    def leave(self, operations: int) -> None:
        """Count operations that are not sent after all."""
        self.ends["held"] += operations
        if self.yielded and operations:
            self.reasons[YIELDED] += operations


class Sender:
    """Sends the batches of one step through one client."""

    def __init__(
        self,
        step: Step,
        client: VendorClient,
        context: Context,
        journal: Journal,
        provenance: Provenance,
        lease: Lease,
        fold: Callable[[], object],
        time_slice: TimeSlice | None = None,
    ) -> None:
        self._time_slice = time_slice
        self._fold, self._folded_at = fold, time.monotonic()
        self._folding: asyncio.Task[object] | None = None
        self._writing = asyncio.Lock()
        self._step, self._client, self._context = step, client, context
        self._journal, self._provenance, self._lease = journal, provenance, lease
        self.tally = Tally()

    async def send_all(self, batches: Iterable[list[Operation]], operations: int) -> Tally:
        """Send every batch, ``step.concurrency`` at a time; once it stops the rest of ``operations`` counts as held.

        That is not even read: it can be everybody, of whom a real-time run sends the first thousands.
        """
        pending: set[asyncio.Task[None]] = set()
        begun = 0
        for batch in batches:
            if not self.tally.stopped and self._time_slice is not None and await self._time_slice.is_over():
                self.tally.yield_to_others()
            if self.tally.stopped:
                break
            begun += len(batch)
            await self._fold_now_and_then()
            pending.add(asyncio.create_task(self._batch(batch)))
            pending = await self._with_room(pending)
        if pending:
            await asyncio.gather(*pending)
        if self._folding is not None:
            await self._folding
        self.tally.leave(operations - begun)
        return self.tally

    async def _with_room(self, pending: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
        """Wait until one more batch may be begun; return those that go on. Raises what one that ended raised."""
        while len(pending) >= self._step.concurrency or self._line_is_full(pending):
            timeout = None if self._time_slice is None else SEEN_EVERY_S
            done, pending = await asyncio.wait(pending, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        return pending

    def _line_is_full(self, pending: set[asyncio.Task[None]]) -> bool:
        return self._time_slice is not None and len(pending) - self._client.calls.unanswered >= LINED_UP

    async def _fold_now_and_then(self) -> None:
        """Keep the journal small during a long push: what has ended moves on, what is in flight stays.

        In a thread of its own: a fold takes seconds, in which neither an answer would be read nor the rate be used.
        """
        if self._folding is not None and self._folding.done():
            await self._folding
            self._folding, self._folded_at = None, time.monotonic()
        if self._folding is None and time.monotonic() - self._folded_at > FOLD_EVERY_S:
            self._folding = asyncio.create_task(asyncio.to_thread(self._fold))

    async def _batch(self, batch: list[Operation]) -> None:
        stopped = self.tally.stopped and not self.tally.yielded
        intended = None if stopped else await self._write(partial(self._intend, batch))
        if intended is None:
            self.tally.leave(len(batch))
            return
        ordinary.set(max(o.priority for o in batch) < EXIT)  # of this task alone
        ready, taken = intended
        self.tally.ends["unneeded"] += len(taken)
        self.tally.made_elsewhere += [o.cio_id for o in taken if o.kind.makes_person]
        if ready:
            await self._attempt(ready)

    def _intend(self, batch: list[Operation]) -> tuple[list[Operation], list[Operation]] | None:
        """Record the intent to send the batch; None if another run has taken over the step."""
        if not self._lease.renew():
            self.tally.stop(f"lease lost to {self._lease.holder()}")
            return None
        try:
            return self._journal.intend(batch, self._provenance)
        except PlanClosed as error:
            self.tally.stop(str(error))
            return None

    async def _attempt(self, batch: Sequence[Operation]) -> None:
        results = await self._ask(batch)
        if results is None:
            half = len(batch) // 2
            await self._attempt(batch[:half])
            await self._attempt(batch[half:])
            return
        results = await take_apart(self._step, batch, results, self._ask_in_halves)
        await self._write(partial(self._journal.record, results, self._provenance))
        self.tally.add(results)

    async def _ask(self, batch: Sequence[Operation]) -> list[Result] | None:
        """Send the batch and return how each ended; None if it was refused whole and has to be halved."""
        made: list[Answer] = []
        noting = answers.set(made)
        try:
            results = complete(batch, await self._step.send(self._client, self._context, batch))
            return answered(results, made)
        except Rejected as error:
            if len(batch) > 1 and error.status in BATCH_REFUSALS:
                return None
            return all_ended(batch, End.REJECTED, error)
        except (Retryable, OutcomeUnknown) as error:
            if asks_too_long(error):
                self.tally.stop(f"{error}; the vendor asks to wait {error.retry_after_s:,.0f} s: run again then")
            return all_ended(batch, End.RETRY if isinstance(error, Retryable) else End.UNKNOWN, error)
        except Stop as error:
            self.tally.stop(error)
            return all_ended(batch, End.RETRY, error)
        finally:
            answers.reset(noting)

    async def _ask_in_halves(self, batch: Sequence[Operation]) -> list[Result]:
        """Do what :meth:`_ask` does, halving for as long as it is refused whole."""
        results = await self._ask(batch)
        if results is not None:
            return results
        half = len(batch) // 2
        return await self._ask_in_halves(batch[:half]) + await self._ask_in_halves(batch[half:])

    async def _write(self, work: Callable[[], T]) -> T:
        """Do a piece of journal work in a thread: meanwhile answers are read and others go on their way.

        One at a time: the journal takes one writer, and a queue here is shorter than one at its lock.
        """
        async with self._writing:
            return await asyncio.to_thread(work)


def _counted_as(end: str) -> str:
    return "held" if end in (End.RETRY, End.UNKNOWN) else str(end)


def complete(batch: Sequence[Operation], results: Sequence[Result]) -> list[Result]:
    """Return one result per operation: those the vendor said nothing about are unknown, never taken as success."""
    known = {r.operation_id: r for r in results}
    return [
        known.get(o.operation_id)
        or Result(o.operation_id, End.UNKNOWN, "the vendor's answer does not mention this record")
        for o in batch
    ]


def answered(results: Sequence[Result], made: Sequence[Answer]) -> list[Result]:
    """Return ``results`` with the answer of the vendor, where the step did not say it and only one can be meant."""
    if not made or (len(results) > 1 and len(made) > 1):
        return list(results)
    status, request_id = made[-1]
    return [
        replace(r, status=status, request_id=r.request_id or request_id)
        if r.status is None and r.end is not End.UNKNOWN
        else r
        for r in results
    ]


def all_ended(batch: Sequence[Operation], end: End, error: VendorError) -> list[Result]:
    """Return the same end for a whole batch, with the error's status and a reason that groups well."""
    reason = reason_of(error)
    return [Result(o.operation_id, end, reason, status=error.status, request_id=error.request_id) for o in batch]


def reason_of(error: VendorError) -> str:
    """Return a short reason without personal data: status, and the vendor's own code or category."""
    body = error.body if isinstance(error.body, dict) else {}
    words = [str(error.status)] if error.status else ["no answer"]
    words += [str(body[k]) for k in ("category", "subCategory", "code", "errorType") if body.get(k)]
    nested = body.get("errors")
    if isinstance(nested, list):
        words += [str(e["code"]) for e in nested[:1] if isinstance(e, dict) and e.get("code")]
    return " ".join(dict.fromkeys(words))
