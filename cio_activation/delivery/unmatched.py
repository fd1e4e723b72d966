"""Who has no record at a destination although a record is about them: who lost it to another person, whose is gone.

Two lists, each with the reason and the mend: ``delivery.key_clashes`` and ``delivery.gone_records``. Both are about
people, never about operations: nothing of theirs is planned, so nothing of theirs could be rejected. A third,
``feedback.reviews``, is of those of whom a human says that their record is another person's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal

OWNS_PRIMARY = "the record's primary e-mail is another person's"
CAME_FIRST = "the record is another person's already"
CARRIES_KEY = "the record carries another person's cio_id"
IS_GONE = "the record was deleted"
WRONG_PERSON = "a human says that the record is another person's"
_REVIEW = "look whose record it is: split or merge it there, then empty the outcome on it"
_MENDS: Mapping[str, str] = {
    OWNS_PRIMARY: "split the record there, or merge the two profiles in Customer.io",
    CAME_FIRST: "make the address the record's primary one, split the record there, or merge the two profiles",
    CARRIES_KEY: "empty cio_id on the record there, or split it",
}
_RESTORE: Mapping[bool, str] = {
    False: "restore or make it there; on_deleted: recreate makes it anew while it lies in the recycle bin",
    True: "restore or make it there: it is not in the recycle bin, so it may have been erased on purpose",
}


@dataclass(frozen=True)
class Unmatched:
    """People of one destination who have no record there for one reason."""

    destination: str
    reason: str
    mend: str
    people: int
    in_audiences: int
    """How many of them are in an audience now."""


def forget_clashes(con: Connection, destination: str, people: str) -> None:
    """Take ``people`` (a SELECT of ``cio_id``) off the list of key clashes; what holds is listed anew."""
    con.execute(f"DELETE FROM delivery.key_clashes WHERE destination = {literal(destination)} AND cio_id IN ({people})")


def list_clashes(con: Connection, destination: str, losers: str) -> None:
    """List ``losers``, a SELECT of ``cio_id, match_key, record_id, owner_cio_id, reason, noticed_at``, each once.

    Who was listed with the same record and owner keeps the window in which that was noticed.
    """
    mends = " ".join(f"WHEN {literal(reason)} THEN {literal(mend)}" for reason, mend in _MENDS.items())
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE clashing AS
        SELECT {literal(destination)} AS destination, s.cio_id, s.match_key, s.record_id, s.owner_cio_id, s.reason,
               CASE s.reason {mends} END AS mend, coalesce(k.noticed_at, s.noticed_at) AS noticed_at
        FROM ({losers}) AS s
        LEFT JOIN delivery.key_clashes AS k ON k.destination = {literal(destination)} AND k.cio_id = s.cio_id
            AND k.record_id = s.record_id AND k.owner_cio_id IS NOT DISTINCT FROM s.owner_cio_id
            AND k.reason = s.reason
        QUALIFY row_number() OVER (PARTITION BY s.cio_id ORDER BY s.owner_cio_id, s.record_id) = 1"""
    )
    forget_clashes(con, destination, "SELECT cio_id FROM clashing")
    con.execute("INSERT INTO delivery.key_clashes BY NAME FROM clashing")
    con.execute("DROP TABLE clashing")


