"""Runs one step of one destination in one window: recover, plan, send, fold, and say how every operation ended.

Each verb is one module; a reader who follows an operation opens each file once.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from typing import Any

from cio_activation.activation.windows import Window
from cio_activation.delivery import catalog, order, plan_rows, rejected, release, scopes
from cio_activation.delivery import plan as planning
from cio_activation.delivery.accounts import require_account
from cio_activation.delivery.destination import Context, Destination, Step
from cio_activation.delivery.fold import fold
from cio_activation.delivery.garbage import seldom_collected
from cio_activation.delivery.links import plan_again
from cio_activation.delivery.pacing import pacer_for
from cio_activation.delivery.planned import Plan
from cio_activation.delivery.recover import recover
from cio_activation.delivery.report import StepReport
from cio_activation.delivery.send import Sender, Tally
from cio_activation.journal.attempts import Journal, Provenance
from cio_activation.journal.days import Allowance
from cio_activation.journal.leases import Lease, lease
from cio_activation.journal.open_plans import close_plans, open_plan
from cio_activation.journal.rates import SharedPacer
from cio_activation.runtime import Runtime
from cio_activation.transport import event_loop
from cio_activation.transport.errors import BudgetSpent
from cio_activation.transport.http import VendorClient
from cio_activation.transport.progress import counted, working
from cio_activation.transport.time_slice import TimeSlice
from cio_activation.warehouse.sessions import YIELD_S

FOLLOW_UPS = 3
"""How often a step's run is followed up at most: a survivor found, who it was, and what it leads to."""


def run_step(
    runtime: Runtime,
    destination: Destination,
    step: Step,
    window: Window,
    run_id: str,
    time_slice: TimeSlice | None = None,
) -> StepReport:
    """Recover, plan, send and fold ``step`` for ``window``; with ``time_slice``, no longer than that allows.

    Then run what follows up at once (``Step.follow_up``); the report counts that too. Raises VendorError only when the
    vendor cannot be read at all, and ConfigError if the credential opens another account than this home's, both before
    anything is planned.
    """
    report = _run_once(runtime, destination, step, window, run_id, time_slice)
    for _ in range(FOLLOW_UPS):
        if not report.planned or report.stopped or report.yielded:
            break
        with runtime.warehouse.read() as con:
            known = catalog.read(con, destination.name)
            later = step.follow_up(con, Context(runtime.settings, runtime.activation, window, known))
        planned = report.planned
        for one in later:
            report = report.with_follow_up(_run_once(runtime, destination, one, window, run_id, time_slice))
        if report.planned == planned:
            break
    return report


def _run_once(
    runtime: Runtime,
    destination: Destination,
    step: Step,
    window: Window,
    run_id: str,
    time_slice: TimeSlice | None,
) -> StepReport:
    with (
        closing(Journal(runtime.settings.journal)) as journal,
        lease(journal, f"{destination.name}/{step.name}") as mine,
        mine.renewed(),
        seldom_collected(),
    ):
        return event_loop.run(_StepRun(runtime, destination, step, window, run_id, journal, mine, time_slice).run())


