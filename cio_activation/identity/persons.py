"""``identity.persons`` as SQL: one row per person, built from raw people, their phones and the keys they lost."""

from __future__ import annotations

from cio_activation.activation.models import Activation, AttributeType
from cio_activation.activation.windows import Window
from cio_activation.identity import ownership, phones
from cio_activation.identity.normalize import cleaned_email, is_e164, is_email, trimmed
from cio_activation.warehouse.sql import identifier, literal, timestamp

PERSONS = "identity.persons"
NEXT = "identity.persons_next"
_CONTENT = (
    "external_id, email, phone, first_name, last_name, email_owner, external_id_owner, deliverable, "
    "undeliverable_reason"
)

TABLES = (
    f"""CREATE TABLE IF NOT EXISTS {PERSONS} (
        cio_id            VARCHAR,
        external_id       VARCHAR,
        email             VARCHAR,    -- normalized
        phone             VARCHAR,    -- E.164
        first_name        VARCHAR,
        last_name         VARCHAR,
        email_owner       BOOLEAN,
        external_id_owner BOOLEAN,
        deliverable       BOOLEAN,    -- owns the e-mail that a CRM record could be made with
        undeliverable_reason       VARCHAR,
        changed_at        TIMESTAMP,  -- as-of of the window in which any of the above last changed
        content_hash      UBIGINT,
        known_since       TIMESTAMP,  -- what ownership goes by
        source_hash       UBIGINT     -- content hash of the raw row this was made from
    )""",
    """CREATE TABLE IF NOT EXISTS identity.key_clashes (
        match_key    VARCHAR,
        value_hash   VARCHAR,
        cio_id       VARCHAR,
        owner_cio_id VARCHAR,
        reason       VARCHAR,
        window_key   VARCHAR
    )""",
)


def known_since(activation: Activation) -> str:
    """Return the SQL of when a person was first known: the declared ``created_at``, else nothing."""
    attribute = activation.attributes.get("created_at")
    if attribute is None or attribute.type is not AttributeType.TIMESTAMP:
        return "CAST(NULL AS TIMESTAMP)"
    return identifier("created_at")


def keyed_sql(people: str, activation: Activation) -> str:
    """Return the query of every person's match keys: cio_id, email, folded_id, known_since."""
    return (
        f"SELECT cio_id, CASE WHEN {is_email('cleaned')} THEN cleaned END AS email, folded_id, known_since "
        f"FROM (SELECT cio_id, {cleaned_email('email')} AS cleaned, lower({trimmed('external_id')}) AS folded_id, "
        f"{known_since(activation)} AS known_since FROM {people})"
    )


def persons_sql(people: str, activation: Activation, window: Window) -> str:
    """Return the statement that creates ``identity.persons_next`` for the persons of ``people`` (a relation)."""
    region = literal(activation.workspace.default_region)
    return f"""
        CREATE OR REPLACE TABLE {NEXT} AS
        WITH cleaned AS (
            SELECT
                cio_id,
                {trimmed("external_id")} AS external_id,
                {cleaned_email("email")} AS given_email,
                {trimmed("phone")} AS raw_phone,
                {trimmed("first_name")} AS first_name,
                {trimmed("last_name")} AS last_name,
                {known_since(activation)} AS known_since,
                content_hash AS source_hash
            FROM {people}
        ),
        addressed AS (SELECT *, CASE WHEN {is_email("given_email")} THEN given_email END AS email FROM cleaned),
        owned AS (
            SELECT
                c.*,
                CASE WHEN {is_e164("c.raw_phone")} THEN c.raw_phone ELSE m.e164 END AS phone,
                c.email IS NOT NULL AND e.cio_id IS NULL AS email_owner,
                c.external_id IS NOT NULL AND x.cio_id IS NULL AS external_id_owner
            FROM addressed AS c
            LEFT JOIN {phones.MAP} AS m ON m.raw = c.raw_phone AND m.region = {region}
            LEFT JOIN {ownership.LOSERS} AS e ON e.cio_id = c.cio_id AND e.match_key = 'email'
            LEFT JOIN {ownership.LOSERS} AS x ON x.cio_id = c.cio_id AND x.match_key = 'external_id'
        ),
        judged AS (
            SELECT
                *,
                email_owner AS deliverable,
                CASE
                    WHEN email_owner THEN NULL
                    WHEN given_email IS NULL THEN 'no e-mail'
                    WHEN email IS NULL THEN 'invalid e-mail'
                    ELSE 'e-mail belongs to another person'
                END AS undeliverable_reason
            FROM owned
        ),
        hashed AS (SELECT *, hash({_CONTENT}) AS content_hash FROM judged)
        SELECT
            n.cio_id, {", ".join(f"n.{column}" for column in _CONTENT.split(", "))},
            CASE WHEN p.content_hash = n.content_hash THEN p.changed_at
                 ELSE {timestamp(window.as_of)} END AS changed_at,
            n.content_hash, n.known_since, n.source_hash,
            p.content_hash IS DISTINCT FROM n.content_hash AS _changed
        FROM hashed AS n
        LEFT JOIN {PERSONS} AS p ON p.cio_id = n.cio_id"""


def quarantine_sql(people: str, activation: Activation, window: Window) -> tuple[str, ...]:
    """Return the statements that list e-mails and phones which are not what they claim to be.

    They read ``identity.persons_next``, so that no address is judged twice.
    """
    place = f"'identity', {literal(window.lane.value)}, {literal(window.key)}, cio_id"
    into = f"INSERT INTO quarantine.rows SELECT {place}, "
    region = literal(activation.workspace.default_region)
    junk = f"SELECT raw FROM {phones.MAP} WHERE NOT valid AND region = {region}"
    return (
        f"{into} 'email', 'invalid e-mail', NULL, CAST(json_object('email', email) AS VARCHAR) "
        f"FROM {people} WHERE cio_id IN (SELECT cio_id FROM {NEXT} WHERE undeliverable_reason = 'invalid e-mail')",
        f"{into} 'phone', 'invalid phone', NULL, CAST(json_object('phone', phone) AS VARCHAR) "
        f"FROM {people} WHERE {trimmed('phone')} IN ({junk})",
    )
