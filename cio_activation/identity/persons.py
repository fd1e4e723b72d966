"""``identity.persons`` as SQL: one row per person, built from raw people, their phones and the keys they lost."""

from __future__ import annotations

import hashlib
from importlib import metadata

from cio_activation.activation.models import Activation, AttributeType
from cio_activation.activation.windows import Window
from cio_activation.identity import ownership
from cio_activation.identity.contract import NOT_SENDABLE
from cio_activation.identity.normalize import is_e164, is_email, is_sendable, trimmed
from cio_activation.warehouse.addresses import email_sql, learn_spellings
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier, literal, scalar, timestamp
from cio_activation.warehouse.tables import PERSONS, PHONE_MAP

LAYER = "identity"
NEXT = "identity.persons_next"
BAD_KEYS = ("invalid e-mail", "invalid phone")
"""Reasons by which :func:`bad_keys_sql` lists a key; whoever is refused as a whole has another."""
_CONTENT = (
    "external_id, email, phone, first_name, last_name, email_owner, external_id_owner, deliverable, "
    "undeliverable_reason"
)

COMPARED = (*_CONTENT.split(", "), "phone_owner", "known_since", "source_hash")
"""Columns of ``identity.persons`` that say who somebody is, and from what that was made."""


def inputs(activation: Activation) -> tuple[str, ...]:
    """Return the columns of raw people that identity reads, as SQL."""
    named = ("cio_id", "external_id", "email", "phone", "first_name", "last_name", "content_hash")
    dated = known_since(activation) == identifier("created_at")
    return (*named, identifier("created_at")) if dated else named


def basis(con: Connection, activation: Activation) -> str:
    """Return a hash of all that decides what the same rows become: statements, region, release, DuckDB's version."""
    told = (
        keyed_sql("given", activation),
        addressed_sql("given", activation),
        activation.match.phone,
        [metadata.version(package) for package in ("cio_activation", "idna", "phonenumbers")],
        scalar(con, "SELECT version()"),
    )
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def known_since(activation: Activation) -> str:
    """Return the SQL of when a person was first known: the declared ``created_at``, else nothing."""
    attribute = activation.attributes.get("created_at")
    if attribute is None or attribute.type is not AttributeType.TIMESTAMP:
        return "CAST(NULL AS TIMESTAMP)"
    return identifier("created_at")


def learn_emails(con: Connection, people: str) -> None:
    """Read the e-mails of ``people`` (a relation); before :func:`keyed_sql` and :func:`persons_sql` over them."""
    learn_spellings(con, [f"SELECT email FROM {people}"])


def keyed_sql(people: str, activation: Activation) -> str:
    """Return the query of every person's match keys: cio_id, email, folded_id, phone, known_since."""
    number, read = "CAST(NULL AS VARCHAR)", ""
    if activation.match.phone:
        number, read = f"CASE WHEN {is_e164('k.raw_phone')} THEN k.raw_phone ELSE m.e164 END", _read_phones(activation)
    return (
        f"SELECT cio_id, CASE WHEN {is_email('cleaned')} THEN cleaned END AS email, folded_id, {number} AS phone, "
        f"known_since FROM (SELECT cio_id, {email_sql('email')} AS cleaned, "
        f"lower({trimmed('external_id')}) AS folded_id, {trimmed('phone')} AS raw_phone, "
        f"{known_since(activation)} AS known_since FROM {people}) AS k{read}"
    )


def _read_phones(activation: Activation) -> str:
    """Return the join that reads ``k.raw_phone``."""
    return f" LEFT JOIN {PHONE_MAP} AS m ON m.raw = k.raw_phone AND m.region = " + literal(
        activation.workspace.default_region
    )


