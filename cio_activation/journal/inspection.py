"""Looks into a journal without making, migrating or changing one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from cio_activation.journal import connections
from cio_activation.journal.leases import is_leased
from cio_activation.journal.schema import NEWEST, attempts, inbox, leases, paces, version_of

__all__ = ["NEWEST", "Inspection", "attempts_of", "inspect_journal"]
WAIT_S = 5.0


@dataclass(frozen=True)
class Inspection:
    """What a journal tells of itself."""

    place: str
    server: str
    version: int | None = None
    """None: there is no journal yet."""
    skew_s: float = 0.0
    """Seconds that this machine's clock is ahead of the journal's."""
    leases: Sequence[str] = ()
    """Who works on which step now."""
    in_flight: int = 0
    """Attempts that were begun and whose end is not known yet."""
    inbox_waiting: int = 0
    inbox_age_s: float | None = None
    paused: Sequence[str] = ()
    """Vendors that asked for a pause which is not over."""


def inspect_journal(url: str) -> Inspection:
    """Return what the journal at ``url`` tells; ConfigError, without its password, if it cannot be opened."""
    engine = connections.open_engine(url, WAIT_S)
    place = connections.place(engine.url)
    if engine.dialect.name == "sqlite" and engine.url.database and not Path(engine.url.database).exists():
        return Inspection(place, "SQLite")
    try:
        with engine.connect() as con:
            told = con.execute(sa.text(_VERSION[engine.dialect.name])).scalar_one()
            server = f"{'SQLite' if engine.dialect.name == 'sqlite' else 'PostgreSQL'} {told}"
            version = version_of(con)
            if version != NEWEST:
                return Inspection(place, server, version)
            now = float(con.execute(sa.text(_CLOCK[engine.dialect.name])).scalar_one())
            rows = con.execute(sa.select(leases)).mappings().all()
            waiting, oldest = con.execute(
                sa.select(sa.func.count(), sa.func.min(inbox.c.received_at)).where(inbox.c.landed_at.is_(None))
            ).one()
            paused = con.execute(sa.select(paces.c.vendor).where(paces.c.paused_until > now).distinct())
            return Inspection(
                place,
                server,
                version,
                round(time.time() - now, 1),
                [f"{r['name']}: {r['owner']}" for r in rows if is_leased(r["owner"], r["expires_at"], now)],
                _count(con, sa.select(sa.func.count()).select_from(attempts).where(attempts.c.end == "sending")),
                int(waiting),
                None if oldest is None else now - float(oldest),
                sorted(str(vendor) for (vendor,) in paused),
            )
    except sa.exc.OperationalError as error:
        raise connections.cannot_open(engine.url, error) from None
    finally:
        engine.dispose()


def attempts_of(url: str, cio_id: str) -> list[dict[str, Any]]:
    """Return what the journal at ``url`` has of a person, as columns of its table: what no fold has taken yet.

    Empty without a journal, or with one of another release, which the next run brings up to date.
    """
    engine = connections.open_engine(url, WAIT_S)
    if engine.dialect.name == "sqlite" and engine.url.database and not Path(engine.url.database).exists():
        return []
    try:
        with engine.connect() as con:
            if version_of(con) != NEWEST:
                return []
            query = sa.select(attempts).where(attempts.c.cio_id == cio_id).order_by(attempts.c.id)
            return [dict(row) for row in con.execute(query).mappings()]
    except sa.exc.OperationalError as error:
        raise connections.cannot_open(engine.url, error) from None
    finally:
        engine.dispose()


_VERSION = {"sqlite": "SELECT sqlite_version()", "postgresql": "SELECT current_setting('server_version')"}
_CLOCK = {
    "sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "SELECT extract(epoch FROM clock_timestamp())",
}


def _count(con: sa.Connection, query: sa.Select[Any]) -> int:
    return int(con.execute(query).scalar_one())
