"""How long somebody has: ``4 working hours``, ``2 working days``, or ``2h`` by the clock."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from cio_activation.activation.durations import format_duration, parse_duration

_WORKING = re.compile(r"^(\d{1,4})\s+working\s+(minute|hour|day)s?$", re.IGNORECASE)


@dataclass(frozen=True)
class Due:
    """A span until something is due: time at work, days at work, or time by the clock. One of them is not zero."""

    at_work: timedelta = timedelta(0)
    """Counted while it is working time."""
    days_at_work: int = 0
    """Working days later, at the same time of the day."""
    by_the_clock: timedelta = timedelta(0)
    """Elapsed time; what falls outside working time is due in the next opening."""

    def __str__(self) -> str:
        """Return it as people write it."""
        if self.days_at_work:
            return f"{self.days_at_work} working day{'s' if self.days_at_work > 1 else ''}"
        if self.at_work:
            minutes = self.at_work // timedelta(minutes=1)
            count, unit = (minutes // 60, "hour") if minutes % 60 == 0 else (minutes, "minute")
            return f"{count} working {unit}{'s' if count > 1 else ''}"
        return format_duration(self.by_the_clock)


def parse_due(value: Any) -> Due:
    """Return ``value`` as a :class:`Due`; ValueError names the mend."""
    if isinstance(value, Due):
        return value
    match = _WORKING.match(value.strip()) if isinstance(value, str) else None
    if match is None:
        try:
            span = parse_duration(value)
        except ValueError:
            raise ValueError(f"{value!r} is no time to act; write 4 working hours, 2 working days or 2h") from None
        if span <= timedelta(0):
            raise ValueError(f"{value!r} is over before it began; write 4 working hours, 2 working days or 2h")
        return Due(by_the_clock=span)
    count, unit = int(match[1]), match[2].lower()
    if count == 0:
        raise ValueError(f"{value!r} is no time at all; write 1 working hour or more")
    if unit == "day":
        return Due(days_at_work=count)
    return Due(at_work=timedelta(**{f"{unit}s": count}))


DueTime = Annotated[
    Due,
    BeforeValidator(parse_due),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["4 working hours", "2 working days", "30 working minutes", "2h"]}),
]
