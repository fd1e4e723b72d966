"""Refusing rows: found by a contract in chunks, moved to quarantine with their reason, and never their neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandera.pandas as pa
import pytest

from cio_activation.errors import ContractError
from cio_activation.warehouse import quarantine
from cio_activation.warehouse.sessions import Connection, Warehouse
from cio_activation.warehouse.validation import MISSING, Breach, Verdict, validate
from cio_activation_tests.drivers.builders import window

CONTRACT = pa.DataFrameSchema(
    {
        "cio_id": pa.Column(nullable=False),
        "score": pa.Column(float, pa.Check.le(9, error="too high"), nullable=True),
        "flag": pa.Column(bool, nullable=False),
    },
    checks=pa.Check(lambda frame: ~(frame["flag"] & frame["score"].isna()), error="flag without score"),
    name="raw.scores",
)


@pytest.fixture
def con(tmp_path: Path) -> Iterator[Connection]:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    warehouse.migrate()
    with warehouse.write() as con:
        con.execute("CREATE TABLE raw.scores (cio_id VARCHAR, score DOUBLE, flag BOOLEAN)")
        yield con


def put(con: Connection, *rows: tuple[str | None, float | None, bool]) -> Verdict:
    con.executemany("INSERT INTO raw.scores VALUES (?, ?, ?)", rows)
    return validate(con, "SELECT * FROM raw.scores", CONTRACT)


def entries(con: Connection) -> list[tuple[object, ...]]:
    return con.execute(
        'SELECT layer, cio_id, "column", reason, detail FROM quarantine.rows ORDER BY ALL NULLS FIRST'
    ).fetchall()


def left(con: Connection) -> list[object]:
    return [cio_id for (cio_id,) in con.execute("SELECT cio_id FROM raw.scores ORDER BY 1").fetchall()]


def test_every_broken_rule_is_a_breach_once_and_without_its_value(con: Connection) -> None:
    verdict = put(con, ("a", 1.0, True), ("b", 12.5, False), ("c", None, True), (None, 99.0, False))
    assert verdict.rows == 4
    assert set(verdict.breaches) == {
        Breach("b", "score", "too high"),
        Breach("c", None, "flag without score"),
        Breach(None, "cio_id", MISSING),
        Breach(None, "score", "too high"),
    }
    assert len(verdict.breaches) == 4
    assert "12.5" not in repr(verdict)


def test_a_column_that_is_wrong_as_a_whole_refuses_no_row(con: Connection) -> None:
    put(con, ("a", 1.0, True))
    with pytest.raises(ContractError, match=r"raw\.scores: column score breaks the contract as a whole"):
        validate(con, "SELECT cio_id, CAST(score AS VARCHAR) AS score, flag FROM raw.scores", CONTRACT)
    with pytest.raises(ContractError, match="as a whole"):
        validate(con, "SELECT cio_id, score FROM raw.scores", CONTRACT)


def test_too_many_breaches_are_no_bad_rows(con: Connection) -> None:
    put(con, ("a", 12.5, True), ("b", 12.5, True))
    assert len(validate(con, "SELECT * FROM raw.scores", CONTRACT, most=2).breaches) == 2
    with pytest.raises(
        ContractError, match=r"more than 1 values break.*score: too high.*nothing was published"
    ) as told:
        validate(con, "SELECT * FROM raw.scores", CONTRACT, most=1)
    assert "12.5" not in str(told.value)


def test_refused_rows_move_with_all_that_is_wrong_and_the_others_stay(con: Connection) -> None:
    verdict = put(con, ("a", 1.0, True), ("b", 12.0, False), ("b", 2.0, False), (None, 3.0, False))
    counts = quarantine.refuse(con, "raw", window(), "raw.scores", [*verdict.breaches, Breach("b", "cio_id", "twice")])
    assert counts == {"too high": 1, "twice": 1, MISSING: 1} == quarantine.counts(con, "raw", window())
    assert left(con) == ["a"]
    assert entries(con) == [
        ("raw", None, "cio_id", MISSING, None),
        ("raw", "b", "cio_id", "twice", None),
        ("raw", "b", "score", "too high", None),
    ]


def test_a_breach_of_a_named_row_moves_no_row_without_a_key(con: Connection) -> None:
    put(con, ("a", 1.0, True), ("b", 12.0, False))
    con.execute("INSERT INTO raw.scores VALUES (NULL, 1, FALSE)")
    quarantine.refuse(con, "raw", window(), "raw.scores", [Breach("b", "score", "too high")])
    assert left(con) == ["a", None]


def test_without_a_breach_nothing_moves(con: Connection) -> None:
    assert quarantine.refuse(con, "raw", window(), "raw.scores", put(con, ("a", 1.0, True)).breaches) == {}
    assert (left(con), entries(con)) == (["a"], [])


def test_rows_may_go_by_another_key_and_show_a_part_of_themselves(con: Connection) -> None:
    con.execute(
        "CREATE TABLE raw.operations AS SELECT 'a' AS cio_id, 'o' || i AS operation_id, 1 AS v FROM range(3) t(i)"
    )
    breaches = [Breach("o1", "v", "not a value")]
    quarantine.refuse(
        con, "payload", window(), "raw.operations", breaches, key="operation_id", shown="{v: r.v}", detail="toy/step"
    )
    assert entries(con) == [("payload", "a", "v", "not a value", "toy/step")]
    assert con.execute("SELECT row FROM quarantine.rows").fetchall() == [('{"v":1}',)]
    assert con.execute("SELECT count(*) FROM raw.operations").fetchall() == [(2,)]


def test_a_re_run_replaces_what_is_its_own(con: Connection) -> None:
    for origin in ("toy/one", "toy/two"):
        quarantine.enter(con, "payload", window(), "SELECT 'a', NULL, 'r', ?, NULL UNION ALL SELECT 'b', NULL, 'r', ?, NULL", [origin] * 2)  # fmt: skip
    quarantine.enter(con, "payload", window(2), "SELECT 'a', NULL, 'r', NULL, NULL")
    quarantine.clear(con, "payload", window(), detail="toy/one")
    assert [(e[1], e[4]) for e in entries(con)] == [("a", None), ("a", "toy/two"), ("b", "toy/two")]
    quarantine.clear(con, "payload", window(), people="SELECT ?", parameters=["b"])
    assert quarantine.counts(con, "payload", window(), people="SELECT unnest(?::VARCHAR[])", parameters=[["a", "b"]]) == {"r": 1}  # fmt: skip
    quarantine.clear(con, "payload", window())
    assert entries(con) == [("payload", "a", None, "r", None)]