class _StepRun:
    """One run of one step, under its lease."""

    def __init__(
        self,
        runtime: Runtime,
        destination: Destination,
        step: Step,
        window: Window,
        run_id: str,
        journal: Journal,
        lease: Lease,
        time_slice: TimeSlice | None,
    ) -> None:
        self._runtime, self._destination, self._step = runtime, destination, step
        self._window, self._run_id, self._time_slice = window, run_id, time_slice
        self._journal, self._lease = journal, lease
        with runtime.warehouse.read() as con:
            self._newest = plan_rows.newest_window(con, destination.name, step.name)
            known = catalog.read(con, destination.name)
        self._context = Context(runtime.settings, runtime.activation, window, known)

    async def run(self) -> StepReport:
        """Do the whole of it; see :func:`run_step`."""
        lane, name = str(self._window.lane), self._destination.name
        pacer = pacer_for(self._runtime.activation, self._journal, self._destination, lane, self._context.catalog)
        async with self._destination.connect(self._runtime.settings, pacer) as client:
            try:
                await require_account(self._runtime, self._destination, client, self._context)
                recovered = await self._recover(client)
                if self._newest is not None and self._newest > self._window.as_of:
                    return self._superseded(self._newest, recovered)
                found = await self._step.prepare(client, self._context)
            except BudgetSpent as error:  # not even to look: tomorrow's run does
                return self._empty(f"{error}; nothing was planned")
            plan = self._plan(found, pacer.allowance(name))
            tally = await self._send(plan, client)
            report = self._report(plan, tally, client, pacer, recovered)
        if report.planned:
            with self._runtime.warehouse.write(yield_s=YIELD_S) as con:
                report = plan_rows.close(con, report, plan, self._context)
                if tally.made_elsewhere:
                    plan_again(con, self._destination.name, tally.made_elsewhere, asked=self._asks_for_records())
        report.check()
        return report

    def _asks_for_records(self) -> bool:
        """Return whether the vendor is asked who has a record; elsewhere people are matched by what is known of it."""
        steps = self._destination.steps(self._context.activation)
        return any(kind.links for step in steps for kind in step.kinds)

    async def _recover(self, client: VendorClient) -> int:
        """Settle what an earlier run left, also of steps that are no more, and fold it."""
        recovered = await self._settle(self._step, client)
        for step in self._step.predecessors(self._context):
            with lease(self._journal, f"{self._destination.name}/{step.name}") as its, its.renewed():
                recovered += await self._settle(step, client)
        return recovered

    async def _settle(self, step: Step, client: VendorClient) -> int:
        name = self._destination.name
        close_plans(self._journal, name, step.name)
        recovered = await recover(self._journal, name, step, client, self._context, self._often_unanswered)
        fold(self._runtime.warehouse, self._journal, step, name, self._context)
        return recovered

    def _often_unanswered(self, operations: Sequence[str]) -> set[str]:
        with self._runtime.warehouse.read() as con:
            return rejected.often_unanswered(con, operations)

    def _plan(self, found: list[dict[str, Any]], allowance: Allowance | None) -> Plan:
        """Store what the vendor was read for, plan, and enter the plan, in one transaction."""
        step, name, window = self._step, self._destination.name, self._window
        plan_id = f"{name}-{step.name.replace('/', '-')}-{uuid.uuid4().hex[:12]}"
        path = release.plan_file(self._context.settings, str(window.lane), window.key, plan_id)
        with self._runtime.warehouse.write(yield_s=YIELD_S) as con:
            plan_rows.close_abandoned(con, name, step.name)
            if found:
                step.absorb(con, self._context, found)
            context = replace(self._context, scope=scopes.scope_for(con, step, name, self._context, window))
            plan = planning.make_plan(con, step, name, context, window, plan_id, path, allowance)
            if plan.people_in_scope is not None:
                plan = replace(plan, brings_news=scopes.brings_news(con, step, name))
            scopes.remember(con, step, name, context, window, plan_id)
            plan_rows.enter(con, plan, name, step.name, window, self._run_id)
        return plan

    async def _send(self, plan: Plan, client: VendorClient) -> Tally:
        """Send what the guards let through, folding now and then and at the end."""
        tally = Tally()
        if plan.brings_news and self._time_slice is not None:
            self._time_slice.shorten()
        if plan.held_because:
            tally.ends["held"] = plan.operations
        elif plan.operations:
            provenance = Provenance(
                self._run_id,
                plan.plan_id,
                self._destination.name,
                self._step.name,
                str(self._window.lane),
                self._window.key,
                self._window.end.timestamp(),
            )
            open_plan(self._journal, plan.plan_id, self._destination.name, self._step.name)
            sender = Sender(
                self._step, client, self._context, self._journal, provenance, self._lease, self._fold, self._time_slice
            )
            batches = planning.batches(plan.path, self._step)
            with working(f"{self._destination.name}/{self._step.name}", plan.operations) as advance:
                tally = await sender.send_all(counted(batches, advance), plan.operations - plan.over_budget)
            if plan.over_budget:
                tally.ends["held"] += plan.over_budget
                tally.reasons[order.BUDGET] = plan.over_budget
            self._fold()
        return tally

    def _fold(self) -> int:
        return fold(self._runtime.warehouse, self._journal, self._step, self._destination.name, self._context)

    def _report(self, plan: Plan, tally: Tally, client: VendorClient, pacer: SharedPacer, recovered: int) -> StepReport:
        return StepReport(
            destination=self._destination.name,
            step=self._step.name,
            plan_id=plan.plan_id,
            planned=plan.operations,
            delivered=tally.ends["delivered"],
            rejected=tally.ends["rejected"],
            unneeded=tally.ends["unneeded"],
            held=tally.ends["held"],
            fields_rejected=tally.fields_rejected,
            waiting=plan.waiting,
            recovered=recovered,
            calls=dict(client.calls.made),
            throttled=client.calls.throttled,
            by_kind=plan.by_kind,
            reasons=dict(tally.reasons),
            note=plan.held_because or tally.stopped or _over(plan) or plan.note,
            stopped=bool(plan.held_because or (tally.stopped and not (tally.spent or tally.yielded))),
            yielded=tally.yielded,
            spent=tally.spent or bool(plan.over_budget),
            deferred=plan.deferred,
            guards=plan.verdicts,
            units=plan.units,
            over_budget=plan.over_budget,
            people_in_scope=plan.people_in_scope,
            budget=pacer.allowance(self._destination.name),
        )

    def _superseded(self, newest: datetime, recovered: int) -> StepReport:
        note = f"superseded: a window ending {newest} UTC was already delivered; an older one sends nothing"
        return replace(self._empty(note), recovered=recovered)

    def _empty(self, note: str) -> StepReport:
        return StepReport(destination=self._destination.name, step=self._step.name, plan_id="", note=note)


def _over(plan: Plan) -> str | None:
    told = f"{plan.over_budget:,} operations do not fit today's budget: held, and first tomorrow"
    return None if not plan.over_budget else f"{told}; {plan.note}" if plan.note else told
