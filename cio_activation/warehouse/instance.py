"""DuckDB itself, started once per process: a session only attaches the warehouse's file to it.

Starting DuckDB takes 30 to 40 ms, most of it for functions and settings that have nothing to do with the file;
attaching and letting go of a file of 600 MB takes 5. A real-time run has some twenty sessions.
"""

from __future__ import annotations

import atexit
import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from threading import Lock

import duckdb

from cio_activation.errors import WarehouseBusy
from cio_activation.warehouse.bounds import SCRATCH_MB, SpillFolder, memory_limit
from cio_activation.warehouse.connection import Connection

Config = dict[str, str | bool | int | float | list[str]]


class _Instance:
    """One running DuckDB that serves one file: to one writer or some readers at a time, which the callers see to."""

    def __init__(self, path: Path, config: Config) -> None:
        self._spill = SpillFolder(path)
        self._con = duckdb.connect(":memory:", config=config | {"temp_directory": str(self._spill.path)})
        self._path, self._lock = path, Lock()
        self._name = '"' + path.stem.replace('"', '""') + '"'
        self.sessions = 0
        self.broken = False

    def open(self, *, read_only: bool) -> Connection:
        """Return a connection to the file, with temporary tables and settings of its own."""
        with self._lock:
            if not self.sessions:
                place = str(self._path).replace("'", "''")
                self._con.execute(f"ATTACH '{place}' AS {self._name}{' (READ_ONLY)' if read_only else ''}")
            con = Connection(self._con.cursor())
            self.sessions += 1
        con.execute(f"USE {self._name}")
        con.execute("SET TimeZone = 'UTC'")
        return con

    def close(self, con: Connection) -> None:
        """End a session, rolling back what it has not committed; the last one lets go of the file."""
        con.close()
        with self._lock:
            self.sessions -= 1
            if not self.sessions and not self.broken:
                self._con.execute(f"DETACH {self._name}")

    def stop(self) -> None:
        """Stop this DuckDB and its threads; lets go of the file, too."""
        self._con.close()
        self._spill.remove()


_BLANK_CONFIG: Config = {
    "autoinstall_known_extensions": False,
    "memory_limit": memory_limit(SCRATCH_MB),
    "temp_directory": str(Path(tempfile.gettempdir()) / f"cio-activation-{secrets.token_hex(8)}"),
}


class _Blank:
    """One running DuckDB for databases in memory, each read and written by nobody but who asked for it.

    The catalogue (``information_schema``, ``duckdb_tables()``) lists the tables of all of them.
    """

    def __init__(self) -> None:
        self._con: duckdb.DuckDBPyConnection | None = None
        self._lock, self._numbers, self._sessions = Lock(), count(), 0

    @contextmanager
    def session(self) -> Iterator[Connection]:
        name = f"blank_{next(self._numbers)}"
        with self._lock:
            base = self._con = self._con or duckdb.connect(":memory:", config=_BLANK_CONFIG)
            base.execute(f"ATTACH ':memory:' AS {name}")
            con = Connection(base.cursor())
            self._sessions += 1
        try:
            con.execute(f"USE {name}")
            con.execute("SET TimeZone = 'UTC'")
            yield con
        except (duckdb.FatalException, duckdb.InternalException):
            self._con = None
            raise
        finally:
            con.close()
            with self._lock:
                self._sessions -= 1
                if self._con is base:
                    base.execute(f"DETACH {name}")

    def stop_idle(self) -> None:
        with self._lock:
            if self._con is not None and not self._sessions:
                self._con.close()
                self._con = None


_CONFLICT = "Could not set lock on file"
_HOLDER = re.compile(r"Conflicting lock is held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")
_POLL_S = 0.05
_running: dict[tuple[str, str], _Instance] = {}
_guard = Lock()
_blank = _Blank()


@contextmanager
def session(path: Path, config: Config, *, read_only: bool, max_wait_s: float) -> Iterator[Connection]:
    """Yield a connection to the file at ``path``, made if it is not there; what is not committed is rolled back.

    Whoever holds our lock may still find the file open in a program that knows nothing of it, such as a DuckDB shell:
    waits ``max_wait_s`` seconds for that to end, then raises WarehouseBusy, which names it.
    """
    until = time.monotonic() + max_wait_s
    while True:
        try:
            with _guard:  # an instance that was just found must not be stopped as idle by another thread
                instance = _instance_for(path, config)
                con = instance.open(read_only=read_only)
            break
        except duckdb.IOException as error:
            if _CONFLICT not in str(error):
                raise
            if time.monotonic() >= until:
                raise WarehouseBusy(_told(path, max_wait_s, str(error))) from None
        time.sleep(_POLL_S)
    try:
        yield con
    except (duckdb.FatalException, duckdb.InternalException):
        instance.broken = True  # after these DuckDB refuses every further statement
        raise
    finally:
        instance.close(con)


def _told(path: Path, max_wait_s: float, error: str) -> str:
    """Return who has the file, as DuckDB says it, and what to do."""
    found = _HOLDER.search(error)
    holder = f"{found['program']} (PID {found['pid']})" if found else "another program"
    return (
        f"{path} stayed open for {max_wait_s:,.0f} s in {holder}, which takes no part in our lock; end that program, "
        "and look with `cio-activation sql` instead, which keeps nobody out for longer than its answer takes"
    )


def blank() -> AbstractContextManager[Connection]:
    """Return a session with an empty database in memory, which ends with it."""
    return _blank.session()


def _instance_for(path: Path, config: Config) -> _Instance:
    """Return the process's DuckDB for ``path``; idle ones of other files, and a broken one, are stopped."""
    key = (str(path.absolute()), repr(sorted(config.items())))
    found = _running.get(key)
    if found is None or found.broken:
        if found is not None:
            _running.pop(key).stop()
        _stop_idle()
        found = _running[key] = _Instance(path, config)
    return found


def _stop_idle() -> None:
    for key in [key for key, instance in _running.items() if not instance.sessions]:
        _running.pop(key).stop()


atexit.register(_stop_idle)
# The copy of a process has none of its threads: a DuckDB copied with it would wait for them for ever.
os.register_at_fork(before=_stop_idle)
os.register_at_fork(before=_blank.stop_idle)
