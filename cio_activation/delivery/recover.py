"""Recovery: settles what an earlier run sent without learning the outcome, before anything new is planned."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence

from cio_activation.delivery.destination import Context, LooksUp, Step
from cio_activation.journal.attempts import Attempt, Journal
from cio_activation.journal.operations import Result, by_name
from cio_activation.transport.http import VendorClient


async def recover(
    journal: Journal,
    destination: str,
    step: Step,
    client: VendorClient,
    context: Context,
    often_unanswered: Callable[[Sequence[str]], Collection[str]],
) -> int:
    """Have the step settle its open attempts, and record how they ended; return how many that were.

    Writes that got no answer so often that this one more has them listed are looked up at the vendor, where that can be
    done: ``often_unanswered`` tells which of some operation ids these are; it is asked if there are open attempts only.
    The caller holds the step's lease and has closed its open plans: nobody is sending for it any more.
    """
    open_attempts = journal.open_attempts(destination, step.name, by_name(step.kinds))
    if not open_attempts:
        return 0
    if step.late_creation_doubles:
        await _let_settle(open_attempts, context.settings.vendor_settle_s)
    found: list[Result] = []
    if isinstance(step, LooksUp):
        often = often_unanswered([a.operation.operation_id for a in open_attempts])
        asked = [
            a.operation for a in open_attempts if a.operation.operation_id in often and not a.operation.kind.creates
        ]
        found = await step.look_up(client, context, asked) if asked else []
    done = {r.operation_id for r in found}
    rest = [a.operation for a in open_attempts if a.operation.operation_id not in done]
    results = found + (await step.recover(client, context, rest) if rest else [])
    settled = {r.operation_id: r for r in results}
    for attempt in open_attempts:
        result = settled.get(attempt.operation.operation_id)
        if result is not None:
            journal.record([result], journal.provenance_of(attempt))
    return len(results)


async def _let_settle(open_attempts: Sequence[Attempt], settle_s: float) -> None:
    """Wait until no creation is so recent that the vendor may still be at it: looking too early makes a double."""
    youngest = max((a.intent_at for a in open_attempts if a.operation.kind.creates), default=0.0)
    # Capped: a clock of another host that is ahead must not stop this run for longer.
    await asyncio.sleep(min(settle_s, max(0.0, youngest + settle_s - time.time())))
