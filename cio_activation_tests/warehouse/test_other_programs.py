"""Another program, such as a DuckDB shell, has the warehouse open: who waits, for how long, and what is said."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from typer.testing import CliRunner

from cio_activation.cli.main import app
from cio_activation.errors import WarehouseBusy
from cio_activation.warehouse.sessions import Warehouse

SHELL = """
import sys, duckdb
con = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read-only")
print("open", flush=True)
sys.stdin.read()
"""
"""What a person's DuckDB shell does, with no regard to anybody's lock."""


@contextmanager
def shell(path: Path, mode: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", SHELL, str(path), mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "open\n"
        yield process
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


@pytest.fixture
def store(tmp_path: Path) -> Warehouse:
    made = Warehouse(tmp_path / "warehouse.duckdb", lock_timeout_s=1.0)
    made.migrate()
    with made.write() as con:
        con.execute("CREATE TABLE t AS SELECT range AS n FROM range(5)")
    return made


@pytest.mark.parametrize("mode", ["read-only", "read-write"])
def test_a_writer_waits_and_then_names_the_program_and_the_mend(store: Warehouse, mode: str) -> None:
    with shell(store.path, mode) as process, pytest.raises(WarehouseBusy) as busy, store.write():
        pass
    for said in (f"PID {process.pid}", "1 s", "cio-activation sql", str(store.path)):
        assert said in str(busy.value)
    assert busy.value.passes_by_itself


def test_a_session_goes_on_as_soon_as_the_program_ends(store: Warehouse) -> None:
    patient = Warehouse(store.path, lock_timeout_s=60)
    with shell(store.path, "read-only") as process:
        assert process.stdin is not None
        Timer(0.5, process.stdin.close).start()
        with patient.write() as con:
            con.execute("INSERT INTO t VALUES (9)")
    with patient.read() as con:
        assert con.execute("SELECT count(*) FROM t").fetchall() == [(6,)]


def test_a_damaged_file_is_not_taken_for_a_busy_one(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(Exception, match="not a valid DuckDB") as damaged, Warehouse(path).read():
        pass
    assert not isinstance(damaged.value, WarehouseBusy)


@pytest.fixture
def home(store: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    monkeypatch.setenv("ACTIVATION_HOME", str(store.path.parent))
    monkeypatch.chdir(store.path.parent)
    return store


def sql(*arguments: str) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(app, ["sql", *arguments, "--json"])
    return result.exit_code, json.loads(result.stdout)


def test_sql_answers_with_columns_and_rows(home: Warehouse) -> None:
    assert sql("SELECT n, n * 2 AS twice FROM t ORDER BY n LIMIT 2") == (
        0, {"ok": True, "columns": ["n", "twice"], "rows": [[0, 0], [1, 2]], "more": False},
    )  # fmt: skip


def test_sql_gives_so_many_rows_and_says_that_there_are_more(home: Warehouse) -> None:
    code, told = sql("FROM t ORDER BY n", "--limit", "3")
    assert (code, told["rows"], told["more"]) == (0, [[0], [1], [2]], True)
    assert sql("FROM t", "--limit", "5")[1]["more"] is False


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM t", "DROP TABLE t", "CREATE TABLE u (n INT)", "SELECT 1; DELETE FROM t", "ATTACH 'other.duckdb'",
        "COPY t TO 'out.csv'", "SELECT * FROM read_text('/etc/hostname')", "INSTALL httpfs", "SET memory_limit = '1GB'",
        "SELECT nothing FROM t", "SELEC", "",
    ],
)  # fmt: skip
def test_sql_reads_this_home_and_does_nothing_else(home: Warehouse, statement: str) -> None:
    code, told = sql(statement)
    assert (code, told["ok"]) == (2, False), told
    assert sorted(p.name for p in home.path.parent.iterdir() if p.suffix in (".csv", ".duckdb")) == [home.path.name]
    with home.read() as con:
        assert con.execute("SELECT count(*) FROM t").fetchall() == [(5,)]


def test_sql_waits_for_a_writer_like_everybody(home: Warehouse) -> None:
    """It is in the same queue as the lanes' sessions: two of them at once are two sessions of one house."""
    command = [sys.executable, "-m", "cio_activation.cli.main", "sql", "SELECT count(*) AS n FROM t", "--json"]
    with home.write() as con:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        con.execute("INSERT INTO t VALUES (6)")
    told, _ = process.communicate(timeout=60)
    assert (process.returncode, json.loads(told)["rows"]) == (0, [[6]])
