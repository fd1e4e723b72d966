"""Whose a contact is that several of our people match: decided in the fold of look-ups, by what the warehouse knows.

Who has the contact's primary e-mail beats who has it as an additional address, also where that person was there first:
only the address led there, and our key on the contact is no more than its trace. A key that did not come by an address
of the contact (adopted, or set by hand) is certain. Whom a phone led there gives way to any address of the contact, and
beats nobody (``phone_links``). Else who has the contact keeps it, and among newcomers the smallest ``cio_id`` gets it;
an address that a colleague took off the contact holds nothing. Who loses is listed (``delivery.key_clashes``) and
looked up anew in each window.
"""

from __future__ import annotations

from cio_activation.delivery import unmatched
from cio_activation.delivery.unmatched import CAME_FIRST, CARRIES_KEY, OWNS_PRIMARY
from cio_activation.destinations.common.kinds import LINK
from cio_activation.destinations.common.records import forget_links, forget_shadows, shadows_unknown
from cio_activation.destinations.hubspot.config import NAME
from cio_activation.destinations.hubspot.gone import part
from cio_activation.journal.operations import Cause
from cio_activation.warehouse import change_log
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal

TAKEN = "record is linked to another person"
_PLACE = literal(NAME)
_SOUGHT = f"kind = {literal(LINK.name)} AND \"end\" IN ('delivered', 'rejected')"


def settle(con: Connection, finished: str) -> None:
    """Correct the ends of look-ups in ``finished``; note records that are gone, and who is to be looked at again."""
    _part_lost(con, finished)
    _find_claims(con, finished)
    con.execute(
        f"""UPDATE {finished} AS f SET "end" = 'rejected', reason = {literal(TAKEN)},
            observed = CAST(json_merge_patch(f.observed, json_object('cause', {literal(Cause.CLASH.value)},
                                                                     'carried_for', l.owner)) AS VARCHAR)
        FROM losing_claims AS l WHERE l.operation_id = f.operation_id"""
    )
    asked = f"SELECT cio_id FROM {finished} WHERE {_SOUGHT}"
    unmatched.forget_clashes(con, NAME, f"{asked} AND cio_id NOT IN (SELECT cio_id FROM losing_claims)")
    unmatched.list_clashes(
        con,
        NAME,
        f"""SELECT l.cio_id, 'email' AS match_key, l.record_id, l.owner AS owner_cio_id, l.reason,
                   f.window_end AS noticed_at
        FROM losing_claims AS l JOIN {finished} AS f ON f.operation_id = l.operation_id""",
    )
    _mark_outlived(con)
    con.execute("DROP TABLE claims; DROP TABLE losing_claims")


def hand_over(con: Connection, finished: str) -> None:
    """Where a record went over to another person, drop the other's link, pass list places on, and list who lost it."""
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE handed AS
        SELECT old.cio_id, old.record_id, new.cio_id AS heir, max(f.window_end) AS noticed_at
        FROM delivery.links AS new
        JOIN {finished} AS f ON f.cio_id = new.cio_id AND f."end" = 'delivered'
        JOIN delivery.links AS old ON old.destination = new.destination AND old.record_id = new.record_id
             AND old.cio_id <> new.cio_id
        WHERE new.destination = {_PLACE} GROUP BY ALL"""
    )
    con.execute(
        f"""UPDATE delivery.members AS m SET cio_id = h.heir FROM handed AS h
        WHERE m.destination = {_PLACE} AND m.cio_id = h.cio_id AND m.record_id = h.record_id"""
    )
    unmatched.list_clashes(
        con,
        NAME,
        f"""SELECT cio_id, 'email' AS match_key, record_id, heir AS owner_cio_id, {literal(OWNS_PRIMARY)} AS reason,
                   noticed_at
        FROM handed SEMI JOIN identity.persons USING (cio_id)""",
    )
    forget_shadows(con, NAME, "handed")
    forget_links(con, NAME, "handed")
    change_log.note(con, f"delivery.{NAME}", "SELECT cio_id FROM handed")
    con.execute("DROP TABLE handed")
    con.execute(f"CREATE OR REPLACE TEMP TABLE outlived AS {survivors(finished)}")
    # What it inherited where our own value was empty is not known: all of it is written again.
    shadows_unknown(con, NAME, "outlived")
    change_log.note(con, f"delivery.{NAME}", "SELECT cio_id FROM outlived")
    con.execute("DROP TABLE outlived")


def survivors(finished: str) -> str:
    """Return a SELECT (cio_id, record_id) of whose record somebody was found on, or led to, whose own is gone."""
    parted = "json_extract_string(f.keys, '$.was_gone') IS NOT NULL OR json_exists(f.observed, '$.lost')"
    return f"""
        SELECT DISTINCT l.cio_id, l.record_id
        FROM {finished} AS f JOIN delivery.links AS l
          ON l.destination = {_PLACE}
             AND l.record_id = coalesce(f.result_record_id, json_extract_string(f.observed, '$.outlived'))
        WHERE f.kind = {literal(LINK.name)} AND f."end" IN ('delivered', 'rejected') AND ({parted})"""


def _part_lost(con: Connection, finished: str) -> None:
    """Part people from the records that are not there any more, and note that their places were looked for."""
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE gone AS
        SELECT DISTINCT cio_id, json_extract_string(observed, '$.lost') AS record_id, window_end AS noticed_at
        FROM {finished} WHERE {_SOUGHT} AND json_exists(observed, '$.lost')"""
    )
    part(con)
    con.execute(
        f"""UPDATE delivery.gone_records AS g
        SET sought_at = f.window_end,
            in_bin = coalesce(CAST(json_extract_string(f.observed, '$.in_bin') AS BOOLEAN), g.in_bin)
        FROM {finished} AS f WHERE g.destination = {_PLACE} AND g.cio_id = f.cio_id AND f.{_SOUGHT}"""
    )


