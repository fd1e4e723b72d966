"""The rows of the mirror, ``delivery.pipedrive_persons``: whoever writes them notes whose record that changes.

Plans are made from them for those only whom a change touched, and people are matched anew only where something changed
that they are matched by: an address, a phone, our id, or that a record is gone or free.
"""

from __future__ import annotations

from cio_activation.destinations.pipedrive.config import NAME
from cio_activation.warehouse import change_log
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, scalar

MIRROR = "delivery.pipedrive_persons"
MATCHING = MIRROR
"""What the change log calls all that people are matched by; it names nobody, as matching is for everybody or nobody."""


def merge(con: Connection, seen: str) -> None:
    """Lay rows of ``seen`` over the mirror; an older reading never replaces a newer one.

    NULL name, e-mails and phones mean "not shown" and keep what is known; so do fields that are left out. Notes whose
    row changes, and that matching has something new to go by if it has.
    """
    always = [f"s.{c} IS DISTINCT FROM t.{c}" for c in ("external_id", "is_deleted")]
    shown = [f"s.{c} IS NOT NULL AND s.{c} IS DISTINCT FROM t.{c}" for c in ("emails", "primary_email", "phones")]
    matching = " OR ".join([*always, *shown])
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE pd_differing AS
        SELECT s.person_id, t.person_id IS NULL OR {matching} AS matches
        FROM {seen} AS s LEFT JOIN {MIRROR} AS t ON t.person_id = s.person_id
        WHERE t.person_id IS NULL OR (
            coalesce(s.update_time >= t.update_time, t.update_time IS NULL)
            AND ({matching} OR s.audiences IS DISTINCT FROM t.audiences
                OR s.fields IS NOT NULL AND s.fields <> '{{}}'))"""
    )
    note_changed(con, "SELECT person_id FROM pd_differing")
    note_matching(con, "SELECT 1 FROM pd_differing WHERE matches")
    con.execute("DROP TABLE pd_differing")
    con.execute(
        f"""MERGE INTO {MIRROR} AS t USING {seen} AS s ON t.person_id = s.person_id
        WHEN MATCHED AND (t.update_time IS NULL OR s.update_time >= t.update_time) THEN UPDATE SET
            name = coalesce(s.name, t.name), emails = coalesce(s.emails, t.emails), external_id = s.external_id,
            primary_email = coalesce(s.primary_email, t.primary_email), phones = coalesce(s.phones, t.phones),
            audiences = s.audiences, update_time = s.update_time, is_deleted = s.is_deleted,
            mirrored_at = s.mirrored_at,
            fields = CAST(json_merge_patch(coalesce(t.fields, '{{}}'), coalesce(s.fields, '{{}}')) AS VARCHAR)
        WHEN NOT MATCHED THEN INSERT
            (person_id, name, emails, primary_email, phones, external_id, audiences, update_time, is_deleted,
             mirrored_at, fields)
            VALUES (s.person_id, s.name, s.emails, s.primary_email, s.phones, s.external_id, s.audiences,
                    s.update_time, s.is_deleted, s.mirrored_at, s.fields)"""
    )


def mark_deleted(con: Connection, records: str) -> None:
    """Note in the mirror that ``records`` (a SELECT of ``person_id``) are gone."""
    fresh = f"SELECT person_id FROM {MIRROR} WHERE NOT is_deleted AND person_id IN ({records})"
    note_changed(con, fresh)
    note_matching(con, fresh)
    con.execute(f"UPDATE {MIRROR} SET is_deleted = true WHERE person_id IN ({records})")


def note_changed(con: Connection, records: str) -> None:
    """Note in the change log whose rows of the mirror change; call before or after, in the same transaction."""
    change_log.note(
        con,
        f"delivery.{NAME}",
        f"""SELECT cio_id FROM delivery.links
        WHERE destination = {literal(NAME)} AND record_id IN (SELECT person_id FROM ({records}))""",
    )


def note_matching(con: Connection, found: str) -> None:
    """Note that matching has to look again, at everybody as ever, if ``found`` (a SELECT) gives anything."""
    if scalar(con, f"SELECT EXISTS ({found})"):
        change_log.note(con, MATCHING, None)
