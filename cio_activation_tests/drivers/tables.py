"""Looking into tables, and writing them oneself: like every writer a test has to note whom it touched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cio_activation.activation.models import Lane
from cio_activation.runtime import Runtime
from cio_activation.warehouse import change_log
from cio_activation.warehouse.sessions import Connection


@contextmanager
def noting(con: Connection, *tables: str) -> Iterator[None]:
    """Note, for each of ``tables``, who has other rows there after the block than before."""
    for number, table in enumerate(tables):
        con.execute(f"CREATE OR REPLACE TEMP TABLE before_{number} AS {_picture(con, table)}")
    yield
    for number, table in enumerate(tables):
        con.execute(f"CREATE OR REPLACE TEMP TABLE after_{number} AS {_picture(con, table)}")
        old, new = f"before_{number}", f"after_{number}"
        differ = f"SELECT cio_id FROM ((FROM {old} EXCEPT ALL FROM {new}) UNION ALL (FROM {new} EXCEPT ALL FROM {old}))"
        for name in map(change_log.members_of, Lane) if table == "raw.memberships" else (table,):
            change_log.note(con, name, differ)
        con.execute(f"DROP TABLE {old}; DROP TABLE {new}")


def query(run: Runtime, sql: str) -> list[tuple[Any, ...]]:
    """Return the rows of a SELECT over the warehouse."""
    with run.warehouse.read() as con:
        return con.execute(sql).fetchall()


def _picture(con: Connection, table: str) -> str:
    schema, _, name = table.partition(".")
    found = con.execute(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = ?", [schema, name]
    ).fetchall()
    if not found:
        return "SELECT NULL::VARCHAR AS cio_id, NULL::VARCHAR AS row LIMIT 0"
    return f"SELECT cio_id, CAST(t AS VARCHAR) AS row FROM {table} AS t"


def noted(con: Connection, table: str) -> set[str | None]:
    """Return whom the notes on a table name (None stands for everybody), and forget all notes."""
    found = {
        cio_id
        for (cio_id,) in con.execute("SELECT cio_id FROM meta.change_log WHERE table_name = ?", [table]).fetchall()
    }
    con.execute("DELETE FROM meta.change_log")
    return found
