"""One rate budget per vendor over all processes, shared by the lanes, kept in the journal.

Per (vendor, bucket) at most ``units`` slots begin in any half-open ``seconds``: those of the last window are stored.
They are spread evenly; what a busy machine missed a moment ago is caught up with, a little faster. A call is given its
*slot*, up to ``AHEAD_S`` in the future, in one transaction, and then waits for it, so that neither a commit nor a late
wake-up costs rate. Each lane has a share it is sure of. Nothing lies idle for it: a lane goes above its share as
long as no other lane waits that is below its own. A 429 pauses everyone, and so does a window that the vendor says is
nearly full, for as long as it takes to have room again: others may use the same credential.
"""

from __future__ import annotations

from array import array
from asyncio import Lock, sleep
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

import sqlalchemy as sa

from cio_activation.journal.days import Allowance, Days, Meter
from cio_activation.journal.engine import JournalDatabase
from cio_activation.journal.schema import paces
from cio_activation.transport.errors import BudgetSpent, Stop
from cio_activation.transport.retry import LONGEST_WAIT_S, retry_after

EVEN = 0.98
"""Part of the limit that an even pace uses: some calls arrive closer together than they were sent."""
LATE = 0.04
"""Part of a window by which one call may come later than another after its slot, and still no window holds too many."""
CATCH_UP_S, CATCH_UP_SHARE, CATCH_UP_PACE = 1.0, 0.25, 1.5
"""What was missed in the last second (at most a quarter of a window) is made up for, at 1.5 times the pace."""
LOGGED = 1_000
"""Windows of more units go by the even pace alone."""
LANE_SHARES = {"realtime": 0.6, "daily": 0.4}
AHEAD_S = 0.25
"""How far ahead a slot is given. Longer would let a lane line up in front of the other one."""
PAUSE_S = 2.0
"""Shortest pause after a 429 that names no time."""
PAUSE_SHARE = 0.4
"""Part of the vendor's window that such a pause lasts at least: three of them outlast a window that others filled."""
ANSWERED_S = 1.0
"""So long ago was, at most, what an answer tells of the window."""
NEARLY_FULL = 0.02
"""Part of the vendor's window, and at least two units, that is left alone once the vendor says that no more is left."""
_TOTAL = "*"
_BURST_SHARE = 0.03
"""Part of its share of a window that a lane may use at once and still be below its share."""
_TICK = 1e-4
"""Shorter waits are rounding: a double holds seconds since the epoch to about 2e-7."""
_GRACE_S = 0.1
"""How late a lane may come back for its slot and still count as waiting."""

# Built once: to build a statement takes longer than to execute it, and each call to a vendor needs four.
_OF_BUCKET = (paces.c.vendor == sa.bindparam("of_vendor")) & (paces.c.bucket == sa.bindparam("of_bucket"))
_ROWS = (
    sa.select(paces.c.lane, paces.c.arrival, paces.c.used_at, paces.c.paused_until, paces.c.recent)
    .where(_OF_BUCKET)
    .order_by(paces.c.lane)
    .with_for_update()
)
_PAUSED_UNTIL = sa.select(paces.c.paused_until).where(_OF_BUCKET, paces.c.lane == _TOTAL)
_STORE = (
    sa.update(paces)
    .where(_OF_BUCKET, paces.c.lane == sa.bindparam("of_lane"))
    .values({name: sa.bindparam(name) for name in ("arrival", "used_at", "paused_until", "recent")})
)

Limits = Mapping[str, Mapping[str, tuple[float, float]]]
"""vendor -> bucket -> (units, seconds)."""


@dataclass(frozen=True)
class Slot:
    """The answer to a request for units: granted, in ``wait`` seconds; or to be asked for again after them."""

    granted: bool
    wait: float
    spent: str | None = None
    """Why no more may be used today."""


@dataclass(frozen=True)
class Pace:
    """One row: theoretical arrival, last slot, and until when the bucket is paused (or the lane waits)."""

    arrival: float = 0.0
    used_at: float = 0.0
    until: float = 0.0
    recent: bytes | None = None
    """Of the whole bucket: the slots of the last window and ``ANSWERED_S`` before it, oldest first, as doubles."""


def most_of_ours(pace: Pace, now: float, seconds: float) -> int:
    """Return how many of our calls a vendor may have counted in its window when it gave the answer that came ``now``.

    That was up to ``ANSWERED_S`` ago: of the windows that ended since then, the one with most of our slots counts.
    """
    slots, span = array("d", pace.recent or b""), seconds * (1 + LATE)
    since = now - ANSWERED_S
    ends = [since, *slots[bisect_right(slots, since) : bisect_right(slots, now)]]
    return max(bisect_right(slots, end) - bisect_left(slots, end - span) for end in ends)


