"""What the CRMs say of records with an open action that follows their owner, or that nobody touched in time."""

from __future__ import annotations

from cio_activation.activation.models import Activation
from cio_activation.activation.windows import Window
from cio_activation.audience.escalating import overdue
from cio_activation.audience.handing import open_ones
from cio_activation.feedback.acts import our_actions
from cio_activation.feedback.contexts import Wanted
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal

RECORDS = "feedback.records"


def wanted(con: Connection, activation: Activation, destination: str, window: Window) -> Wanted:
    """Return whose records ``destination`` has to be asked about; nobody where no audience of the lane says so."""
    selects = []
    for audience in activation.lane_audiences(window.lane):
        ask = audience.asks().get(destination)
        if ask is not None and ask.follow_owner:
            selects.append(f"SELECT cio_id, about FROM ({open_ones(audience, destination)})")
        elif ask is not None and ask.sla is not None:
            late = overdue(con, activation, audience, destination, ask.sla, window.as_of)
            selects.append(f"SELECT cio_id, about FROM ({late})")
    if not selects:
        return Wanted({}, (), ())
    people = " UNION ".join(selects)
    found = con.execute(
        f"""SELECT p.cio_id, coalesce(any_value(l.record_id), min(p.about)) FROM ({people}) AS p
        LEFT JOIN delivery.links AS l ON l.destination = {literal(destination)} AND l.cio_id = p.cio_id
        GROUP BY p.cio_id ORDER BY p.cio_id"""
    ).fetchall()
    ours = our_actions(con, destination, f"cio_id IN (SELECT cio_id FROM ({people}))")
    return Wanted({str(cio_id): str(record_id) for cio_id, record_id in found}, (), ours)
