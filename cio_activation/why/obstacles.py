"""What does not come through to a person's records: refused, rejected, in conflict, or planned and not sent yet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cio_activation.delivery.release import plan_file
from cio_activation.transport.reasons import told as reason_told
from cio_activation.warehouse.sql import literal
from cio_activation.why.facts import Asking, Fact, minute
from cio_activation.why.under_way import attempts, key_of
from cio_activation.why.windows import window_of
from cio_activation.why.writes import done

_OBSTACLES: Mapping[str, str] = {
    "refused": "a value could not be read and was refused",
    "stale": "the last good value stands, since what came could not be read",
    "key_clash": "somebody else has the same match key",
    "gone": "the record was deleted or merged there, and none is made in its place",
    "rejected": "the vendor rejects it",
    "conflict": "a human changed the value, and it is left as it is",
    "deferred": "did not fit and goes first next time",
}
"""Obstacle -> what it is, of ``outcome.why_obstacles``."""
_NOW = "a run is at it, or was killed"
_STOPPED = "the run was stopped, or the day's budget was used up"


def facts(asking: Asking, cio_id: str) -> list[Fact]:
    """Return what does not come through; for a time in the past, what was noted up to then."""
    found = [_obstacle(asking, row) for row in asking.rows("FROM outcome.why_obstacles WHERE cio_id = ?", [cio_id])]
    if asking.as_of is None:
        return found + _stopped(asking, cio_id)
    return [fact for fact in found if fact.as_of is not None and fact.as_of <= asking.as_of]


def _obstacle(asking: Asking, row: Mapping[str, Any]) -> Fact:
    as_of = row["as_of"]
    if as_of is None and row["obstacle"] == "refused":
        window = window_of(asking.activation, row["lane"], row["window_key"])
        as_of = window.as_of if window is not None else None
    about = f" {row['about']}" if row["about"] else ""
    reason = f": {reason_told(row['reason'])}" if row["reason"] else ""
    other = f" (owner: {row['other_cio_id']})" if row["other_cio_id"] else ""
    again = f"; tried again from {minute(row['until'])}" if row["until"] and row["until"].year > 1970 else ""
    return Fact(
        what="obstacle",
        sentence=f"{row['place']}{about}: {_OBSTACLES[row['obstacle']]}{reason}{other}{again}",
        as_of=as_of,
        about=row["about"],
        window_key=row["window_key"],
        values={name: row[name] for name in ("obstacle", "place", "reason", "other_cio_id", "until")},
    )


def _stopped(asking: Asking, cio_id: str) -> list[Fact]:
    """Return what the newest plan of a step has of the person's that did not get out.

    By a guard, the budget, or as the run was stopped; or since a run is at it, or was killed.
    """
    found = []
    sent = {key_of(row) for row in attempts(asking, cio_id)}
    for plan in asking.rows(
        """SELECT * FROM delivery.plans WHERE made_at IS NOT NULL
        QUALIFY row_number() OVER (PARTITION BY destination, step ORDER BY made_at DESC) = 1"""
    ):
        path = plan_file(asking.settings, plan["lane"], plan["window_key"], plan["plan_id"])
        if not (plan["held"] or plan["status"] == "sending") or not path.is_file():
            continue
        unsent = asking.rows(
            f"""WITH ended AS (SELECT operation_id, "end" FROM delivery.ledger WHERE cio_id = $who AND plan_id = $plan)
            SELECT $destination AS destination, $plan AS plan_id, kind, record_id, target, payload, operation_id,
                operation_id IN (SELECT operation_id FROM ended) AS tried
            FROM read_parquet({literal(str(path))})
            WHERE cio_id = $who AND operation_id NOT IN (SELECT operation_id FROM ended WHERE "end" <> 'retry')""",
            {"who": cio_id, "plan": plan["plan_id"], "destination": plan["destination"]},
        )
        because = _NOW if plan["status"] == "sending" else plan["note"] or _STOPPED
        found += [
            Fact(
                what="obstacle",
                sentence=f"{row['destination']}: not {'through' if row['tried'] else 'sent'} yet: {done(asking, row)}: "
                + ("there was no certain answer" if row["tried"] else because),
                as_of=plan["window_end"],
                about=row["target"],
                destination=row["destination"],
                window_key=plan["window_key"],
                run_id=plan["run_id"],
                values={
                    "obstacle": "held", "plan_id": plan["plan_id"], "operation_id": row["operation_id"],
                    "guards": json.loads(plan["guards"] or "[]"),
                },
            )
            for row in unsent
            if key_of(row) not in sent
        ]  # fmt: skip
    return found