class SharedPacer:
    """Implements ``transport.http.Pacer`` for one lane of one process. Use with one event loop."""

    def __init__(
        self, journal: JournalDatabase, limits: Limits, lane: str, meters: Mapping[str, Meter] | None = None
    ) -> None:
        self._journal, self._limits, self._lane = journal, limits, lane
        self._days = Days(journal, meters or {}, lane)
        self._turns: defaultdict[tuple[str, str], Lock] = defaultdict(Lock)

    async def acquire(self, vendor: str, bucket: str, cost: float, daily: float = 0.0) -> None:
        """Wait until ``cost`` units may be used by this lane, and take ``daily`` units of the vendor's day.

        Raises Stop if that takes longer than one run waits, BudgetSpent if the day has no such units left. Vendors
        and buckets without a limit never wait.
        """
        limit = self._limits.get(vendor, {}).get(bucket, (0.0, 0.0))
        daily = daily if self._days.counts(vendor) else 0.0
        while limit[0] or daily:
            slot = await self._in_turn(vendor, bucket, cost, limit, daily)
            daily = 0.0  # taken; what follows is only about the moment
            if slot.wait:
                await sleep(slot.wait)
            if not limit[0] or not slot.wait or not self._paused(vendor, bucket):
                return

    async def _in_turn(self, vendor: str, bucket: str, cost: float, limit: tuple[float, float], daily: float) -> Slot:
        """Ask for a slot until one is given. One caller of a process asks at a time; the others queue behind it."""
        async with self._turns[vendor, bucket]:
            while not (slot := self.ask(vendor, bucket, cost, limit, daily)).granted:
                if slot.spent is not None:
                    raise BudgetSpent(slot.spent, vendor=vendor, operation="budget")
                if slot.wait > LONGEST_WAIT_S:
                    text = f"no call is allowed for another {slot.wait:,.0f} s; run again then"
                    raise Stop(text, vendor=vendor, operation="pacing")
                await sleep(min(slot.wait, 5.0))
        return slot

    def observe(self, vendor: str, bucket: str, status: int, headers: Mapping[str, str]) -> None:
        """Learn from an answer: a 429 pauses the bucket for all, as long as the vendor says, else see ``PAUSE_S``.

        A window that the vendor says is nearly full pauses it shortly; one that our own calls alone fill, which are
        paced, only where there is no room for one more. What is left of the day is noted.
        """
        told = self._days.observe(vendor, bucket, headers)
        seconds = self._limits.get(vendor, {}).get(bucket, (0.0, 0.0))[1]
        if status == 429:
            asked = retry_after(headers)
            self._pause(vendor, bucket, max(PAUSE_S, PAUSE_SHARE * seconds) if asked is None else asked)
        elif (
            seconds
            and told is not None
            and told.left is not None
            and told.limit
            and told.left < max(2.0, told.limit * NEARLY_FULL)
        ):
            self._make_room(vendor, bucket, told.left, told.limit, seconds)

    def spent(self, vendor: str) -> None:
        """Note that the vendor said its daily budget is used up: nobody calls it any more today."""
        self._days.close(vendor)

    def allowance(self, vendor: str) -> Allowance | None:
        """Return what this lane may use of the vendor's day from now on; None where the vendor counts no days."""
        return self._days.allowance(vendor)

    def ask(self, vendor: str, bucket: str, cost: float, limit: tuple[float, float], daily: float = 0.0) -> Slot:
        """Take ``cost`` units if a slot for them begins within ``AHEAD_S``, and ``daily`` units with them."""
        with self._journal.transaction(durable=False) as con:
            rows = self._rows(con, vendor, bucket)  # every worker locks the total first: one at a time
            now = self._journal.now(con)
            if (total := rows[_TOTAL]).until > now:
                return Slot(False, total.until - now)
            if not limit[0]:
                spent = self._days.spend(con, vendor, daily, now)
                return Slot(spent is None, 0.0, spent)
            slot, total, mine = self._slot(rows, cost, limit, now)
            if slot.granted and daily and (spent := self._days.spend(con, vendor, daily, now)):
                return Slot(False, 0.0, spent)
            if slot.granted:
                self._store(con, vendor, bucket, _TOTAL, total)
            self._store(con, vendor, bucket, self._lane, mine)
        return slot

    def _slot(
        self, rows: Mapping[str, Pace], cost: float, limit: tuple[float, float], now: float
    ) -> tuple[Slot, Pace, Pace]:
        """Return the slot, and the next rows of the bucket (if it is granted) and of this lane."""
        total, mine = rows[_TOTAL], rows[self._lane]
        burst, rate = spread(cost, *limit)
        share = rate * LANE_SHARES.get(self._lane, 1.0)
        wait, following = next_slot(total, now, cost, *limit)
        above, next_mine = conform(mine.arrival, now, cost, burst, share)
        if above and wait <= AHEAD_S and (owed := self._owed(rows, burst, rate, now)):
            wait = AHEAD_S + min(above, owed)
        if wait <= AHEAD_S:
            # What was borrowed is not a debt: as soon as another lane waits, this one is just above its share.
            return Slot(True, wait), following, Pace(min(next_mine, now + (burst + cost) / share), now)
        again = wait - AHEAD_S / 2
        return Slot(False, again), total, Pace(mine.arrival, now, now + again + _GRACE_S)

    def _owed(self, rows: Mapping[str, Pace], burst: float, rate: float, now: float) -> float:
        """Return how long a lane that waits and is below its share will still be waited for; 0 if there is none."""
        waits = [
            row.until - now
            for lane, row in rows.items()
            if lane not in (_TOTAL, self._lane)
            and row.until > now
            and not conform(row.arrival, now, 1.0, burst, rate * LANE_SHARES.get(lane, 1.0))[0]
        ]
        return max(waits, default=0.0)

    def _paused(self, vendor: str, bucket: str) -> bool:
        """Tell whether the bucket was paused since the slot was given."""
        with self._journal.engine.connect() as con:
            until = con.execute(_PAUSED_UNTIL, {"of_vendor": vendor, "of_bucket": bucket}).scalar_one()
            return bool(until > self._journal.now(con))

    def _make_room(self, vendor: str, bucket: str, left: float, limit: float, seconds: float) -> None:
        """Pause until the vendor's window, of which ``left`` units of ``limit`` are left, has room again."""
        spare = max(2.0, limit * NEARLY_FULL)
        with self._journal.transaction(durable=False) as con:
            total, now = self._rows(con, vendor, bucket)[_TOTAL], self._journal.now(con)
            by_others = limit - left - most_of_ours(total, now, seconds)
            lacking = (spare if by_others >= spare else 1.0) - left
            if lacking > 0:
                until = max(total.until, now + lacking * seconds / limit)
                self._store(con, vendor, bucket, _TOTAL, replace(total, until=until))

    def _pause(self, vendor: str, bucket: str, seconds: float) -> None:
        with self._journal.transaction(durable=False) as con:
            total = self._rows(con, vendor, bucket)[_TOTAL]
            until = max(total.until, self._journal.now(con) + seconds)
            self._store(con, vendor, bucket, _TOTAL, replace(total, until=until))

    def _rows(self, con: sa.Connection, vendor: str, bucket: str) -> dict[str, Pace]:
        """Lock and return the bucket's rows by lane, those of the whole and of this lane made if they are not there."""
        key = {"of_vendor": vendor, "of_bucket": bucket}
        rows = con.execute(_ROWS, key).all()
        there = {row.lane for row in rows}
        if missing := [lane for lane in (_TOTAL, self._lane) if lane not in there]:
            for lane in missing:
                new = {"arrival": 0.0, "used_at": 0.0, "paused_until": 0.0}
                self._journal.insert_if_absent(con, paces, {"vendor": vendor, "bucket": bucket, "lane": lane, **new})
                # The total is locked before this lane's row is made, else two that begin at once wait for each other.
                rows = con.execute(_ROWS, key).all()
        return {lane: Pace(*values) for lane, *values in rows}

    def _store(self, con: sa.Connection, vendor: str, bucket: str, lane: str, pace: Pace) -> None:
        values = {"arrival": pace.arrival, "used_at": pace.used_at, "paused_until": pace.until, "recent": pace.recent}
        con.execute(_STORE, {"of_vendor": vendor, "of_bucket": bucket, "of_lane": lane, **values})


