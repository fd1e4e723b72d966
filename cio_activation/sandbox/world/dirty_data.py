"""What is wrong with a few people of the world: the mistakes that real workspaces hold.

A fixed share of people, picked by the seed, gets one kind each, in turn, so that every kind occurs once some
eight people are dirty. Times that cannot be read are kept out of the world's facts too: Customer.io's own
segments cannot read them either.
"""

from __future__ import annotations

import duckdb

KINDS = (
    "upper_email",
    "padded_email",
    "missing_email",
    "shared_email",
    "bad_phone",
    "bad_last_order_at",
    "bad_cart_updated_at",
    "twin_id",
)
"""``shared_email``: another person's address; ``twin_id``: another person's id in lower case ("c10" and "C10")."""

BAD_TIMES = ("yesterday", "31/12/2025 25:61", "0000-00-00 00:00:00", "n/a", "2026-13-45")
BAD_PHONES = ("call me", "12", "+1 555", "0800-FLOWERS", "+999999999999999999")


def soil(con: duckdb.DuckDBPyConnection, share: float) -> None:
    """Make ``share`` of ``people`` dirty, in place, and note the kind in column ``dirty_kind``."""
    con.execute(
        """
        CREATE TEMP TABLE soiled AS
        WITH ranked AS (
            SELECT
                cio_id,
                email,
                external_id,
                row_number() OVER (ORDER BY chance('dirt', person), cio_id) AS place,
                count(*) OVER () AS everyone
            FROM people
            WHERE external_id IS NOT NULL AND NOT starts_with(external_id, '00')
        ),
        dirty AS (
            SELECT *, $1[1 + (place - 1) % len($1)] AS kind FROM ranked WHERE place <= ceil($2 * everyone)
        ),
        clean AS (
            SELECT email, external_id, place - max(ceil($2 * everyone)) OVER () AS partner
            FROM ranked
            WHERE place > ceil($2 * everyone)
        )
        SELECT
            d.cio_id,
            d.kind,
            d.place,
            c.email AS other_email,
            c.external_id AS other_id
        FROM dirty AS d
        LEFT JOIN clean AS c ON c.partner = d.place
        """,
        [list(KINDS), share],
    )
    con.execute(
        """
        UPDATE people
        SET
            dirty_kind = kind,
            email = CASE kind
                WHEN 'upper_email' THEN upper(email)
                WHEN 'padded_email' THEN '  ' || email || ' '
                WHEN 'missing_email' THEN NULL
                WHEN 'shared_email' THEN coalesce(other_email, email)
                ELSE email END,
            phone = CASE WHEN kind = 'bad_phone' THEN $1[1 + place % len($1)] ELSE phone END,
            external_id = CASE WHEN kind = 'twin_id' THEN lower(coalesce(other_id, external_id)) ELSE external_id END
        FROM soiled
        WHERE soiled.cio_id = people.cio_id
        """,
        [list(BAD_PHONES)],
    )
    con.execute("DROP TABLE soiled")


def bad_time_sql(column: str) -> str:
    """Return SQL for what stands where the time ``column`` should be, for a person whose time is unreadable."""
    quoted = ", ".join(f"'{text}'" for text in BAD_TIMES)
    return f"[{quoted}][1 + (md5_number_lower('{column}' || cio_id) % {len(BAD_TIMES)})::INT]"
