"""What is forgotten when a person's record is gone, and what goes along when it changes hands."""

from __future__ import annotations

from cio_activation.delivery.fields import UNKNOWN
from cio_activation.delivery.shadows import shadows
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier, literal

GONE = "record is gone"
"""Reason of a write whose record was deleted or merged away; the fold forgets the link, the next run links again."""


def forget_links(con: Connection, destination: str, records: str) -> None:
    """Delete the links of ``records`` (a relation of cio_id, record_id)."""
    con.execute(
        f"""DELETE FROM delivery.links AS l WHERE l.destination = {literal(destination)}
        AND EXISTS (SELECT 1 FROM {records} AS r WHERE r.cio_id = l.cio_id AND r.record_id = l.record_id)"""
    )


def forget_shadows(con: Connection, destination: str, records: str) -> None:
    """Delete the shadow rows of ``records`` (a relation of cio_id, record_id) in both lanes.

    Both: what the other lane wrote is gone with the record.
    """
    for table in shadows(con, destination):
        con.execute(
            f"""DELETE FROM {table} AS s WHERE EXISTS (
                SELECT 1 FROM {records} AS r WHERE r.cio_id = s.cio_id AND r.record_id = s.record_id)"""
        )


def shadows_unknown(con: Connection, destination: str, records: str) -> None:
    """Forget what both lanes know of ``records`` (a relation of cio_id, record_id): every field is written again."""
    for table in shadows(con, destination):
        columns = [str(row[0]) for row in con.execute(f"DESCRIBE {table}").fetchall()]
        unknown = "".join(f", {identifier(c)} = {UNKNOWN}" for c in columns if c.startswith("p_"))
        con.execute(
            f"""UPDATE {table} AS s SET whole_hash = NULL{unknown}
            FROM {records} AS r WHERE s.cio_id = r.cio_id AND s.record_id = r.record_id"""
        )


def hand_over_shadows(con: Connection, destination: str, heirs: str) -> None:
    """Give the shadow rows of ``heirs`` (a relation of cio_id, record_id, heir) to the heir; all is compared again."""
    for table in shadows(con, destination):
        con.execute(
            f"""UPDATE {table} AS s SET cio_id = h.heir, whole_hash = NULL
            FROM {heirs} AS h WHERE s.cio_id = h.cio_id AND s.record_id = h.record_id"""
        )
