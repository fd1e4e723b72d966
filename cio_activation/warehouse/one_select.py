"""A person's look into the warehouse: one SELECT, read-only, that reaches nothing but the warehouse."""

from __future__ import annotations

from typing import Any

import duckdb

from cio_activation.errors import ConfigError
from cio_activation.warehouse.sessions import SqlError, Warehouse


def rows_of(warehouse: Warehouse, statement: str, limit: int) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the columns and at most ``limit`` rows of one SELECT; ConfigError if it is anything else, or wrong.

    For a process of its own: from then on its DuckDB opens no other file.
    """
    require_select(statement)
    with warehouse.read() as con:
        try:
            con.execute("SET enable_external_access = false")
            found = con.execute(statement)
            return [str(column[0]) for column in found.description or ()], found.fetchmany(limit)
        except SqlError as error:
            raise ConfigError(f"the statement cannot be answered: {error}") from None


def require_select(statement: str) -> None:
    """Raise ConfigError unless ``statement`` is exactly one SELECT."""
    try:
        found = duckdb.extract_statements(statement)
    except SqlError as error:
        raise ConfigError(f"the statement cannot be read: {error}") from None
    kinds = [one.type for one in found]
    if kinds != [duckdb.StatementType.SELECT]:
        told = ", ".join(kind.name for kind in kinds) or "none"
        raise ConfigError(f"exactly one SELECT is answered here, which changes nothing; this is: {told}")
