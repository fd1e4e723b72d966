"""Expressions under random input: nothing outside the allowlist gets through, and SQL agrees with Python."""

from datetime import datetime, timedelta

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cio_activation.activation.expressions import parse_expression
from cio_activation.errors import ConfigError
from cio_activation_tests.activation.test_expressions import LABELS, ROW, TYPES

CONNECTION = duckdb.connect()
AS_OF = datetime(2026, 6, 1, 12)

moments = st.one_of(
    st.none(),
    st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31)),
    st.integers(-400, 40).map(lambda days: AS_OF + timedelta(days=days)),  # exactly on an edge
    st.integers(-(10**8), 10**7).map(lambda us: AS_OF + timedelta(days=-30, microseconds=us)),
)
operators = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def evaluate(text: str, moment: datetime | None, as_of: datetime = AS_OF) -> object:
    sql = parse_expression(text, TYPES).sql
    query = f"SELECT {sql} FROM (SELECT $1::TIMESTAMP AS bought_at, $2::TIMESTAMP AS as_of)"
    return CONNECTION.execute(query, [moment, as_of]).fetchall()[0][0]


def periods(moment: datetime, unit: str) -> int:
    return max(0, (AS_OF - moment) // (timedelta(days=1) if unit == "days" else timedelta(hours=1)))


@given(moments, st.sampled_from(sorted(operators)), st.integers(0, 500), st.sampled_from(["days", "hours"]))
def test_since_counts_whole_periods_and_the_future_as_zero(
    moment: datetime | None, sign: str, n: int, unit: str
) -> None:
    expected = None if moment is None else operators[sign](periods(moment, unit), n)
    assert evaluate(f"{unit}_since(bought_at) {sign} {n}", moment) is expected


@given(moments, st.integers(0, 400), st.integers(0, 400))
def test_between_includes_both_ends(moment: datetime | None, one: int, other: int) -> None:
    low, high = sorted((one, other))
    expected = None if moment is None else low <= periods(moment, "days") <= high
    assert evaluate(f"days_since(bought_at) BETWEEN {low} AND {high}", moment) is expected


@given(
    st.integers(0, 400 * 86_400).map(lambda s: AS_OF - timedelta(seconds=s)),
    st.sampled_from([">= 30", "> 30", "= 30", "<= 29", "BETWEEN 21 AND 35", "IN (3, 40)"]),
)
def test_between_two_clocks_the_value_stands_still(moment: datetime, test: str) -> None:
    text = f"days_since(bought_at) {test}"
    turns = [moment + timedelta(days=clock.n) for clock in parse_expression(text, TYPES).clocks]
    after = min((turn for turn in turns if turn > AS_OF), default=AS_OF + timedelta(days=1000))
    last = after - timedelta(microseconds=1)
    assert evaluate(text, moment) is evaluate(text, moment, last)


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "290308-01-01 (BC)", "200000-01-01"])
def test_a_time_beyond_the_calendar_counts_as_missing_and_stops_nothing(moment: str) -> None:
    sql = parse_expression("days_since(bought_at) >= 0 OR hours_since(bought_at) > 1", TYPES).sql
    query = f"SELECT {sql} FROM (SELECT CAST($1 AS TIMESTAMP) AS bought_at, TIMESTAMP '2026-06-01' AS as_of)"
    assert CONNECTION.execute(query, [moment]).fetchall() == [(None,)]


WORDS = """
    amount orders bought_at city vip tier ghost select from people ( ) , ; -- /* */ ' " $$ . :: = <> < > + - * / % ||
    ~ AND OR NOT IN BETWEEN IS NULL LIKE CASE WHEN THEN ELSE END 1 2.5 'gold' '2026-01-01' lower( coalesce( round(
    days_since( hours_since( now() read_csv('x') getenv('HOME') EXISTS DISTINCT OVER FILTER CAST AS INT LAMBDA x:
    {'a': 1} [1] INTERVAL TRUE FALSE ? $1 @ # COLLATE ESCAPE QUALIFY ATTACH PRAGMA UNION
"""
words = st.sampled_from(WORDS.split())
texts = st.one_of(st.lists(words, max_size=14).map(" ".join), st.text(max_size=40))


@settings(max_examples=400)
@given(texts)
def test_whatever_is_written_is_refused_politely_or_runs_over_declared_columns_only(text: str) -> None:
    try:
        expression = parse_expression(text, TYPES, LABELS)
    except ConfigError:  # any other error fails the test
        return
    assert expression.columns
    assert expression.columns <= set(TYPES)
    (row,) = CONNECTION.execute(f"SELECT typeof({expression.sql}), {expression.sql} FROM ({ROW})").fetchall()
    assert row[0] == "BOOLEAN"


numbers = st.recursive(
    st.sampled_from(["amount", "orders", "3", "0", "1e308", "9000000000000000000", "length(city)"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda n: f"abs({n})"),
        inner.map(lambda n: f"round(-{n}, 2)"),
        st.tuples(inner, inner).map(lambda t: f"greatest({t[0]}, {t[1]})"),
        st.tuples(inner, inner).map(lambda t: f"CASE WHEN vip THEN {t[0]} ELSE {t[1]} END"),
    ),
    max_leaves=6,
)


@given(numbers, numbers, st.sampled_from(sorted(operators)))
def test_a_sound_expression_never_stops_the_query(left: str, right: str, sign: str) -> None:
    expression = parse_expression(f"vip AND {left} {sign} {right}", TYPES)
    (row,) = CONNECTION.execute(f"SELECT {expression.sql} FROM ({ROW})").fetchall()
    assert row[0] in {True, False, None}
