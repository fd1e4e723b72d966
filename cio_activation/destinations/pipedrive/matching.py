"""Who is who: links people to Pipedrive persons inside the warehouse, without one vendor call.

Our external id on a person is certain; an e-mail is a match only for the profile that owns it. A Pipedrive person
belongs to one of our people at most: of several who match it, to whom its primary address is, also where somebody else
was there first whom only an address or a phone led there (``claims``). If several persons share an e-mail, the one that
has it as its primary address is taken, then the oldest (smallest id), and the case is reported. Whom neither leads to a
person is looked for by phone where the activation says so: only a number that one profile and one Pipedrive person have
is a match, and only if no e-mail of that person is another profile's.
"""

from __future__ import annotations

from cio_activation.activation.models import Lane
from cio_activation.delivery import scopes
from cio_activation.delivery.destination import Context
from cio_activation.delivery.unmatched import forget_found, note_gone
from cio_activation.destinations.common.records import forget_links, forget_shadows, hand_over_shadows
from cio_activation.destinations.pipedrive import claims, phone_links
from cio_activation.destinations.pipedrive.config import NAME
from cio_activation.destinations.pipedrive.mirror import WarehouseStep, mirror_name
from cio_activation.destinations.pipedrive.mirrored import MATCHING, note_matching
from cio_activation.warehouse import change_log
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, timestamp
from cio_activation.warehouse.tables import PERSONS

WATCHED = (PERSONS, MATCHING)
"""What people are matched by, as the change log calls it."""
AMBIGUOUS = "several Pipedrive persons share this e-mail"
AMBIGUOUS_PHONE = "several Pipedrive persons share this phone"
EMAIL_TAKEN = "email_taken"
"""``matched_by`` of a person whose e-mail is on a Pipedrive person of somebody else: never created a second time."""


def links_name(lane: Lane) -> str:
    """Return the links step's name in ``lane``."""
    return f"person_links_{lane}"


class LinksStep(WarehouseStep):
    """``person_links_<lane>``: SQL only; every deliverable person is looked for in the mirror."""

    needs: tuple[str, ...] = ("identity/persons",)

    def __init__(self, lane: Lane) -> None:
        self.lane: Lane | None = lane
        self.name = links_name(lane)
        self.after: tuple[str, ...] = (mirror_name(lane),)
        self.description = (
            "Matches people with the mirrored Pipedrive persons: by our id, by an e-mail they own, by phone."
        )

    def refresh(self, con: Connection, context: Context) -> None:
        """Bring the links up to date, and note whose changed; nothing to do where nothing changed that they go by."""
        assert context.window is not None
        if scopes.is_quiet(con, self, NAME, context, WATCHED):
            return
        scopes.note_seen(con, self, NAME, context)  # before what matching itself notes
        self.match(con, context)

    def match(self, con: Connection, context: Context) -> None:
        """Match everybody."""
        assert context.window is not None
        con.execute("CREATE OR REPLACE TEMP TABLE pd_touched (cio_id VARCHAR)")
        as_of = timestamp(context.window.as_of)
        match = context.activation.match
        by_email = "email" in match.keys
        _release_deleted(con, as_of)
        claims.displace(con, by_email=by_email)
        _find(con, by_email=by_email, by_phone=match.phone)
        _take_over(con)
        _store(con, as_of)
        claims.survivors_unknown(con, as_of)
        forget_found(con, NAME)
        claims.list_losers(con, as_of)
        _report_ambiguous(con, context)
        change_log.note(con, f"delivery.{NAME}", "SELECT cio_id FROM pd_touched")
        note_matching(con, "FROM pd_touched")  # whoever had to go may have another place: looked at until nobody moves
        con.execute(
            "DROP TABLE pd_found; DROP TABLE pd_by_email; DROP TABLE pd_by_phone; DROP TABLE pd_free; "
            "DROP TABLE pd_open; DROP TABLE pd_displaced; DROP TABLE pd_touched"
        )


def release(con: Connection, lost: str) -> None:
    """Forget the links of ``lost`` (cio_id, record_id, lost_at): link and shadows go, the record is remembered."""
    note_matching(con, f"FROM {lost}")
    change_log.note(con, f"delivery.{NAME}", f"SELECT cio_id FROM {lost}")
    con.execute(f"INSERT INTO delivery.pipedrive_released SELECT cio_id, record_id, lost_at FROM {lost}")
    forget_links(con, NAME, lost)
    forget_shadows(con, NAME, lost)


