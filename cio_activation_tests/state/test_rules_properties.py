"""The generated SQL against the plain Python reference, and against its own promise about the clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cio_activation.activation.models import Lane
from cio_activation.state import median_gaps
from cio_activation.state.sql import StateSql
from cio_activation.warehouse import migrations
from cio_activation.warehouse.sessions import Connection, scratch
from cio_activation_tests.drivers.oracles import rules
from cio_activation_tests.drivers.state import _write_people, activation
from cio_activation_tests.state.populations import NOW, people, spans

ACTIVATION = activation()


@pytest.fixture(scope="module")
def con() -> Iterator[Connection]:
    with scratch() as connection:
        migrations.apply(connection)
        yield connection


def derived(con: Connection, population: dict[str, dict[str, Any]], as_of: datetime) -> dict[str, dict[str, Any]]:
    _write_people(con, ACTIVATION, list(population.items()))
    statements = StateSql.of(ACTIVATION, Lane.DAILY, as_of)
    median_gaps.refresh(con, statements)
    result = con.execute(statements.select())
    names = [d[0] for d in result.description]
    assert names == list(statements.columns())
    return {row[0]: dict(zip(names, row, strict=True)) for row in result.fetchall()}


@settings(max_examples=40, deadline=None)
@given(population=people, shift=spans)
def test_sql_agrees_with_the_reference(
    con: Connection, population: dict[str, dict[str, Any]], shift: timedelta
) -> None:
    as_of = NOW + shift
    found = derived(con, population, as_of)
    expected = rules.derive(population, as_of)
    assert {cio_id: {n: row[n] for n in expected[cio_id]} for cio_id, row in found.items()} == expected
    gaps = dict(con.execute("SELECT group_value, days FROM state.median_gaps").fetchall())
    assert gaps == rules.fallback_gaps(population)


@settings(max_examples=40, deadline=None)
@given(population=people.filter(bool), later=st.lists(spans, min_size=1, max_size=2))
def test_nothing_changes_before_the_next_transition(
    con: Connection, population: dict[str, dict[str, Any]], later: list[timedelta]
) -> None:
    before = derived(con, population, NOW)
    ends = [row["next_transition_at"] for row in before.values() if row["next_transition_at"] is not None]
    assert all(end > NOW for end in ends)
    instants = [NOW + span for span in later] + [end - timedelta(microseconds=1) for end in sorted(ends)[:2]]
    for instant in instants:
        after = derived(con, population, instant)
        for cio_id, row in before.items():
            end = row["next_transition_at"]
            if end is None or instant < end:
                assert after[cio_id] == row | {"as_of": instant}


@settings(max_examples=40, deadline=None)
@given(population=people.filter(bool))
def test_most_transitions_do_change_something(con: Connection, population: dict[str, dict[str, Any]]) -> None:
    """A transition that changes nothing is only wasted work, but `lapse` alone must change at each of its own."""
    only_lapse = activation([ACTIVATION.properties["lapse"]])
    _write_people(con, only_lapse, list(population.items()))
    query = "SELECT cio_id, lapse, next_transition_at FROM ({})"
    for cio_id, lapse, end in con.execute(query.format(StateSql.of(only_lapse, Lane.DAILY, NOW).select())).fetchall():
        if end is None:
            assert lapse in (None, "181+")
        else:
            after = con.execute(query.format(StateSql.of(only_lapse, Lane.DAILY, end).select())).fetchall()
            assert next(row[1] for row in after if row[0] == cio_id) != lapse
