"""What first entries came to: read once a day until the span of each is over, and kept from then on.

Purchases are differences between what a person's attributes said at the entry and what they say now, or moments since.
A reading that comes late tells more than the span had: if somebody's last purchase is after its end, what the reading
before it said stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cio_activation.activation.models import Activation, Workspace
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import exists, identifier, literal, timestamp
from cio_activation.warehouse.tables import ACTIONS, LEDGER, MEASURED_ENTRIES, MOMENTS, PEOPLE_CURRENT

_ENTRY = "e.audience = r.audience AND e.version = r.version AND e.cio_id = r.cio_id"


@dataclass(frozen=True)
class Reading:
    """What one reading came to."""

    read: int
    """Entries whose purchases were looked at."""
    closed: int
    """Of these with a span that is over: they are not looked at again."""


def read(con: Connection, activation: Activation, as_of: datetime) -> Reading:
    """Bring the measured entries to ``as_of`` (naive UTC, the end of a daily window), and close those that are over.

    Running a window again changes nothing of what is closed; an older window than the last one read changes nothing.
    """
    workspace = activation.workspace
    told = workspace.purchase_attribute is not None or workspace.purchase_moment is not None
    if not told or not exists(con, PEOPLE_CURRENT):
        return Reading(0, 0)
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE open_entries AS
        SELECT audience, version, cio_id, entry_id, ghost, entered_at, closes_at, bought_before, orders_before,
            spent_before, orders, revenue, read_at
        FROM {MEASURED_ENTRIES}
        WHERE closed_at IS NULL AND entered_at < {timestamp(as_of)} AND coalesce(read_at <= {timestamp(as_of)}, TRUE)"""
    )
    purchases = _by_moments(workspace, as_of) if workspace.purchase_moment is not None else _by_attributes(workspace)
    con.execute(f"CREATE OR REPLACE TEMP TABLE reading AS {purchases}")
    entries, over = con.execute(
        f"SELECT count(*), count(*) FILTER (closes_at <= {timestamp(as_of)}) FROM open_entries"
    ).fetchall()[0]
    con.execute(
        f"""UPDATE {MEASURED_ENTRIES} AS e SET orders = r.orders, revenue = r.revenue, read_at = {timestamp(as_of)}
        FROM reading AS r
        WHERE {_ENTRY} AND (e.orders IS DISTINCT FROM r.orders OR e.revenue IS DISTINCT FROM r.revenue)"""
    )
    if over:
        _close(con, as_of)
    con.execute("DROP TABLE reading")
    con.execute("DROP TABLE open_entries")
    return Reading(int(entries), int(over))


def _by_attributes(workspace: Workspace) -> str:
    """Return the SELECT of each open entry's orders and revenue since, from the people as they are now.

    Whoever is not there any more stays as last read.
    """
    last = f"CAST(p.{identifier(str(workspace.purchase_attribute))} AS TIMESTAMP)"
    counted, spent = "1", "NULL"
    if workspace.order_count_attribute is not None:
        now = f"p.{identifier(workspace.order_count_attribute)}"
        counted = f"greatest(coalesce({now} - {_before('orders_before')}, 1), 1)"
    if workspace.total_spent_attribute is not None:
        spent = f"p.{identifier(workspace.total_spent_attribute)} - {_before('spent_before')}"
    nothing = "0" if workspace.total_spent_attribute is not None else "NULL"
    bought = f"{last} > o.entered_at AND {last} IS DISTINCT FROM o.bought_before"
    return f"""SELECT o.audience, o.version, o.cio_id,
            CAST(CASE WHEN p.cio_id IS NULL OR {last} > o.closes_at THEN coalesce(o.orders, 0)
                WHEN {bought} THEN {counted} ELSE 0 END AS BIGINT) AS orders,
            CAST(CASE WHEN p.cio_id IS NULL OR {last} > o.closes_at THEN coalesce(o.revenue, {nothing})
                WHEN {bought} THEN {spent} ELSE {nothing} END AS DOUBLE) AS revenue
        FROM open_entries AS o LEFT JOIN {PEOPLE_CURRENT} AS p ON p.cio_id = o.cio_id"""


def _before(column: str) -> str:
    """Return SQL for what was so at the entry: nothing if nobody had bought, NULL if it was not told of a buyer."""
    return f"coalesce(o.{column}, CASE WHEN o.bought_before IS NULL THEN 0 END)"


def _by_moments(workspace: Workspace, as_of: datetime) -> str:
    """Return the SELECT of each open entry's purchases and their worth, from the moments that tell of them."""
    moment = workspace.purchase_moment
    assert moment is not None
    value, nothing = "NULL", "NULL"
    if moment.value is not None:
        path = "$" + "".join(f'."{step}"' for step in moment.value.split("."))
        number = f"TRY_CAST(json_extract_string(m.body, {literal(path)}) AS DOUBLE)"
        value, nothing = f"sum(CASE WHEN isfinite({number}) THEN {number} END)", "0"
    return f"""SELECT o.audience, o.version, o.cio_id, count(m.cio_id) AS orders,
            CAST(coalesce({value}, {nothing}) AS DOUBLE) AS revenue
        FROM open_entries AS o
        LEFT JOIN {MOMENTS} AS m ON m.cio_id = o.cio_id AND m.kind = {literal(moment.name)} AND m.problem IS NULL
            AND NOT coalesce(m.machine, FALSE) AND m.occurred_at > o.entered_at
            AND m.occurred_at <= least(o.closes_at, {timestamp(as_of)})
        GROUP BY ALL"""


def _close(con: Connection, as_of: datetime) -> None:
    """Close the entries whose span is over, with what humans were asked for them and whether a CRM took them."""
    con.execute(
        f"""UPDATE {MEASURED_ENTRIES} AS e
        SET closed_at = {timestamp(as_of)}, actions = r.actions, done = r.done, acted_at = r.acted_at, synced = r.synced
        FROM (
            WITH over AS (FROM open_entries WHERE closes_at <= {timestamp(as_of)}),
            asked AS (
                SELECT o.audience, o.version, o.cio_id, count(*) AS actions,
                    count(*) FILTER (a.status = 'done') AS done, min(a.ended_at) FILTER (a.status = 'done') AS acted_at
                FROM over AS o JOIN {ACTIONS} AS a ON a.audience = o.audience AND a.cio_id = o.cio_id
                    AND (a.entry_id = o.entry_id OR a.opened_at > o.entered_at AND a.opened_at <= o.closes_at)
                GROUP BY ALL
            ), taken AS (
                SELECT DISTINCT o.audience, o.version, o.cio_id
                FROM over AS o JOIN {LEDGER} AS l ON l.cio_id = o.cio_id AND l."end" = 'delivered'
                    AND l.window_end >= o.entered_at AND l.window_end <= o.closes_at
                WHERE l.kind = 'add' AND l.target = o.audience OR list_contains(
                    from_json(json_extract(json_extract_string(l.payload, '$.audiences'), '$.in'), '["VARCHAR"]'),
                    o.audience)
            )
            SELECT o.audience, o.version, o.cio_id, coalesce(a.actions, 0) AS actions, coalesce(a.done, 0) AS done,
                a.acted_at, t.cio_id IS NOT NULL OR coalesce(a.actions, 0) > 0 AS synced
            FROM over AS o
            LEFT JOIN asked AS a ON a.audience = o.audience AND a.version = o.version AND a.cio_id = o.cio_id
            LEFT JOIN taken AS t ON t.audience = o.audience AND t.version = o.version AND t.cio_id = o.cio_id
        ) AS r WHERE {_ENTRY}"""
    )
