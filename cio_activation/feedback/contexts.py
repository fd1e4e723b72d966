"""What the CRMs say of those who are about to be asked for: whose record it is, and whether somebody is on them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cio_activation.activation.models import Activation
from cio_activation.activation.windows import Window
from cio_activation.audience.candidates import find
from cio_activation.delivery.outreach import OpenAction, PersonContext
from cio_activation.feedback.acts import our_actions
from cio_activation.warehouse import change_log
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal

CONTEXTS = "feedback.contexts"


def wanted(
    con: Connection, activation: Activation, destination: str, window: Window
) -> tuple[dict[str, str | None], list[OpenAction]]:
    """Return cio_id -> record (None: none) of whoever is about to enter, and our own open actions for them."""
    people = find(con, activation, window)
    found = con.execute(
        f"""SELECT p.cio_id, l.record_id FROM {people} AS p
        LEFT JOIN (SELECT cio_id, record_id FROM delivery.links WHERE destination = ?) AS l ON l.cio_id = p.cio_id
        ORDER BY p.cio_id""",
        [destination],
    ).fetchall()
    ours = our_actions(con, destination, f"cio_id IN (SELECT cio_id FROM {people})")
    return {str(cio_id): record_id for cio_id, record_id in found}, ours


def land(
    con: Connection,
    destination: str,
    window: Window,
    records: dict[str, str | None],
    contexts: Sequence[PersonContext],
    read_at: datetime,
) -> int:
    """Keep what was read instead of what the lane knew before; return how many people somebody is on.

    A record that was not there any more counts as none: who it is becomes clear when it is written to.
    """
    import pyarrow as pa

    by_record = {c.record_id: c for c in contexts}
    rows = [(cio_id, by_record.get(record) if record is not None else None) for cio_id, record in records.items()]
    con.register(
        "read_now",
        pa.table(
            {
                "cio_id": pa.array([cio_id for cio_id, _ in rows], pa.string()),
                "record_id": pa.array([c.record_id if c else None for _, c in rows], pa.string()),
                "owner_id": pa.array([c.owner_id if c else None for _, c in rows], pa.string()),
                "handled_by": pa.array(
                    [str(c.handled_by) if c and c.handled_by else None for _, c in rows], pa.string()
                ),
                "handled_at": pa.array([c.handled_at if c else None for _, c in rows], pa.timestamp("us")),
            }
        ),
    )
    lane = literal(window.lane.value)
    mine = f"destination = {literal(destination)} AND lane = {lane}"
    told = "cio_id, record_id, owner_id, handled_by, handled_at"
    change_log.note(
        con,
        CONTEXTS,
        f"""SELECT cio_id FROM (
            (SELECT {told} FROM {CONTEXTS} WHERE {mine} EXCEPT SELECT {told} FROM read_now)
            UNION ALL (SELECT {told} FROM read_now EXCEPT SELECT {told} FROM {CONTEXTS} WHERE {mine}))""",
    )
    con.execute(f"DELETE FROM {CONTEXTS} WHERE {mine}")
    con.execute(
        f"""INSERT INTO {CONTEXTS} BY NAME SELECT {literal(destination)} AS destination, {lane} AS lane, *,
            {literal(window.key)} AS window_key, CAST(? AS TIMESTAMP) AS read_at FROM read_now""",
        [read_at],
    )
    con.unregister("read_now")
    return sum(1 for _, c in rows if c is not None and c.handled_by is not None)