def note_gone(con: Connection, destination: str, gone: str) -> None:
    """Note ``gone`` (a relation of ``cio_id, record_id, noticed_at``): records that are no more; call before unlinking.

    Under the person's e-mail, or the one their record was looked for by, nothing is made either: nobody can tell a
    record that was erased on request from one that was only thrown away.
    """
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE lost_records AS
        SELECT {literal(destination)} AS destination, g.cio_id, g.record_id,
               sha256(coalesce(p.email, l.looked_up_email)) AS email_hash, g.noticed_at
        FROM {gone} AS g
        LEFT JOIN identity.persons AS p ON p.cio_id = g.cio_id
        LEFT JOIN delivery.links AS l ON l.destination = {literal(destination)} AND l.cio_id = g.cio_id
        QUALIFY row_number() OVER (PARTITION BY g.cio_id ORDER BY g.noticed_at DESC, g.record_id) = 1"""
    )
    con.execute(
        f"""DELETE FROM delivery.gone_records
        WHERE destination = {literal(destination)} AND cio_id IN (SELECT cio_id FROM lost_records)"""
    )
    con.execute("INSERT INTO delivery.gone_records BY NAME FROM lost_records")
    con.execute("DROP TABLE lost_records")


def forget_found(con: Connection, destination: str) -> None:
    """Forget what was gone of people who have a record again, and clashes of those and of people who are no more."""
    place = literal(destination)
    linked = f"SELECT cio_id FROM delivery.links WHERE destination = {place} AND record_id IS NOT NULL"
    con.execute(f"DELETE FROM delivery.gone_records WHERE destination = {place} AND cio_id IN ({linked})")
    con.execute(
        f"""DELETE FROM delivery.key_clashes WHERE destination = {place}
        AND (cio_id IN ({linked}) OR cio_id NOT IN (SELECT cio_id FROM identity.persons WHERE deliverable))"""
    )


def is_barred(destination: str, cio_id: str, email: str, *, recreate: bool) -> str:
    """Return SQL for: a record of this person was deleted, so none is made.

    With ``recreate`` only if that is not in the recycle bin.
    """
    of_them = f"g.destination = {literal(destination)}" + (" AND NOT coalesce(g.in_bin, false)" if recreate else "")
    # Two conditions, not one with OR: each is a join by hash.
    return f"""({cio_id} IN (SELECT g.cio_id FROM delivery.gone_records AS g WHERE {of_them})
        OR sha256({email}) IN (
            SELECT g.email_hash FROM delivery.gone_records AS g WHERE {of_them} AND g.email_hash IS NOT NULL))"""


def note_sought(con: Connection, destination: str, people: str, as_of: str) -> None:
    """Note that the places of the gone records of ``people`` (a SELECT of ``cio_id``) were looked for."""
    con.execute(
        f"""UPDATE delivery.gone_records SET sought_at = {as_of}
        WHERE destination = {literal(destination)} AND cio_id IN ({people})"""
    )


def unsettled(destination: str) -> str:
    """Return a SELECT of the ``cio_id`` of people whose record was found gone, and who were not looked for since."""
    return f"""SELECT g.cio_id FROM delivery.gone_records AS g
        JOIN identity.persons AS p ON p.cio_id = g.cio_id AND (p.deliverable OR p.phone_owner)
        WHERE g.destination = {literal(destination)} AND g.sought_at IS NULL"""


def summary(con: Connection, *, by_address: bool = True) -> list[Unmatched]:
    """Return the people without a record by destination and reason, the most first.

    With ``by_address`` also whoever only has the address of a record that was another profile's: a look at everybody.
    """
    rows = con.execute(
        f"""SELECT destination, reason, mend, count(*), count(*) FILTER (in_audience)
        FROM ({_listed(by_address=by_address)}) GROUP BY ALL ORDER BY 4 DESC, 1, 2"""
    ).fetchall()
    return [Unmatched(*row) for row in rows]


def people(con: Connection) -> list[dict[str, Any]]:
    """Return every person without a record: who (``cio_id`` only), why, which record, whose it is."""
    names = ("destination", "cio_id", "reason", "mend", "record_id", "owner_cio_id", "noticed_at", "in_audience")
    rows = con.execute(f"SELECT {', '.join(names)} FROM ({_listed()}) ORDER BY destination, reason, cio_id").fetchall()
    return [dict(zip(names, row, strict=True)) for row in rows]


def listed_gone(*, by_address: bool = True) -> str:
    """Return a SELECT of the people whose record was deleted, and of who has the address of such a record now."""
    others = """UNION ALL
        SELECT g.*, p.cio_id FROM delivery.gone_records AS g
        JOIN identity.persons AS p ON sha256(p.email) = g.email_hash"""
    mend = f"CASE WHEN in_bin = false THEN {literal(_RESTORE[True])} ELSE {literal(_RESTORE[False])} END"
    return f"""
    SELECT g.destination, g.person AS cio_id, {mend} AS mend, g.record_id, g.noticed_at
    FROM (
        SELECT g.*, p.cio_id AS person FROM delivery.gone_records AS g
        JOIN identity.persons AS p ON p.cio_id = g.cio_id
        {others if by_address else ""}
    ) AS g
    ANTI JOIN delivery.key_clashes AS k ON k.destination = g.destination AND k.cio_id = g.person
    ANTI JOIN (SELECT destination, cio_id FROM delivery.links WHERE record_id IS NOT NULL) AS l
        ON l.destination = g.destination AND l.cio_id = g.person
    QUALIFY row_number() OVER (PARTITION BY g.destination, g.person ORDER BY g.noticed_at DESC) = 1"""


def _listed(*, by_address: bool = True) -> str:
    gone = listed_gone(by_address=by_address)
    return f"""
    SELECT *, cio_id IN (
        SELECT cio_id FROM audience.memberships WHERE exited_at IS NULL AND NOT ghost) AS in_audience
    FROM (
        SELECT destination, cio_id, reason, mend, record_id, owner_cio_id, noticed_at FROM delivery.key_clashes
        UNION ALL BY NAME
        SELECT destination, cio_id, {literal(IS_GONE)} AS reason, mend, record_id, noticed_at FROM ({gone})
        UNION ALL BY NAME
        SELECT destination, r.cio_id, {literal(WRONG_PERSON)} AS reason, {literal(_REVIEW)} AS mend, record_id,
            r.noticed_at
        FROM feedback.reviews AS r JOIN feedback.outcome_fields AS f USING (destination, record_id, outcome)
    )"""
