"""The warehouse under several processes: one opener at a time, bounded waits, nothing left behind by a kill."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread

import duckdb
import pytest

from cio_activation.activation.models import Lane
from cio_activation.activation.settings import Settings
from cio_activation.errors import WarehouseBusy
from cio_activation.runtime import Runtime
from cio_activation.warehouse.sessions import Warehouse, scratch
from cio_activation_tests.drivers import builders

HOLD = """
import sys, time
from pathlib import Path
from cio_activation.warehouse.sessions import Warehouse
with Warehouse(Path(sys.argv[1])).write() as con:
    con.execute("INSERT INTO t VALUES (99)")
    print("held", flush=True)
    time.sleep(600)
"""
ADD = """
import sys
from pathlib import Path
from cio_activation.warehouse.sessions import Warehouse
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


def _sessions(store: Warehouse, name: str, seen: list[str], until: Callable[[], bool], yield_s: float = 60.0) -> None:
    while not until():
        with store.write(yield_s=yield_s):
            seen.append(name)
        time.sleep(0.02)


def _patient(store: Warehouse, seen: list[str]) -> Thread:
    """Return a thread that has one session of the daily lane, which notes itself in ``seen``."""
    return Thread(target=_sessions, args=(Warehouse(store.path, urgent=False), "p", seen, lambda: "p" in seen))


