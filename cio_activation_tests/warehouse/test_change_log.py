"""Notes of who was touched by a change: few by name, many as everybody, and what is forgotten as everybody too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cio_activation.warehouse import change_log
from cio_activation.warehouse.sessions import Connection, Warehouse
from cio_activation_tests.drivers.state import InMemory


@pytest.fixture
def con(tmp_path: Path) -> Iterator[Connection]:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    warehouse.migrate()
    with warehouse.write() as con:
        yield con


def note(con: Connection, table: str, *people: str) -> None:
    change_log.note(con, table, "SELECT unnest(?::VARCHAR[]) AS cio_id", [list(people)])


def since(con: Connection, sequence: int, *tables: str) -> set[str] | None:
    select = change_log.since(con, sequence, tables)
    return None if select is None else {cio_id for (cio_id,) in con.execute(select).fetchall()}


def test_who_was_touched_since_is_found_by_table(con: Connection) -> None:
    note(con, "a", "p1", "p1")
    sequence = change_log.next_sequence(con) - 1
    note(con, "a", "p2")
    note(con, "b", "p3")
    note(con, "c", "p4")
    assert since(con, 0, "a", "b") == {"p1", "p2", "p3"}
    assert since(con, sequence, "a", "b") == {"p2", "p3"}
    assert since(con, change_log.next_sequence(con) - 1, "a", "b", "c") == set()


def test_everybody_is_said_once_and_lasts_until_read(con: Connection) -> None:
    note(con, "a", "p1")
    sequence = change_log.next_sequence(con) - 1
    change_log.note(con, "a", None)
    assert since(con, sequence, "a") is None
    assert since(con, sequence, "b") == set()
    later = change_log.next_sequence(con) - 1
    note(con, "a", "p2")
    assert since(con, sequence, "a") is None
    assert since(con, later, "a") == {"p2"}


def test_many_at_once_are_everybody(con: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_log, "MANY", 5)
    note(con, "a", "p1", "p2", "p3", "p4", "p5")
    assert since(con, 0, "a") == {"p1", "p2", "p3", "p4", "p5"}
    note(con, "a", "p1", "p2", "p3", "p4", "p5", "p6")
    assert since(con, 0, "a") is None
    assert con.execute("SELECT count(*) FROM meta.change_log").fetchall() == [(1,)]


changes = st.lists(st.tuples(st.sampled_from("ab"), st.lists(st.integers(0, 9), max_size=6)), max_size=15)


@settings(max_examples=30, deadline=None)
@given(changes=changes, read=st.integers(0, 14))
def test_nobody_is_forgotten_whatever_is(changes: list[tuple[str, list[int]]], read: int) -> None:
    warehouse = InMemory()
    warehouse.migrate()
    with pytest.MonkeyPatch.context() as patch, warehouse.write() as con:
        patch.setattr(change_log, "MANY", 5)
        patch.setattr(change_log, "RETAINED", 2)
        patch.setattr(change_log, "LEAST_RETAINED", 0)
        sequence, touched = 0, set[str]()
        for number, (table, people) in enumerate(changes):
            if number == read:
                sequence, touched = change_log.next_sequence(con) - 1, set()
            note(con, table, *map(str, people))
            touched |= {str(p) for p in people} if table == "a" else set()
        found = since(con, sequence, "a")
        assert found is None or found == touched
        assert int(con.execute("SELECT count(*) FROM meta.change_log").fetchall()[0][0]) <= 2 * 5 + 1


def test_what_is_many_grows_with_the_people(con: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_log, "MANY", 5)
    con.execute("INSERT INTO meta.published (name, lane, rows) VALUES ('identity.persons', 'daily', 100)")
    note(con, "a", *map(str, range(10)))
    assert since(con, 0, "a") == set(map(str, range(10)))
    note(con, "a", *map(str, range(11)))
    assert since(con, 0, "a") is None
