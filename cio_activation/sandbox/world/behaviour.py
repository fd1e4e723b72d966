"""What people of the world do: orders, carts, opens, clicks, win-back mails, refunds; as tables with intervals.

Tables lie in order of ``person``, so that one person's rows are found without reading everyone's. Every table says
from when until when a row is the newest of its person, so that the state at any instant is one
filter per table. All times are whole seconds since the epoch. Everything but the orders up to ``ends_at`` and
refunds that the history itself holds is made up, from the world's seed:

- orders after ``ends_at`` repeat the orders of 52 weeks before (or of as many whole weeks as the history has), so
  that a demo can go on for :data:`HORIZON_DAYS`;
- carts are opened at random instants, worth about a person's usual basket with a heavy tail above; a cart empties
  with the next order or after 72 hours;
- win-back mails go out 95, 140 and 200 days after the last order; three in ten are clicked;
- "where is my order" clicks and, if the history has no negative values, refunds follow a few orders.
"""

from __future__ import annotations

import duckdb

DAY = 86_400
HORIZON_DAYS = 60
"""How far beyond ``ends_at`` the world goes on."""
CART_HISTORY_DAYS = 200
CART_LIFE_HOURS = 72
MADE_UP = ("Starter set", "Family pack", "Favourite", "Refill", "Gift box", "Sampler", "Season's pick", '12" platter')


def create_behaviour(con: duckdb.DuckDBPyConnection, ends_at: int) -> None:
    """Create all behaviour tables from ``orders`` and ``people``."""
    _echo(con, ends_at)
    con.execute("CREATE TABLE history AS " + _history("TRUE") + " ORDER BY person")
    con.execute("CREATE TABLE winbacks AS " + _winbacks("TRUE") + " ORDER BY person")
    con.execute("CREATE TABLE filled_carts AS " + _carts(ends_at))
    con.execute("CREATE TABLE carts AS " + _cart_intervals("TRUE") + " ORDER BY person")
    con.execute("CREATE TABLE refunded AS " + _refunds(con, ends_at))
    con.execute("CREATE TABLE refunds AS " + _refund_intervals("TRUE") + " ORDER BY person")
    con.execute("CREATE TABLE wismo AS " + _wismo(con, ends_at))
    con.execute("CREATE TABLE clicks (person VARCHAR, kind VARCHAR, done_at BIGINT)")


def rebuild(con: duckdb.DuckDBPyConnection, person: str) -> None:
    """Work out the intervals of one person again, after an order, a cart or a refund was added by hand."""
    for table, query in (
        ("history", _history),
        ("winbacks", _winbacks),
        ("carts", _cart_intervals),
        ("refunds", _refund_intervals),
    ):
        con.execute(f"DELETE FROM {table} WHERE person = $1", [person])
        con.execute(f"INSERT INTO {table} " + query("person = $1"), [person])


def _echo(con: duckdb.DuckDBPyConnection, ends_at: int) -> None:
    con.execute(
        f"""
        INSERT INTO orders
        WITH span AS (
            SELECT least(364, greatest(7, 7 * ((max(ordered_at) - min(ordered_at)) // (7 * {DAY})))) * {DAY} AS back
            FROM orders
        )
        SELECT person, order_id || '-again', ordered_at + back, value, category, TRUE
        FROM orders, span
        WHERE ordered_at + back > {ends_at} AND ordered_at + back <= {ends_at + HORIZON_DAYS * DAY} AND value >= 0
        """
    )


def _history(where: str) -> str:
    """One row per order: everything an order history says about its person from then until the next order."""
    products = ", ".join("'" + name.replace("'", "''") + "'" for name in MADE_UP)
    return f"""
    WITH sold AS (
        SELECT
            *,
            sum(value) OVER (PARTITION BY person, category ORDER BY ordered_at, order_id) AS category_total,
            ordered_at - lag(ordered_at) OVER (PARTITION BY person ORDER BY ordered_at, order_id) AS gap
        FROM orders
        WHERE value >= 0 AND {where}
    )
    SELECT
        person,
        ordered_at,
        coalesce(lead(ordered_at) OVER following, 253402300799) AS until,
        min(ordered_at) OVER running AS first_order_at,
        count(*) OVER running AS orders_count,
        sum(value) OVER running AS total_spent,
        median(gap / {DAY}.0) OVER running AS median_gap,
        category AS last_category,
        arg_max(category, category_total) FILTER (category IS NOT NULL) OVER running AS top_category,
        coalesce(upper(left(category, 1)) || lower(substr(category, 2)) || ' ', '')
            || [{products}][1 + (md5_number_lower(order_id) % {len(MADE_UP)})::INT] AS last_product
    FROM sold
    WINDOW
        running AS (PARTITION BY person ORDER BY ordered_at, order_id ROWS UNBOUNDED PRECEDING),
        following AS (PARTITION BY person ORDER BY ordered_at, order_id)
    """


