"""One instant of the world: every person's facts, and the same facts as Customer.io writes them.

Facts are typed (times in seconds since the epoch); on the wire everything is text, absent values are absent,
times are seconds or, for some people, ISO 8601.
"""

from __future__ import annotations

from cio_activation.sandbox.world.dirty_data import bad_time_sql

DAY = 86_400

FACTS: dict[str, str] = {
    "created_at": "time",
    "first_order_at": "time",
    "last_order_at": "time",
    "orders_count": "count",
    "total_spent": "money",
    "average_order_value": "money",
    "median_days_between_orders": "number",
    "last_category": "text",
    "top_category": "text",
    "last_product": "text",
    "cart_value": "money",
    "cart_stage_raw": "text",
    "cart_updated_at": "time",
    "last_clicked_at": "time",
    "last_opened_at": "time",
    "last_refund_at": "time",
    "refund_count": "count",
    "winback_sent_at": "time",
    "winback_clicked_at": "time",
    "wismo_clicks_30d": "count",
    "unsubscribed": "text",
}
"""Every attribute that the world moves by itself, and its kind."""

IDENTITY = ("id", "email", "cio_id")
PROFILE = ("phone", "first_name", "last_name")
EXTRAS: dict[str, str] = {
    # A JSON object inside one cell, as the preference centre stores it.
    "cio_subscription_preferences": """
        CASE WHEN md5_number_lower('topics' || cio_id) % 10 = 0 THEN '{"topics":{"topic_1":true,"topic_2":false}}' END
    """,
    # Left over from an old import: differs from last_category by letter case only.
    "Last_Category": "CASE WHEN md5_number_lower('twin' || cio_id) % 50 = 0 THEN 'imported, see \"last_category\"' END",
}
"""Attributes that nothing moves, as SQL over the facts."""
ATTRIBUTES: tuple[str, ...] = (*IDENTITY, *PROFILE, *FACTS, *EXTRAS)
"""All attributes people have from the start, in no order that a reader may rely on."""

SQL_TYPES = {"time": "BIGINT", "count": "BIGINT", "money": "DOUBLE", "number": "DOUBLE", "text": "VARCHAR"}


