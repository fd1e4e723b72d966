"""Opens the journal's database: SQLite by default, PostgreSQL by ``JOURNAL_URL``.

Errors name the place without its password, and never what a statement carried.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any

import sqlalchemy as sa

from cio_activation.errors import ConfigError

_POSTGRES = ("postgres", "postgresql", "postgresql+psycopg2")
_MADE_FOR = "JOURNAL_URL has to be postgresql+psycopg2://user:password@host:port/database or sqlite:///file"


def open_engine(given: str, wait_s: float = 30.0) -> sa.Engine:
    """Return this process's engine for the journal at ``given``; ConfigError for a URL that cannot be one.

    Does not connect. The engine stays usable after ``dispose``, which closes its connections.
    ``wait_s``: seconds a statement waits for another process's lock before it fails.
    """
    return _engine(given, wait_s, os.getpid())  # connections do not survive a fork


@lru_cache(maxsize=4)
def _engine(given: str, wait_s: float, _pid: int) -> sa.Engine:
    """Make the engine; cached, because it holds the compiled statements (a third of a small lane's CPU otherwise)."""
    url = _read(given)
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(url, connect_args={"timeout": wait_s}, hide_parameters=True)
        sa.event.listen(engine, "connect", partial(_prepare_sqlite, wait_s))
        return engine
    time_slice = {} if "connect_timeout" in url.query else {"connect_timeout": max(2, min(10, math.ceil(wait_s)))}
    try:
        engine = sa.create_engine(
            url,
            connect_args=time_slice,
            executemany_mode="values_plus_batch",  # psycopg2 would make one round trip a row
            pool_pre_ping=True,  # a server restarted between two calls costs nothing
            hide_parameters=True,  # payloads are personal data and would be printed by SQLAlchemy's errors
        )
    except ImportError:
        raise ConfigError(
            "JOURNAL_URL names PostgreSQL, whose driver psycopg2 is not installed: "
            "pip install 'cio-activation[postgres]'"
        ) from None
    sa.event.listen(engine, "connect", partial(_prepare_postgres, wait_s))
    return engine


@contextlib.contextmanager
def sqlite_commits(con: sa.Connection, *, durable: bool) -> Iterator[None]:
    """Commit at the end, or roll back on any error; wait for the disk only if ``durable``."""
    if not durable:
        con.exec_driver_sql("PRAGMA synchronous=NORMAL")
    try:
        yield
        con.commit()
    except BaseException:
        con.rollback()
        raise
    finally:
        if not durable:
            con.exec_driver_sql("PRAGMA synchronous=FULL")


def place(url: sa.URL) -> str:
    """Return where a journal is, fit for messages: no password, no query."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    host = url.host or url.query.get("host") or "localhost"
    return f"PostgreSQL {host}{f':{url.port}' if url.port else ''}, database {url.database or '(default)'}"


def place_of(given: str) -> str:
    """Return where the journal at ``given`` is, fit for messages, also if it is no address."""
    try:
        return place(_read(given))
    except ConfigError:
        return "set, and no address of a journal"


def cannot_open(url: sa.URL, error: sa.exc.DBAPIError) -> ConfigError:
    """Return the error to raise when the database cannot be opened, with the driver's words but no password."""
    said = " ".join(str(error.orig).split()) or type(error.orig).__name__
    for secret in (url.password, *_listed(url.query.get("password"))):
        said = said.replace(str(secret), "***") if secret else said
    return ConfigError(f"the journal cannot be opened ({place(url)}): {said}")


def _read(given: str) -> sa.URL:
    # The parser's own errors may quote a part of the password (as the port it took it for).
    with contextlib.suppress(sa.exc.ArgumentError, ValueError):
        url = sa.make_url(given)
        if url.drivername in _POSTGRES:
            if "@" in (url.host or ""):
                raise ConfigError("JOURNAL_URL: write @, / and # of the password as %40, %2F and %23")
            # SQLAlchemy's own default for a bare postgresql:// is another driver since 2.1.
            return url.set(drivername="postgresql+psycopg2")
        if url.drivername in ("sqlite", "sqlite+pysqlite"):
            return url
        raise ConfigError(f"{_MADE_FOR}; it names {url.drivername}")
    raise ConfigError(f"{_MADE_FOR}; what it is cannot be read (special characters of a password are written as %40)")


def _listed(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else (value,) if value else ()


def _prepare_sqlite(wait_s: float, connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's BEGIN stays ours, so that it can be IMMEDIATE
    for pragma in (f"busy_timeout={wait_s * 1000:.0f}", "journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _prepare_postgres(wait_s: float, connection: Any, _record: Any) -> None:
    """Commits are on disk when they return, and nobody waits for ever for a process that stands still."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
        # Everything here is found by an index. A new table has no statistics yet, and would be read as a whole.
        cursor.execute("SET enable_seqscan = off")
        cursor.execute(f"SET lock_timeout = {wait_s * 1000:.0f}")
        cursor.execute("SET idle_in_transaction_session_timeout = '60s'")
    connection.commit()
