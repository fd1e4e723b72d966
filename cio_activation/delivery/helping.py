"""A second worker of a step: instead of idling while another holds the lease, it sends a part of that one's plan."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from cio_activation.activation.models import Lane
from cio_activation.activation.windows import Window
from cio_activation.delivery import plan as planning
from cio_activation.delivery import sharing
from cio_activation.delivery.destination import Context, Destination, Step
from cio_activation.delivery.send import Sender, Tally
from cio_activation.journal.attempts import Journal, Lease, Provenance, owner_name
from cio_activation.runtime import Runtime
from cio_activation.transport.http import Pacer


class Helper:
    """Called while another worker holds the step's lease; ``helped`` counts the operations it sent for that one.

    ``pacer_of`` gives the pacer of a lane under a catalog: what is sent counts for the plan's lane, not the helper's.
    """

    def __init__(
        self,
        runtime: Runtime,
        journal: Journal,
        destination: Destination,
        step: Step,
        run_id: str,
        pacer_of: Callable[[str, Mapping[str, Any]], Pacer],
    ) -> None:
        self._runtime, self._journal, self._run_id = runtime, journal, run_id
        self._destination, self._step, self._pacer_of = destination, step, pacer_of
        self._seen: set[str] = set()
        self.helped = 0

    def __call__(self) -> bool:
        """Send what is unclaimed of the step's open plan, if there is one this worker can read; True if it did."""
        plan = sharing.find_plan(self._journal, self._destination.name, self._step.name)
        if plan is None or plan.plan_id in self._seen:
            return False
        self._seen.add(plan.plan_id)  # once through is all there is; after a Stop it is not tried again either
        if not self._reads_alike(plan):
            return False
        worker = owner_name()
        with self._journal.lease(sharing.helper_lease(plan.plan_id, worker)) as lease, lease.kept():
            try:
                sharing.join(self._journal, plan.plan_id, worker)
            except sharing.PlanClosed:
                return False
            tally = asyncio.run(self._send(plan, worker, lease))
        self.helped += sum(tally.ends.values())
        return True

    def _reads_alike(self, plan: sharing.OpenPlan) -> bool:
        """Tell whether this worker sees the plan's file, and cuts and reads it as the plan's own run does."""
        return (
            plan.batch_size == self._step.batch_size
            and plan.activation == self._runtime.activation.fingerprint()
            and plan.path.is_file()
        )

    async def _send(self, plan: sharing.OpenPlan, worker: str, lease: Lease) -> Tally:
        start, end = (datetime.fromtimestamp(t, UTC) for t in (plan.window_start, plan.window_end))
        window = Window(Lane(plan.lane), plan.window_key, start, end)
        context = Context(self._runtime.settings, self._runtime.activation, window, plan.catalog)
        where = Provenance(
            self._run_id, plan.plan_id, plan.destination, plan.step, plan.lane, plan.window_key, plan.window_end, worker
        )
        async with self._destination.connect(self._runtime.settings, self._pacer_of(plan.lane, plan.catalog)) as client:
            sender = Sender(self._step, client, context, self._journal, where, lease, _fold_nothing)
            return await sender.send_all(planning.batches(plan.path, self._step))


def _fold_nothing() -> None:
    """Leave the folding to the plan's own run, which alone opens the warehouse."""
