"""Who may use a match key that several people carry: one owner, by rule, and everyone else is listed.

Owner of an e-mail or an external id: who has an external id, then who was known first (attribute ``created_at``,
if the activation declares it as a timestamp), then the smallest ``cio_id``. A phone that several people have is
nobody's: a household shares it, and to give it to one of them would be a guess. The same people give the same owner in
any order.
"""

from __future__ import annotations

from cio_activation.activation.windows import Window
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal
from cio_activation.warehouse.tables import KEY_CLASHES

SHARED_PHONE = "several people have this number: it matches none of them"
LOSERS = "identity_losers"
KEYED = "identity_keyed"
_KEYS = {"email": "email", "external_id": "folded_id"}
"""Match key -> column of ``identity_keyed``. External ids are the same key when they differ by case alone."""


_PHONE_OF_SEVERAL = f"""
        SELECT 'phone', phone, cio_id, CAST(NULL AS VARCHAR), {literal(SHARED_PHONE)}
        FROM {KEYED} WHERE phone IS NOT NULL
        QUALIFY count(*) OVER (PARTITION BY phone) > 1"""


def find_losers(con: Connection) -> None:
    """Fill ``identity_losers`` from ``identity_keyed`` (cio_id, email, folded_id, phone, known_since).

    One row per person and key that somebody else has a better right to, or that nobody may use.
    """
    parts = [*(_losers_of(key, column) for key, column in _KEYS.items()), _PHONE_OF_SEVERAL]
    con.execute(f"CREATE OR REPLACE TEMP TABLE {LOSERS} AS {' UNION ALL '.join(parts)}")


def _losers_of(key: str, column: str) -> str:
    """Return the query of everybody who carries a shared key without owning it. Only shared keys are sorted."""
    return f"""
        SELECT
            '{key}' AS match_key,
            value,
            cio_id,
            first_value(cio_id) OVER ranked_{key} AS owner_cio_id,
            CASE
                WHEN folded_id IS NULL AND first_value(folded_id) OVER ranked_{key} IS NOT NULL
                    THEN 'the owner has an external id'
                WHEN first_value(known_since) OVER ranked_{key} < coalesce(known_since, TIMESTAMP 'infinity')
                    THEN 'the owner was known first'
                ELSE 'the owner has the smaller cio_id'
            END AS reason
        FROM (
            SELECT {column} AS value, cio_id, folded_id, known_since
            FROM {KEYED}
            WHERE {column} IN (SELECT {column} FROM {KEYED} WHERE {column} IS NOT NULL GROUP BY ALL HAVING count(*) > 1)
        )
        WINDOW ranked_{key} AS (PARTITION BY value ORDER BY folded_id IS NULL, known_since NULLS LAST, cio_id)
        QUALIFY row_number() OVER ranked_{key} > 1"""


def list_key_clashes(con: Connection, window: Window, keys: str | None = None) -> int:
    """Write ``identity.key_clashes`` from the losers and return how many rows it has.

    ``keys`` is a query of (match_key, value) that was looked at; only these are replaced. Values are hashed.
    """
    stale = "" if keys is None else f" WHERE (match_key, value_hash) IN (SELECT match_key, sha256(value) FROM ({keys}))"
    con.execute(f"DELETE FROM {KEY_CLASHES}{stale}")
    con.execute(
        f"INSERT INTO {KEY_CLASHES} SELECT match_key, sha256(value), cio_id, owner_cio_id, reason, "
        f"{literal(window.key)} FROM {LOSERS}"
    )
    return int(con.execute(f"SELECT count(*) FROM {KEY_CLASHES}").fetchall()[0][0])
