"""Wall-clock time of a zone in SQL, at the price of an addition for the times people mostly have.

DuckDB converts time zones through ICU, row by row: as much work as deriving three bucket properties. Between two
changes of the clock a zone is a constant offset, so recent times are answered by comparing with the few recent
changes. These come from ICU itself: both ways always agree.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache

from cio_activation.warehouse.sessions import scratch
from cio_activation.warehouse.sql import literal, timestamp

_YEARS_BACK = 3
_GRID = "INTERVAL 15 MINUTE"
"""Clocks have changed on quarters of an hour, UTC, in every zone for decades."""


def local_time(column: str, timezone: str, as_of: datetime) -> str:
    """Return SQL for a UTC timestamp as wall-clock time in ``timezone``: the day a person there would name."""
    if timezone == "UTC":
        return column
    first, last = date(as_of.year - _YEARS_BACK, 1, 1), date(as_of.year + 1, 1, 1)
    branches = [
        f"WHEN {column} >= {timestamp(start)} THEN {column} + to_microseconds({offset // timedelta(microseconds=1)})"
        for start, offset in reversed(_offsets(timezone, first, last))
    ]
    exact = f"timezone({literal(timezone)}, timezone('UTC', {column}))"
    end = timestamp(datetime(last.year, 1, 1))
    return f"CASE WHEN {column} >= {end} THEN {exact} {' '.join(branches)} ELSE {exact} END"


@lru_cache(maxsize=16)
def _offsets(timezone: str, first: date, last: date) -> tuple[tuple[datetime, timedelta], ...]:
    """Return (from when on, UTC; offset) for each stretch of a constant offset between the two days."""
    zone = literal(timezone)
    with scratch() as con:
        rows = con.execute(
            f"""WITH instants AS (
                SELECT unnest(generate_series(TIMESTAMP '{first}', TIMESTAMP '{last}', {_GRID})) AS instant
            ), offsets AS (
                SELECT instant, epoch_us(timezone({zone}, timezone('UTC', instant))) - epoch_us(instant) AS us
                FROM instants
            )
            SELECT instant, us FROM offsets
            QUALIFY lag(us) OVER (ORDER BY instant) IS DISTINCT FROM us ORDER BY instant"""
        ).fetchall()
    return tuple((start, timedelta(microseconds=us)) for start, us in rows)