def _release_deleted(con: Connection, as_of: str) -> None:
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE pd_lost AS
        SELECT l.cio_id, l.record_id, {as_of} AS lost_at
        FROM delivery.links AS l JOIN delivery.pipedrive_persons AS m ON m.person_id = l.record_id
        WHERE l.destination = {literal(NAME)} AND m.is_deleted"""
    )
    con.execute("CREATE OR REPLACE TEMP TABLE pd_gone AS SELECT cio_id, record_id, lost_at AS noticed_at FROM pd_lost")
    note_gone(con, NAME, "pd_gone")
    con.execute(
        f"""UPDATE delivery.gone_records AS g SET in_bin = m.in_bin FROM delivery.pipedrive_persons AS m
        WHERE g.destination = {literal(NAME)} AND m.person_id = g.record_id AND m.in_bin IS NOT NULL
          AND g.in_bin IS NULL"""
    )
    release(con, "pd_lost")
    con.execute("DROP TABLE pd_lost; DROP TABLE pd_gone")


def _find(con: Connection, *, by_email: bool, by_phone: bool) -> None:
    """Fill ``pd_found``: one row per person without a record who was found, or could be created.

    A record linked to a profile that is no longer in Customer.io (merged there, deleted) may be taken over.
    """
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE pd_open AS
        SELECT p.cio_id, p.email, p.deliverable, p.deliverable AND p.email_owner AND {by_email} AS by_email,
               {"CASE WHEN p.phone_owner THEN p.phone END" if by_phone else "CAST(NULL AS VARCHAR)"} AS phone
        FROM identity.persons AS p
        ANTI JOIN (SELECT cio_id FROM delivery.links WHERE destination = {literal(NAME)} AND record_id IS NOT NULL) AS l
        ON l.cio_id = p.cio_id"""
    )
    # The id of whoever just had to give way is no more than the trace of the address that led there.
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE pd_free AS
        SELECT m.person_id, CASE WHEN g.record_id IS NULL THEN m.external_id END AS external_id, m.emails,
               m.primary_email,
               g.record_id IS NULL AND m.external_id IS NOT NULL
                   AND m.external_id IN (SELECT cio_id FROM identity.persons) AS owned
        FROM delivery.pipedrive_persons AS m
        LEFT JOIN (SELECT DISTINCT record_id FROM pd_displaced) AS g ON g.record_id = m.person_id
        ANTI JOIN (
            SELECT l.record_id FROM delivery.links AS l SEMI JOIN identity.persons AS p ON p.cio_id = l.cio_id
            WHERE l.destination = {literal(NAME)} AND l.record_id IS NOT NULL
        ) AS taken ON taken.record_id = m.person_id
        WHERE NOT m.is_deleted"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE pd_by_email AS
        SELECT o.cio_id, f.person_id, bool_or(f.email = f.primary_email) AS is_primary
        FROM pd_open AS o
        JOIN (SELECT person_id, primary_email, unnest(from_json(emails, '["VARCHAR"]')) AS email
              FROM pd_free WHERE NOT owned) AS f
        ON f.email = o.email
        WHERE o.by_email AND o.cio_id NOT IN (SELECT external_id FROM pd_free WHERE external_id IS NOT NULL)
        GROUP BY o.cio_id, f.person_id"""
    )
    phone_links.find(con, asked=by_phone)
    con.execute(
        """CREATE OR REPLACE TEMP TABLE pd_found AS
        WITH chosen AS (
            SELECT o.cio_id, arg_min(f.person_id, TRY_CAST(f.person_id AS BIGINT)) AS record_id, true AS stamped,
                   'external_id' AS matched_by
            FROM pd_open AS o JOIN pd_free AS f ON f.external_id = o.cio_id GROUP BY o.cio_id
            UNION ALL
            SELECT cio_id, person_id, false, 'email' FROM (
                SELECT cio_id, person_id, is_primary FROM pd_by_email
                QUALIFY row_number() OVER (PARTITION BY person_id ORDER BY is_primary DESC NULLS LAST, cio_id) = 1)
            QUALIFY row_number() OVER (
                PARTITION BY cio_id ORDER BY is_primary DESC NULLS LAST, TRY_CAST(person_id AS BIGINT)) = 1
            UNION ALL
            SELECT cio_id, person_id, false, 'phone' FROM pd_by_phone WHERE is_free AND persons = 1
            QUALIFY count(*) OVER (PARTITION BY person_id) = 1
        )
        SELECT o.cio_id, c.record_id, coalesce(c.stamped, false) AS stamped, o.email AS looked_up_email,
               CASE WHEN c.record_id IS NOT NULL THEN c.matched_by
                    WHEN o.email IN (SELECT unnest(from_json(emails, '["VARCHAR"]')) FROM delivery.pipedrive_persons
                                     WHERE NOT is_deleted) THEN 'email_taken' END AS matched_by
        FROM pd_open AS o LEFT JOIN chosen AS c ON c.cio_id = o.cio_id
        WHERE o.deliverable OR c.record_id IS NOT NULL"""
    )


def _take_over(con: Connection) -> None:
    """Hand what we wrote on a record of a vanished profile to the profile that now owns it."""
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE pd_heirs AS
        SELECT l.cio_id, f.record_id, f.cio_id AS heir
        FROM pd_found AS f JOIN delivery.links AS l
        ON l.destination = {literal(NAME)} AND l.record_id = f.record_id AND l.cio_id <> f.cio_id"""
    )
    con.execute("INSERT INTO pd_touched SELECT unnest([cio_id, heir]) FROM pd_heirs")
    hand_over_shadows(con, NAME, "pd_heirs")
    forget_links(con, NAME, "pd_heirs")
    con.execute("DROP TABLE pd_heirs")


