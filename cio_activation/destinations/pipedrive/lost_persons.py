"""Which persons are gone that no list shows as gone: deleted, or merged into another. Asked for by id, few at a time.

A merge shows on its survivor, which has the other's e-mail or our id from then on: whoever has those here is asked
for at once. A deletion shows nowhere, so in each daily window some of the people in an audience are asked for, whom we
have not seen for longest: ``PROBES`` calls, whatever the number of people. Everybody else's is learned when a write
answers 404 or 410.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cio_activation.activation.models import Lane
from cio_activation.delivery.destination import Context
from cio_activation.destinations.common.people import OnDeleted
from cio_activation.destinations.pipedrive.api import MAX_IDS, PipedriveApi
from cio_activation.destinations.pipedrive.config import NAME, settings_of
from cio_activation.destinations.pipedrive.mirrored import mark_deleted, note_matching
from cio_activation.transport.errors import BudgetSpent
from cio_activation.warehouse import change_log
from cio_activation.warehouse.sessions import Connection, Warehouse
from cio_activation.warehouse.sql import literal, timestamp

PROBES = 10
"""Calls in a daily window that ask for people in an audience: 10 tokens and 100 people each."""


@dataclass(frozen=True)
class Suspects:
    """Persons of Pipedrive that may be gone."""

    ids: tuple[str, ...]
    """To be asked for."""
    gone: tuple[str, ...]
    """Known to be gone: whether they can be restored is still to be asked."""


def suspects(context: Context, lane: Lane, walked: Path | None) -> Suspects:
    """Return who may be gone, after a walk of changed persons (its file; None: a whole walk).

    Opens the warehouse for one short read: no call may be on its way.
    """
    assert context.window is not None
    settings = context.settings
    with Warehouse(settings.warehouse_path, memory_limit=settings.activation_duckdb_memory).read() as con:
        asked = [] if walked is None else _hinted(con, walked)
        if walked is not None and lane is Lane.DAILY:
            asked += _in_turn(con, context, walked)
        gone = con.execute(
            f"SELECT record_id FROM delivery.gone_records WHERE destination = {literal(NAME)} AND in_bin IS NULL "
            "ORDER BY record_id"
        ).fetchall()
    return Suspects(tuple(dict.fromkeys(asked)), tuple(str(i) for (i,) in gone))


async def ask(api: PipedriveApi, context: Context, found: Suspects) -> list[dict[str, Any]]:
    """Ask for the suspects by id; return rows for :func:`note`. An empty budget leaves the rest for another window."""
    rows: list[dict[str, Any]] = []
    missing: list[str] = []
    try:
        for start in range(0, len(found.ids), MAX_IDS):
            ids = found.ids[start : start + MAX_IDS]
            there = await api.living(ids)
            missing += [i for i in ids if i not in there]
            rows.append({"there": sorted(there), "missing": [i for i in ids if i not in there]})
        if settings_of(context.activation).on_deleted is OnDeleted.RECREATE:
            for person_id in dict.fromkeys([*missing, *found.gone]):
                rows.append({"person_id": person_id, "in_bin": await api.in_recycle_bin(person_id)})
    except BudgetSpent:
        # What the walk found is worth more than this: it goes on, and who was not asked for is the first next time.
        return rows
    return rows


def note(con: Connection, context: Context, row: Mapping[str, Any]) -> None:
    """Store one row of :func:`ask` in the mirror."""
    assert context.window is not None
    if "in_bin" in row:
        con.execute(
            "UPDATE delivery.pipedrive_persons SET in_bin = ? WHERE person_id = ?", [row["in_bin"], row["person_id"]]
        )
        con.execute(
            f"UPDATE delivery.gone_records SET in_bin = ? WHERE destination = {literal(NAME)} AND record_id = ?",
            [row["in_bin"], row["person_id"]],
        )
        _note_barred(con, str(row["person_id"]))
        return
    mark_deleted(con, f"SELECT unnest([{', '.join(map(literal, row['missing']))}]::VARCHAR[]) AS person_id")
    con.execute(
        f"""UPDATE delivery.pipedrive_persons SET mirrored_at = greatest(mirrored_at, {timestamp(context.window.as_of)})
        WHERE person_id IN (SELECT unnest(?::VARCHAR[]))""",
        [row["there"]],
    )


def _note_barred(con: Connection, record: str) -> None:
    """Note whom it concerns whether a record that is gone can be restored: who had it, and who has its address."""
    gone = f"FROM delivery.gone_records WHERE destination = {literal(NAME)} AND record_id = {literal(record)}"
    change_log.note(
        con,
        f"delivery.{NAME}",
        f"""SELECT cio_id {gone} UNION
        SELECT cio_id FROM identity.persons WHERE sha256(email) IN (SELECT email_hash {gone})""",
    )
    note_matching(con, "SELECT 1")


def _hinted(con: Connection, walked: Path) -> list[str]:
    """Return the persons of ours whose e-mail, or our id, turned up on another one since we last saw that."""
    rows = con.execute(
        f"""WITH seen AS (
            SELECT person_id, external_id, emails FROM read_json({literal(str(walked))}, format = 'newline_delimited',
                columns = {{person_id: 'VARCHAR', external_id: 'VARCHAR', emails: 'VARCHAR[]', is_deleted: 'BOOLEAN'}})
            WHERE NOT is_deleted
        ), addresses AS (
            SELECT person_id, email FROM (SELECT person_id, unnest(emails) AS email FROM seen)
            ANTI JOIN (SELECT person_id, unnest(from_json(emails, '["VARCHAR"]')) AS email
                       FROM delivery.pipedrive_persons SEMI JOIN seen USING (person_id)) USING (person_id, email)
        ), people AS (
            SELECT a.person_id, p.cio_id FROM addresses AS a JOIN identity.persons AS p ON p.email = a.email
            UNION
            SELECT a.person_id, l.cio_id FROM addresses AS a JOIN delivery.links AS l
              ON l.destination = {literal(NAME)} AND l.looked_up_email = a.email
            UNION
            SELECT s.person_id, s.external_id FROM seen AS s LEFT JOIN delivery.pipedrive_persons AS m
              ON m.person_id = s.person_id
            WHERE s.external_id IS NOT NULL AND m.external_id IS DISTINCT FROM s.external_id
        )
        SELECT DISTINCT l.record_id FROM people AS p JOIN delivery.links AS l
          ON l.destination = {literal(NAME)} AND l.cio_id = p.cio_id AND l.record_id <> p.person_id
        ORDER BY l.record_id"""
    ).fetchall()
    return [str(i) for (i,) in rows]


def _in_turn(con: Connection, context: Context, walked: Path) -> list[str]:
    """Return the people in an audience whom neither this walk nor a window as new saw, longest unseen first."""
    assert context.window is not None
    names = [a.name for lane in Lane for a in context.activation.lane_audiences(lane, NAME)]
    listed = ", ".join(map(literal, names)) or "NULL"
    rows = con.execute(
        f"""SELECT m.person_id FROM delivery.pipedrive_persons AS m
        JOIN delivery.links AS l ON l.destination = {literal(NAME)} AND l.record_id = m.person_id
        ANTI JOIN read_json({literal(str(walked))}, format = 'newline_delimited', columns = {{person_id: 'VARCHAR'}})
            AS w ON w.person_id = m.person_id
        WHERE NOT m.is_deleted AND m.mirrored_at < {timestamp(context.window.as_of)} AND l.cio_id IN (
            SELECT cio_id FROM audience.memberships WHERE exited_at IS NULL AND NOT ghost AND audience IN ({listed}))
        ORDER BY m.mirrored_at, m.person_id LIMIT {PROBES * MAX_IDS}"""
    ).fetchall()
    return [str(i) for (i,) in rows]
