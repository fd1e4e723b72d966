"""JOURNAL_URL: what it may be, and errors that help without showing a password."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from cio_activation.errors import ConfigError
from cio_activation.journal.attempts import Journal

if TYPE_CHECKING:
    from cio_activation_tests.drivers.postgres import PostgresServer

SECRET = "s3cr3t"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_a_bare_postgresql_url_uses_the_driver_of_the_extra(postgres: PostgresServer, scheme: str) -> None:
    url = postgres.new_database().replace("postgresql+psycopg2", scheme)
    journal = Journal(url)
    assert journal.engine.dialect.driver == "psycopg2"
    with journal.engine.connect() as con:
        assert con.execute(sa.text("SHOW synchronous_commit")).scalar() == "on"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (f"postgresql+psycopg://u:{SECRET}@db/journal", r"names postgresql\+psycopg$"),
        (f"mysql://u:{SECRET}@db/journal", "names mysql$"),
        (f"postgresql://u:{SECRET}@db:{SECRET}/journal", "cannot be read"),
        (f"postgresql://u:a@{SECRET}@db/journal", "%40"),
        (f"{SECRET}", "cannot be read"),
    ],
)
def test_a_url_that_cannot_be_a_journal_is_told_what_to_write(url: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        Journal(url)
    assert SECRET not in str(caught.value)


def test_without_the_driver_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(ConfigError, match=r"pip install 'cio-activation\[postgres\]'"):
        Journal(f"postgresql://u:{SECRET}@db/journal")


def test_a_refused_or_absent_server_is_named_without_the_password(postgres: PostgresServer) -> None:
    right = postgres.new_database()
    wrong = right.replace(postgres.password, SECRET)
    absent = f"postgresql://u:{SECRET}@127.0.0.1:1/journal"
    in_query = f"postgresql://u@127.0.0.1:1/journal?password={SECRET}"
    for url, says in ((wrong, "authentication failed"), (absent, "127.0.0.1:1, database journal"), (in_query, ":1")):
        with pytest.raises(ConfigError, match=says) as caught:
            Journal(url)
        assert SECRET not in f"{caught.value} {caught.value.__cause__}"
        assert caught.value.__suppress_context__


def test_a_folder_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"cannot be opened \(/nowhere/journal.sqlite\)"):
        Journal("sqlite:////nowhere/journal.sqlite")