def _find_claims(con: Connection, finished: str) -> None:
    """Fill ``claims`` (who was led to which record by what) and ``losing_claims`` (whose it is instead, and why)."""
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE claims AS
        SELECT f.operation_id, f.cio_id, f.result_record_id AS record_id,
               coalesce(md5(p.email) = json_extract_string(f.observed, '$.primary'), false) AS is_primary,
               json_extract_string(f.observed, '$.matched_by') = 'cio_id' AS by_key,
               json_extract_string(f.observed, '$.carried_for') AS stamp,
               json_extract_string(f.observed, '$.primary') AS "primary",
               from_json(coalesce(json_extract(f.observed, '$.addresses'), '[]'), '["VARCHAR"]') AS addresses,
               from_json(coalesce(json_extract(f.observed, '$.merged'), '[]'), '["VARCHAR"]') AS merged
        FROM {finished} AS f LEFT JOIN identity.persons AS p ON p.cio_id = f.cio_id
        WHERE f.kind = {literal(LINK.name)} AND f."end" = 'delivered' AND f.result_record_id IS NOT NULL
          AND NOT json_exists(f.observed, '$.seen')"""
    )
    # A record whose key, or link, is of nobody we know any more (a profile deleted and made anew) is free.
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE losing_claims AS
        WITH rivals AS (
            SELECT c.operation_id, l.cio_id AS rival, coalesce(l.matched_by, '') <> 'cio_id' AS by_address,
                   l.looked_up_email, {literal(CAME_FIRST)} AS reason
            FROM claims AS c JOIN delivery.links AS l
              ON l.destination = {_PLACE} AND l.record_id = c.record_id AND l.cio_id <> c.cio_id
            UNION ALL
            SELECT c.operation_id, c.stamp, false, NULL, {literal(CARRIES_KEY)} FROM claims AS c
            WHERE c.stamp IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM delivery.links AS l
                WHERE l.destination = {_PLACE} AND l.record_id = c.record_id AND l.cio_id = c.stamp)
        ), judged AS (
            SELECT c.operation_id, r.rival AS owner,
                   coalesce(md5(p.email) = c."primary", false) AS owns_primary,
                   coalesce(list_contains(c.addresses, md5(p.email)), false) AS has_address,
                   has_address OR coalesce(list_contains(c.addresses, md5(r.looked_up_email)), false) AS had_address,
                   CASE WHEN owns_primary THEN {literal(OWNS_PRIMARY)} ELSE r.reason END AS reason,
                   -- By the rule, or because a colleague took away from the record what had led there.
                   (c.is_primary AND NOT owns_primary AND (r.by_address OR has_address))
                       OR (r.by_address AND NOT had_address) AS is_beaten
            FROM rivals AS r
            JOIN claims AS c ON c.operation_id = r.operation_id
            JOIN identity.persons AS p ON p.cio_id = r.rival
        ), refused AS (
            SELECT operation_id, owner, reason FROM judged WHERE NOT is_beaten
            QUALIFY row_number() OVER (
                PARTITION BY operation_id ORDER BY reason <> {literal(OWNS_PRIMARY)}, reason, owner) = 1
        ), ranked AS (
            SELECT *, first_value(cio_id) OVER best AS winner, first_value(is_primary) OVER best AS by_primary,
                   row_number() OVER best AS place
            FROM (FROM claims ANTI JOIN refused USING (operation_id))
            WINDOW best AS (PARTITION BY record_id ORDER BY is_primary DESC, by_key DESC, cio_id)
        )
        SELECT c.operation_id, c.cio_id, c.record_id, r.owner, r.reason
        FROM claims AS c JOIN refused AS r ON r.operation_id = c.operation_id
        UNION ALL
        SELECT operation_id, cio_id, record_id, winner,
               CASE WHEN by_primary THEN {literal(OWNS_PRIMARY)} ELSE {literal(CAME_FIRST)} END
        FROM ranked WHERE place > 1"""
    )


def _mark_outlived(con: Connection) -> None:
    """Have records looked at by their id that cannot be there any more: a found one has their place, or key."""
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE departed AS
        SELECT DISTINCT l.cio_id, l.record_id
        FROM delivery.links AS l
        JOIN (SELECT stamp, NULL AS old_id, record_id FROM claims WHERE stamp IS NOT NULL
              UNION ALL SELECT NULL, unnest(merged), record_id FROM claims) AS c
          ON (l.cio_id = c.stamp OR l.record_id = c.old_id) AND l.record_id <> c.record_id
        WHERE l.destination = {_PLACE} AND l.cio_id NOT IN (SELECT cio_id FROM claims)"""
    )
    con.execute(
        f"""UPDATE delivery.links AS l SET recheck = true FROM departed AS d
        WHERE l.destination = {_PLACE} AND l.cio_id = d.cio_id AND l.record_id = d.record_id"""
    )
    change_log.note(con, f"delivery.{NAME}", "SELECT cio_id FROM departed")
    con.execute("DROP TABLE departed")
