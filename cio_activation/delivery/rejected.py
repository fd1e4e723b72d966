"""The queue of refused operations: what waits, what is due, what is parked; and a summary of it.

A refused operation is tried again when its cause can have changed: another value (that is another operation), another
schema at the destination (due at once, parked ones too), or time (1, 2, 4, 8 days; after five tries it is parked).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cio_activation.delivery.destination import Context
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, timestamp

MAX_ATTEMPTS = 5
"""Tries of a refused operation before it is parked (next_try_at NULL)."""


@dataclass(frozen=True)
class Refused:
    """Operations of one step that one reason keeps from being delivered."""

    destination: str
    step: str
    reason: str
    operations: int
    people: int
    parked: int
    """Tried too often: waits for another value or another schema."""
    next_try_at: datetime | None
    """As-of (naive UTC) from which on the first of them is tried again; None if all are parked."""


def catalog_hash(catalog: Mapping[str, Any]) -> str:
    """Return a hash of what is known of a destination's schema."""
    text = json.dumps(dict(catalog), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def waiting(destination: str, step: str, context: Context, as_of: datetime) -> str:
    """Return a SELECT of the operation ids that are not due at ``as_of``."""
    return f"""SELECT operation_id FROM delivery.rejected
    WHERE destination = {literal(destination)} AND step = {literal(step)}
      AND (next_try_at IS NULL OR next_try_at > {timestamp(as_of)})
      AND coalesce(catalog_hash = {literal(catalog_hash(context.catalog))}, true)"""


def forget_unwanted(con: Connection, destination: str, step: str, wanted: str) -> None:
    """Drop queued rejects whose change is not in ``wanted`` any more (the value moved on, the person left)."""
    con.execute(
        f"""DELETE FROM delivery.rejected WHERE destination = ? AND step = ?
        AND operation_id NOT IN (SELECT operation_id FROM {wanted})""",
        [destination, step],
    )


def queue(con: Connection, destination: str, step: str, context: Context, finished: str) -> None:
    """Queue what ``finished`` refused, with a delay that doubles, in as-of time; drop what went through."""
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE queued AS
        SELECT f.operation_id, f.destination, f.step, f.lane, f.kind, f.cio_id, f.target, f.reason,
               coalesce(r.attempts, 0) + 1 AS attempts, f.window_end
        FROM {finished} AS f LEFT JOIN delivery.rejected AS r ON r.operation_id = f.operation_id
        WHERE f."end" = 'rejected'"""
    )
    con.execute(
        f"""DELETE FROM delivery.rejected WHERE destination = ? AND step = ?
        AND operation_id IN (SELECT operation_id FROM {finished} WHERE "end" <> 'retry')""",
        [destination, step],
    )
    con.execute(
        f"""INSERT INTO delivery.rejected BY NAME
        SELECT * EXCLUDE (window_end), {literal(catalog_hash(context.catalog))} AS catalog_hash,
               CASE WHEN attempts < {MAX_ATTEMPTS}
                    THEN window_end + INTERVAL 1 DAY * CAST(pow(2, attempts - 1) AS INT) END AS next_try_at
        FROM queued"""
    )
    con.execute("DROP TABLE queued")


def summary(con: Connection) -> list[Refused]:
    """Return what stands in the queue by destination, step and reason, the most first."""
    rows = con.execute(
        """SELECT destination, step, coalesce(reason, '(none given)'), count(*), count(DISTINCT cio_id),
                  count(*) FILTER (next_try_at IS NULL), min(next_try_at)
        FROM delivery.rejected GROUP BY ALL ORDER BY 4 DESC, 1, 2, 3"""
    ).fetchall()
    return [Refused(*row) for row in rows]


def operations(con: Connection) -> list[dict[str, Any]]:
    """Return every queued operation: who (``cio_id`` only), what, why, how often tried, when next."""
    names = ("destination", "step", "reason", "cio_id", "kind", "target", "attempts", "next_try_at")
    rows = con.execute(
        f"SELECT {', '.join(names)} FROM delivery.rejected ORDER BY destination, step, reason, cio_id, operation_id"
    ).fetchall()
    return [dict(zip(names, row, strict=True)) for row in rows]
