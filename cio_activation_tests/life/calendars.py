"""Working time for the judge: hours, days and holidays of one human, by a search that shares nothing with the project.

The holidays of the span are written down, so that a mistake of the library that the project asks is seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

HOLIDAYS: Mapping[str, frozenset[date]] = {
    calendar: frozenset(date.fromisoformat(day) for day in days.split())
    for calendar, days in {
        "US": "2026-10-12 2026-11-11 2026-11-26 2026-12-25 2027-01-01 2027-01-18 2027-02-15",
        "DE-BY": "2026-10-03 2026-11-01 2026-12-25 2026-12-26 2027-01-01 2027-01-06",
        "AU-NSW": "2026-10-05 2026-12-25 2026-12-26 2026-12-28 2027-01-01 2027-01-26",
    }.items()
}
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Hours:
    """When one human works."""

    zone: str
    days: frozenset[int]
    opens: time
    closes: time
    holidays: str | None

    @classmethod
    def of(cls, common: Mapping[str, Any], own: Mapping[str, Any], zone: str) -> Hours:
        """Return the hours of ``limits.working_time`` as written, with what a person has of their own."""
        said = {**{k: v for k, v in common.items() if k != "people"}, **own}
        return cls(
            str(said.get("timezone", zone)),
            _days(said.get("days", "mon-fri")),
            time.fromisoformat(said.get("from", "09:00")),
            time.fromisoformat(said.get("to", "17:00")),
            said.get("holidays"),
        )

    def spans(self, start: float, days: int = 40) -> list[tuple[float, float]]:
        """Return the openings that end after ``start``, in order."""
        zone = ZoneInfo(self.zone)
        first = datetime.fromtimestamp(start, UTC).astimezone(zone).date() - timedelta(days=1)
        free = HOLIDAYS[self.holidays] if self.holidays else frozenset()
        found = []
        for number in range(days):
            day = first + timedelta(days=number)
            if day.weekday() in self.days and day not in free:
                opens, closes = (datetime.combine(day, t, zone).timestamp() for t in (self.opens, self.closes))
                if closes > start:
                    found.append((opens, closes))
        return found

    def at_work(self, instant: float) -> bool:
        """Tell whether this is working time; the minute of opening and that of closing are."""
        return any(opens <= instant <= closes for opens, closes in self.spans(instant - 60, days=4))

    def after(self, start: float, seconds: float) -> float:
        """Return when ``seconds`` of working time have passed since ``start``."""
        for opens, closes in self.spans(start):
            begin = max(opens, start)
            if begin + seconds <= closes:
                return begin + seconds
            seconds -= closes - begin
        raise ValueError(f"nobody works that long after {start}")

    def days_after(self, start: float, days: int) -> float:
        """Return the same time of the day ``days`` working days after ``start``, or after the next opening."""
        spans = self.spans(start)
        begin = max(spans[0][0], start)
        zone = ZoneInfo(self.zone)
        clock = datetime.fromtimestamp(begin, UTC).astimezone(zone).time()
        day = datetime.fromtimestamp(spans[days][0], UTC).astimezone(zone).date()
        return datetime.combine(day, clock, zone).timestamp()


def _days(said: Any) -> frozenset[int]:
    words = said.split(",") if isinstance(said, str) else said
    found: set[int] = set()
    for word in words:
        first, _, last = word.strip().partition("-")
        begin, end = WEEK.index(first), WEEK.index(last or first)
        found |= set(range(begin, end + 1))
    return frozenset(found)
