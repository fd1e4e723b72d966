"""Working hours of one human: opening times in a time zone, without holidays, right on both days of a clock change."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

LOOK_AHEAD_DAYS = 400
"""Who does not open within so many days does not work at all."""


@dataclass(frozen=True)
class WorkingTime:
    """Weekdays (Monday is 0), local opening hours and days off."""

    zone: str = "America/New_York"
    days: tuple[int, ...] = (0, 1, 2, 3, 4)
    opens: time = time(9)
    closes: time = time(17)
    holidays: frozenset[date] = field(default_factory=frozenset)

    def after(self, start: float, hours: float) -> float | None:
        """Return the instant at which ``hours`` of working time have passed since ``start``; None for never."""
        left = hours * 3600
        day = datetime.fromtimestamp(start, UTC).astimezone(ZoneInfo(self.zone)).date()
        for _ in range(LOOK_AHEAD_DAYS):
            opens, closes = self._span(day)
            begin = max(opens, start)
            if begin < closes:
                if begin + left <= closes:
                    return begin + left
                left -= closes - begin
            day += timedelta(days=1)
        return None

    def at_work(self, instant: float) -> bool:
        """Tell whether this is working time."""
        opens, closes = self._span(datetime.fromtimestamp(instant, UTC).astimezone(ZoneInfo(self.zone)).date())
        return opens <= instant <= closes

    def _span(self, day: date) -> tuple[float, float]:
        """Return when a day opens and closes; an empty span on days off."""
        zone = ZoneInfo(self.zone)
        opens, closes = (datetime.combine(day, t, zone).timestamp() for t in (self.opens, self.closes))
        free = day.weekday() not in self.days or day in self.holidays
        return (opens, opens - 1) if free else (opens, closes)
