"""What ``cio-activation check`` tells of governance: the CRMs as they were just asked, the rest as of a window."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from cio_activation.activation.models import Activation, Lane
from cio_activation.governance.concerns import Definitions, concerns, drifted, orphaned
from cio_activation.governance.matters import Concern
from cio_activation.warehouse.sessions import Connection, Warehouse
from cio_activation.warehouse.sql import exists
from cio_activation.warehouse.tables import GOVERNANCE, PUBLISHED


def present(warehouse: Path, activation: Activation, there: Definitions) -> list[Concern]:
    """Return the concerns as of the newest daily window; of a home without one, what the CRMs have. Changes nothing."""
    if warehouse.exists():
        with Warehouse(warehouse).read() as con:
            if exists(con, GOVERNANCE) and (as_of := _newest(con)) is not None:
                return concerns(con, activation, there, as_of)
    return [*orphaned(there), *drifted(there)]


def _newest(con: Connection) -> datetime | None:
    """Return the end of the newest daily window that published anything (naive UTC)."""
    rows = con.execute(f"SELECT max(window_end) FROM {PUBLISHED} WHERE lane = ?", [Lane.DAILY.value]).fetchall()
    return None if rows[0][0] is None else datetime.fromisoformat(str(rows[0][0]))
