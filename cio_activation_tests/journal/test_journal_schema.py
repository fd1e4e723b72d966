"""The journal's own migrations: an older journal is upgraded with what is in it, a newer one is left alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from cio_activation.destinations.common.kinds import RECORDS
from cio_activation.errors import ConfigError
from cio_activation.journal.attempts import Journal
from cio_activation.journal.operations import by_name
from cio_activation.journal.schema import NEWEST

FIRST_RELEASE = """
CREATE TABLE attempts (
    id {id} NOT NULL PRIMARY KEY, operation_id VARCHAR(32) NOT NULL, run_id VARCHAR(64) NOT NULL,
    plan_id VARCHAR(64) NOT NULL, destination VARCHAR(64) NOT NULL, step VARCHAR(128) NOT NULL,
    lane VARCHAR(16) NOT NULL, kind VARCHAR(32) NOT NULL, cio_id VARCHAR(64) NOT NULL, record_id VARCHAR(64),
    target VARCHAR(128), payload TEXT NOT NULL, keys TEXT NOT NULL, row_hash VARCHAR(20),
    window_key VARCHAR(64) NOT NULL, window_end FLOAT NOT NULL, "end" VARCHAR(16) NOT NULL, reason TEXT,
    result_record_id VARCHAR(64), status INTEGER, request_id VARCHAR(128), observed TEXT, intent_at FLOAT NOT NULL,
    ended_at FLOAT);
CREATE INDEX attempts_by_step ON attempts (destination, step, "end");
CREATE INDEX attempts_by_operation ON attempts (operation_id);
CREATE TABLE claims (destination VARCHAR(64) NOT NULL, entry VARCHAR(128) NOT NULL, operation_id VARCHAR(32) NOT NULL,
    record_id VARCHAR(64), PRIMARY KEY (destination, entry));
CREATE TABLE leases (name VARCHAR(200) NOT NULL PRIMARY KEY, owner VARCHAR(200) NOT NULL, expires_at FLOAT NOT NULL);
CREATE TABLE paces (vendor VARCHAR(64) NOT NULL, bucket VARCHAR(64) NOT NULL, lane VARCHAR(16) NOT NULL,
    arrival FLOAT NOT NULL, used_at FLOAT NOT NULL, paused_until FLOAT NOT NULL, PRIMARY KEY (vendor, bucket, lane));
INSERT INTO attempts (operation_id, run_id, plan_id, destination, step, lane, kind, cio_id, payload, keys, window_key,
    window_end, "end", intent_at)
VALUES ('o1', 'r', 'p', 'toy', 'people', 'daily', 'update', 'person-1',
    '{{}}', '{{}}', '2026-11-01', 1.0, 'sending', 1.0)
"""
"""The tables as the first release made them, with one attempt in flight."""


def old_journal(url: str) -> None:
    engine = sa.create_engine(url)
    identity = "SERIAL" if engine.dialect.name == "postgresql" else "INTEGER"
    with engine.begin() as con:
        for statement in FIRST_RELEASE.format(id=identity).split(";\n"):
            con.exec_driver_sql(statement.replace("%", "%%"))
    engine.dispose()


def shape(url: str) -> dict[str, object]:
    """Return every table's columns (type and whether NULL may be in it) and indexes."""
    inspector = sa.inspect(sa.create_engine(url))
    postgres = inspector.dialect.name == "postgresql"
    found: dict[str, object] = {}
    for table in sorted(inspector.get_table_names()):
        found[table] = (
            # SQLite keeps the lengths of its first day, and does not heed them.
            {(c["name"], str(c["type"]) if postgres else "", c["nullable"]) for c in inspector.get_columns(table)},
            {(i["name"], tuple(i["column_names"])) for i in inspector.get_indexes(table)},
            tuple(inspector.get_pk_constraint(table)["constrained_columns"]),
        )
    return found


def other_database(url: str, request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("postgres").new_database() if "postgres" in url else f"{url}.fresh"


def test_an_old_journal_becomes_what_a_fresh_one_is_and_keeps_its_rows(
    journal_url: str, request: pytest.FixtureRequest
) -> None:
    old_journal(journal_url)
    upgraded = Journal(journal_url)
    assert [a.operation.cio_id for a in upgraded.open_attempts("toy", "people", by_name(RECORDS))] == ["person-1"]
    fresh = other_database(journal_url, request)
    Journal(fresh).close()
    assert shape(journal_url) == shape(fresh)
    assert "journal_version" in shape(journal_url)


def test_many_that_open_an_old_journal_at_once_upgrade_it_once(journal_url: str) -> None:
    old_journal(journal_url)
    together = threading.Barrier(4, timeout=60)

    def work(_number: int) -> int:
        together.wait()
        return len(Journal(journal_url).open_attempts("toy", "people", by_name(RECORDS)))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [1, 1, 1, 1]


def test_a_journal_of_a_newer_release_is_refused_and_left_as_it_is(journal_url: str) -> None:
    journal = Journal(journal_url)
    with journal.engine.begin() as con:
        con.execute(sa.text(f"UPDATE journal_version SET version = {NEWEST + 7}"))
    with pytest.raises(ConfigError, match=f"newer release .version {NEWEST + 7}; this one knows {NEWEST}"):
        Journal(journal_url)
    with journal.engine.connect() as con:
        assert con.execute(sa.text("SELECT version FROM journal_version")).scalar() == NEWEST + 7