def _store(con: Connection, as_of: str) -> None:
    """Write only the links that changed; people found nowhere keep one row with no record."""
    same = """l.cio_id = f.cio_id AND f.record_id IS NULL AND l.matched_by IS NOT DISTINCT FROM f.matched_by
        AND l.looked_up_email IS NOT DISTINCT FROM f.looked_up_email"""
    outdated = f"""FROM delivery.links AS l WHERE l.destination = {literal(NAME)} AND l.record_id IS NULL
        AND NOT EXISTS (SELECT 1 FROM pd_found AS f WHERE {same})"""
    con.execute(f"INSERT INTO pd_touched SELECT l.cio_id {outdated}")
    con.execute(f"DELETE {outdated}")
    fresh = f"""FROM pd_found AS f
        ANTI JOIN (SELECT cio_id FROM delivery.links WHERE destination = {literal(NAME)}) AS l ON l.cio_id = f.cio_id"""
    con.execute(f"INSERT INTO pd_touched SELECT f.cio_id {fresh}")
    con.execute(
        f"""INSERT INTO delivery.links BY NAME
        SELECT {literal(NAME)} AS destination, f.cio_id, f.record_id, f.stamped, f.matched_by, f.looked_up_email,
               {as_of} AS linked_at
        {fresh}"""
    )


def _report_ambiguous(con: Connection, context: Context) -> None:
    window = context.window
    assert window is not None
    found = (
        ("email", AMBIGUOUS, "pd_by_email",
         "whose primary address it is is used, else the smallest id; merge the others in Pipedrive"),
        ("phone", AMBIGUOUS_PHONE, "pd_by_phone", "none of them is used; merge them, or give the right one our id"),
    )  # fmt: skip
    for column, reason, matches, mend in found:
        where = [str(window.lane), window.key, reason]
        con.execute(
            "DELETE FROM quarantine.rows WHERE layer = 'payload' AND lane = ? AND window_key = ? AND reason = ?", where
        )
        con.execute(
            f"""INSERT INTO quarantine.rows BY NAME
            SELECT 'payload' AS layer, ? AS lane, ? AS window_key, cio_id, {literal(column)} AS "column", ? AS reason,
                   {literal(mend)} AS detail,
                   CAST(to_json({{persons: list(person_id ORDER BY TRY_CAST(person_id AS BIGINT))}}) AS VARCHAR) AS row
            FROM {matches} GROUP BY cio_id HAVING count(*) > 1""",
            where,
        )
