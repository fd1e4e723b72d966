"""A connection to DuckDB that reads the text of a statement once.

DuckDB 2.0 takes about a microsecond a character to read SQL, ten times what 1.5 took, and reads it at every call. Our
statements have up to 15,000 characters, and a lane's run says a thousand of them, many again and again.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from types import TracebackType
from typing import Any, Self

import duckdb

MAX_CHARACTERS = 2_000_000
"""Of all statements that are remembered; DuckDB keeps some 16 bytes for each."""


class Statements:
    """What was read, by its text; those that were not said for longest are forgotten first."""

    def __init__(self) -> None:
        self._read: OrderedDict[str, duckdb.Statement] = OrderedDict()
        self._lock = Lock()
        self.characters = 0
        """Of all of them."""

    def __contains__(self, query: str) -> bool:
        return query in self._read

    def of(self, con: duckdb.DuckDBPyConnection, query: str) -> duckdb.Statement | str:
        """Return the statement that ``query`` is, or the text itself where it is several or none."""
        with self._lock:
            if found := self._read.get(query):
                self._read.move_to_end(query)
                return found
        statements = con.extract_statements(query)
        if len(statements) != 1:
            return query
        with self._lock:
            if query not in self._read:
                self.characters += len(query)
            self._read[query] = statements[0]
            while self.characters > MAX_CHARACTERS:
                self.characters -= len(self._read.popitem(last=False)[0])
        return statements[0]


_statements = Statements()


class Connection:
    """A connection to one database, as the rooms use it: DuckDB's own, under the names it has there."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        """``con`` ends with this one."""
        self._con = con
        self.begin, self.commit, self.rollback = con.begin, con.commit, con.rollback
        self.register, self.unregister = con.register, con.unregister
        self.close, self.sql, self.executemany = con.close, con.sql, con.executemany

    def execute(self, query: str | duckdb.Statement, parameters: object = None) -> duckdb.DuckDBPyConnection:
        """Execute ``query`` and return where its result is read. Raises what DuckDB raises."""
        read = _statements.of(self._con, query) if isinstance(query, str) else query
        return self._con.execute(read, parameters)

    def __getattr__(self, name: str) -> Any:
        """Return whatever else DuckDB's own connection has under ``name``."""
        return getattr(self._con, name)

    def cursor(self) -> Connection:
        """Return another connection to the same database, with a transaction and settings of its own."""
        return Connection(self._con.cursor())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
