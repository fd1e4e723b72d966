"""One rate budget per vendor over all processes, shared by the lanes, kept in the journal.

A generic cell rate algorithm per (vendor, bucket): at most ``units`` in any ``seconds``. Each lane has a reserved
share and may use the other's while that one is idle; the total is never exceeded. A 429 pauses everyone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import sqlalchemy as sa

from cio_activation.delivery.journal import Journal
from cio_activation.delivery.journal_schema import paces
from cio_activation.transport.errors import Stop
from cio_activation.transport.retry import LONGEST_WAIT_S, retry_after

BURST_SHARE = 0.05
"""Part of a window that may be used at once; the rest is spread evenly, so no window ever holds more than allowed."""
LANE_SHARES = {"realtime": 0.6, "daily": 0.4}
PAUSE_S = 2.0
"""Pause after a 429 that names no time."""
_TOTAL = "*"
_TICK = 1e-4
"""Shorter waits are rounding: a double holds seconds since the epoch to about 2e-7."""

Limits = Mapping[str, Mapping[str, tuple[float, float]]]
"""vendor -> bucket -> (units, seconds)."""


class SharedPacer:
    """Implements ``transport.http.Pacer`` for one lane of one process."""

    def __init__(self, journal: Journal, limits: Limits, lane: str) -> None:
        self._journal, self._limits, self._lane = journal, limits, lane

    async def acquire(self, vendor: str, bucket: str, cost: float) -> None:
        """Wait until ``cost`` units may be used by this lane; Stop if that takes longer than one run waits.

        Vendors and buckets without a limit never wait.
        """
        limit = self._limits.get(vendor, {}).get(bucket)
        if limit is None:
            return
        while (wait := self._try(vendor, bucket, cost, *limit)) > 0:
            if wait > LONGEST_WAIT_S:
                text = f"no call is allowed for another {wait:,.0f} s; run again then"
                raise Stop(text, vendor=vendor, operation="pacing")
            await asyncio.sleep(min(wait, 5.0))

    def observe(self, vendor: str, bucket: str, status: int, headers: Mapping[str, str]) -> None:
        """After a 429, pause the whole bucket for every process: as long as the vendor says, else ``PAUSE_S``."""
        if status != 429:
            return
        told = retry_after(headers)
        pause = PAUSE_S if told is None else told
        with self._journal.transaction() as con:
            row = self._row(con, vendor, bucket, _TOTAL)
            until = self._journal.now(con) + pause
            self._store(con, vendor, bucket, _TOTAL, row[0], row[1], max(row[2], until))

    def _try(self, vendor: str, bucket: str, cost: float, units: float, seconds: float) -> float:
        """Use ``cost`` if it fits now and return 0, else return the seconds to wait before asking again."""
        with self._journal.transaction() as con:
            total = self._row(con, vendor, bucket, _TOTAL)  # every worker locks this row first: one at a time
            now = self._journal.now(con)
            if total[2] > now:
                return total[2] - now
            mine = self._row(con, vendor, bucket, self._lane)
            share = self._share(con, vendor, bucket, now - seconds)
            burst = max(cost, units * BURST_SHARE)
            # The total keeps the promise to the vendor; a lane's own rate only divides it.
            wait_total, next_total = _conform(total[0], now, cost, burst, max(units - burst, units / 2) / seconds)
            wait_mine, next_mine = _conform(mine[0], now, cost, burst, units * share / seconds)
            wait = max(wait_total, wait_mine)
            if wait <= 0:
                self._store(con, vendor, bucket, _TOTAL, next_total, now, total[2])
            # A waiting lane counts as using its share, or a busy lane that borrowed it would never give it back.
            self._store(con, vendor, bucket, self._lane, next_mine if wait <= 0 else mine[0], now, 0.0)
        return wait

    def _share(self, con: sa.Connection, vendor: str, bucket: str, since: float) -> float:
        """Return this lane's share now: all of it while no other lane used the bucket within its window."""
        others = con.execute(
            sa.select(sa.func.count()).where(
                paces.c.vendor == vendor,
                paces.c.bucket == bucket,
                paces.c.lane.not_in([_TOTAL, self._lane]),
                paces.c.used_at > since,
            )
        ).scalar_one()
        return LANE_SHARES.get(self._lane, 1.0) if others else 1.0

    def _row(self, con: sa.Connection, vendor: str, bucket: str, lane: str) -> tuple[float, float, float]:
        """Lock and return the row (arrival, used at, paused until), made if it is not there yet."""
        key = (paces.c.vendor == vendor) & (paces.c.bucket == bucket) & (paces.c.lane == lane)
        query = sa.select(paces.c.arrival, paces.c.used_at, paces.c.paused_until).where(key).with_for_update()
        row = con.execute(query).first()
        if row is None:
            new = {
                "vendor": vendor,
                "bucket": bucket,
                "lane": lane,
                "arrival": 0.0,
                "used_at": 0.0,
                "paused_until": 0.0,
            }
            self._journal.insert_if_absent(con, paces, new)
            row = con.execute(query).one()
        return row[0], row[1], row[2]

    def _store(
        self,
        con: sa.Connection,
        vendor: str,
        bucket: str,
        lane: str,
        arrival: float,
        used: float,
        paused: float,
    ) -> None:
        key = (paces.c.vendor == vendor) & (paces.c.bucket == bucket) & (paces.c.lane == lane)
        values = {"arrival": arrival, "used_at": used, "paused_until": paused}
        con.execute(sa.update(paces).where(key).values(values))


def _conform(arrival: float, now: float, cost: float, burst: float, rate: float) -> tuple[float, float]:
    """Return (seconds to wait, next theoretical arrival) of a request of ``cost`` units.

    Any span of T seconds then holds at most ``burst + rate * T`` units.
    """
    next_arrival = max(now, arrival) + cost / rate
    wait = next_arrival - now - burst / rate
    return (wait if wait > _TICK else 0.0), next_arrival
