"""What happens when a contact turns out to be gone: deleted, or merged into another."""

from __future__ import annotations

from cio_activation.delivery import unmatched
from cio_activation.destinations.common.records import GONE, forget_shadows
from cio_activation.destinations.hubspot.config import NAME
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, scalar


def forget_gone(con: Connection, finished: str) -> None:
    """Part people from records that were found gone; who has taken their places is looked for by the step's follow-up.

    Nothing is made in their place unless the activation says so (``on_deleted``).
    """
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE gone AS
        SELECT cio_id, record_id, max(window_end) AS noticed_at FROM {finished}
        WHERE record_id IS NOT NULL AND ("end" = 'rejected' AND reason = {literal(GONE)}
              OR json_extract_string(observed, '$.gone') = 'true')
        GROUP BY ALL"""
    )
    # Two steps of one run may find the same; the first of them has looked already.
    con.execute(
        f"""DELETE FROM gone AS g WHERE NOT EXISTS (
            SELECT 1 FROM delivery.links AS l
            WHERE l.destination = {literal(NAME)} AND l.cio_id = g.cio_id AND l.record_id = g.record_id)"""
    )
    part(con)


def part(con: Connection) -> None:
    """Unlink the people in the temporary table ``gone`` (cio_id, record_id, noticed_at) from their records; drop it."""
    if scalar(con, "SELECT count(*) FROM gone"):
        unmatched.note_gone(con, NAME, "gone")
        con.execute(
            f"""UPDATE delivery.links AS l
            SET record_id = NULL, stamped = false, looked_up_email = NULL, looked_up_phone = NULL, matched_by = 'gone',
                recheck = NULL
            WHERE l.destination = {literal(NAME)}
              AND EXISTS (SELECT 1 FROM gone AS g WHERE g.cio_id = l.cio_id AND g.record_id = l.record_id)"""
        )
        forget_shadows(con, NAME, "gone")
    con.execute("DROP TABLE gone")


def has_unsettled(con: Connection) -> bool:
    """Return whether somebody's record was found gone, or may be, and they were not looked for since."""
    again = f"""SELECT l.cio_id FROM delivery.links AS l JOIN identity.persons AS p ON p.cio_id = l.cio_id
        WHERE l.destination = {literal(NAME)} AND l.recheck AND (p.deliverable OR p.phone_owner)"""
    return bool(scalar(con, f"SELECT EXISTS ({unmatched.unsettled(NAME)} UNION ALL {again})"))
