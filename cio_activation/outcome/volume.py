"""What was written to each destination, by day and audience: the view ``outcome.write_volume``, its last days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.tables import WRITE_VOLUME

DAYS = 30
FIELDS_ONLY = "(fields only)"


@dataclass(frozen=True)
class Volume:
    """The writes of one day (UTC) to one destination that were about one audience."""

    day: date
    destination: str
    audience: str
    """``FIELDS_ONLY`` for writes that moved nobody into or out of an audience."""
    delivered: int
    rejected: int
    people: int


def write_volume(con: Connection) -> list[Volume]:
    """Return the last ``DAYS`` days that something was written in, the newest first."""
    rows = con.execute(
        f"""SELECT day, destination, coalesce(audience, '{FIELDS_ONLY}'), delivered, rejected, people
        FROM {WRITE_VOLUME}
        WHERE day > (SELECT CAST(max(ended_at) AS DATE) FROM delivery.ledger) - {DAYS}
        ORDER BY day DESC, destination, audience NULLS LAST"""
    ).fetchall()
    return [Volume(*row) for row in rows]


def by_day(found: list[Volume]) -> dict[str, dict[str, int]]:
    """Return destination -> day -> operations delivered, oldest day first.

    A write that moves a person in two audiences is one for each of them here too.
    """
    counted: dict[str, dict[str, int]] = {}
    for one in reversed(found):
        days = counted.setdefault(one.destination, {})
        days[one.day.isoformat()] = days.get(one.day.isoformat(), 0) + one.delivered
    return dict(sorted(counted.items()))