def _winbacks(where: str) -> str:
    return f"""
    WITH sent AS (
        SELECT
            person,
            ordered_at + d.days * {DAY} + floor(chance('winback_hour', person) * 6 * 3600)::BIGINT AS sent_at,
            until AS next_order_at
        FROM history, (VALUES (95), (140), (200)) AS d(days)
        WHERE {where}
    ),
    answered AS (
        SELECT
            person,
            sent_at,
            CASE WHEN chance('winback_click', concat_ws('/', person, sent_at)) < 0.3
                THEN sent_at + 300 + floor(chance('winback_wait', concat_ws('/', person, sent_at)) * 60 * 3600)::BIGINT
            END AS clicked_at
        FROM sent
        WHERE sent_at < next_order_at
    )
    SELECT
        person,
        sent_at,
        coalesce(lead(sent_at) OVER mails, 253402300799) AS until,
        clicked_at,
        max(clicked_at) OVER (mails ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS clicked_before
    FROM answered
    WINDOW mails AS (PARTITION BY person ORDER BY sent_at)
    """


def _carts(ends_at: int) -> str:
    days = CART_HISTORY_DAYS + HORIZON_DAYS
    start = ends_at - CART_HISTORY_DAYS * DAY
    return f"""
    WITH opened AS (
        SELECT
            person,
            created_at,
            basket,
            unnest(range(floor(carts_per_day * {days} + chance('carts_more', person))::BIGINT)) AS n
        FROM people
    ),
    keyed AS (
        SELECT *, concat_ws('/', person, n) AS cart FROM opened
    )
    SELECT
        person,
        greatest(created_at, {start} + floor(chance('cart_at', cart) * {days * DAY})::BIGINT) AS opened_at,
        CASE WHEN chance('checkout', cart) < 0.4 THEN 180 + floor(chance('checkout_wait', cart) * 2400)::BIGINT END
            AS checkout_after,
        -- Two in five carts are far above the usual basket: the ones a concierge would call about.
        round(
            greatest(basket, 8) * (
                0.5 + 1.5 * chance('cart_value', cart)
                + CASE WHEN chance('cart_tail', cart) < 0.4 THEN 2 + 12 * pow(chance('cart_big', cart), 2) ELSE 0 END
            ),
            2
        ) AS value,
        NULL::BIGINT AS cleared_at
    FROM keyed
    """


def _cart_intervals(where: str) -> str:
    """One row per cart; ``closed_at`` is the first of next order, hand clearing and 72 hours after its last change."""
    return f"""
    WITH placed AS (
        SELECT
            c.*,
            o.ordered_at AS bought_at
        FROM (SELECT *, rowid AS filled FROM filled_carts WHERE {where}) AS c
        ASOF LEFT JOIN (SELECT person, ordered_at FROM orders WHERE value >= 0 AND {where}) AS o
            ON c.person = o.person AND c.opened_at <= o.ordered_at
    )
    SELECT
        person,
        opened_at,
        opened_at + checkout_after AS checkout_at,
        coalesce(lead(opened_at) OVER (PARTITION BY person ORDER BY opened_at, filled), 253402300799) AS until,
        least(bought_at, cleared_at, opened_at + coalesce(checkout_after, 0) + {CART_LIFE_HOURS * 3600}) AS closed_at,
        value
    FROM placed
    """


def _share_of_orders(con: duckdb.DuckDBPyConnection, ends_at: int, people_share: float) -> float:
    """Return which share of orders must have something for ``people_share`` of all people to have it each month."""
    orders, people = con.execute(
        "SELECT count(*), count(DISTINCT person) FROM orders WHERE value >= 0 AND ordered_at > $1 AND ordered_at <= $2",
        [ends_at - 30 * DAY, ends_at],
    ).fetchall()[0]
    return min(0.3, people_share * people / orders) if orders else 0.0


def _refunds(con: duckdb.DuckDBPyConnection, ends_at: int) -> str:
    real = con.execute("SELECT count(*) FROM orders WHERE value < 0").fetchall()[0][0]
    if real:
        return "SELECT person, ordered_at AS done_at FROM orders WHERE value < 0"
    share = _share_of_orders(con, ends_at, 0.03)
    return f"""
    SELECT person, ordered_at + {2 * DAY} + floor(chance('refund_wait', order_id) * {10 * DAY})::BIGINT AS done_at
    FROM orders
    WHERE value > 0 AND chance('refund', order_id) < {share}
    """


def _refund_intervals(where: str) -> str:
    return f"""
    SELECT
        person,
        done_at,
        coalesce(lead(done_at) OVER (PARTITION BY person ORDER BY done_at), 253402300799) AS until,
        count(*) OVER (PARTITION BY person ORDER BY done_at ROWS UNBOUNDED PRECEDING) AS refund_count
    FROM refunded
    WHERE {where}
    """


def _wismo(con: duckdb.DuckDBPyConnection, ends_at: int) -> str:
    share = _share_of_orders(con, ends_at, 0.05)
    return f"""
    SELECT
        person,
        ordered_at + {DAY} + floor(chance('wismo_wait', order_id || '/' || n) * {4 * DAY})::BIGINT AS done_at
    FROM orders, range(3) AS t(n)
    WHERE value > 0 AND chance('wismo', order_id) < {share} AND n < 1 + floor(3 * chance('wismo_n', order_id))
    """