def facts_sql(at: int, where: str = "TRUE") -> str:
    """Return SQL for facts at the instant ``at``: one row per person that exists then and for whom ``where`` holds.

    ``where`` is SQL over ``person``; it limits what is read of every table.
    """
    return f"""
    WITH carted AS (
        SELECT
            person,
            closed_at IS NULL OR closed_at > {at} AS open,
            CASE
                WHEN closed_at <= {at} THEN closed_at
                WHEN checkout_at <= {at} THEN checkout_at
                ELSE opened_at END AS updated_at,
            CASE WHEN checkout_at <= {at} THEN 'checkout' ELSE 'cart' END AS stage,
            value
        FROM carts
        WHERE opened_at <= {at} AND until > {at} AND {where}
    ),
    asked AS (
        SELECT person, count(*) AS clicks
        FROM wismo
        WHERE done_at <= {at} AND done_at > {at - 30 * DAY} AND {where}
        GROUP BY person
    ),
    clicked AS (
        SELECT
            person,
            max(done_at) FILTER (kind = 'winback') AS winback_at,
            max(done_at) AS any_at
        FROM clicks
        WHERE done_at <= {at} AND {where}
        GROUP BY person
    ),
    rounds AS (
        SELECT
            person,
            ({at} - open_phase) // open_every AS n,
            open_phase + (({at} - open_phase) // open_every) * open_every AS opened_at,
            open_phase + ((({at} - 600 - open_phase) // open_every) // click_every * click_every) * open_every + 600
                AS clicked_at
        FROM people
        WHERE {where}
    )
    SELECT
        p.person,
        p.cio_id,
        p.external_id AS id,
        p.email,
        p.phone,
        p.first_name,
        p.last_name,
        p.iso,
        p.dirty_kind,
        p.created_at,
        h.first_order_at,
        CASE WHEN p.dirty_kind IS DISTINCT FROM 'bad_last_order_at' THEN h.ordered_at END AS last_order_at,
        coalesce(h.orders_count, 0)::BIGINT AS orders_count,
        round(coalesce(h.total_spent, 0), 2) AS total_spent,
        round(h.total_spent / h.orders_count, 2) AS average_order_value,
        round(h.median_gap, 1) AS median_days_between_orders,
        h.last_category,
        h.top_category,
        h.last_product,
        CASE WHEN c.open THEN c.value WHEN c.person IS NOT NULL THEN 0 END AS cart_value,
        CASE WHEN c.open THEN c.stage ELSE 'empty' END AS cart_stage_raw,
        CASE WHEN p.dirty_kind IS DISTINCT FROM 'bad_cart_updated_at' THEN c.updated_at END AS cart_updated_at,
        greatest(
            CASE WHEN r.clicked_at >= p.created_at THEN r.clicked_at END,
            CASE WHEN w.clicked_at <= {at} THEN w.clicked_at END,
            k.any_at
        ) AS last_clicked_at,
        greatest(
            CASE WHEN r.opened_at >= p.created_at THEN r.opened_at END,
            CASE WHEN w.clicked_at <= {at} THEN w.clicked_at END,
            k.any_at
        ) AS last_opened_at,
        f.done_at AS last_refund_at,
        coalesce(f.refund_count, 0)::BIGINT AS refund_count,
        w.sent_at AS winback_sent_at,
        greatest(w.clicked_before, CASE WHEN w.clicked_at <= {at} THEN w.clicked_at END, k.winback_at)
            AS winback_clicked_at,
        coalesce(a.clicks, 0)::BIGINT AS wismo_clicks_30d,
        p.unsubscribed
    FROM (SELECT * FROM people WHERE {where}) AS p
    LEFT JOIN (SELECT * FROM history WHERE ordered_at <= {at} AND until > {at} AND {where}) AS h USING (person)
    LEFT JOIN carted AS c USING (person)
    LEFT JOIN rounds AS r USING (person)
    LEFT JOIN (SELECT * FROM winbacks WHERE sent_at <= {at} AND until > {at} AND {where}) AS w USING (person)
    LEFT JOIN (SELECT * FROM refunds WHERE done_at <= {at} AND until > {at} AND {where}) AS f USING (person)
    LEFT JOIN asked AS a USING (person)
    LEFT JOIN clicked AS k USING (person)
    WHERE p.created_at <= {at}
    """


def parse_sql(name: str, text: str) -> str:
    """Return SQL that reads the wire text ``text`` as the fact ``name``; NULL when it cannot be read."""
    kind = FACTS[name]
    if kind == "time":
        return f"coalesce(TRY_CAST(trim({text}) AS BIGINT), epoch(TRY_CAST(trim({text}) AS TIMESTAMPTZ))::BIGINT)"
    return f"TRY_CAST(trim({text}) AS {SQL_TYPES[kind]})"


def wire_sql(name: str) -> str:
    """Return SQL for the attribute ``name`` as text on the wire, from a table of facts; NULL where absent."""
    if name in EXTRAS:
        return EXTRAS[name]
    if name not in FACTS:
        return name
    kind = FACTS[name]
    if kind == "time":
        # Two spellings of the same instant: connectors agree on neither zone suffix.
        iso = (
            f"strftime(make_timestamp({name} * 1000000), '%Y-%m-%dT%H:%M:%S') "
            f"|| CASE WHEN {name} % 2 = 0 THEN 'Z' ELSE '+00:00' END"
        )
        written = f"CASE WHEN iso THEN {iso} ELSE {name}::VARCHAR END"
        if name in ("last_order_at", "cart_updated_at"):
            return f"CASE WHEN dirty_kind = 'bad_{name}' THEN {bad_time_sql(name)} ELSE {written} END"
        return f"{name}::VARCHAR" if name == "created_at" else written
    if kind == "money":
        return f"printf('%.2f', {name})"
    return f"{name}::VARCHAR"
