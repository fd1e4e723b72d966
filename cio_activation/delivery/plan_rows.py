"""``delivery.plans``: one row a plan, and what became of it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from cio_activation.activation.windows import Window
from cio_activation.delivery import deferred, release
from cio_activation.delivery.destination import Context
from cio_activation.delivery.planned import Plan
from cio_activation.delivery.report import StepReport
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, timestamp


def newest_window(con: Connection, destination: str, step: str) -> datetime | None:
    """Return the as-of (naive UTC) of the newest window the step was planned for; None: never."""
    found = con.execute(
        "SELECT max(window_end) FROM delivery.plans WHERE destination = ? AND step = ?", [destination, step]
    ).fetchall()[0][0]
    return found if isinstance(found, datetime) else None


def enter(con: Connection, plan: Plan, destination: str, step: str, window: Window, run_id: str) -> None:
    """Enter a plan that was just made."""
    held = plan.operations if plan.held_because else 0
    row: dict[str, Any] = {
        "plan_id": plan.plan_id,
        "run_id": run_id,
        "destination": destination,
        "step": step,
        "lane": str(window.lane),
        "window_key": window.key,
        "window_end": window.as_of,
        "planned": plan.operations,
        "waiting": plan.waiting,
        "status": "held" if held else "sending" if plan.operations else "done",
        "held": held,
        "note": plan.held_because or plan.note,
        "fingerprint": plan.fingerprint,
        "guards": json.dumps([v.as_row() for v in plan.verdicts]),
        "released_from": plan.released_from,
        "made_at": datetime.now(UTC).replace(tzinfo=None),
        "units": plan.units,
        "over_budget": plan.over_budget,
    }
    columns = ", ".join(row)
    places = ", ".join("?" for _ in row)
    con.execute(f"INSERT INTO delivery.plans ({columns}) VALUES ({places})", list(row.values()))


def close(con: Connection, report: StepReport, plan: Plan, context: Context) -> StepReport:
    """Store how the plan ended, and who is deferred; return the report as the fold left it."""
    assert context.window is not None
    status = "held" if plan.held_because else "stopped" if report.stopped else "done"
    report = _as_folded(con, report, context.window.as_of)
    if not plan.held_because:
        _defer(con, report, plan, context)
    con.execute(
        """UPDATE delivery.plans SET delivered = ?, rejected = ?, unneeded = ?, held = ?, calls = ?,
        throttled = ?, status = ?, note = ? WHERE plan_id = ?""",
        [report.delivered, report.rejected, report.unneeded, report.held, sum(report.calls.values()),
         report.throttled, status, report.note, report.plan_id],
    )  # fmt: skip
    if status == "done" and not report.held and not plan.deferred:
        release.spend(con, report.destination, report.step, report.plan_id)
    return report


def _defer(con: Connection, report: StepReport, plan: Plan, context: Context) -> None:
    """Give what was not sent, or to no end, a place among the deferred; what ended has had its turn."""
    assert context.window is not None
    file = f"read_parquet({literal(str(plan.path))})"
    ended = f"""SELECT operation_id FROM delivery.ledger
        WHERE plan_id = {literal(plan.plan_id)} AND window_end = {timestamp(context.window.as_of)}
          AND "end" <> 'retry'"""
    deferred.settle(con, report.destination, report.step, f"(FROM {file} SEMI JOIN ({ended}) USING (operation_id))")
    if report.held > plan.over_budget:
        unsent = f"(FROM {file} ANTI JOIN ({ended}) USING (operation_id))"
        deferred.defer(con, report.destination, report.step, context, unsent)


def close_abandoned(con: Connection, destination: str, step: str) -> None:
    """Give the plans of killed runs their counts, from the ledger; what never got an end counts as held.

    Runs under the step's lease and after recovery and fold, so that everything that ended is in the ledger.
    """
    open_ones = "SELECT 1 FROM delivery.plans WHERE status = 'sending' AND destination = ? AND step = ? LIMIT 1"
    if not con.execute(open_ones, [destination, step]).fetchall():
        return
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
        [destination, step],
    )


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
