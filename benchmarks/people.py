"""Synthetic people as CSV files in the form of a Customer.io export, made by DuckDB: the same N gives the same bytes.

Days of the same people: on each, one person in a hundred has ordered again. One row in a thousand has a
cell that cannot be read. Values are drawn by arithmetic on the row's number, not by ``hash()``, which DuckDB may
change between major versions.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.windows import Window
from cio_activation.customerio.people_table import sources
from cio_activation.warehouse.sql import identifier, literal

_FIRST = datetime(2026, 11, 20, 5, tzinfo=UTC)

_MACROS = (
    "CREATE MACRO mixed(x) AS xor(x, x >> 15) * 2246822519 % 4294967296",
    "CREATE MACRO draw(i, salt, n) AS "
    "CAST(mixed(mixed(CAST(i * 2654435761 + salt * 40503 AS UBIGINT) % 4294967296)) % n AS BIGINT)",
    # What senders differ in: most write epoch seconds, some ISO 8601.
    "CREATE MACRO stamp(i, salt, epoch) AS CASE WHEN draw(i, salt, 20) = 0 "
    "THEN strftime(make_timestamp(CAST(epoch AS BIGINT) * 1000000), '%Y-%m-%dT%H:%M:%SZ') ELSE epoch::VARCHAR END",
)
_FACTS = """
    SELECT i, {t} AS t, draw(i, 1, 400) AS age_days,
        CASE WHEN draw(i, 2, 10) = 0 THEN 0 ELSE 1 + draw(i, 3, 40) * draw(i, 4, 10) // 9 END
            + CASE WHEN {again} THEN {times} ELSE 0 END AS orders,
        2 + draw(i, 5, 40) + draw(i, 6, 4) / 4.0 AS gap,
        8 + draw(i, 7, 90) + draw(i, 8, 100) / 100.0 AS basket,
        CASE WHEN {again} THEN {t} + 86400 * {days} + 3600 + draw(i, 9, 36000)
             ELSE {t} - 86400 * (draw(i, 10, 220) * draw(i, 11, 100) // 99) - draw(i, 12, 86400) END AS bought,
        {again} AS again
    FROM range({people}) AS r(i)"""
_CELLS = {
    "cio_id": "printf('%010x%02x', i * 7919 + 4294967296, draw(i, 13, 256))",
    "id": "CASE WHEN draw(i, 14, 100) < 85 THEN 'C' || (1000000 + i) END",
    # Mixed case and blanks; two in a hundred broken or missing; one in two hundred shared with a neighbour.
    "email": """CASE WHEN draw(i, 15, 100) = 0 THEN NULL
        WHEN draw(i, 15, 100) = 1 THEN 'person' || i || ' at example.com'
        WHEN draw(i, 15, 100) < 12 THEN ' Person' || i || '@Example.com '
        ELSE 'person' || (i - CASE WHEN draw(i, 16, 200) = 0 AND i > 0 THEN 1 ELSE 0 END) || '@example.com' END""",
    "phone": """CASE WHEN draw(i, 17, 100) < 75 THEN '+1202' || (2000000 + draw(i, 18, 7999999))
        WHEN draw(i, 17, 100) < 93 THEN printf('(212) %03d-%04d', 200 + draw(i, 19, 799), draw(i, 20, 1000))
        WHEN draw(i, 17, 100) < 96 THEN 'call me' END""",
    "first_name": "'First' || draw(i, 21, 2000)",
    "last_name": "'Last' || draw(i, 22, 20000)",
    "created_at": "stamp(i, 23, t - 86400 * (age_days + 300))",
    "first_order_at": "CASE WHEN orders > 0 THEN stamp(i, 24, bought - CAST((orders - 1) * gap * 86400 AS BIGINT)) END",
    "last_order_at": "CASE WHEN orders > 0 THEN stamp(i, 25, bought) END",
    "orders_count": "orders",
    "total_spent": "printf('%.2f', orders * basket)",
    "average_order_value": "CASE WHEN orders > 0 THEN printf('%.2f', basket) END",
    "median_days_between_orders": "CASE WHEN orders > 1 THEN printf('%.2f', gap) END",
    "last_category": "CASE WHEN orders > 0 THEN 'Category ' || (draw(i, 26, 40) + again::INT) END",
    "top_category": "CASE WHEN orders > 0 THEN 'Category ' || draw(i, 27, 40) END",
    "last_product": "CASE WHEN orders > 0 THEN 'Product ' || draw(i, 28, 5000) END",
    "cart_value": "CASE WHEN draw(i, 29, 10) < 3 THEN printf('%.2f', draw(i, 30, 40000) / 100.0) END",
    "cart_stage_raw": "CASE WHEN draw(i, 29, 10) < 3 THEN ['cart', 'checkout'][1 + draw(i, 31, 2)] ELSE 'empty' END",
    "cart_updated_at": "CASE WHEN draw(i, 29, 10) < 3 THEN stamp(i, 32, t - draw(i, 33, 600000)) END",
    "last_clicked_at": "CASE WHEN draw(i, 34, 10) < 6 THEN stamp(i, 35, t - draw(i, 36, 30000000)) END",
    "last_opened_at": "CASE WHEN draw(i, 37, 10) < 8 THEN stamp(i, 38, t - draw(i, 39, 20000000)) END",
    "last_refund_at": "CASE WHEN draw(i, 40, 20) = 0 THEN stamp(i, 41, t - draw(i, 42, 8000000)) END",
    "refund_count": "CASE WHEN draw(i, 40, 20) = 0 THEN 1 + draw(i, 43, 3) ELSE 0 END",
    "winback_sent_at": "CASE WHEN draw(i, 44, 10) = 0 THEN stamp(i, 45, t - draw(i, 46, 5000000)) END",
    "winback_clicked_at": "CASE WHEN draw(i, 44, 10) = 0 AND draw(i, 47, 5) = 0 THEN t - draw(i, 48, 2000000) END",
    "wismo_clicks_30d": "draw(i, 49, 100) // 95 * draw(i, 50, 6)",
    "unsubscribed": "CASE WHEN draw(i, 51, 20) = 0 THEN 'true' ELSE 'false' END",
}
_DIRT = {
    "orders_count": "twelve",
    "total_spent": "12,50",
    "last_order_at": "yesterday",
    "cart_value": "n/a",
    "last_refund_at": "2026-13-45",
    "unsubscribed": "maybe",
}


def window(day: int) -> Window:
    """Return the daily window of ``day``, from 1."""
    start = _FIRST + timedelta(days=day - 1)
    return Window(Lane.DAILY, f"{start:%Y-%m-%d}", start, start + timedelta(days=1))


def write(activation: Activation, people: int, day: int, path: Path) -> None:
    """Write the export of ``day`` with exactly the columns that ``activation`` asks Customer.io for.

    From the second day on everybody orders again every hundred days, one person in a hundred a day. A ValueError names an attribute of the activation that no cell is made up for here.
    """
    unknown = [s for s in sources(activation) if s not in _CELLS]
    if unknown:
        raise ValueError(f"benchmarks/people.py has no cells for {', '.join(unknown)}; add them to _CELLS")
    facts = _FACTS.format(
        t=int(window(1).end.timestamp()),
        people=people,
        again=f"draw(i, 99, 100) <= {day - 2}",
        times=f"({day - 2} - draw(i, 99, 100)) // 100 + 1",
        days=f"({day - 2} - ({day - 2} - draw(i, 99, 100)) % 100)",
    )
    listed = ", ".join(f"{_soiled(source)} AS {identifier(source)}" for source in sources(activation))
    with duckdb.connect(":memory:") as con:
        for macro in _MACROS:
            con.execute(macro)
        con.execute(f"COPY (SELECT {listed} FROM ({facts}) ORDER BY i) TO {literal(str(path))} (HEADER)")


def _soiled(source: str) -> str:
    if source not in _DIRT:
        return _CELLS[source]
    place = list(_DIRT).index(source)
    return (
        f"CASE WHEN draw(i, 77, 1000) = 0 AND draw(i, 78, {len(_DIRT)}) = {place} "
        f"THEN {literal(_DIRT[source])} ELSE CAST({_CELLS[source]} AS VARCHAR) END"
    )
