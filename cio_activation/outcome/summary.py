"""What the plans of all windows came to, and what is in quarantine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cio_activation.runtime import Runtime
from cio_activation.warehouse.sessions import Warehouse
from cio_activation.warehouse.sql import exists, scalar

_COUNTS = ("planned", "delivered", "rejected", "unneeded", "held")


def summarise(runtime: Runtime) -> dict[str, Any]:
    """Return ``operations`` (per destination) and ``quarantined`` (per layer and reason), over all windows."""
    with runtime.warehouse.read() as con:
        totals = con.execute(
            f"""SELECT destination, {", ".join(f"CAST(coalesce(sum({c}), 0) AS BIGINT)" for c in _COUNTS)}
            FROM delivery.plans GROUP BY destination ORDER BY destination"""
        ).fetchall()
        bad = con.execute(
            "SELECT layer, reason, count(*) FROM quarantine.rows GROUP BY layer, reason ORDER BY layer, reason"
        ).fetchall()
    operations = {name: dict(zip(_COUNTS, counts, strict=True)) for name, *counts in totals}
    quarantined: dict[str, dict[str, int]] = {}
    for layer, reason, count in bad:
        quarantined.setdefault(layer, {})[reason] = count
    return {
        "operations": {n: operations.get(n, dict.fromkeys(_COUNTS, 0)) for n in runtime.activation.destinations},
        "quarantined": quarantined,
    }


def delivered_before(warehouse: Path) -> bool:
    """Return whether this home has delivered anything yet; changes nothing."""
    if not warehouse.exists():
        return False
    with Warehouse(warehouse).read() as con:
        return exists(con, "delivery.plans") and bool(scalar(con, "SELECT sum(delivered) > 0 FROM delivery.plans"))