def addressed_sql(people: str, activation: Activation) -> str:
    """Return the query of ``people`` (a relation) with what they are called and reached by, normalized."""
    return f"""
            SELECT
                k.*,
                CASE WHEN {is_email("given_email")} THEN given_email END AS email,
                CASE WHEN {is_e164("k.raw_phone")} THEN k.raw_phone ELSE m.e164 END AS phone
            FROM (
                SELECT
                    cio_id,
                    {trimmed("external_id")} AS external_id,
                    {email_sql("email")} AS given_email,
                    {trimmed("phone")} AS raw_phone,
                    {trimmed("first_name")} AS first_name,
                    {trimmed("last_name")} AS last_name,
                    {known_since(activation)} AS known_since,
                    content_hash AS source_hash
                FROM {people}
            ) AS k{_read_phones(activation)}"""


def persons_sql(people: str, activation: Activation, window: Window) -> str:
    """Return the statement that creates ``identity.persons_next`` for the persons of ``people`` (a relation)."""
    phone_owner = "c.phone IS NOT NULL AND h.cio_id IS NULL" if activation.match.phone else "false"
    return f"""
        CREATE OR REPLACE TABLE {NEXT} AS
        WITH addressed AS ({addressed_sql(people, activation)}
        ),
        owned AS (
            SELECT
                c.*,
                c.email IS NOT NULL AND e.cio_id IS NULL AS email_owner,
                c.external_id IS NOT NULL AND x.cio_id IS NULL AS external_id_owner,
                {phone_owner} AS phone_owner
            FROM addressed AS c
            LEFT JOIN {ownership.LOSERS} AS e ON e.cio_id = c.cio_id AND e.match_key = 'email'
            LEFT JOIN {ownership.LOSERS} AS x ON x.cio_id = c.cio_id AND x.match_key = 'external_id'
            LEFT JOIN {ownership.LOSERS} AS h ON h.cio_id = c.cio_id AND h.match_key = 'phone'
        ),
        judged AS (
            SELECT
                *,
                email_owner AND {is_sendable("email")} AS deliverable,
                CASE
                    WHEN email_owner AND {is_sendable("email")} THEN NULL
                    WHEN email_owner THEN {literal(NOT_SENDABLE)}
                    WHEN given_email IS NULL THEN 'no e-mail'
                    WHEN email IS NULL THEN 'invalid e-mail'
                    ELSE 'e-mail belongs to another person'
                END AS undeliverable_reason
            FROM owned
        ),
        hashed AS (
            SELECT
                *,
                -- Who may not be found by phone has the hash that everybody had before there was such a key.
                CASE WHEN phone_owner THEN hash({_CONTENT}, phone_owner) ELSE hash({_CONTENT}) END AS content_hash
            FROM judged
        )
        SELECT
            n.cio_id, {", ".join(f"n.{column}" for column in _CONTENT.split(", "))}, n.phone_owner,
            CASE WHEN p.content_hash = n.content_hash THEN p.changed_at
                 ELSE {timestamp(window.as_of)} END AS changed_at,
            n.content_hash, n.known_since, n.source_hash,
            p.content_hash IS DISTINCT FROM n.content_hash AS _changed
        FROM hashed AS n
        LEFT JOIN {PERSONS} AS p ON p.cio_id = n.cio_id"""


def bad_keys_sql(people: str, activation: Activation) -> str:
    """Return the SELECT, for the quarantine, of e-mails and phones which are not what they claim to be.

    It reads ``identity.persons_next``, so that no address is judged twice.
    """
    region = literal(activation.workspace.default_region)
    junk = f"SELECT raw FROM {PHONE_MAP} WHERE NOT valid AND region = {region}"
    return (
        "SELECT cio_id, 'email', 'invalid e-mail', NULL, CAST(json_object('email', email) AS VARCHAR) "
        f"FROM {people} WHERE cio_id IN (SELECT cio_id FROM {NEXT} WHERE undeliverable_reason = 'invalid e-mail') "
        "UNION ALL SELECT cio_id, 'phone', 'invalid phone', NULL, CAST(json_object('phone', phone) AS VARCHAR) "
        f"FROM {people} WHERE {trimmed('phone')} IN ({junk})"
    )
