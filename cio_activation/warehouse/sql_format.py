"""Makes a generated statement readable: for people who look at it, never for DuckDB to run."""

from __future__ import annotations

import sqlglot
from sqlglot.errors import SqlglotError


def formatted(statement: str) -> str:
    """Return ``statement`` with one clause and one column a line; as it was written if sqlglot cannot read it.

    It means the same, in other words here and there: ``TIMESTAMP '...'`` becomes ``CAST('...' AS TIMESTAMP)``.
    """
    try:
        return sqlglot.transpile(statement, read="duckdb", write="duckdb", pretty=True)[0]
    except SqlglotError:
        return statement.strip()
