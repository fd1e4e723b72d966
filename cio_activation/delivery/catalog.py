"""What is known of a destination's schema: vendor ids of fields, options and lists; for which activation, when."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cio_activation.runtime import Runtime
from cio_activation.warehouse.sessions import Connection, Warehouse

ADVICE = "advice"
"""Key under which a destination's schema step keeps sentences that a person may want to read: nothing is wrong."""

TOLD = "told:"
"""Start of entries of what people there are told of a field (``told:<property>``): ids and values do not hang on it."""


def load(warehouse: Warehouse, destination: str) -> Mapping[str, Any]:
    """Return the vendor ids the schema step stored; empty before it ran."""
    with warehouse.read() as con:
        return read(con, destination)


def read(con: Connection, destination: str) -> Mapping[str, Any]:
    """Do what :func:`load` does, in a session that is open already."""
    rows = con.execute("SELECT catalog FROM delivery.catalog WHERE destination = ?", [destination]).fetchall()
    return json.loads(rows[0][0]) if rows else {}


def store(runtime: Runtime, destination: str, catalog: Mapping[str, Any]) -> None:
    """Keep ``catalog`` as what this activation needs and the destination has now."""
    with runtime.warehouse.write() as con:
        con.execute("DELETE FROM delivery.catalog WHERE destination = ?", [destination])
        con.execute(
            "INSERT INTO delivery.catalog VALUES (?, ?, ?, ?)",
            [destination, json.dumps(dict(catalog)), _utc_now(), runtime.activation.fingerprint()],
        )


def is_fresh(runtime: Runtime, destination: str, max_age: timedelta) -> bool:
    """Tell whether a catalog of this activation was stored no longer than ``max_age`` ago."""
    with runtime.warehouse.read() as con:
        rows = con.execute(
            "SELECT 1 FROM delivery.catalog WHERE destination = ? AND fingerprint = ? AND checked_at >= ?",
            [destination, runtime.activation.fingerprint(), _utc_now() - max_age],
        ).fetchall()
    return bool(rows)


def _utc_now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
