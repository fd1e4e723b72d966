"""Stage 2: the daily lane's properties, hashes and next transition of everybody."""

from __future__ import annotations

import pyarrow as pa

from benchmarks import pandas_state, people
from benchmarks.cases import Row, Stage
from benchmarks.homes import Site, digest, take
from benchmarks.measure import Answer, Sample
from cio_activation.activation.models import Lane
from cio_activation.runtime import Runtime
from cio_activation.state import median_gaps
from cio_activation.state.derive import derive
from cio_activation.state.sql import StateSql
from cio_activation.warehouse.sql import identifier

_AS_OF = people.window(1).as_of
_LANDED = {
    "VARCHAR": ("last_order_category", "most_bought_category", "cart_stage_raw", "last_product", "first_name"),
    "BOOLEAN": ("unsubscribed",),
    "DATE": ("last_clicked_at",),
    "TIMESTAMP": ("last_order_at", "observed_at"),
    "UBIGINT": ("content_hash",),
}
"""SQL type of a state column -> landed columns of the same kind."""


def ours(site: Site, sample: Sample) -> None:
    """Derive everybody by the project's one statement, fallback medians included, into the warehouse."""
    run = take(site, "landed", "derive")
    statements = StateSql.of(run.activation, Lane.DAILY, _AS_OF)
    with sample.timed(), run.warehouse.write() as con:
        median_gaps.refresh(con, statements)
        con.execute(f"CREATE OR REPLACE TABLE {statements.table()} AS {statements.select()}")
    sample.answer = _found(run, statements.table())


def use_case(site: Site, sample: Sample) -> None:
    """Run the whole use case: derive, validate every row, quarantine, publish."""
    run = take(site, "landed", "derive")
    with sample.timed():
        derive(run, people.window(1))
    sample.answer = _found(run, StateSql.of(run.activation, Lane.DAILY, _AS_OF).table())


def pandas_trip(site: Site, sample: Sample) -> None:
    """Take the landed rows into pandas, derive there, and insert the result."""
    run = take(site, "landed", "derive")
    with sample.timed(), run.warehouse.write() as con:
        arrived = con.sql("FROM raw.people").to_arrow_table().to_pandas()
        derived = pandas_state.derive(arrived, run.activation, _AS_OF)
        con.register("derived", pa.Table.from_pandas(derived, preserve_index=False))
        con.execute(
            "CREATE TABLE state.by_pandas AS "
            "SELECT * REPLACE (CAST(last_engaged_on AS DATE) AS last_engaged_on) FROM derived"
        )
    sample.answer = _found(run, "state.by_pandas")


def copy(site: Site, sample: Sample) -> None:
    """Copy as many landed columns, of the same types, into a new table."""
    run = take(site, "landed", "derive")
    listed = []
    for number, (name, kind) in enumerate(StateSql.of(run.activation, Lane.DAILY, _AS_OF).columns().items()):
        given = _LANDED[kind][number % len(_LANDED[kind])] if name != "cio_id" else "cio_id"
        listed.append(f"{identifier(given)} AS {identifier(name)}")
    with sample.timed(), run.warehouse.write() as con:
        con.execute(f"CREATE TABLE state.copied AS SELECT {', '.join(listed)} FROM raw.people")


def copy_result(site: Site, sample: Sample) -> None:
    """Copy the finished state table: the same bytes, already known."""
    run = take(site, "delivered", "derive")
    with sample.timed(), run.warehouse.write() as con:
        con.execute("CREATE TABLE state.copied AS FROM state.daily_properties")


def _found(run: Runtime, table: str) -> Answer:
    names = [p.name for p in run.activation.lane_properties(Lane.DAILY)]
    with run.warehouse.read() as con:
        return {"state": digest(con, table, ", ".join(map(identifier, ["cio_id", *names])))}


STAGE = Stage(
    2,
    "derive",
    frozenset({"landed", "delivered"}),
    {"ours": ours, "use_case": use_case, "pandas": pandas_trip, "copy": copy, "copy_result": copy_result},
    (
        Row("12 properties, hashes, next transition: the statement", "ours", ("pandas",), "copy", ("state",), 1.5),
        Row("the same, beside a copy of its own result", "ours", (), "copy_result"),
        Row("the use case: with validation and publication", "use_case", ("pandas",), "copy", ("state",)),
    ),
    small_only=frozenset({"pandas"}),
)