def spread(cost: float, units: float, seconds: float) -> tuple[float, float]:
    """Return (burst, units per second) of an even pace for calls of ``cost`` under at most ``units`` in ``seconds``."""
    whole = float(int(units)) if units >= 1 else units
    return max(cost, whole * _BURST_SHARE), whole * EVEN / seconds


def next_slot(pace: Pace, now: float, cost: float, units: float, seconds: float) -> tuple[float, Pace]:
    """Return (seconds to wait for the next slot, the bucket's row if it is taken).

    Together with the slots in ``pace.recent``, no half-open window of ``seconds`` holds more than ``units``,
    whichever of the calls come up to ``LATE`` of a window after their slot.
    """
    _, rate = spread(cost, units, seconds)
    logged = cost <= units <= LOGGED
    credit = max(cost, min(CATCH_UP_S, CATCH_UP_SHARE * seconds) * rate if logged else 0.0)
    # Who comes back after a whole window has missed nothing.
    arrival = now + (credit - cost) / rate if pace.used_at < now - seconds else pace.arrival
    wait, following = conform(arrival, now, cost, credit, rate)
    wait = max(wait, pace.used_at + cost / (rate * CATCH_UP_PACE) - now)
    taken = array("d", pace.recent or b"")
    most = int(units / cost) if logged else 0
    if most and len(taken) >= most:
        wait = max(wait, taken[-most] + seconds * (1 + LATE) + _TICK - now)
    wait = wait if wait > _TICK else 0.0
    taken.append(now + wait)
    retained = most + int((AHEAD_S + ANSWERED_S) * rate * CATCH_UP_PACE) + 1
    return wait, Pace(following, now + wait, pace.until, taken[-retained:].tobytes() if most else None)


def conform(arrival: float, now: float, cost: float, burst: float, rate: float) -> tuple[float, float]:
    """Return (seconds to wait, next theoretical arrival) of a request of ``cost`` units.

    The generic cell rate algorithm: any span of T seconds then holds less than ``burst + rate * T`` units.
    """
    next_arrival = max(now, arrival) + cost / rate
    wait = next_arrival - now - burst / rate
    return (wait if wait > _TICK else 0.0), next_arrival
