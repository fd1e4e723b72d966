"""What is known of a destination's schema: vendor ids of fields, options and lists, for which file, since when."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cio_activation.runtime import Runtime


def store(runtime: Runtime, destination: str, catalog: Mapping[str, Any]) -> None:
    """Keep ``catalog`` as what this activation file needs and the destination has now."""
    with runtime.warehouse.write() as con:
        con.execute("DELETE FROM delivery.catalog WHERE destination = ?", [destination])
        con.execute(
            "INSERT INTO delivery.catalog VALUES (?, ?, ?, ?)",
            [destination, json.dumps(dict(catalog)), _utc_now(), _fingerprint(runtime)],
        )


def is_young(runtime: Runtime, destination: str, limit: timedelta) -> bool:
    """Tell whether a catalog of this activation file was stored no longer than ``limit`` ago."""
    with runtime.warehouse.read() as con:
        rows = con.execute(
            "SELECT 1 FROM delivery.catalog WHERE destination = ? AND fingerprint = ? AND checked_at >= ?",
            [destination, _fingerprint(runtime), _utc_now() - limit],
        ).fetchall()
    return bool(rows)


def _fingerprint(runtime: Runtime) -> str:
    return hashlib.sha256(runtime.settings.activation_file.read_bytes()).hexdigest()[:16]


def _utc_now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
