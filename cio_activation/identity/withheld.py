"""Who is withheld from every destination, as nothing identifies them there: counts by reason."""

from __future__ import annotations

from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.tables import PERSONS


def undeliverable(con: Connection) -> dict[str, int]:
    """Return how many people each reason keeps from all destinations."""
    found = con.execute(
        f"SELECT undeliverable_reason, count(*) FROM {PERSONS} WHERE undeliverable_reason IS NOT NULL "
        "GROUP BY 1 ORDER BY 1"
    ).fetchall()
    return {str(reason): int(count) for reason, count in found}