def test_a_patient_session_lets_the_urgent_ones_finish(store: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cio_activation.warehouse.lock.QUIET_S", 0.5)
    seen: list[str] = []
    urgent = Warehouse(store.path, urgent=True)
    with urgent.read():
        patient = _patient(store, seen)
        patient.start()
    _sessions(urgent, "u", seen, lambda: seen.count("u") >= 5)
    patient.join()
    assert seen == ["u"] * 5 + ["p"]


def test_who_queues_behind_an_urgent_session_waits_for_the_next_ones_too(
    store: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cio_activation.warehouse.lock.QUIET_S", 0.5)
    seen: list[str] = []
    urgent = Warehouse(store.path, urgent=True)
    workers = [
        Thread(target=_sessions, args=(urgent, "u", seen, lambda: seen.count("u") >= 3)),
        _patient(store, seen),
    ]
    with Warehouse(store.path).write():
        for worker in workers:
            worker.start()
            time.sleep(0.7)  # longer than the urgent one counts as at work
    for worker in workers:
        worker.join()
    assert seen == ["u"] * 3 + ["p"]


def test_between_its_sessions_an_urgent_one_may_say_that_it_is_at_work(
    store: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cio_activation.warehouse.lock.QUIET_S", 0.4)
    seen: list[str] = []
    urgent, waits = Warehouse(store.path, urgent=True), _patient(store, seen)
    with urgent.at_work():
        with urgent.read():
            waits.start()
        time.sleep(1.5)
        seen.append("called")
    waits.join()
    assert seen == ["called", "p"]


def test_an_urgent_run_that_another_one_waits_for_hands_on_to_it(
    store: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cio_activation.warehouse.lock.QUIET_S", 0.1)
    monkeypatch.setattr("cio_activation.warehouse.lock.NEXT_S", 2.0)
    seen: list[str] = []
    urgent, waits = Warehouse(store.path, urgent=True), _patient(store, seen)
    urgent.reserve_next()
    with urgent.read():  # does not take back what was said
        waits.start()
    time.sleep(1.0)
    seen.append("next")
    waits.join()
    assert seen == ["next", "p"]


def test_a_stamp_from_a_clock_that_was_ahead_holds_nobody_up(store: Warehouse) -> None:
    Warehouse(store.path, urgent=True).reserve_next()
    later = time.time() + 86_400
    os.utime(f"{store.path}.urgent", (later, later))
    seen: list[str] = []
    patient = _patient(store, seen)
    patient.start()
    patient.join(20)
    assert seen == ["p"]


def test_a_stream_of_urgent_sessions_does_not_stop_a_patient_one(store: Warehouse) -> None:
    seen: list[str] = []
    urgent, patient = Warehouse(store.path, urgent=True), Warehouse(store.path, urgent=False)
    stream = Thread(target=_sessions, args=(urgent, "u", seen, lambda: "p" in seen))
    stream.start()
    _sessions(patient, "p", seen, lambda: "p" in seen, yield_s=0.3)
    stream.join(20)
    assert seen.count("p") == 1
    assert not stream.is_alive()


def test_whoever_writes_is_told_that_others_wait(store: Warehouse) -> None:
    path, seen = store.path, list[int]()
    with Warehouse(path).write() as con:
        assert not store.awaited()
        reader = Thread(target=lambda: seen.append(rows(Warehouse(path))))
        reader.start()
        until = time.monotonic() + 30
        while not store.awaited():
            assert time.monotonic() < until
            time.sleep(0.001)
        con.execute("INSERT INTO t VALUES (1)")
    reader.join()
    assert seen == [1]
    with Warehouse(path).write():
        assert not store.awaited()


def test_whoever_is_neither_waits_for_nobody(store: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cio_activation.warehouse.lock.QUIET_S", 3600.0)
    with Warehouse(store.path, urgent=True).read():
        pass
    began = time.monotonic()
    assert rows(store) == 0
    assert time.monotonic() - began < 60


def test_whoever_works_for_the_daily_lane_waits_for_the_real_time_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cio_activation.warehouse.lock.QUIET_S", 0.8)
    settings, model = Settings(activation_home=tmp_path, _env_file=None), builders.activation(destinations={})  # type: ignore[call-arg]
    with Runtime.build(settings, model, Lane.REALTIME).warehouse.write():
        pass
    began = time.monotonic()
    with Runtime.build(settings, model).warehouse.write(yield_s=60.0):
        neither = time.monotonic() - began
    with Runtime.build(settings, model, Lane.DAILY).warehouse.write(yield_s=60.0):
        assert time.monotonic() - began > 0.7
    assert neither < 60


def test_sessions_share_nothing_but_the_file(store: Warehouse) -> None:
    with store.write() as con:
        con.execute("CREATE TEMP TABLE mine AS SELECT 1")
        con.execute("SET TimeZone = 'Asia/Tokyo'")
    with store.read() as con:
        assert con.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'mine'").fetchall() == [(0,)]
        assert con.execute("SELECT current_setting('TimeZone')").fetchall() == [("UTC",)]


def test_the_file_is_let_go_of_between_sessions(store: Warehouse) -> None:
    rows(store)
    other = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); c.execute('INSERT INTO t VALUES (1); CREATE VIEW v AS FROM t')"
    subprocess.run([sys.executable, "-c", other, str(store.path)], check=True)
    with store.read() as con:
        assert con.execute("FROM v").fetchall() == [(1,)]


def test_readers_in_threads_share_the_file_and_a_writer_waits_for_them(store: Warehouse) -> None:
    with store.write() as con:
        con.execute("INSERT INTO t VALUES (1)")
    met = Barrier(3, timeout=30)
    found: list[int] = []

    def read() -> None:
        with store.read() as con:
            met.wait()
            found.append(int(con.execute("SELECT count(*) FROM t").fetchall()[0][0]))
            met.wait()

    readers = [Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    met.wait()
    with pytest.raises(WarehouseBusy), store.write():
        pass
    met.wait()
    for reader in readers:
        reader.join()
    assert found == [1, 1]
    with store.write() as con:
        con.execute("INSERT INTO t VALUES (2)")
    assert rows(store) == 2


def test_a_file_put_in_place_of_another_is_what_the_next_session_sees(store: Warehouse, tmp_path: Path) -> None:
    kept = shutil.copyfile(store.path, tmp_path / "kept")
    with store.write() as con:
        con.execute("INSERT INTO t VALUES (1)")
    assert rows(store) == 1
    kept.replace(store.path)
    assert rows(store) == 0


def test_a_copied_process_has_its_own(store: Warehouse) -> None:
    assert rows(store) == 0
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with store.write() as con:
                con.execute("INSERT INTO t VALUES (1)")
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert rows(store) == 1


def test_a_duckdb_that_broke_is_replaced(store: Warehouse) -> None:
    with pytest.raises(duckdb.InternalException), store.read():
        raise duckdb.InternalException("as after a failed assertion inside")
    assert rows(store) == 0


def test_a_file_that_is_none_is_told_and_the_next_is_opened(store: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "no.duckdb").write_text("hello" * 3_000)
    bad = Warehouse(tmp_path / "no.duckdb")
    for _ in range(2):
        with pytest.raises(duckdb.IOException, match=r"no\.duckdb"), bad.read():
            pass
    assert rows(store) == 0


def test_an_empty_database_is_seen_by_nobody_else() -> None:
    with scratch() as one, scratch() as other:
        one.execute("CREATE TABLE t AS SELECT 1 AS n")
        with pytest.raises(duckdb.CatalogException):
            other.execute("SELECT * FROM t")
        other.execute("CREATE TABLE t AS SELECT 2 AS n")
        assert one.execute("SELECT n FROM t").fetchall() == [(1,)]
    with scratch() as later, pytest.raises(duckdb.CatalogException):
        later.execute("SELECT * FROM t")


def test_an_empty_database_outlives_one_that_broke_and_the_copy_of_a_process() -> None:
    with pytest.raises(duckdb.InternalException), scratch():
        raise duckdb.InternalException("as after a failed assertion inside")
    with scratch() as con:
        assert con.execute("SELECT 1").fetchall() == [(1,)]
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with scratch() as con:
                code = 0 if con.execute("SELECT sum(range) FROM range(1000000)").fetchall() else 1
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
