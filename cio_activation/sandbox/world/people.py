"""Who lives in the sandbox's world: names, e-mails, phones and other traits of every customer, all made up.

Every trait is drawn from the customer id and the world's seed through MD5, so that it is the same on every
machine and DuckDB version. E-mails are at example.com; phones lie in the ranges 555-0100 to 555-0199 that are
reserved for fiction. Nobody here is a real person.
"""

from __future__ import annotations

import duckdb

FIRST_NAMES = (
    "Ada", "Amir", "Anna", "Aiko", "Ben", "Bruno", "Carla", "Chen", "Clara", "Dana", "David", "Elena", "Emil", "Eva",
    "Farah", "Felix", "Grace", "Hana", "Hugo", "Ines", "Ivan", "Jack", "Jane", "Jonas", "José", "Kai", "Karim", "Lara",
    "Leo", "Lily", "Maja", "Marco", "Maria", "Mia", "Nadia", "Noah", "Nora", "Olga", "Omar", "Paul", "Petra", "Priya",
    "Quinn", "Rosa", "Ruth", "Sam", "Sara", "Sofia", "Tara", "Theo", "Uma", "Vera", "Will", "Yara", "Zoë", "Zane",
)  # fmt: skip
LAST_NAMES = (
    "Abbott", "Adeyemi", "Almeida", "Baker", "Berg", "Bianchi", "Brooks", "Castro", "Chan", "Cole", "Costa", "Dahl",
    "Diaz", "Dubois", "Evans", "Fischer", "Flores", "Fox", "García", "Gupta", "Hansen", "Hill", "Ito", "Jensen",
    "Kaya", "Keller", "Khan", "Kim", "Kowalski", "Lange", "Lee", "Lopez", "Malik", "Meyer", "Moore", "Müller",
    "Nakamura", "Nguyen", "Novak", "O'Hara", "Okafor", "Olsen", "Patel", "Perez", "Petrov", "Quist", "Rossi",
    "Santos", "Schmidt", "Silva", "Singh", "Smith, Jr.", "Sousa", "Tanaka", "Torres", "Vega", "Walker", "Weber",
    'Wells "Bo"', "Wolf", "Yilmaz", "Young", "Zhang", "de la Cruz",
)  # fmt: skip
AREA_CODES = (
    "201", "202", "206", "212", "213", "214", "215", "216", "302", "303", "305", "310", "312", "313", "314", "315",
    "401", "402", "404", "405", "408", "410", "412", "415", "501", "502", "503", "504", "505", "507", "508", "512",
    "601", "602", "603", "605", "606", "608", "612", "614", "701", "702", "703", "704", "713", "716", "801", "802",
)  # fmt: skip

NO_ID_SHARE = 0.02
"""People known by e-mail only: Customer.io allows it, and several known importers lose them."""
NUMERIC_ID_SHARE = 0.01
"""People whose id looks like a number, leading zero included: it must stay text."""
CRM_SHARE = 0.3
ISO_SHARE = 0.1
"""People whose times are ISO 8601 text instead of epoch seconds (connectors differ)."""


def add_newcomers(con: duckdb.DuckDBPyConnection, ends_at: int, share: float) -> None:
    """Add made-up customers to ``orders``, ``share`` of those there are, who place their first order lately.

    They come in evenly from 90 days before ``ends_at`` to 60 days after it; two in five buy again 15 to 50 days
    later. Nothing happens if one customer in a hundred is new anyway: a panel of old customers has none, and then
    nobody would ever be due for a second purchase.
    """
    con.execute(
        """
        INSERT INTO orders
        WITH customers AS (
            SELECT person, count(*) AS orders, min(ordered_at) AS first_at FROM orders GROUP BY person
        ),
        panel AS (
            SELECT count(*) AS everyone, count(*) FILTER (orders = 1 AND first_at > $1 - 60 * 86400) AS fresh
            FROM customers
        ),
        usual AS (
            SELECT avg(value) FILTER (value > 0) AS basket, mode(category) AS category FROM orders
        ),
        arrived AS (
            SELECT
                'new-' || n AS person,
                $1 - 90 * 86400 + floor(chance('newcomer', n) * 150 * 86400)::BIGINT AS first_at,
                n
            FROM (
                SELECT unnest(range(ceil($2 * everyone)::BIGINT)) AS n FROM panel WHERE fresh < 0.01 * everyone
            )
        )
        SELECT
            person,
            person || '-' || k,
            first_at + k * (15 + floor(chance('again_wait', n) * 35))::BIGINT * 86400,
            round(basket * (0.5 + chance('newcomer_value', n || '/' || k)), 2),
            category,
            TRUE
        FROM arrived, usual, range(2) AS r(k)
        WHERE k = 0 OR chance('again', n) < 0.4
        """,
        [ends_at, share],
    )


