"""The vendor's day: what may still be used of it, by whom, and what was used, over all processes.

A vendor that counts by the day has a :class:`Meter`. What was used is counted in the journal before each
call, so a kill never makes us use more; the vendor's own headers correct it downwards by what other apps use. Whoever
goes without must be the least important: exits may use all that is left; a small part is reserved for those to come,
and for the real-time lane a part of what the rest of the day would be; the daily lane's other writes use what remains.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from cio_activation.activation.models import Lane
from cio_activation.journal.engine import JournalDatabase
from cio_activation.journal.schema import days

EXIT_SHARE = 0.02
"""Part of the day that only exits and reads may use: the lists' removals come after a long push of values."""
PROBE_S = 900.0
"""Seconds after which "nothing is left" is no longer believed: one call may ask. No vendor says when its day turns."""
LEARN_EVERY_S = 1.0
"""Seconds between two notes of what the vendor says is left, per process, unless it is nearly nothing."""
RETAINED_DAYS = 7

ordinary: ContextVar[bool] = ContextVar("ordinary", default=False)
"""Whether calls made now are neither exits nor reads: they leave alone what is reserved for those."""


@dataclass(frozen=True)
class Told:
    """What an answer's headers say: units left and limit of the call's window, and of the day. None: not said."""

    left: float | None = None
    limit: float | None = None
    day_left: float | None = None
    day_limit: float | None = None


def header_number(headers: Mapping[str, str], name: str) -> float | None:
    """Return the number in the header ``name``; None if it is missing or no number."""
    text = headers.get(name, "").strip()
    return float(text) if text.isdecimal() else None


@dataclass(frozen=True)
class Meter:
    """How one vendor counts by the day, and our part of it."""

    unit: str
    """What is counted: ``tokens``, ``calls``."""
    zone: str
    """IANA time zone whose midnight starts the vendor's day."""
    ours: float | None
    """Units a day that we may use; None: ``share`` of what the vendor says its limit is."""
    share: float
    realtime_reserve: float
    """Part of the day reserved for the real-time lane, as long as that part of the day is still to come."""
    read: Callable[[Mapping[str, str]], Told]
    """Reads an answer's headers."""

    def allowed(self, told_limit: float | None) -> float | None:
        """Return the units a day we may use; None while nobody has said."""
        return self.ours if self.ours is not None else None if told_limit is None else told_limit * self.share


@dataclass(frozen=True)
class Allowance:
    """What one lane may use of the vendor's day from now on. Infinite where nobody set a limit."""

    unit: str
    exits: float
    others: float
    """What writes that are not exits may use; less than ``exits`` by what is reserved."""
    resets_at: datetime
    """When the vendor's day turns, UTC."""


# Built once: building takes longer than executing.
_OF_DAY = (days.c.vendor == sa.bindparam("of_vendor")) & (days.c.day == sa.bindparam("of_day"))
_ROW = sa.select(days.c.used, days.c.told_limit, days.c.told_left, days.c.told_at).where(_OF_DAY).with_for_update()
_SPEND = sa.update(days).where(_OF_DAY).values({n: sa.bindparam(n) for n in ("used", "told_at", "told_left")})


@dataclass(frozen=True)
class _Day:
    used: float = 0.0
    told_limit: float | None = None
    told_left: float | None = None
    told_at: float | None = None


