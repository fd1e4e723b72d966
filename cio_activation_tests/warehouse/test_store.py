"""The warehouse under several processes: one opener at a time, bounded waits, nothing left behind by a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cio_activation.errors import WarehouseBusy
from cio_activation.warehouse.store import Warehouse

HOLD = """
import sys, time
from pathlib import Path
from cio_activation.warehouse.store import Warehouse
with Warehouse(Path(sys.argv[1])).write() as con:
    con.execute("INSERT INTO t VALUES (99)")
    print("held", flush=True)
    time.sleep(600)
"""
ADD = """
import sys
from pathlib import Path
from cio_activation.warehouse.store import Warehouse
store = Warehouse(Path(sys.argv[1]))
for n in range(15):
    with store.write() as con:
        con.execute("INSERT INTO t SELECT ? FROM range(100)", [n])
    with store.read() as con:
        assert con.execute("SELECT count(*) % 100 FROM t").fetchall() == [(0,)]
"""


@pytest.fixture
def store(tmp_path: Path) -> Warehouse:
    made = Warehouse(tmp_path / "w.duckdb", lock_timeout_s=0.3)
    made.migrate()
    with made.write() as con:
        con.execute("CREATE TABLE t (n INTEGER)")
    return made


def rows(store: Warehouse) -> int:
    with store.read() as con:
        return int(con.execute("SELECT count(*) FROM t").fetchall()[0][0])


def test_an_error_rolls_the_whole_session_back(store: Warehouse) -> None:
    def fails() -> None:
        with store.write() as con:
            con.execute("INSERT INTO t VALUES (1)")
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        fails()
    assert rows(store) == 0


def test_a_preview_keeps_nothing(store: Warehouse) -> None:
    with store.preview() as con:
        con.execute("INSERT INTO t VALUES (1)")
        assert con.execute("SELECT count(*) FROM t").fetchall() == [(1,)]
    assert rows(store) == 0


def test_migrating_again_changes_nothing(store: Warehouse) -> None:
    store.migrate()
    with store.read() as con:
        names = [n for (n,) in con.execute("SELECT name FROM meta.migrations").fetchall()]
    assert names == sorted(set(names))


@pytest.mark.slow
def test_a_busy_warehouse_names_its_holder_and_a_killed_holder_leaves_nothing(store: Warehouse) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(store.path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "held"
        with pytest.raises(WarehouseBusy, match=f"pid {holder.pid}"):
            rows(store)
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    started = time.monotonic()
    assert rows(store) == 0
    assert time.monotonic() - started < 5


@pytest.mark.slow
def test_writers_and_readers_in_many_processes_never_fail(store: Warehouse) -> None:
    workers = [subprocess.Popen([sys.executable, "-c", ADD, str(store.path)], stderr=subprocess.PIPE) for _ in range(3)]
    for worker in workers:
        _, errors = worker.communicate(timeout=200)
        assert worker.returncode == 0, errors.decode()[-2000:]
    assert rows(store) == 3 * 15 * 100
