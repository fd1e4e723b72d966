"""Working time as a calendar: is it open, when does it open, and when is something due that takes so long.

Days are days of the time zone of whoever acts; spans are counted in elapsed time, so that a working day in which the
clock is put back or forward is as long as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cio_activation.activation.due import Due
from cio_activation.activation.working_time import WorkingTime

_DAY = timedelta(days=1)
_FAR = timedelta(days=3 * 366)
"""Nothing is due later: a calendar without an opening for so long is a mistake in it."""


@dataclass(frozen=True)
class Hours:
    """When one person works."""

    zone: ZoneInfo
    days: tuple[int, ...]
    """Monday is 0."""
    start: time
    end: time
    """Before ``start``: on the next day."""
    holidays: str | None = None

    @classmethod
    def of(cls, working: WorkingTime, email: str | None, zone: str | None, workspace_zone: str) -> Hours:
        """Return the hours of whoever has ``email`` and, as their CRM says, the time zone ``zone``.

        What ``working_time.people`` says of them goes first, then the CRM, then what holds for everybody.
        """
        own = {name.lower(): person for name, person in working.people.items()}.get((email or "").lower())
        return cls(
            ZoneInfo((own.timezone if own is not None else None) or zone or workspace_zone),
            own.days if own is not None and own.days is not None else working.days,
            own.start if own is not None and own.start is not None else working.start,
            own.end if own is not None and own.end is not None else working.end,
            own.holidays if own is not None and own.holidays is not None else working.holidays,
        )

    def is_open(self, at: datetime) -> bool:
        """Return whether ``at`` (aware) is working time; its last instant is not."""
        begin, _ = next(self._openings(at))
        return begin <= at

    def opening(self, at: datetime) -> datetime:
        """Return ``at`` if it is working time, else when that begins next (UTC)."""
        begin, _ = next(self._openings(at))
        return max(at, begin).astimezone(UTC)

    def due(self, at: datetime, due: Due) -> datetime:
        """Return when something asked for ``at`` (aware) is due: in working time, or at the end of it (UTC)."""
        if due.by_the_clock:
            return self.opening(at + due.by_the_clock)
        begun = self.opening(at)
        if due.days_at_work:
            return self._days_later(begun, due.days_at_work)
        left = due.at_work
        for begin, end in self._openings(begun):
            here = max(begin, begun)
            if left <= end - here:
                return (here + left).astimezone(UTC)
            left -= end - here
        raise AssertionError("the openings never end")

    def asked_before(self, at: datetime, due: Due) -> datetime:
        """Return the latest instant (UTC) at which something has been asked for that is due by ``at`` (aware)."""
        span = _DAY
        while self.due(at - span, due) > at and span < _FAR:
            span *= 2
        early, late = at - span, at
        while late - early > timedelta(microseconds=1):
            middle = early + (late - early) / 2
            early, late = (middle, late) if self.due(middle, due) <= at else (early, middle)
        return early.astimezone(UTC)

    def _days_later(self, begun: datetime, days: int) -> datetime:
        """Return the same time of the day, ``days`` working days later."""
        openings = self._openings(begun)
        begin, _ = next(openings)
        into = begun.astimezone(self.zone).replace(tzinfo=None) - begin.astimezone(self.zone).replace(tzinfo=None)
        for _ in range(days):
            begin, end = next(openings)
        wanted = (begin.astimezone(self.zone).replace(tzinfo=None) + into).replace(tzinfo=self.zone)
        return min(wanted.astimezone(UTC), end).astimezone(UTC)

    def _openings(self, at: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield the openings that end after ``at``, each as begin and end (UTC)."""
        day = at.astimezone(self.zone).date() - _DAY
        last = day + _FAR
        while day < last:
            if day.weekday() in self.days and not _is_holiday(self.holidays, day):
                begin = datetime.combine(day, self.start, self.zone).astimezone(UTC)
                over = day if self.end > self.start else day + _DAY
                end = datetime.combine(over, self.end, self.zone).astimezone(UTC)
                if end > at and end > begin:
                    yield begin, end
            day += _DAY
        raise ValueError(f"no working time within three years of {at:%Y-%m-%d}; mend limits.working_time")


def day_of(timezone: str, as_of: datetime) -> tuple[datetime, datetime]:
    """Return begin and end (naive UTC) of the day of ``timezone`` in which a window ends, its last instant counted."""
    zone = ZoneInfo(timezone)
    inside = as_of.replace(tzinfo=ZoneInfo("UTC")) - timedelta(microseconds=1)
    start = inside.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    end = (start + timedelta(days=1)).replace(tzinfo=zone)
    utc = ZoneInfo("UTC")
    return start.astimezone(utc).replace(tzinfo=None), end.astimezone(utc).replace(tzinfo=None)


@lru_cache(maxsize=64)
def _free_days(region: str, year: int) -> frozenset[date]:
    import holidays

    country, _, part = region.partition("-")
    return frozenset(holidays.country_holidays(country, subdiv=part or None, years=year))


def _is_holiday(region: str | None, day: date) -> bool:
    return region is not None and day in _free_days(region, day.year)
