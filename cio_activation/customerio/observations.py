"""When rows of ``raw.people`` were observed: a fact of the snapshot, but for the few rows that are older than it."""

from __future__ import annotations

from datetime import datetime

from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import scalar, timestamp
from cio_activation.warehouse.tables import PEOPLE_SNAPSHOT


def observed(con: Connection, alias: str) -> str:
    """Return the SQL of when a row of ``raw.people`` was observed: with its snapshot, if it does not say."""
    at = scalar(con, f"SELECT max(observed_at) FROM {PEOPLE_SNAPSHOT}")
    return f"coalesce({alias}.observed_at, {timestamp(at)})" if isinstance(at, datetime) else f"{alias}.observed_at"
