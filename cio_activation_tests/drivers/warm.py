"""Warehouses whose files stay attached between sessions, for tests that open thousands of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import duckdb
import pytest

from cio_activation.warehouse import sessions
from cio_activation.warehouse.sessions import Connection, Warehouse


@contextmanager
def warm_warehouses() -> Iterator[None]:
    """Keep every warehouse's file attached in this process, so that the end of a session does not write it out.

    That takes 10 to 20 ms, sixty times a lane. Sessions, transactions and the file locks stay as they are, and who opened
    to read cannot write.
    """
    files: dict[Path, duckdb.DuckDBPyConnection] = {}

    @contextmanager
    def session(warehouse: Warehouse, *, read_only: bool) -> Iterator[Connection]:
        if warehouse.path not in files:
            config = dict(sessions._CONFIG)
            files[warehouse.path] = duckdb.connect(str(warehouse.path), config=config)
        with Connection(files[warehouse.path].cursor()) as con:
            con.execute("SET TimeZone = 'UTC'")
            if read_only:
                con.execute("BEGIN TRANSACTION READ ONLY")
            yield con

    try:
        with mock.patch.object(Warehouse, "_session", session):
            yield
    finally:
        for file in files.values():
            file.close()


@pytest.fixture(autouse=True)
def warm() -> Iterator[None]:
    """Keep the warehouses of each test attached; for folders of tests that are not about files and other processes.

    A module whose tests start processes over their home has a fixture of this name that does nothing.
    """
    with warm_warehouses():
        yield
