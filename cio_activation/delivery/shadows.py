"""Which shadows a destination has: one for each lane that has written to it."""

from __future__ import annotations

from cio_activation.activation.models import Lane
from cio_activation.delivery.fields import shadow_name
from cio_activation.warehouse.sessions import Connection


def shadows(con: Connection, destination: str) -> list[str]:
    """Return the names of the destination's shadows that are there."""
    known = {
        row[0]
        for row in con.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'delivery'"
        ).fetchall()
    }
    return [shadow_name(destination, lane.value) for lane in Lane if f"shadow_{destination}_{lane.value}" in known]
