"""Runs one step of one destination in one window, from recovery to fold, and says how every operation ended."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from cio_activation.activation.models import Lane
from cio_activation.activation.windows import Window
from cio_activation.delivery import catalog, order, release, scope, sharing
from cio_activation.delivery import fold as folding
from cio_activation.delivery import plan as planning
from cio_activation.delivery.destination import Context, Destination, Step
from cio_activation.delivery.guards import Verdict
from cio_activation.delivery.helping import Helper
from cio_activation.delivery.send import Sender, Tally
from cio_activation.errors import CioActivationError
from cio_activation.journal.attempts import Attempt, Journal, Lease, Provenance
from cio_activation.journal.days import Allowance, meters
from cio_activation.journal.rates import SharedPacer
from cio_activation.runtime import Runtime
from cio_activation.transport.errors import BudgetSpent
from cio_activation.transport.http import VendorClient
from cio_activation.transport.time_slice import TimeSlice
from cio_activation.warehouse.sessions import YIELD_S, Connection, Warehouse
from cio_activation.warehouse.sql import literal, timestamp

CUSTOMERIO_LIMITS = {"default": (10.0, 1.0)}
"""App API: 10 requests a second (Customer.io's API overview)."""


@dataclass(frozen=True)
class StepReport:
    """What one run of one step did. planned = delivered + rejected + unneeded + held, or the run fails."""

    destination: str
    step: str
    plan_id: str
    planned: int = 0
    delivered: int = 0
    rejected: int = 0
    unneeded: int = 0
    held: int = 0
    waiting: int = 0
    recovered: int = 0
    calls: Mapping[str, int] = field(default_factory=dict)
    throttled: int = 0
    by_kind: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    note: str | None = None
    """Why nothing or not everything was sent; or who released the plan."""
    stopped: bool = False
    yielded: bool = False
    """Not everything was sent, so that others could go first; the next run of the lane goes on with it."""
    helped: int = 0
    """Operations sent for the plan of another run, while waiting for it; that run's report counts them."""
    guards: tuple[Verdict, ...] = ()
    """What the guards said of the plan."""
    units: float = 0.0
    """Calls or tokens of the vendor's day that the whole plan was to take."""
    over_budget: int = 0
    """Operations that did not fit what was left of that day; among the held."""
    people_in_scope: int | None = None
    """People for whom the step was planned, as nobody else can have needed anything; None: everybody."""
    budget: Allowance | None = None
    """What this lane may still use of that day; None where the vendor does not count by the day."""

    def check(self) -> None:
        """Raise if the counts do not add up: an operation was lost, and that is never normal."""
        ended = self.delivered + self.rejected + self.unneeded + self.held
        if ended != self.planned:
            raise CioActivationError(
                f"{self.destination}/{self.step}: {self.planned} operations planned but {ended} accounted for; "
                "this is a defect, please report it with the plan file"
            )


def pacer_for(
    runtime: Runtime,
    journal: Journal,
    destinations: tuple[Destination, ...],
    lane: str,
    catalog: Mapping[str, Any] | None = None,
) -> SharedPacer:
    """Return the pacer all calls of this process and lane go through. ``catalog`` is that of the one destination."""
    activation = runtime.activation
    limits = {d.name: d.limits(activation) for d in destinations if d.name in activation.destinations}
    return SharedPacer(
        journal, {"customerio": CUSTOMERIO_LIMITS, **limits}, lane, meters(activation, destinations, catalog or {})
    )


def run_schema(runtime: Runtime, destination: Destination, young: timedelta | None = None) -> Mapping[str, Any]:
    """Bring the destination's fields, options and lists up to the activation; store and return the catalog.

    With ``young``, a stored catalog of this activation that is no older is taken as it is, without a call.
    """
    previous = catalog.load(runtime.warehouse, destination.name)
    if young is not None and catalog.is_young(runtime, destination.name, young):
        return previous
    journal = Journal(runtime.settings.journal)
    context = Context(runtime.settings, runtime.activation, None, previous)

    async def work() -> Mapping[str, Any]:
        pacer = pacer_for(runtime, journal, (destination,), str(Lane.DAILY), previous)
        async with destination.connect(runtime.settings, pacer) as client:
            return await destination.ensure_schema(client, context)

    with journal.lease(f"{destination.name}/schema"):
        found = asyncio.run(work())
    journal.close()
    catalog.store(runtime, destination.name, found)
    return found


def run_step(
    runtime: Runtime,
    destination: Destination,
    step: Step,
    window: Window,
    run_id: str,
    time_slice: TimeSlice | None = None,
) -> StepReport:
    """Recover, plan, send and fold ``step`` for ``window``; with ``time_slice``, no longer than that allows.

    Raises VendorError only when the vendor cannot be read at all (before anything is planned).
    """
    journal = Journal(runtime.settings.journal)
    helper = Helper(runtime, journal, destination, step, run_id, partial(pacer_for, runtime, journal, (destination,)))
    try:
        with journal.lease(f"{destination.name}/{step.name}", meanwhile=helper) as lease, lease.kept():
            report = asyncio.run(_run(runtime, destination, step, window, run_id, journal, lease, time_slice))
            return replace(report, helped=helper.helped)
    finally:
        journal.close()


async def _run(
    runtime: Runtime,
    destination: Destination,
    step: Step,
    window: Window,
    run_id: str,
    journal: Journal,
    lease: Lease,
    time_slice: TimeSlice | None,
) -> StepReport:
    warehouse = runtime.warehouse
    known, newest = _before(warehouse, destination, step)
    context = Context(runtime.settings, runtime.activation, window, known)
    pacer = pacer_for(runtime, journal, (destination,), str(window.lane), known)
    async with destination.connect(runtime.settings, pacer) as client:
        await sharing.close_plans(journal, destination.name, step.name)
        try:
            recovered = await _recover(journal, destination, step, client, context)
            folding.fold(warehouse, journal, step, destination.name, context)
            if newest is not None and newest > window.as_of:
                return _superseded(destination, step, newest, recovered)
            found = await step.prepare(client, context)
        except BudgetSpent as error:  # not even to look: tomorrow's run does
            return StepReport(destination.name, step.name, plan_id="", note=f"{error}; nothing was planned")
        allowance = pacer.allowance(destination.name)
        plan = _plan(warehouse, step, destination, context, window, run_id, found, allowance)
        tally = Tally()
        if plan.held_because:
            tally.ends["held"] = plan.operations
        elif plan.operations:
            provenance = Provenance(
                run_id,
                plan.plan_id,
                destination.name,
                step.name,
                str(window.lane),
                window.key,
                window.end.timestamp(),
            )
            fold = partial(folding.fold, warehouse, journal, step, destination.name, context)
            sharing.open_plan(journal, sharing.offer(provenance, context, plan.path, step.batch_size))
            sender = Sender(step, client, context, journal, provenance, lease, fold, time_slice)
            tally = await sender.send_all(planning.batches(plan.path, step))
            tally.add_help(await sharing.close_plan(journal, plan.plan_id), sender.left)
            if plan.over_budget:
                tally.ends["held"] += plan.over_budget
                tally.reasons[order.BUDGET] = plan.over_budget
            fold()
        report = replace(
            _report(destination, step, plan, tally, client, recovered), budget=pacer.allowance(destination.name)
        )
    if report.planned:
        report = _close_plan(warehouse, report, plan, context)
    report.check()
    return report


async def _recover(
    journal: Journal, destination: Destination, step: Step, client: VendorClient, context: Context
) -> int:
    """Settle what an earlier run sent without learning the outcome, before anything new is planned."""
    open_attempts = journal.open_attempts(destination.name, step.name)
    if not open_attempts:
        return 0
    if step.late_creation_doubles:
        await _let_settle(open_attempts, context.settings.vendor_settle_s)
    results = await step.recover(client, context, [a.operation for a in open_attempts])
    settled = {r.operation_id: r for r in results}
    for attempt in open_attempts:
        result = settled.get(attempt.operation.operation_id)
        if result is not None:
            journal.record([result], journal.provenance_of(attempt))
    return len(results)


async def _let_settle(open_attempts: Sequence[Attempt], settle_s: float) -> None:
    """Wait until no creation is so young that the vendor may still be at it: looking too early makes a double."""
    youngest = max((a.intent_at for a in open_attempts if a.operation.creates), default=0.0)
    # Capped: a clock of another host that is ahead must not stop this run for longer.
    await asyncio.sleep(min(settle_s, max(0.0, youngest + settle_s - time.time())))


def _plan(
    warehouse: Warehouse,
    step: Step,
    destination: Destination,
    context: Context,
    window: Window,
    run_id: str,
    found: list[dict[str, Any]],
    allowance: Allowance | None,
) -> planning.Plan:
    plan_id = f"{destination.name}-{step.name.replace('/', '-')}-{uuid.uuid4().hex[:12]}"
    path = release.plan_file(context.settings, str(window.lane), window.key, plan_id)
    with warehouse.write(yield_s=YIELD_S) as con:
        _close_abandoned(con, destination, step)
        if found:
            step.absorb(con, context, found)
        context = scope.narrowed(con, step, destination.name, context, window)
        plan = planning.make_plan(con, step, destination.name, context, window, plan_id, path, allowance)
        scope.looked(con, step, destination.name, context, window, plan_id)
        held = plan.operations if plan.held_because else 0
        status = "held" if held else "sending" if plan.operations else "done"
        con.execute(
            """INSERT INTO delivery.plans BY NAME SELECT ? AS plan_id, ? AS run_id, ? AS destination, ? AS step,
            ? AS lane, ? AS window_key, CAST(? AS TIMESTAMP) AS window_end, ? AS planned, ? AS waiting, ? AS status,
            ? AS held, ? AS note, ? AS fingerprint, ? AS guards, ? AS released_from, CAST(? AS TIMESTAMP) AS made_at,
            ? AS units, ? AS over_budget""",
            [plan_id, run_id, destination.name, step.name, str(window.lane), window.key, window.as_of,
             plan.operations, plan.waiting, status, held, plan.held_because or plan.note, plan.fingerprint,
             json.dumps([v.as_row() for v in plan.verdicts]), plan.released_from,
             datetime.now(UTC).replace(tzinfo=None), plan.units, plan.over_budget],
        )  # fmt: skip
    return plan


def _report(
    destination: Destination,
    step: Step,
    plan: planning.Plan,
    tally: Tally,
    client: VendorClient,
    recovered: int,
) -> StepReport:
    return StepReport(
        destination=destination.name,
        step=step.name,
        plan_id=plan.plan_id,
        planned=plan.operations,
        delivered=tally.ends["delivered"],
        rejected=tally.ends["rejected"],
        unneeded=tally.ends["unneeded"],
        held=tally.ends["held"],
        waiting=plan.waiting,
        recovered=recovered,
        calls=dict(client.calls.made),
        throttled=client.calls.throttled,
        by_kind=plan.by_kind,
        reasons=dict(tally.reasons),
        note=plan.held_because or tally.stopped or _over(plan) or plan.note,
        stopped=bool(plan.held_because or (tally.stopped and not (tally.spent or tally.yielded))),
        yielded=tally.yielded,
        guards=plan.verdicts,
        units=plan.units,
        over_budget=plan.over_budget,
        people_in_scope=plan.people_in_scope,
    )


def _over(plan: planning.Plan) -> str | None:
    told = f"{plan.over_budget:,} operations do not fit today's budget: held, and first tomorrow"
    return None if not plan.over_budget else f"{told}; {plan.note}" if plan.note else told


def _close_plan(warehouse: Warehouse, report: StepReport, plan: planning.Plan, context: Context) -> StepReport:
    """Store how the plan ended, and who is left over; return the report as the fold left it."""
    status = "held" if plan.held_because else "stopped" if report.stopped else "done"
    assert context.window is not None
    with warehouse.write(yield_s=YIELD_S) as con:
        report = _as_folded(con, report, context.window.as_of)
        if report.held > plan.over_budget and not plan.held_because:
            unsent = f"""(FROM read_parquet({literal(str(plan.path))}) ANTI JOIN (
                SELECT operation_id FROM delivery.ledger
                WHERE plan_id = {literal(plan.plan_id)} AND window_end = {timestamp(context.window.as_of)}
                  AND "end" <> 'retry'
            ) USING (operation_id))"""
            order.defer(con, report.destination, report.step, context, unsent)
        con.execute(
            """UPDATE delivery.plans SET delivered = ?, rejected = ?, unneeded = ?, held = ?, calls = ?,
            throttled = ?, status = ?, note = ? WHERE plan_id = ?""",
            [report.delivered, report.rejected, report.unneeded, report.held, sum(report.calls.values()),
             report.throttled, status, report.note, report.plan_id],
        )  # fmt: skip
        if status == "done" and not report.held:
            release.spend(con, report.destination, report.step, report.plan_id)
    return report


def _as_folded(con: Connection, report: StepReport, as_of: datetime) -> StepReport:
    """Return the report with the ledger's ends: a step's fold may correct one by what only the warehouse knows."""
    delivered, rejected = con.execute(
        """SELECT count(DISTINCT operation_id) FILTER ("end" = 'delivered'),
                  count(DISTINCT operation_id) FILTER ("end" = 'rejected')
        FROM delivery.ledger WHERE plan_id = ? AND window_end = ?""",
        [report.plan_id, as_of],  # the window lets most of a ledger of years be passed over
    ).fetchall()[0]
    if delivered + rejected != report.delivered + report.rejected:
        return report  # not all of it is folded; ``check`` judges what was counted
    return replace(report, delivered=delivered, rejected=rejected)


def _before(warehouse: Warehouse, destination: Destination, step: Step) -> tuple[Mapping[str, Any], Any]:
    """Return the stored catalog, and the as-of of the newest window this step was planned for (None: never)."""
    with warehouse.read() as con:
        newest = con.execute(
            "SELECT max(window_end) FROM delivery.plans WHERE destination = ? AND step = ?",
            [destination.name, step.name],
        ).fetchall()[0][0]
        return catalog.read(con, destination.name), newest


def _close_abandoned(con: Connection, destination: Destination, step: Step) -> None:
    """Give the plans of killed runs their counts, from the ledger; what never got an end counts as held.

    Runs under the step's lease and after recovery and fold, so that everything that ended is in the ledger.
    """
    con.execute(
        """UPDATE delivery.plans AS p
        SET delivered = l.delivered, rejected = l.rejected, unneeded = l.unneeded,
            held = p.planned - l.delivered - l.rejected - l.unneeded,
            status = 'stopped', note = 'the run was killed'
        FROM (
            SELECT q.plan_id,
                   count(DISTINCT g.operation_id) FILTER (g."end" = 'delivered') AS delivered,
                   count(DISTINCT g.operation_id) FILTER (g."end" = 'rejected') AS rejected,
                   count(DISTINCT g.operation_id) FILTER (g."end" = 'unneeded') AS unneeded
            FROM delivery.plans AS q LEFT JOIN delivery.ledger AS g ON g.plan_id = q.plan_id
            WHERE q.status = 'sending' AND q.destination = ? AND q.step = ?
            GROUP BY q.plan_id
        ) AS l
        WHERE p.plan_id = l.plan_id""",
        [destination.name, step.name],
    )


def _superseded(destination: Destination, step: Step, newest: Any, recovered: int) -> StepReport:
    return StepReport(
        destination.name,
        step.name,
        plan_id="",
        recovered=recovered,
        note=f"superseded: a window ending {newest} UTC was already delivered; an older one sends nothing",
    )
