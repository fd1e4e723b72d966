"""Every fresh warehouse of a test is a copy of one that the migrations made once in this process.

Twenty-four migrations take a tenth of a second, and a run of the tests makes a thousand homes. A file that is there
already is migrated for real; so are the homes of processes that tests start, and those of the room that tests migrations.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_ident
from unittest import mock

import pytest

from cio_activation.warehouse.sessions import Connection, Warehouse

_really_migrate = Warehouse.migrate
_migrated: Path | None = None
"""A warehouse file as the migrations leave it; None outside of tests, such as in a benchmark."""


@pytest.fixture(scope="session", autouse=True)
def fresh_homes_are_copies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give every warehouse that has no file yet a copy of one that was migrated."""
    global _migrated
    _migrated = tmp_path_factory.mktemp("migrated") / "warehouse.duckdb"
    _really_migrate(Warehouse(_migrated))
    with mock.patch.object(Warehouse, "migrate", _migrate):
        yield
    _migrated = None


@contextmanager
def real_migrations() -> Iterator[None]:
    """Make fresh homes the long way."""
    with mock.patch.object(Warehouse, "migrate", _really_migrate):
        yield


def fill(con: Connection) -> bool:
    """Give an empty database the migrated tables; False if there is nothing to copy from."""
    if _migrated is None:
        return False
    database = con.execute("SELECT current_database()").fetchall()[0][0]
    con.execute(f"ATTACH '{_migrated}' AS migrated (READ_ONLY)")
    con.execute(f"COPY FROM DATABASE migrated TO {database}")
    con.execute("DETACH migrated")
    return True


def _migrate(warehouse: Warehouse) -> None:
    if not warehouse.path.exists() and _migrated is not None:
        _copy(_migrated, warehouse.path)
    _really_migrate(warehouse)


def _copy(source: Path, target: Path) -> None:
    """Copy whole or not at all, and over nothing: another thread may make the same home."""
    target.parent.mkdir(parents=True, exist_ok=True)
    ours = target.with_name(f"{target.name}.{os.getpid()}.{get_ident()}")
    shutil.copyfile(source, ours)
    with suppress(FileExistsError):
        os.link(ours, target)
    ours.unlink()
