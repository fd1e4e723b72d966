"""What humans did with actions: read back, compared with what we last knew, kept as acts. Append-only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cio_activation.activation.models import Activation, Lane
from cio_activation.delivery.outreach import OpenAction, Owner, SeenAction, Status
from cio_activation.warehouse import change_log
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, timestamp

ACTIONS, ACTS = "delivery.actions", "feedback.acts"


def open_actions(con: Connection, activation: Activation, destination: str, lane: Lane) -> list[OpenAction]:
    """Return our actions that were open when last heard of. The real-time lane reads those of its own audiences."""
    own = ", ".join(literal(a.name) for a in activation.lane_audiences(Lane.REALTIME)) or "NULL"
    return our_actions(con, destination, f"audience IN ({own})" if lane is Lane.REALTIME else "TRUE")


def our_actions(con: Connection, destination: str, condition: str) -> list[OpenAction]:
    """Return our actions for which ``condition`` (SQL over ``delivery.actions``) holds and that are open still."""
    found = con.execute(
        f"""SELECT kind, record_id, entry_id, about, owner_id, due_at, shown, status FROM {ACTIONS}
        WHERE destination = ? AND ended_at IS NULL AND {condition} ORDER BY kind, record_id""",
        [destination],
    ).fetchall()
    return [
        OpenAction(kind, record_id, entry_id, about, owner_id, due_at, shown, Status(status))
        for kind, record_id, entry_id, about, owner_id, due_at, shown, status in found
    ]


def land_owners(con: Connection, destination: str, owners: Sequence[Owner], read_at: datetime) -> None:
    """Keep who can be asked to act at ``destination`` now."""
    import pyarrow as pa

    columns = {
        "owner_id": pa.array([o.owner_id for o in owners], pa.string()),
        "email": pa.array([o.email.lower() if o.email else None for o in owners], pa.string()),
        "active": pa.array([o.active for o in owners], pa.bool_()),
        "timezone": pa.array([o.timezone for o in owners], pa.string()),
    }
    con.register("owners_now", pa.table(columns))
    con.execute("DELETE FROM feedback.owners WHERE destination = ?", [destination])
    con.execute(
        """INSERT INTO feedback.owners BY NAME
        SELECT ? AS destination, *, CAST(? AS TIMESTAMP) AS read_at FROM owners_now""",
        [destination, read_at],
    )
    con.unregister("owners_now")


def land_acts(con: Connection, destination: str, seen: Sequence[SeenAction], as_of: datetime) -> dict[str, int]:
    """Keep what humans did since an action was last heard of; return how often each act.

    An act whose time the destination does not tell happened at ``as_of`` (naive UTC). A due date moved to later puts
    off; to whom and when it is due is taken over in any case, so that the same is never told twice.
    """
    import pyarrow as pa

    con.register(
        "seen_now",
        pa.table(
            {
                "record_id": pa.array([s.record_id for s in seen], pa.string()),
                "status": pa.array([str(s.status) for s in seen], pa.string()),
                "happened_at": pa.array([s.happened_at for s in seen], pa.timestamp("us")),
                "owner_id": pa.array([s.owner_id for s in seen], pa.string()),
                "due_at": pa.array([s.due_at for s in seen], pa.timestamp("us")),
            }
        ),
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE heard AS
        SELECT x.destination, x.kind, x.record_id, x.entry_id, x.audience, x.cio_id,
            -- Gone after its entry had ended: what takes it back may have got no answer, and that is no human's act.
            CASE WHEN s.status = 'deleted' AND m.exited_at IS NOT NULL THEN 'withdrawn' ELSE s.status END AS status,
            x.status AS status_before,
            coalesce(s.happened_at, {timestamp(as_of)}) AS happened_at,
            CASE WHEN s.due_at IS DISTINCT FROM x.due_at THEN s.due_at END AS moved_to,
            s.due_at > x.due_at AS put_off,
            CASE WHEN s.owner_id IS DISTINCT FROM x.owner_id THEN s.owner_id END AS given_to,
            -- Given to them by ourselves, and the answer to that got lost.
            a.given_at IS NOT NULL AND s.owner_id = a.owner_id AS given_by_us
        FROM seen_now AS s JOIN {ACTIONS} AS x
            ON x.destination = {literal(destination)} AND x.record_id = s.record_id AND x.ended_at IS NULL
        LEFT JOIN audience.memberships AS m ON m.entry_id = x.entry_id
        LEFT JOIN audience.assignments AS a ON a.entry_id = x.entry_id AND a.destination = x.destination"""
    )
    con.unregister("seen_now")
    told = f"""
        SELECT *, status AS act, happened_at AS act_at, CAST(NULL AS TIMESTAMP) AS until,
            CAST(NULL AS VARCHAR) AS detail
        FROM heard WHERE status NOT IN ('open', 'withdrawn') AND status <> status_before
        UNION ALL
        SELECT *, 'snoozed', {timestamp(as_of)}, moved_to, NULL FROM heard
        WHERE put_off AND status IN ('open', 'taken_up')
        UNION ALL
        SELECT *, 'reassigned', {timestamp(as_of)}, NULL, given_to FROM heard
        WHERE given_to IS NOT NULL AND NOT coalesce(given_by_us, FALSE) AND status IN ('open', 'taken_up')"""
    con.execute(
        f"""INSERT INTO {ACTS} BY NAME
        SELECT destination, kind, record_id, entry_id, audience, cio_id, act, act_at AS happened_at, until, detail,
            {timestamp(as_of)} AS seen_at FROM ({told})"""
    )
    counts = con.execute(f"SELECT act, count(*) FROM ({told}) GROUP BY act ORDER BY act").fetchall()
    con.execute(
        f"""UPDATE {ACTIONS} AS x SET status = h.status,
            ended_at = CASE WHEN h.status IN ('done', 'deleted', 'withdrawn') THEN h.happened_at END,
            due_at = coalesce(h.moved_to, x.due_at), owner_id = coalesce(h.given_to, x.owner_id)
        FROM heard AS h WHERE x.destination = h.destination AND x.kind = h.kind AND x.record_id = h.record_id"""
    )
    moved = "SELECT cio_id FROM heard WHERE status <> status_before OR moved_to IS NOT NULL OR given_to IS NOT NULL"
    for table in (ACTS, ACTIONS):
        change_log.note(con, table, moved)
    con.execute("DROP TABLE heard")
    return {str(act): int(n) for act, n in counts}
