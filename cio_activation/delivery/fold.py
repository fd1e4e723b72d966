"""Folding: moves ended attempts from the journal into ledger, links and shadow, in one warehouse transaction.

The journal rows are deleted only after that transaction is committed. A kill in between finds them again, so
the transaction also notes which rows it took (``delivery.last_fold``), and the next fold passes over those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cio_activation.delivery import in_doubt, ownership, rejected, scopes
from cio_activation.delivery.destination import Context, Step
from cio_activation.journal.attempts import Journal
from cio_activation.warehouse.sessions import Connection, Warehouse

AT_ONCE = 10_000
"""Attempts folded in one transaction: a second beside a million people, which a cart may have to wait for."""
YIELD_S = 5.0
"""What each of them lets the real-time lane go first; more, and folds would fall behind a push of 1,500 a second."""
COLUMNS = (
    "operation_id", "run_id", "plan_id", "destination", "step", "lane", "kind", "cio_id", "record_id", "target",
    "payload", "keys", "row_hash", "window_key", "window_end", "end", "reason", "result_record_id", "status",
    "request_id", "observed", "intent_at", "ended_at",
)  # fmt: skip
"""Columns of the relation a step's ``fold`` reads; one row per ended attempt, the last of each operation."""


def fold(warehouse: Warehouse, journal: Journal, step: Step, destination: str, context: Context) -> int:
    """Fold everything that ended for this step; return how many attempts were moved."""
    moved = 0
    while rows := journal.ended(destination, step.name, AT_ONCE):
        with warehouse.write(yield_s=YIELD_S) as con:
            _load(con, rows, destination, step.name)
            step.fold(con, context, "finished")
            in_doubt.note(con, destination, step.lane, step.kinds, "finished")
            ownership.fold_conflicts(con, destination, step.name, "finished")
            _append_to_ledger(con)  # after the step, which may correct an end by what the warehouse knows
            _settle_plans(con)
            rejected.queue(con, destination, step.name, context, "finished")
            scopes.note_fold(con, destination, step.kinds, "finished")
            con.execute("DROP TABLE finished")
        journal.prune(rows["id"])
        moved += len(rows["id"])
    return moved


def _load(con: Connection, rows: Mapping[str, Sequence[Any]], destination: str, step: str) -> None:
    import pyarrow as pa

    types = {"id": pa.int64(), "window_end": pa.float64(), "intent_at": pa.float64(), "ended_at": pa.float64(),
             "status": pa.int32()}  # fmt: skip
    table = pa.table({n: pa.array(rows[n], types.get(n, pa.string())) for n in ("id", *COLUMNS)})
    con.register("arrived", table)
    con.execute(
        """CREATE OR REPLACE TEMP TABLE finished AS
        SELECT * REPLACE (
            CAST(row_hash AS UBIGINT) AS row_hash,
            make_timestamp(CAST(round(window_end * 1e6) AS BIGINT)) AS window_end,
            make_timestamp(CAST(round(intent_at * 1e6) AS BIGINT)) AS intent_at,
            make_timestamp(CAST(round(ended_at * 1e6) AS BIGINT)) AS ended_at)
        FROM arrived AS a
        WHERE NOT EXISTS (
            SELECT 1 FROM delivery.last_fold AS l
            WHERE l.destination = a.destination AND l.step = a.step
              AND l.journal_id = a.id AND l.intent_at = a.intent_at)
        QUALIFY row_number() OVER (PARTITION BY operation_id ORDER BY id DESC) = 1"""
    )
    con.execute("DELETE FROM delivery.last_fold WHERE destination = ? AND step = ?", [destination, step])
    con.execute("INSERT INTO delivery.last_fold SELECT destination, step, id, intent_at FROM arrived")
    con.unregister("arrived")


def _append_to_ledger(con: Connection) -> None:
    con.execute(
        """INSERT INTO delivery.ledger
        SELECT operation_id, run_id, plan_id, destination, step, lane, kind, cio_id,
               coalesce(result_record_id, record_id), target, payload, "end", reason, status, request_id,
               window_key, window_end, intent_at, ended_at
        FROM finished"""
    )


def _settle_plans(con: Connection) -> None:
    """Correct plans that were closed before these outcomes were learned: what they held has an end now."""
    con.execute(
        """UPDATE delivery.plans AS p
        SET delivered = p.delivered + l.delivered, rejected = p.rejected + l.rejected,
            unneeded = p.unneeded + l.unneeded, held = p.held - l.delivered - l.rejected - l.unneeded
        FROM (
            SELECT plan_id,
                   count(*) FILTER ("end" = 'delivered') AS delivered,
                   count(*) FILTER ("end" = 'rejected') AS rejected,
                   count(*) FILTER ("end" = 'unneeded') AS unneeded
            FROM finished GROUP BY plan_id
        ) AS l
        WHERE p.plan_id = l.plan_id AND p.status <> 'sending'"""
    )
