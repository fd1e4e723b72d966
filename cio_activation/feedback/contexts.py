"""What the CRMs say of those who are about to be asked for: whose record it is, and whether somebody is on them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cio_activation.activation.models import Activation
from cio_activation.activation.windows import Window
from cio_activation.audience.candidates import find
from cio_activation.delivery.outreach import OpenAction, PersonContext
from cio_activation.feedback.acts import our_actions
from cio_activation.warehouse import change_log
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, timestamp

CONTEXTS = "feedback.contexts"
FRESH = timedelta(minutes=5)
"""Within its window, what was read so recently is not read again: people wait for days, and runs come by the second."""


@dataclass(frozen=True)
class Wanted:
    """Who is about to enter an audience of the lane."""

    records: Mapping[str, str | None]
    """cio_id -> record there (None: none), of those who have to be asked about."""
    known: Collection[str]
    """The others: what was read of them a moment ago stands."""
    ours: Sequence[OpenAction]
    """Our own open actions for any of them."""


def wanted(con: Connection, activation: Activation, destination: str, window: Window, now: datetime) -> Wanted:
    """Return who is about to enter, and of whom ``destination`` has to be asked at ``now`` (naive UTC)."""
    people = find(con, activation, window)
    found = con.execute(
        f"""SELECT p.cio_id, l.record_id, c.cio_id IS NOT NULL AS fresh FROM {people} AS p
        LEFT JOIN (SELECT cio_id, record_id FROM delivery.links WHERE destination = {literal(destination)}) AS l
            ON l.cio_id = p.cio_id
        LEFT JOIN (
            SELECT cio_id, record_id FROM {CONTEXTS}
            WHERE {_mine(destination, window)} AND window_key = {literal(window.key)}
                AND read_at > {timestamp(now - FRESH)}
        ) AS c ON c.cio_id = p.cio_id AND c.record_id IS NOT DISTINCT FROM l.record_id
        ORDER BY p.cio_id"""
    ).fetchall()
    ours = our_actions(con, destination, f"cio_id IN (SELECT cio_id FROM {people})")
    records = {str(cio_id): record_id for cio_id, record_id, fresh in found if not fresh}
    return Wanted(records, {str(cio_id) for cio_id, _, fresh in found if fresh}, ours)


def land(
    con: Connection,
    destination: str,
    window: Window,
    people: Wanted,
    contexts: Sequence[PersonContext],
    read_at: datetime,
    table: str = CONTEXTS,
) -> int:
    """Keep what was read instead of what the lane knew before; return how many of ``people`` somebody is on.

    A record that was not there any more counts as none: who it is becomes clear when it is written to. ``table`` has
    the columns of ``feedback.contexts``.
    """
    import pyarrow as pa

    by_record = {c.record_id: c for c in contexts}
    rows = [
        (cio_id, by_record.get(record) if record is not None else None) for cio_id, record in people.records.items()
    ]
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
    con.register("known_now", pa.table({"cio_id": pa.array(sorted(people.known), pa.string())}))
    before = f"{_mine(destination, window)} AND cio_id NOT IN (SELECT cio_id FROM known_now)"
    told = "cio_id, record_id, owner_id, handled_by, handled_at"
    change_log.note(
        con,
        table,
        f"""SELECT cio_id FROM (
            (SELECT {told} FROM {table} WHERE {before} EXCEPT SELECT {told} FROM read_now)
            UNION ALL (SELECT {told} FROM read_now EXCEPT SELECT {told} FROM {table} WHERE {before}))""",
    )
    con.execute(f"DELETE FROM {table} WHERE {before}")
    con.execute(
        f"""INSERT INTO {table} BY NAME
        SELECT {literal(destination)} AS destination, {literal(window.lane.value)} AS lane, *,
            {literal(window.key)} AS window_key, CAST(? AS TIMESTAMP) AS read_at FROM read_now""",
        [read_at],
    )
    con.unregister("read_now")
    con.unregister("known_now")
    handled = f"SELECT count(*) FROM {table} WHERE {_mine(destination, window)} AND handled_by IS NOT NULL"
    return int(con.execute(handled).fetchall()[0][0])


def _mine(destination: str, window: Window) -> str:
    return f"destination = {literal(destination)} AND lane = {literal(window.lane.value)}"
