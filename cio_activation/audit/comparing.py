"""Compares what was read with what the destination had acknowledged; fills the temporary table ``deviations``.

Not compared is what nobody can know: of whom something was sent since they were read, or is on its way; whose record is
to be looked for anyway; fields and memberships in doubt, which the next plan writes in any case.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

from cio_activation.activation.models import Activation, Lane, PropertyType
from cio_activation.audit.kinds import Kind
from cio_activation.delivery.destination import Context
from cio_activation.delivery.fields import UNKNOWN, shadow_column, shadow_columns, shadow_name
from cio_activation.delivery.read_back import Comparable, Presence, ReadsBack
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, scalar, timestamp

EMPTIED_FROM = 5
"""Where a destination does not say how many are in: so many who should be, and nobody is."""
_SEEN = """columns = {cio_id: 'VARCHAR', record_id: 'VARCHAR', read_at: 'TIMESTAMP', presence: 'VARCHAR',
    key: 'VARCHAR', values_now: 'JSON', audiences: 'VARCHAR[]', shown: 'JSON'}"""
_COLUMNS = """kind VARCHAR, subject VARCHAR, name VARCHAR, lane VARCHAR, cio_id VARCHAR, record_id VARCHAR,
    ours VARCHAR, theirs VARCHAR"""


def compare(
    con: Connection,
    destination: ReadsBack,
    name: str,
    context: Context,
    comparable: Comparable,
    seen: Path,
    at_work: Collection[str],
) -> None:
    """Fill ``seen_records`` (what was read), ``compared`` (of whom that can be judged) and ``deviations``."""
    _load(con, destination, name, seen, at_work)
    con.execute(f"CREATE OR REPLACE TEMP TABLE deviations ({_COLUMNS})")
    _records(con)
    for lane in Lane:
        _fields(con, name, context.activation, lane, comparable.fields)
    _memberships(con, destination.acknowledged_members(context), comparable)


def never_arrived(con: Connection, found: Collection[tuple[str, str]] | None) -> None:
    """Tell what was never there from what was cleared.

    ``found``: fields (record id, name) without any history. None: the destination does not tell, so it is of records
    with neither our id nor any value of ours.
    """
    if found is None:
        blank = f"""
            SELECT record_id FROM deviations WHERE kind = '{Kind.CLEARED}' AND subject = 'key' AND record_id IN (
            SELECT d.record_id FROM deviations AS d JOIN compared AS c ON c.record_id = d.record_id
            WHERE d.kind = '{Kind.CLEARED}' AND d.subject = 'field'
              AND len(list_filter(json_extract_string(c.values_now, '$.*'), lambda v: coalesce(v, '') <> '')) = 0)"""
        con.execute(
            f"""UPDATE deviations SET kind = '{Kind.NEVER_ARRIVED}'
            WHERE kind = '{Kind.CLEARED}' AND subject IN ('key', 'field') AND record_id IN ({blank})"""
        )
        return
    _register(con, "blanks", ("record_id", "name"), sorted(found))
    con.execute(
        f"""UPDATE deviations AS d SET kind = '{Kind.NEVER_ARRIVED}' FROM blanks AS b
        WHERE d.subject = 'field' AND d.kind = '{Kind.CLEARED}' AND d.record_id = b.record_id AND d.name = b.name"""
    )
    con.unregister("blanks")


def strangers(con: Connection, name: str, audience: str, listed: Sequence[str]) -> None:
    """Add who is on a list and is nobody of ours: records that no person is linked to."""
    _register(con, "listed_now", ("record_id",), [(i,) for i in dict.fromkeys(listed)])
    con.execute(
        f"""INSERT INTO deviations BY NAME
        SELECT '{Kind.FOREIGN}' AS kind, 'list' AS subject, {literal(audience)} AS name, record_id, 'in' AS theirs
        FROM listed_now WHERE record_id NOT IN (
            SELECT record_id FROM delivery.links WHERE destination = {literal(name)} AND record_id IS NOT NULL)
          AND record_id NOT IN (SELECT record_id FROM delivery.members
            WHERE destination = {literal(name)} AND audience = {literal(audience)})"""
    )
    con.unregister("listed_now")


def _load(con: Connection, destination: ReadsBack, name: str, seen: Path, at_work: Collection[str]) -> None:
    place = literal(name)
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE seen_records AS
        SELECT * FROM read_json({literal(str(seen))}, format = 'newline_delimited', {_SEEN})"""
    )
    _register(con, "people_at_work", ("cio_id",), [(cio_id,) for cio_id in sorted(at_work)])
    first = scalar(con, "SELECT min(read_at) FROM seen_records")
    # Said as a number too, so that most of a ledger of years is passed over.
    since = f"g.ended_at >= {timestamp(first)}" if isinstance(first, datetime) else "false"
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE compared AS
        SELECT s.*, coalesce(l.stamped, false) AS stamped FROM seen_records AS s
        JOIN delivery.links AS l ON l.destination = {place} AND l.cio_id = s.cio_id AND l.record_id = s.record_id
        WHERE s.cio_id NOT IN (SELECT cio_id FROM people_at_work)
          AND s.cio_id NOT IN ({destination.unsettled()})
          AND NOT EXISTS (
            SELECT 1 FROM delivery.ledger AS g WHERE g.destination = {place} AND g.cio_id = s.cio_id
              AND {since} AND g.ended_at >= s.read_at)"""
    )
    con.unregister("people_at_work")


def _records(con: Connection) -> None:
    con.execute(
        f"""INSERT INTO deviations BY NAME
        SELECT presence AS kind, 'record' AS subject, cio_id, record_id FROM compared
        WHERE presence <> '{Presence.THERE}'
        UNION ALL BY NAME
        SELECT CASE WHEN coalesce(key, '') = '' THEN '{Kind.CLEARED}' ELSE '{Kind.EDITED}' END AS kind,
               'key' AS subject, 'cio_id' AS name, cio_id, record_id, cio_id AS ours, key AS theirs
        FROM compared WHERE presence = '{Presence.THERE}' AND stamped AND key IS DISTINCT FROM cio_id"""
    )


def _fields(con: Connection, name: str, activation: Activation, lane: Lane, fields: Sequence[str]) -> None:
    """Add the lane's fields that hold another value, but for conflicts that are known."""
    there = shadow_columns(con, name, lane.value)
    delivered = {p.name: p.type for p in activation.lane_properties(lane, name)}
    for one in [f for f in fields if f in delivered and f in there]:
        ours, path = f"s.{shadow_column(one)}", literal(f"$.{one}")
        con.execute(
            f"""INSERT INTO deviations BY NAME
            WITH pairs AS (
                SELECT c.cio_id, c.record_id, coalesce({ours}, '') AS ours,
                       coalesce(json_extract_string(c.values_now, {path}), '') AS theirs
                FROM compared AS c JOIN {shadow_name(name, lane.value)} AS s
                  ON s.cio_id = c.cio_id AND s.record_id = c.record_id
                WHERE c.presence = '{Presence.THERE}' AND json_exists(c.values_now, {path})
                  AND {ours} IS DISTINCT FROM {UNKNOWN}
                  AND NOT contains(coalesce(s.in_doubt, ''), {literal(f"|{one}|")})
            )
            SELECT CASE WHEN theirs = '' THEN '{Kind.CLEARED}' WHEN ours = '' THEN '{Kind.FOREIGN}'
                        ELSE '{Kind.EDITED}' END AS kind,
                   'field' AS subject, {literal(one)} AS name, {literal(lane.value)} AS lane, b.cio_id, b.record_id,
                   ours, theirs
            FROM pairs AS b WHERE NOT ({_same(delivered[one])}) AND NOT EXISTS (
                SELECT 1 FROM delivery.conflicts AS k
                WHERE k.destination = {literal(name)} AND k.field = {literal(one)} AND k.cio_id = b.cio_id
                  AND k.record_id = b.record_id AND coalesce(k.theirs, '') = b.theirs)"""
        )


