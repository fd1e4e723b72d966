"""What happens when a contact turns out to be gone: deleted, or merged into another."""

from __future__ import annotations

from cio_activation.destinations.common.records import GONE, forget_shadows
from cio_activation.destinations.hubspot.config import NAME
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal


def forget_gone(con: Connection, finished: str) -> None:
    """Forget links and shadow rows of records that were found gone, so that the next run looks the person up again."""
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE gone AS
        SELECT DISTINCT cio_id, record_id FROM {finished}
        WHERE record_id IS NOT NULL AND ("end" = 'rejected' AND reason = {literal(GONE)}
              OR json_extract_string(observed, '$.gone') = 'true')"""
    )
    con.execute(
        f"""UPDATE delivery.links AS l
        SET record_id = NULL, stamped = false, looked_up_email = NULL, matched_by = 'gone'
        WHERE l.destination = {literal(NAME)}
          AND EXISTS (SELECT 1 FROM gone AS g WHERE g.cio_id = l.cio_id AND g.record_id = l.record_id)"""
    )
    forget_shadows(con, NAME, "gone")
    con.execute("DROP TABLE gone")
