"""Whose a Pipedrive person is that several of our people match: decided over the mirror.

Whose address is the person's primary one beats who has it as an additional address, also where that one was there
first: only the address led there, and our id on the person is no more than its trace. An id that did not come by an
address of the person (adopted, or set by hand) is certain. Whom only a phone led there gives way to any address of the
person, and beats nobody. An address that a colleague took off the person holds
nothing any more. Who loses is listed (``delivery.key_clashes``); each run decides everybody anew.
"""

from __future__ import annotations

from cio_activation.delivery.unmatched import (
    CAME_FIRST,
    CARRIES_KEY,
    OWNS_PRIMARY,
    forget_clashes,
    list_clashes,
    note_sought,
    unsettled,
)
from cio_activation.destinations.common.records import forget_links, forget_shadows, shadows_unknown
from cio_activation.destinations.pipedrive.config import NAME
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal

_PLACE = literal(NAME)
_ADDRESSES = """from_json(m.emails, '["VARCHAR"]')"""
_PHONES = """from_json(m.phones, '["VARCHAR"]')"""


def displace(con: Connection, *, by_email: bool) -> None:
    """Part people from persons that somebody else has the better claim to; ``pd_displaced`` says who and which.

    That is whose address is not the primary one, where the primary one is of somebody without a person.
    """
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE pd_displaced AS
        WITH homeless AS (
            SELECT p.cio_id, p.email FROM identity.persons AS p
            ANTI JOIN (SELECT cio_id FROM delivery.links
                       WHERE destination = {_PLACE} AND record_id IS NOT NULL) AS l ON l.cio_id = p.cio_id
            ANTI JOIN (SELECT external_id FROM delivery.pipedrive_persons WHERE NOT is_deleted) AS k
                ON k.external_id = p.cio_id
            WHERE {str(by_email).lower()} AND p.deliverable AND p.email_owner
        ), claimed AS (
            SELECT m.person_id, bool_or(h.email = m.primary_email) AS by_primary
            FROM (SELECT m.person_id, m.primary_email, unnest({_ADDRESSES}) AS email
                  FROM delivery.pipedrive_persons AS m WHERE NOT m.is_deleted) AS m
            JOIN homeless AS h ON h.email = m.email
            GROUP BY m.person_id
        )
        SELECT l.cio_id, l.record_id
        FROM claimed AS c
        JOIN delivery.pipedrive_persons AS m ON m.person_id = c.person_id
        JOIN delivery.links AS l ON l.destination = {_PLACE} AND l.record_id = c.person_id
        JOIN identity.persons AS p ON p.cio_id = l.cio_id
        WHERE p.email IS DISTINCT FROM m.primary_email AND (
            (c.by_primary AND (l.matched_by <> 'external_id' OR coalesce(list_contains({_ADDRESSES}, p.email), false)))
            OR (l.matched_by <> 'external_id' AND NOT coalesce(list_contains({_ADDRESSES}, p.email), false)
                AND NOT coalesce(list_contains({_ADDRESSES}, l.looked_up_email), false)))"""
    )
    con.execute("INSERT INTO pd_touched SELECT cio_id FROM pd_displaced")
    forget_links(con, NAME, "pd_displaced")
    forget_shadows(con, NAME, "pd_displaced")


def survivors_unknown(con: Connection, as_of: str) -> None:
    """Have all fields written again on persons that outlived a merge: they inherited what they had empty themselves.

    Those are the persons on which the address, or the phone, of somebody turned up whose own person was found gone.
    """
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE pd_outlived AS
        SELECT DISTINCT l.cio_id, l.record_id
        FROM ({unsettled(NAME)}) AS g
        JOIN (SELECT cio_id, unnest([email, CASE WHEN phone_owner THEN phone END]) AS key FROM identity.persons) AS p
            ON p.cio_id = g.cio_id
        JOIN (SELECT m.person_id, unnest(list_concat({_ADDRESSES}, {_PHONES})) AS key
              FROM delivery.pipedrive_persons AS m WHERE NOT m.is_deleted) AS m ON m.key = p.key
        JOIN delivery.links AS l ON l.destination = {_PLACE} AND l.record_id = m.person_id"""
    )
    con.execute("INSERT INTO pd_touched SELECT cio_id FROM pd_outlived")
    shadows_unknown(con, NAME, "pd_outlived")
    note_sought(con, NAME, unsettled(NAME), as_of)
    con.execute("DROP TABLE pd_outlived")


def list_losers(con: Connection, as_of: str) -> None:
    """List who matches a person by e-mail that is somebody else's, after the links were stored."""
    losers = f"""
        SELECT f.cio_id, 'email' AS match_key, m.person_id AS record_id,
               coalesce(l.cio_id, k.cio_id) AS owner_cio_id,
               CASE WHEN o.email = m.primary_email THEN {literal(OWNS_PRIMARY)}
                    WHEN l.cio_id IS NULL THEN {literal(CARRIES_KEY)} ELSE {literal(CAME_FIRST)} END AS reason,
               {as_of} AS noticed_at
        FROM (SELECT cio_id, looked_up_email FROM pd_found WHERE matched_by = 'email_taken') AS f
        JOIN (SELECT m.person_id, m.primary_email, m.external_id, unnest({_ADDRESSES}) AS email
              FROM delivery.pipedrive_persons AS m WHERE NOT m.is_deleted) AS m ON m.email = f.looked_up_email
        LEFT JOIN delivery.links AS l ON l.destination = {_PLACE} AND l.record_id = m.person_id
        LEFT JOIN identity.persons AS k ON k.cio_id = m.external_id
        LEFT JOIN identity.persons AS o ON o.cio_id = coalesce(l.cio_id, k.cio_id)
        WHERE coalesce(l.cio_id, k.cio_id) IS NOT NULL"""
    forget_clashes(
        con,
        NAME,
        "SELECT cio_id FROM delivery.key_clashes WHERE cio_id NOT IN "
        "(SELECT cio_id FROM pd_found WHERE matched_by = 'email_taken')",
    )
    list_clashes(con, NAME, losers)
