"""A statement's text is read once, and what it gives does not depend on that."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest

from cio_activation.warehouse import connection
from cio_activation.warehouse.sessions import Connection, SqlError, Warehouse, scratch


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse.duckdb")


def test_what_was_read_once_sees_what_is_there_now(warehouse: Warehouse) -> None:
    """Another shape of the table, other rows and other parameters: nothing but the text is remembered."""
    asked, made = "SELECT * FROM t WHERE n > $least", "CREATE OR REPLACE TABLE t AS SELECT "
    with warehouse.write() as con:
        con.execute(f"{made} 1 AS n")
        assert con.execute(asked, {"least": 0}).fetchall() == [(1,)]
        con.execute(f"{made} 2 AS n, 'b' AS name")
        assert con.execute(asked, {"least": 0}).fetchall() == [(2, "b")]
        assert con.execute(asked, {"least": 2}).fetchall() == []
    with warehouse.read() as con:
        assert con.execute(asked, {"least": 1}).fetchall() == [(2, "b")]
    with scratch() as con, pytest.raises(SqlError, match="Table with name t does not exist"):
        con.execute(asked, {"least": 0})


def test_several_statements_and_none_are_as_duckdb_has_them() -> None:
    with scratch() as con:
        assert con.execute(
            "CREATE TABLE t (n INT); INSERT INTO t VALUES (1), (2); SELECT sum(n) FROM t"
        ).fetchall() == [(3,)]
        con.execute("-- nothing but a remark")
        assert [con.execute(one).fetchall() for one in con.extract_statements("SELECT 1; SELECT 2")] == [[(1,)], [(2,)]]
        with pytest.raises(SqlError, match="syntax error"):
            con.execute("SELEC 1")


def test_what_is_remembered_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_CHARACTERS", 2_000)
    statements = connection.Statements()
    monkeypatch.setattr(connection, "_statements", statements)
    often = "SELECT 'often'"
    with scratch() as con:
        for number in range(400):
            assert con.execute(f"SELECT {number}").fetchall() == [(number,)]
            con.execute(often)
    assert 1_000 < statements.characters <= 2_000
    assert often in statements


def test_threads_share_what_was_read() -> None:
    found: list[int] = []

    def ask(con: Connection) -> None:
        found.extend(con.execute("SELECT $n * 2", {"n": number}).fetchall()[0][0] for number in range(50))

    with scratch() as con:
        threads = [Thread(target=ask, args=[con.cursor()]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(found) == sorted(number * 2 for number in range(50) for _ in range(4))
