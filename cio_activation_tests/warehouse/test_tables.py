"""Where tables come from: each is made by a migration, or its shape depends on the activation and the list says so."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

import cio_activation
from cio_activation.activation.models import Lane
from cio_activation.customerio.moments import pull_moments
from cio_activation.warehouse import migrations, tables
from cio_activation.warehouse.sessions import Connection, Warehouse
from cio_activation_tests.drivers.town import town

AS_RECORDED = (
    "0001_base.sql", "0002_audience.sql", "0002_delivery.sql", "0003_guards.sql", "0004_moments.sql",
    "0005_budget.sql", "0005_catalog_age.sql", "0006_moment_people.sql", "0007_turns.sql", "0008_moved.sql",
    "0009_words.sql",
)  # fmt: skip
"""Names in meta.migrations of homes of release 0.1.0 (the first ten) and of those made soon after it."""
SINCE_THEN = sorted(
    f.name for f in resources.files(migrations).iterdir() if f.name.endswith(".sql") and f.name > "0011"
)
MADE_BY_CODE_OF_0_1_0 = """
    CREATE TABLE identity.persons (cio_id VARCHAR, external_id VARCHAR, email VARCHAR, phone VARCHAR,
        first_name VARCHAR, last_name VARCHAR, email_owner BOOLEAN, external_id_owner BOOLEAN, deliverable BOOLEAN,
        held_reason VARCHAR, changed_at TIMESTAMP, content_hash UBIGINT, known_since TIMESTAMP, source_hash UBIGINT);
    INSERT INTO identity.persons (cio_id, held_reason) VALUES ('a', 'no e-mail');
    CREATE TABLE identity.conflicts (match_key VARCHAR, value_hash VARCHAR, cio_id VARCHAR, owner_cio_id VARCHAR,
        reason VARCHAR, window_key VARCHAR);
    CREATE TABLE raw.members_looked (looked_at TIMESTAMP, stale BIGINT);
    INSERT INTO raw.members_looked VALUES (NULL, 7);
    CREATE TABLE delivery.pipedrive_persons (person_id VARCHAR, name VARCHAR, emails VARCHAR, external_id VARCHAR,
        audiences VARCHAR, update_time TIMESTAMP, is_deleted BOOLEAN, mirrored_at TIMESTAMP);
    INSERT INTO delivery.pipedrive_persons (person_id) VALUES ('1');
"""
ROOMS_THAT_NAME_TABLES_BY_CONSTANT = ("customerio", "identity", "state")


def found(store: Warehouse) -> set[str]:
    """Return ``schema.table`` of every table and view of the warehouse."""
    with store.read() as con:
        rows = con.execute(
            "SELECT table_schema || '.' || table_name FROM information_schema.tables "
            "WHERE table_catalog = current_database()"
        ).fetchall()
    return {name for (name,) in rows}


def shape(store: Warehouse) -> set[tuple[str, str, str]]:
    with store.read() as con:
        rows = con.execute(
            "SELECT schema_name || '.' || table_name, column_name, data_type FROM duckdb_columns() "
            "WHERE database_name = current_database() AND NOT internal"
        ).fetchall()
    return {(str(t), str(c), str(k)) for t, c, k in rows}


def fresh(folder: Path) -> Warehouse:
    store = Warehouse(folder / "fresh.duckdb")
    store.migrate()
    return store


def test_no_two_migrations_have_one_number() -> None:
    files = [f.name for f in resources.files(migrations).iterdir() if f.name.endswith(".sql")]
    numbers = Counter(name.partition("_")[0] for name in files)
    assert [n for n, times in numbers.items() if times > 1] == []
    assert sorted(map(int, numbers)) == list(range(1, len(files) + 1))


def test_an_empty_home_has_the_tables_that_are_named_as_migrated(tmp_path: Path) -> None:
    assert found(fresh(tmp_path)) == tables.MIGRATED


@pytest.mark.slow
def test_after_both_lanes_every_table_is_migrated_or_shaped_by_the_activation(tmp_path: Path) -> None:
    with town(tmp_path / "home") as small:
        store = small.runtime.warehouse
        before = shape(store)
        for lane in Lane:
            small.run(lane)
        pull_moments(small.runtime, small.window(Lane.REALTIME))
        made = found(store) - tables.MIGRATED
        assert {name for name in made if not tables.is_activation_shaped(name)} == set()
        for pattern in tables.ACTIVATION_SHAPED:
            assert any(tables.is_activation_shaped(name) for name in made), f"nothing is made for {pattern}"
        assert {column for column in shape(store) if column[0] in tables.MIGRATED} == before


@pytest.mark.parametrize("applied", [10, 11])
def test_an_older_home_is_taken_over_and_nothing_runs_twice(tmp_path: Path, applied: int) -> None:
    store = Warehouse(tmp_path / "w.duckdb")
    with store.write() as con:
        older_home(con, AS_RECORDED[:applied])
        pending = list(migrations.pending(con))
        assert pending == SINCE_THEN[applied - 10 :]
    store.migrate()
    store.migrate()
    with store.read() as con:
        recorded = [name for (name,) in con.execute("SELECT name FROM meta.migrations").fetchall()]
        assert con.execute("SELECT cio_id, undeliverable_reason FROM identity.persons").fetchall() == [
            ("a", "no e-mail")
        ]
        assert con.execute("SELECT stale FROM raw.members_checked").fetchall() == [(7,)]
        assert con.execute("SELECT person_id, fields FROM delivery.pipedrive_persons").fetchall() == [("1", None)]
    assert recorded == [*AS_RECORDED[:applied], *pending]
    assert shape(store) == shape(fresh(tmp_path))


def older_home(con: Connection, recorded: tuple[str, ...]) -> None:
    """Bring an empty home to where the migrations ``recorded``, and the code of 0.1.0, had brought it."""
    texts = list(migrations.pending(con).values())
    con.execute("CREATE SCHEMA meta; CREATE TABLE meta.migrations (name VARCHAR, applied_at TIMESTAMP)")
    for name, text in zip(recorded, texts, strict=False):
        if name == "0009_words.sql":
            con.execute(MADE_BY_CODE_OF_0_1_0)
        con.execute(text)
        con.execute("INSERT INTO meta.migrations VALUES (?, current_localtimestamp())", [name])
    if "0009_words.sql" not in recorded:
        con.execute(MADE_BY_CODE_OF_0_1_0)


def strings(source: str) -> Iterator[str]:
    """Yield the text of every string of a module but its docstrings."""
    module = ast.parse(source)
    bare = {id(n.value) for n in ast.walk(module) if isinstance(n, ast.Expr)}
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
            yield node.value


@pytest.mark.parametrize("room", ROOMS_THAT_NAME_TABLES_BY_CONSTANT)
def test_a_table_is_named_in_one_place(room: str) -> None:
    names = {*tables.MIGRATED, tables.PEOPLE, tables.PEOPLE_LIVE, tables.PEOPLE_CURRENT}
    for path in (Path(cio_activation.__file__).parent / room).glob("*.py"):
        if path.name == "assets.py":  # what the UI shows of a table is text
            continue
        words = {word.strip("(),;\"'") for text in strings(path.read_text()) for word in text.split()}
        assert words & names == set(), f"{path.name} spells a table's name; take it from warehouse/tables.py"
