"""Links between people and a destination's records, and acknowledged list memberships; shared by destinations."""

from __future__ import annotations

from collections.abc import Sequence

from cio_activation.delivery.destination import EXIT
from cio_activation.journal.operations import Kind, names_sql
from cio_activation.warehouse import change_log
from cio_activation.warehouse.scope import Scope
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal


def fold_links(con: Connection, destination: str, kinds: Sequence[Kind], finished: str) -> None:
    """Store what look-ups found and what creations of people made.

    A delivered look-up gives a row even when nothing was found (record_id NULL), so that it is not asked again; a
    delivered write of fields marks its record as carrying our key. Records of actions are not the person's. A look-up
    folded late, whose record the other lane has found or made meanwhile, changes nothing: it would cut the person off
    for good, as nobody is looked up or made twice.
    """
    links, made = names_sql(kinds, lambda kind: kind.links), names_sql(kinds, lambda kind: kind.makes_person)
    stamped = names_sql(kinds, lambda kind: kind.stamps)
    written = names_sql(kinds, lambda kind: kind.writes_fields)
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE linked AS
        SELECT {literal(destination)} AS destination, f.cio_id,
               coalesce(f.result_record_id, f.record_id) AS record_id,
               CASE WHEN f.kind IN {links}
                    THEN coalesce(CAST(json_extract_string(f.observed, '$.stamped') AS BOOLEAN), false)
                    ELSE true END AS stamped,
               CASE WHEN f.kind IN {links} THEN json_extract_string(f.observed, '$.matched_by')
                    WHEN f.kind IN {made} THEN 'created' ELSE l.matched_by END AS matched_by,
               coalesce(json_extract_string(f.keys, '$.email'), l.looked_up_email) AS looked_up_email,
               CASE WHEN f.kind IN {links} THEN json_extract_string(f.keys, '$.phone')
                    ELSE l.looked_up_phone END AS looked_up_phone,
               f.ended_at AS linked_at
        FROM {finished} AS f
        LEFT JOIN delivery.links AS l ON l.destination = {literal(destination)} AND l.cio_id = f.cio_id
        WHERE f."end" = 'delivered'
          AND (f.kind IN {links} OR f.kind IN {made} OR f.kind IN {stamped}
               OR (f.kind IN {written} AND f.result_record_id IS NOT NULL
                   AND f.result_record_id IS DISTINCT FROM l.record_id))
          -- What was not found may have been made between the question and its answer.
          AND NOT coalesce(
              f.kind IN {links} AND l.record_id IS NOT NULL
              AND l.linked_at > CASE WHEN f.result_record_id IS NULL THEN f.intent_at ELSE f.ended_at END, false)
        QUALIFY row_number() OVER (PARTITION BY f.cio_id ORDER BY f.intent_at DESC) = 1"""
    )
    con.execute(
        "DELETE FROM delivery.links WHERE destination = ? AND cio_id IN (SELECT cio_id FROM linked)",
        [destination],
    )
    con.execute("INSERT INTO delivery.links BY NAME SELECT * FROM linked")
    con.execute("DROP TABLE linked")


def plan_again(con: Connection, destination: str, people: Sequence[str], *, asked: bool) -> None:
    """Have those of ``people`` planned for again who have no record, though another run made them one, or is about to.

    Mostly that is not folded yet, and soon will be. If it never is, nobody would find the record: where the vendor is
    ``asked`` who has one, they are looked up again.
    """
    lost = f"""destination = {literal(destination)} AND record_id IS NULL AND looked_up_email IS NOT NULL
        AND cio_id IN (SELECT unnest(?::VARCHAR[]))"""
    change_log.note(con, f"delivery.{destination}", f"SELECT cio_id FROM delivery.links WHERE {lost}", [people])
    if asked:
        con.execute(f"UPDATE delivery.links SET looked_up_email = NULL WHERE {lost}", [people])


def membership_changes(
    destination: str, audience: str, scope: Scope, *, enter: Kind, leave: Kind, priority: int = 0
) -> str:
    """Return the plan SELECT for one audience's list: exits first, then entries of linked people.

    A membership in doubt (see ``in_doubt``) is asked for again, in whichever direction.
    """
    name, place = literal(audience), literal(destination)
    return f"""
    WITH inside AS (
        SELECT m.cio_id, l.record_id
        FROM {scope.rows("audience.memberships")} AS m
        JOIN {scope.rows("delivery.links")} AS l
            ON l.destination = {place} AND l.cio_id = m.cio_id AND l.record_id IS NOT NULL
        WHERE m.audience = {name} AND m.exited_at IS NULL AND NOT m.ghost
    ), known AS (
        SELECT cio_id, record_id, acked_at IS NOT NULL AS certain
        FROM {scope.rows("delivery.members")} WHERE destination = {place} AND audience = {name}
    )
    SELECT {literal(leave.name)} AS kind, k.cio_id, k.record_id, {name} AS target, '{{}}' AS payload, '{{}}' AS keys,
           CAST(NULL AS UBIGINT) AS row_hash, {priority + EXIT} AS priority, {name} AS batch_group
    FROM known AS k ANTI JOIN inside AS i ON i.cio_id = k.cio_id AND i.record_id = k.record_id
    UNION ALL
    SELECT {literal(enter.name)}, i.cio_id, i.record_id, {name}, '{{}}', '{{}}', CAST(NULL AS UBIGINT), {priority},
           {name}
    FROM inside AS i ANTI JOIN known AS k ON k.cio_id = i.cio_id AND k.record_id = i.record_id AND k.certain"""


def membership_movements(destination: str, audience: str, planned: str, *, enter: Kind, leave: Kind) -> str:
    """Return a SELECT of the people whom the additions and removals in ``planned`` move into and out of a list.

    Who leaves with one record and enters with another stays.
    """
    name, place = literal(audience), literal(destination)
    return f"""
    SELECT {name} AS audience, cio_id, adds AS enters,
           (SELECT count(DISTINCT cio_id) FROM delivery.members
            WHERE destination = {place} AND audience = {name} AND acked_at IS NOT NULL) AS acknowledged
    FROM (SELECT cio_id, bool_or(kind = {literal(enter.name)}) AS adds,
                 bool_or(kind = {literal(leave.name)}) AS removes
          FROM {planned} WHERE target = {name} GROUP BY cio_id)
    WHERE adds <> removes"""


def fold_members(con: Connection, destination: str, kinds: Sequence[Kind], finished: str) -> None:
    """Lay delivered list changes over the acknowledged memberships."""
    enters = names_sql(kinds, lambda kind: kind.enters)
    con.execute(
        f"""DELETE FROM delivery.members AS m
        WHERE m.destination = ? AND EXISTS (
            SELECT 1 FROM {finished} AS f
            WHERE f."end" = 'delivered' AND f.target = m.audience AND f.cio_id = m.cio_id
              AND f.record_id = m.record_id)""",
        [destination],
    )
    con.execute(
        f"""INSERT INTO delivery.members
        SELECT ?, target, cio_id, record_id, ended_at FROM {finished}
        WHERE "end" = 'delivered' AND kind IN {enters}
        QUALIFY row_number() OVER (PARTITION BY target, cio_id, record_id ORDER BY intent_at DESC) = 1""",
        [destination],
    )
