"""The journal as a database: one SQLAlchemy engine, its transactions, its one clock. Safe for several processes.

SQLite in WAL mode with full sync by default, PostgreSQL by URL; one schema for both through SQLAlchemy Core.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from cio_activation.journal import connections, schema


class JournalDatabase:
    """Opens (and creates) the journal at a SQLAlchemy URL."""

    def __init__(self, url: str, wait_s: float = 30.0) -> None:
        """Raises ConfigError when the URL cannot be used, or the journal was made by a newer release.

        ``wait_s``: seconds to wait for another process's lock.
        """
        self.engine = connections.open_engine(url, wait_s)
        try:
            with self.engine.connect() as con:
                known = schema.version_of(con) == schema.NEWEST
            if not known:
                with self.transaction() as con:
                    schema.upgrade(con, connections.place(self.engine.url))
        except sa.exc.OperationalError as error:
            raise connections.cannot_open(self.engine.url, error) from None

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sa.Connection]:
        """Yield a connection inside one transaction: commit on success, roll back on any error.

        Not ``durable``: it survives the death of any process, but may be lost with the machine's power. For what is
        counted, not promised: it does not wait for the disk.
        """
        with self.engine.connect() as con:
            if self.engine.dialect.name == "sqlite":
                with connections.sqlite_commits(con, durable=durable):
                    con.exec_driver_sql("BEGIN IMMEDIATE")  # a deferred one can fail half-way: "database is locked"
                    yield con
            else:
                with con.begin():
                    if not durable:
                        con.exec_driver_sql("SET LOCAL synchronous_commit = off")
                    yield con

    def now(self, con: sa.Connection) -> float:
        """Return seconds since the epoch by the one clock all processes share: with PostgreSQL, the server's."""
        if self.engine.dialect.name == "sqlite":
            return time.time()
        return float(con.execute(sa.text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())

    def insert_if_absent(self, con: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> bool:
        """Insert ``row`` unless its key is there; False if it is. Of several processes at once, one gets True."""
        insert = sqlite.insert(table) if self.engine.dialect.name == "sqlite" else postgresql.insert(table)
        return con.execute(insert.values(dict(row)).on_conflict_do_nothing()).rowcount > 0
