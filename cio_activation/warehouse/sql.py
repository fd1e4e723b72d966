"""What every room's SQL shares: quoting, one value, whether a table is there, memory-bounded hand-over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.tables import split

if TYPE_CHECKING:
    import pandas as pd


def identifier(name: str) -> str:
    """Quote ``name`` as one SQL identifier; the only way a name of the activation enters SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """Quote ``value`` as a SQL string literal, for the places that take no bound parameter."""
    return "'" + value.replace("'", "''") + "'"


def timestamp(instant: datetime) -> str:
    """Return a naive UTC datetime as a SQL TIMESTAMP literal."""
    if instant.tzinfo is not None:
        raise ValueError("warehouse times are naive UTC; use Window.as_of")
    return f"TIMESTAMP '{instant.isoformat(sep=' ')}'"


def scalar(con: Connection, query: str, parameters: list[object] | None = None) -> object:
    """Return the single value of ``query``. Reads to the end: in DuckDB 2.0 an open result blocks the next call."""
    return con.execute(query, parameters or []).fetchall()[0][0]


def filled(con: Connection, table: str, select: str, parameters: list[object] | None = None) -> int:
    """Make the temporary ``table`` of what ``select`` gives; return how many rows it has.

    Most tables of a quiet window have none, and then nothing need be asked of them.
    """
    return int(con.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {select}", parameters).fetchall()[0][0])


def columns(con: Connection) -> dict[str, set[str]]:
    """Return the columns of every table and view, by ``schema.table``."""
    found: dict[str, set[str]] = {}
    query = "SELECT schema_name || '.' || table_name, column_name FROM duckdb_columns() WHERE NOT internal"
    for relation, name in con.execute(query).fetchall():
        found.setdefault(str(relation), set()).add(str(name))
    return found


def exists(con: Connection, name: str) -> bool:
    """Return whether the table or view ``name`` (``schema.table``) is there."""
    query = """SELECT count(*) FROM information_schema.tables
        WHERE table_catalog = current_database() AND table_schema = ? AND table_name = ?"""
    return bool(scalar(con, query, [*split(name)]))


def frames(con: Connection, query: str, rows: int = 100_000) -> Iterator[pd.DataFrame]:
    """Yield the result of ``query`` as pandas frames of about ``rows`` rows, through Arrow.

    Not ``.df()``: that one costs 2 to 3 times more and gives ``object`` for empty text columns.
    """
    reader = con.sql(query).to_arrow_reader(rows)
    for batch in reader:
        yield batch.to_pandas()
