"""Sends a plan: intent before, result after, batches at the vendor's maximum, bounded concurrency.

A refused batch is split until the guilty record stands alone; the others go through. A batch without a
trustworthy answer is recorded as unknown and never sent again blindly.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from cio_activation.delivery.destination import Context, End, Operation, Result, Step
from cio_activation.delivery.journal import Journal, Lease, Provenance
from cio_activation.transport.errors import OutcomeUnknown, Rejected, Retryable, Stop, VendorError
from cio_activation.transport.http import VendorClient

BATCH_REFUSALS = (400, 409, 413, 422)
"""Statuses that may be the fault of one record of a batch."""
FOLD_EVERY_S = 30.0
"""Seconds between two folds of one push."""


@dataclass
class Tally:
    """How the operations of one plan ended so far. ``held`` counts those not sent or not certain."""

    ends: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    stopped: str | None = None

    def add(self, results: Iterable[Result]) -> None:
        """Count results."""
        for result in results:
            end = {End.RETRY: "held", End.UNKNOWN: "held"}.get(result.end, str(result.end))
            self.ends[end] += 1
            if result.reason and result.end is not End.DELIVERED:
                self.reasons[result.reason] += 1


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
    ) -> None:
        self._fold, self._folded_at = fold, time.monotonic()
        self._step, self._client, self._context = step, client, context
        self._journal, self._provenance, self._lease = journal, provenance, lease
        self.tally = Tally()

    async def send_all(self, batches: Iterable[list[Operation]]) -> Tally:
        """Send every batch, ``step.concurrency`` at a time; after a Stop the rest is counted as held."""
        pending: set[asyncio.Task[None]] = set()
        for batch in batches:
            if self.tally.stopped:
                self.tally.ends["held"] += len(batch)
                continue
            self._fold_now_and_then()
            pending.add(asyncio.create_task(self._batch(batch)))
            if len(pending) >= self._step.concurrency:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        if pending:
            await asyncio.gather(*pending)
        return self.tally

    def _fold_now_and_then(self) -> None:
        """Keep the journal small during a long push: what has ended moves on, what is in flight stays."""
        if time.monotonic() - self._folded_at > FOLD_EVERY_S:
            self._fold()
            self._folded_at = time.monotonic()

    async def _batch(self, batch: list[Operation]) -> None:
        if self.tally.stopped:
            self.tally.ends["held"] += len(batch)
            return
        if not self._lease.renew():
            self.tally.stopped = f"lease lost to {self._lease.holder()}"
            self.tally.ends["held"] += len(batch)
            return
        ready, taken = self._journal.intend(batch, self._provenance)
        self.tally.ends["superseded"] += len(taken)
        if ready:
            await self._attempt(ready)

    async def _attempt(self, batch: Sequence[Operation]) -> None:
        try:
            results = complete(batch, await self._step.send(self._client, self._context, batch))
        except Rejected as error:
            if len(batch) > 1 and error.status in BATCH_REFUSALS:
                half = len(batch) // 2
                await self._attempt(batch[:half])
                await self._attempt(batch[half:])
                return
            results = all_ended(batch, End.REJECTED, error)
        except Retryable as error:
            results = all_ended(batch, End.RETRY, error)
        except OutcomeUnknown as error:
            results = all_ended(batch, End.UNKNOWN, error)
        except Stop as error:
            self.tally.stopped = str(error)
            results = all_ended(batch, End.RETRY, error)
        self._journal.record(results, self._provenance)
        self.tally.add(results)


def complete(batch: Sequence[Operation], results: Sequence[Result]) -> list[Result]:
    """Return one result per operation: those the vendor said nothing about are unknown, never taken as success."""
    known = {r.operation_id: r for r in results}
    return [
        known.get(o.operation_id)
        or Result(o.operation_id, End.UNKNOWN, "the vendor's answer does not mention this record")
        for o in batch
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
