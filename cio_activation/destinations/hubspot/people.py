"""The relations of people that HubSpot's steps plan from, and what happens when a record turns out to be gone."""

from __future__ import annotations

from cio_activation.activation.models import Activation, Lane
from cio_activation.delivery.destination import Rows
from cio_activation.delivery.fields import shadow_name
from cio_activation.destinations.hubspot.config import listed_audiences
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal

NAME = "hubspot"
GONE = "record is gone"
"""Reason of a write whose record was deleted or merged away; the fold forgets the link, the next run links again."""


def lane_is_delivered(activation: Activation, lane: Lane) -> bool:
    """Return whether the lane has anything for HubSpot."""
    return bool(activation.lane_properties(lane, NAME) or listed_audiences(activation, lane))


def population(activation: Activation, lane: Lane, rows: Rows) -> str:
    """Return a SELECT of the ``cio_id`` of everybody the lane delivers: all with state, else its audiences' members.

    Like :func:`members`, of those only for whom a plan is made.
    """
    if activation.lane_properties(lane, NAME):
        return f"SELECT cio_id FROM {rows(f'state.{lane.value}_properties')}"
    return members(activation, rows, (lane,))


def members(activation: Activation, rows: Rows, lanes: tuple[Lane, ...] = tuple(Lane)) -> str:
    """Return a SELECT of the ``cio_id`` of everybody who is in a listed audience of ``lanes`` now."""
    names = [literal(a.name) for lane in lanes for a in listed_audiences(activation, lane)]
    inside = f"audience IN ({', '.join(names)})" if names else "false"
    return f"SELECT DISTINCT cio_id FROM {rows('audience.memberships')} WHERE {inside} AND exited_at IS NULL"


def lane_needs(activation: Activation, lane: Lane) -> tuple[str, ...]:
    """Return the asset keys of the deciding rooms that the lane's people and values come from."""
    persons = "identity/persons" if lane is Lane.DAILY else "identity/persons_live"
    if activation.lane_properties(lane, NAME):
        return (f"state/{lane.value}_properties", persons)
    return (*(f"audience/{a.name}" for a in listed_audiences(activation, lane)), persons)


def forget_gone(con: Connection, finished: str) -> None:
    """Forget links and shadow rows of records that were found gone, so that the next run looks the person up again.

    Both lanes' shadows: what the other lane wrote is gone with the record.
    """
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
    forget_shadows(con, "gone")
    con.execute("DROP TABLE gone")


def forget_shadows(con: Connection, records: str) -> None:
    """Delete the shadow rows of ``records`` (a relation of cio_id, record_id) in both lanes."""
    known = {
        row[0]
        for row in con.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'delivery'"
        ).fetchall()
    }
    for lane in Lane:
        if f"shadow_{NAME}_{lane.value}" in known:
            con.execute(
                f"""DELETE FROM {shadow_name(NAME, lane.value)} AS s WHERE EXISTS (
                    SELECT 1 FROM {records} AS r WHERE r.cio_id = s.cio_id AND r.record_id = s.record_id)"""
            )