def create_people(con: duckdb.DuckDBPyConnection, limit: int | None) -> None:
    """Create ``people`` from ``orders``: one row per customer, at most ``limit`` of them, picked by the seed.

    ``person`` is the customer id of the order history; ``iso`` says how the person's times are written;
    ``share`` and the behaviour columns feed :mod:`cio_activation.sandbox.world.behaviour`.
    """
    con.execute(_PEOPLE, [limit, list(FIRST_NAMES), list(LAST_NAMES), list(AREA_CODES)])
    con.execute("DELETE FROM orders WHERE person NOT IN (SELECT person FROM people)")


def cio_id_sql(key: str) -> str:
    """Return SQL for the ``cio_id`` of the customer id ``key``: 26 hexadecimal digits, the same for every seed."""
    return f"left(md5('cio_id|' || {key}), 26)"


_PEOPLE = f"""
CREATE TABLE people AS
WITH customers AS (
    SELECT
        person,
        min(ordered_at) AS first_order_at,
        avg(value) FILTER (value > 0) AS basket,
        row_number() OVER (ORDER BY chance('pick', person), person) AS pick
    FROM orders
    GROUP BY person
    QUALIFY $1 IS NULL OR pick <= $1
),
named AS (
    SELECT
        *,
        $2[1 + floor(chance('first', person) * len($2))::INT] AS first_name,
        $3[1 + floor(chance('last', person) * len($3))::INT] AS last_name,
        chance('id', person) AS id_chance
    FROM customers
)
SELECT
    person,
    {cio_id_sql("person")} AS cio_id,
    CASE
        WHEN id_chance < {NO_ID_SHARE} THEN NULL
        WHEN id_chance < {NO_ID_SHARE + NUMERIC_ID_SHARE} THEN '00' || (10000 + pick)
        WHEN regexp_full_match(person, '[0-9]{{1,6}}') THEN 'C' || (1000000 + person::INT)
        WHEN regexp_full_match(person, '[0-9]+') THEN 'C' || person
        ELSE person
    END AS external_id,
    regexp_replace(lower(strip_accents(first_name || '.' || last_name)), '[^a-z.]|[.]$', '', 'g')
        || '.' || pick || '@example.com' AS email,
    CASE
        WHEN chance('phone', person) < 0.85
        THEN '+1' || $4[1 + floor(chance('area', person) * len($4))::INT] || '55501'
            || lpad(floor(chance('line', person) * 100)::INT::VARCHAR, 2, '0')
    END AS phone,
    first_name,
    last_name,
    first_order_at - floor(chance('created', person) * 45 * 86400)::BIGINT - 60 AS created_at,
    chance('iso', person) < {ISO_SHARE} AS iso,
    CASE
        WHEN chance('unsubscribed', person) < 0.06 THEN 'true'
        WHEN chance('unsubscribed', person) < 0.5 THEN 'false' END
        AS unsubscribed,
    NULL::VARCHAR AS dirty_kind,
    greatest(coalesce(basket, 20), 5) AS basket,
    CASE WHEN chance('opens', person) < 0.88 THEN (2 + 30 * pow(chance('open_every', person), 2)) * 86400 END::BIGINT
        AS open_every,
    floor(chance('open_phase', person) * 40 * 86400)::BIGINT AS open_phase,
    CASE WHEN chance('clicks', person) < 0.8 THEN 2 + floor(chance('click_every', person) * 6) END::BIGINT
        AS click_every,
    CASE WHEN chance('carts', person) < 0.7 THEN 0.015 + 0.15 * pow(chance('cart_rate', person), 2) ELSE 0 END
        AS carts_per_day
FROM named
ORDER BY person
"""


def crm_seed_sql(share: float) -> str:
    """Return SQL for the people a CRM already holds; a fifth of them with an e-mail in other letter case."""
    return f"""
    SELECT
        CASE WHEN chance('crm_case', person) < 0.2
            THEN upper(left(email, 1)) || substr(split_part(email, '@', 1), 2) || '@Example.COM'
            ELSE email END AS email,
        first_name,
        last_name,
        coalesce(phone, '') AS phone
    FROM people
    WHERE email IS NOT NULL AND dirty_kind IS NULL AND chance('crm', person) < {float(share)}
    ORDER BY cio_id
    """