def _same(kind: PropertyType) -> str:
    """Return SQL for: both texts are one value; vendors write numbers in their own way, and trim texts."""
    if kind is PropertyType.NUMBER:
        return "ours = theirs OR coalesce(TRY_CAST(ours AS DOUBLE) = TRY_CAST(theirs AS DOUBLE), false)"
    return "trim(ours) = trim(theirs)"


def _memberships(con: Connection, acknowledged: str, comparable: Comparable) -> None:
    """Add who is not where they were acknowledged to be, and who is where they were not."""
    names = ", ".join(f"({literal(audience)})" for audience in comparable.sizes)
    if not names:
        return
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE places AS
        WITH acknowledged AS ({acknowledged}),
        audited AS (SELECT name FROM (VALUES {names}) AS a(name)),
        there AS (SELECT cio_id, record_id, unnest(audiences) AS audience FROM compared
                  WHERE presence = '{Presence.THERE}')
        SELECT c.cio_id, c.record_id, a.name AS audience,
               k.audience IS NOT NULL AND k.certain AS acknowledged, t.audience IS NOT NULL AS is_in
        FROM (SELECT cio_id, record_id FROM compared
              WHERE presence = '{Presence.THERE}' AND audiences IS NOT NULL) AS c CROSS JOIN audited AS a
        LEFT JOIN acknowledged AS k ON k.cio_id = c.cio_id AND k.record_id = c.record_id AND k.audience = a.name
        LEFT JOIN there AS t ON t.cio_id = c.cio_id AND t.record_id = c.record_id AND t.audience = a.name
        WHERE (k.audience IS NOT NULL OR t.audience IS NOT NULL) AND coalesce(k.certain, true)"""
    )
    empty = [audience for audience, size in comparable.sizes.items() if size == 0]
    unsaid = [audience for audience, size in comparable.sizes.items() if size is None]
    con.execute(
        f"""INSERT INTO deviations BY NAME
        WITH emptied AS (
            SELECT audience FROM places WHERE acknowledged GROUP BY audience
            HAVING audience IN ({_listed(empty)})
                OR (audience IN ({_listed(unsaid)}) AND count(*) >= {EMPTIED_FROM} AND NOT bool_or(is_in))
        )
        SELECT CASE WHEN is_in THEN '{Kind.FOREIGN}' WHEN audience IN (SELECT audience FROM emptied)
                    THEN '{Kind.EMPTIED}' ELSE '{Kind.CLEARED}' END AS kind,
               'list' AS subject, audience AS name, cio_id, record_id,
               CASE WHEN is_in THEN 'out' ELSE 'in' END AS ours, CASE WHEN is_in THEN 'in' ELSE 'out' END AS theirs
        FROM places WHERE acknowledged <> is_in"""
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(literal, names)) or "NULL"


def _register(con: Connection, name: str, columns: Sequence[str], rows: Sequence[tuple[str, ...]]) -> None:
    import pyarrow as pa

    con.register(name, pa.table({c: pa.array([r[i] for r in rows], pa.string()) for i, c in enumerate(columns)}))
