"""When people work: days, hours, holidays, of everybody and of single people."""

from __future__ import annotations

import re
from datetime import time
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from cio_activation.activation.base import Model

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(r"^([01]?\d|2[0-4]):([0-5]\d)$")
_REGION = re.compile(r"^[A-Z]{2}(-[A-Z0-9]{1,4})?$")


def parse_days(value: Any) -> tuple[int, ...]:
    """Return ``mon-fri`` or ``[mon, wed, fri]`` as numbers, Monday 0; ValueError names the mend."""
    parts = value.split(",") if isinstance(value, str) else list(value)
    days: set[int] = set()
    for part in parts:
        if isinstance(part, int) and 0 <= part < len(WEEKDAYS):
            days.add(part)
            continue
        first, _, last = str(part).strip().lower().partition("-")
        if first not in WEEKDAYS or last not in ("", *WEEKDAYS):
            raise ValueError(f"{part!r} is no weekday; write mon-fri, or a list of {', '.join(WEEKDAYS)}")
        begin, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
        days |= {day % 7 for day in range(begin, end + (7 if end < begin else 0) + 1)}
    if not days:
        raise ValueError("names no weekday; nothing would ever be due. Write mon-fri")
    return tuple(sorted(days))


def parse_clock(value: Any) -> time:
    """Return ``09:00`` as a time of the day; ValueError names the mend."""
    if isinstance(value, time):
        return value
    match = _CLOCK.match(value.strip()) if isinstance(value, str) else None
    if match is None or (int(match[1]) == 24 and int(match[2])):
        raise ValueError(f'{value!r} is no time of the day; write "09:00", in quotes')
    return time.max.replace(microsecond=0) if int(match[1]) == 24 else time(int(match[1]), int(match[2]))


def check_region(value: str | None) -> str | None:
    """Return a country, or country and part, whose holidays are known; ValueError names the mend."""
    if value is None:
        return None
    import holidays

    country, _, part = value.partition("-")
    known = holidays.list_supported_countries()
    if not _REGION.match(value) or country not in known or (part and part not in known[country]):
        raise ValueError(f"{value!r} has no known holidays; write a country such as US, or with its part, DE-BY")
    return value


Days = Annotated[
    tuple[int, ...], BeforeValidator(parse_days), WithJsonSchema({"type": ["string", "array"], "examples": ["mon-fri"]})
]
Clock = Annotated[
    time,
    BeforeValidator(parse_clock),
    PlainSerializer(lambda value: value.strftime("%H:%M:%S")[: 8 if value.second else 5], return_type=str),
    WithJsonSchema({"type": "string", "pattern": _CLOCK.pattern, "examples": ["09:00"]}),
]
Region = Annotated[str | None, AfterValidator(check_region)]


class PersonTime(Model):
    """What is different for one person."""

    timezone: str | None = None
    """An IANA time zone; else what the CRM says of the user, else the workspace's."""
    days: Days | None = None
    start: Clock | None = Field(default=None, alias="from")
    end: Clock | None = Field(default=None, alias="to")
    holidays: Region = None


class WorkingTime(Model):
    """When people work; due times are counted in it, in the time zone of whoever acts."""

    days: Days = (0, 1, 2, 3, 4)
    """``mon-fri``, or a list."""
    start: Clock = Field(default=time(9), alias="from")
    end: Clock = Field(default=time(17), alias="to")
    holidays: Region = None
    """A country whose public holidays are free (``US``), or with its part (``DE-BY``)."""
    people: dict[str, PersonTime] = Field(default_factory=dict)
    """E-mail address of a user -> what is different for them."""


class Capacity(Model):
    """How much one person is asked to do; what does not fit waits, and is shown."""

    open_per_owner: Annotated[int, Field(ge=1)] | None = None
    """No new action for somebody with so many open ones of ours, over all CRMs."""
    new_per_owner_per_day: Annotated[int, Field(ge=1)] | None = None
    """No more new ones on a day of the workspace's time zone."""
