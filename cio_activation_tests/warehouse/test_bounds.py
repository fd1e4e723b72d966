"""DuckDB keeps to a limit of its own, and what it spilled is there no longer than whoever spilled it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cio_activation.warehouse import bounds
from cio_activation.warehouse.sessions import Connection, Warehouse, scratch

SPILLS = """
import os, signal, sys
from pathlib import Path
from cio_activation.warehouse.sessions import Warehouse
with Warehouse(Path(sys.argv[1]), memory_limit="64MB").write() as con:
    con.execute("SET threads = 1")
    con.execute("CREATE TEMP TABLE wide AS SELECT hash(i) AS a, hash(i + 1) AS b FROM range(8000000) AS r(i)")
    print("spilled", flush=True)
    if sys.argv[2] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.readline()
"""


def setting(con: Connection, name: str) -> str:
    return str(con.execute(f"SELECT current_setting('{name}')").fetchall()[0][0])


@contextmanager
def spilling(path: Path, then: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process that has spilled, and dies by itself or waits."""
    command = [sys.executable, "-c", SPILLS, str(path), then]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "spilled\n"
        yield process
        if process.stdin is not None:
            process.stdin.close()


def spilled(path: Path) -> list[Path]:
    return [file for file in path.with_name(f"{path.name}.tmp").rglob("*") if file.is_file() and file.stat().st_size]


def test_duckdb_has_a_limit_and_a_folder_without_being_told(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with Warehouse(path).write() as con:
        assert setting(con, "memory_limit") == "2.5 GiB"
        assert Path(setting(con, "temp_directory")).parent == tmp_path / "warehouse.duckdb.tmp"
    with scratch() as con:
        assert setting(con, "memory_limit") == "512.0 MiB"


def test_a_small_machine_is_not_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 262_144}.__getitem__)
    assert bounds.memory_limit() == "819MiB"


def test_what_a_killed_process_spilled_goes_with_the_next_start_and_a_living_ones_stays(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with spilling(path, "die") as killed:
        killed.wait(timeout=60)
    assert spilled(path)
    with spilling(path, "wait"):
        theirs = spilled(path)
        assert theirs
        assert len({file.parent for file in theirs}) == 1
        bounds.SpillFolder(path).remove()
        assert spilled(path) == theirs
    assert spilled(path) == []