class Days:
    """The metered vendors' days, as one lane of one process sees them."""

    def __init__(self, journal: JournalDatabase, meters: Mapping[str, Meter], lane: str) -> None:
        self._journal, self._meters, self._lane = journal, meters, lane
        self._learned_at: dict[str, float] = {}

    def counts(self, vendor: str) -> bool:
        """Tell whether the vendor counts by the day."""
        return vendor in self._meters

    def spend(self, con: sa.Connection, vendor: str, units: float, now: float) -> str | None:
        """Take ``units`` of the day in the caller's transaction; return why not if they are not there."""
        meter = self._meters[vendor]
        row = self._row(con, vendor, now)
        exits, others = _left(meter, row, self._lane, now)
        left = others if ordinary.get() else exits
        told_at = row.told_at
        if units > left:
            ours = meter.allowed(row.told_limit)
            by_us = ours is not None and units > ours - row.used
            if by_us or ordinary.get() or (told_at or now) + PROBE_S > now:
                return _spent(meter, now)
            told_at = now  # one call asks; the others believe what was told for as long again
        values = {
            "used": row.used + units,
            "told_at": told_at,
            "told_left": None if row.told_left is None else row.told_left - units,
        }
        con.execute(_SPEND, _key(vendor, meter, now) | values)
        return None

    def observe(self, vendor: str, bucket: str, headers: Mapping[str, str]) -> Told | None:  # noqa: ARG002
        """Note what the vendor says is left of the day; return all it said, None for one that is not metered."""
        meter = self._meters.get(vendor)
        if meter is None:
            return None
        told = meter.read(headers)
        if told.day_left is not None:
            self._learn(vendor, meter, told.day_left, told.day_limit)
        return told

    def close(self, vendor: str) -> None:
        """Note that nothing is left of the day."""
        if (meter := self._meters.get(vendor)) is not None:
            self._learn(vendor, meter, 0.0, None)

    def allowance(self, vendor: str) -> Allowance | None:
        """Return what this lane may use from now on; None for a vendor that is not metered."""
        meter = self._meters.get(vendor)
        if meter is None:
            return None
        with self._journal.transaction(durable=False) as con:
            now = self._journal.now(con)
            row = self._row(con, vendor, now)
        exits, others = _left(meter, row, self._lane, now)
        return Allowance(meter.unit, max(exits, 0.0), max(others, 0.0), _turns_at(meter.zone, now))

    def _learn(self, vendor: str, meter: Meter, left: float, limit: float | None) -> None:
        since = time.monotonic() - self._learned_at.get(vendor, float("-inf"))
        if since < LEARN_EVERY_S and left > (limit or 0.0) * EXIT_SHARE:
            return
        self._learned_at[vendor] = time.monotonic()
        with self._journal.transaction(durable=False) as con:
            now = self._journal.now(con)
            self._row(con, vendor, now)
            values = {"told_left": left, "told_at": now} | ({} if limit is None else {"told_limit": limit})
            con.execute(sa.update(days).where(_OF_DAY).values(values), _key(vendor, meter, now))

    def _row(self, con: sa.Connection, vendor: str, now: float) -> _Day:
        """Lock and return the day's row, made if it is not there yet: a new day knows the limit of the one before."""
        meter = self._meters[vendor]
        key = _key(vendor, meter, now)
        row = con.execute(_ROW, key).first()
        if row is None:
            old = sa.select(days.c.told_limit).where(days.c.vendor == vendor).order_by(days.c.day.desc()).limit(1)
            new = {"vendor": vendor, "day": _day(meter.zone, now), "used": 0.0, "told_limit": con.execute(old).scalar()}
            self._journal.insert_if_absent(con, days, new)
            past = _day(meter.zone, now - RETAINED_DAYS * 86_400)
            con.execute(sa.delete(days).where(days.c.vendor == vendor, days.c.day < past))
            row = con.execute(_ROW, key).one()
        return _Day(*row)


def _left(meter: Meter, row: _Day, lane: str, now: float) -> tuple[float, float]:
    """Return what exits and reads may use, and what everything else of ``lane`` may use."""
    ours = meter.allowed(row.told_limit)
    left = min(
        float("inf") if ours is None else ours - row.used,
        float("inf") if row.told_left is None else row.told_left,
    )
    whole = ours if ours is not None else row.told_limit or 0.0
    to_come = whole * _rest_of_day(meter.zone, now)
    reserved = EXIT_SHARE * to_come + (meter.realtime_reserve * to_come if lane == Lane.DAILY else 0.0)
    return left, left - reserved


def _key(vendor: str, meter: Meter, now: float) -> dict[str, Any]:
    return {"of_vendor": vendor, "of_day": _day(meter.zone, now)}


def _day(zone: str, now: float) -> str:
    return _local(zone, now).date().isoformat()


def _turns_at(zone: str, now: float) -> datetime:
    there = _local(zone, now)
    midnight = (there + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight.astimezone(UTC)


def _rest_of_day(zone: str, now: float) -> float:
    return min(1.0, max(0.0, (_turns_at(zone, now).timestamp() - now) / 86_400))


def _local(zone: str, now: float) -> datetime:
    return datetime.fromtimestamp(now, UTC).astimezone(ZoneInfo(zone))


def _spent(meter: Meter, now: float) -> str:
    turns = _turns_at(meter.zone, now)
    return f"today's budget of {meter.unit} is used up; it starts anew at {turns:%Y-%m-%d %H:%M} UTC"
