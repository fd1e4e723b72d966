"""Dagster's SQLite storage with connections that stay open: an event costs 1 ms instead of 4 to 9.

Named in ``dagster.yaml`` under ``storage``; files and tables are those of Dagster's own SQLite storage, so that either
can be used with what the other wrote. Dagster makes an engine and a connection for every statement, and looks through
its migrations in every process and for every run; a real-time run writes some hundred events and reads as often. Why,
and what of Dagster's insides it rests on: ``docs/decisions/0009-dagsters-connections-stay-open.md``.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import dagster as dg
import sqlalchemy as sa
from dagster._core.event_api import EventHandlerFn
from dagster._core.storage.event_log.polling_event_watcher import SqlPollingEventWatcher
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS, create_db_conn_string
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes.config_class import ConfigurableClassData

from cio_activation.activation.settings import Settings
from cio_activation.errors import ConfigError

HOME = "DAGSTER_HOME"
_TOLD = "CIO_ACTIVATION_DAGSTER_FOLDER"
log = logging.getLogger("dagster")
RUNS_OPEN = 16
"""Runs whose event log stays open in a process, two file handles each. Looking at an older one opens it again."""

_OLD_RESULTS = sa.text(
    """DELETE FROM asset_check_executions WHERE run_id = :run AND id NOT IN (
        SELECT max(id) FROM asset_check_executions GROUP BY asset_key, check_name)"""
)


class OpenSqliteStorage(DagsterSqliteStorage):
    """Runs, events and schedules in SQLite files under ``base_dir``, as Dagster's own storage keeps them."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        # Past Dagster's own __init__, which would open all three files in its way.
        super(DagsterSqliteStorage, self).__init__()  # type: ignore[no-untyped-call]
        self.base_dir = base_dir
        self._inst_data = inst_data
        history = Path(base_dir, "history")
        self._run_storage = _Runs.from_local(str(history))
        self._event_log_storage = _Events(str(history / "runs"))
        self._schedule_storage = _Schedules.from_local(str(Path(base_dir, "schedules")))

    @classmethod
    def config_type(cls) -> dict[str, dg.Field]:
        """Take a folder, ``{env: NAME}``, or nothing; an unset variable is looked into here, not refused by Dagster."""
        return {"base_dir": dg.Field(dg.Any, is_required=False)}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        """Make the storage that ``dagster.yaml`` asks for; ``{env: DAGSTER_HOME}`` may be unset, see :func:`folder`."""
        return cls.from_local(folder(config_value.get("base_dir")), inst_data)


def folder(configured: Any) -> str:
    """Return the folder of the files: as configured, else ``DAGSTER_HOME``, else beside the warehouse.

    The last is for ``dagster dev`` in a fresh clone: Dagster has a folder then that goes when it ends. Says so once.
    ConfigError for an unset variable other than ``DAGSTER_HOME``.
    """
    variable = configured.get("env") if isinstance(configured, Mapping) else None
    if configured and variable is None:
        return str(configured)
    if found := os.environ.get(variable or HOME, "").strip():
        return str(Path(found).expanduser())
    if variable not in (None, HOME):
        raise ConfigError(f"dagster.yaml: storage is to be where {variable} says, and {variable} is not set")
    beside = str((Settings().activation_home / "dagster").absolute())
    if os.environ.get(_TOLD) != beside:
        os.environ[_TOLD] = beside  # the processes that this one starts need not say it again
        log.warning("DAGSTER_HOME is not set: runs, events and schedules stay in %s", beside)
    return beside


class _Runs(SqliteRunStorage):
    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(conn_string, inst_data)
        self._engine = _engine(conn_string)

    @classmethod
    def from_local(cls, base_dir: str, inst_data: ConfigurableClassData | None = None) -> Self:
        made = _made(base_dir, "runs")
        return cls(made, inst_data) if made else super().from_local(base_dir, inst_data)

    @contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        with self._engine.begin() as con:
            yield con

    def dispose(self) -> None:
        self._engine.dispose()


class _Schedules(SqliteScheduleStorage):
    """Few statements a second, and nobody tells this storage when it ends: its connections do not stay."""

    @classmethod
    def from_local(cls, base_dir: str, inst_data: ConfigurableClassData | None = None) -> Any:
        made = _made(base_dir, "schedules")
        return cls(made, inst_data) if made else super().from_local(base_dir, inst_data)


class _Events(SqliteEventLogStorage):
    """One file for each run, and the index over all of them."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, sa.Engine] = OrderedDict()
        self._engines_lock = threading.Lock()
        super().__init__(base_dir, inst_data)
        self._watcher = SqlPollingEventWatcher(self)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        # One at a time in a process, as Dagster has it.
        with self._db_lock, self._engine_of(shard).begin() as con:
            yield con

    def _engine_of(self, shard: str) -> sa.Engine:
        with self._engines_lock:
            if (found := self._engines.get(shard)) is None:
                found = _engine(self.conn_string_for_shard(shard))
                if not _stamped(found):
                    self._initdb(found)
                self._engines[shard] = found
            if shard != INDEX_SHARD_NAME:
                self._engines.move_to_end(shard)
                runs = [name for name in self._engines if name != INDEX_SHARD_NAME]
                for name in runs[:-RUNS_OPEN]:
                    self._engines.pop(name).dispose()
            return found

    def has_table(self, table_name: str) -> bool:
        # Not one at a time: Dagster asks this while it holds a connection.
        with self._engine_of(INDEX_SHARD_NAME).connect() as con:
            return bool(sa.inspect(con).has_table(table_name))

    def delete_events(self, run_id: str) -> None:
        # Dagster empties a run's file and leaves it, and keeps all results of checks: of each check the newest is read.
        super().delete_events(run_id)
        with self._connect(INDEX_SHARD_NAME) as con:
            con.execute(_OLD_RESULTS, {"run": run_id})
        with self._engines_lock:
            if (engine := self._engines.pop(run_id, None)) is not None:
                engine.dispose()
        path = Path(self.path_for_shard(run_id))
        for part in (path, *(path.with_name(f"{path.name}{tail}") for tail in ("-wal", "-shm"))):
            part.unlink(missing_ok=True)

    def wipe(self) -> None:
        self._close()
        super().wipe()

    def watch(self, run_id: str, cursor: str | None, callback: EventHandlerFn) -> None:
        # As Dagster's server databases do. Its SQLite storage waits for the file to change, which now happens late.
        self._watcher.watch_run(run_id, cursor, callback)

    def end_watch(self, run_id: str, handler: EventHandlerFn) -> None:
        self._watcher.unwatch_run(run_id, handler)

    def dispose(self) -> None:
        self._watcher.close()
        super().dispose()
        self._close()

    def _close(self) -> None:
        with self._engines_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()


def _engine(conn_string: str) -> sa.Engine:
    # No limit to connections, as without a pool: a thread must not wait for another's.
    return sa.create_engine(conn_string, max_overflow=-1, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})


def _made(folder: str, name: str) -> str | None:
    """Return how to connect to a file that Dagster has made before; None if it is still to be made."""
    if not Path(folder, f"{name}.db").exists():
        return None
    conn_string = create_db_conn_string(folder, name)
    engine = _engine(conn_string)
    try:
        return conn_string if _stamped(engine) else None
    finally:
        engine.dispose()


def _stamped(engine: sa.Engine) -> bool:
    """Tell whether a file's tables are there: Dagster writes their revision last."""
    with engine.connect() as con:
        if not sa.inspect(con).has_table("alembic_version"):
            return False
        return con.execute(sa.text("SELECT version_num FROM alembic_version")).first() is not None
