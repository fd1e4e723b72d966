"""Working time: what is due when, over weekends, holidays and both days on which the clock is changed."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_activation.activation.due import parse_due
from cio_activation.activation.working_time import WorkingTime
from cio_activation.audience.opening import Hours

WEEK = (0, 1, 2, 3, 4)


def hours(zone: str = "America/New_York", start: int = 9, end: int = 17, **more: object) -> Hours:
    return Hours(**({"zone": ZoneInfo(zone), "days": WEEK, "start": time(start), "end": time(end)} | more))  # type: ignore[arg-type]


def there(text: str, zone: str = "America/New_York") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(
    ("asked", "due", "expected"),
    [
        ("2026-11-24T10:00", "4 working hours", "2026-11-24T14:00"),
        ("2026-11-24T15:00", "4 working hours", "2026-11-25T11:00"),
        ("2026-11-20T16:30", "1 working hour", "2026-11-23T09:30"),
        ("2026-11-21T12:00", "4 working hours", "2026-11-23T13:00"),
        ("2026-11-24T09:00", "8 working hours", "2026-11-24T17:00"),
        ("2026-11-24T10:00", "2 working days", "2026-11-26T10:00"),
        ("2026-11-21T12:00", "1 working day", "2026-11-24T09:00"),
        ("2026-11-24T16:00", "2h", "2026-11-25T09:00"),
        ("2026-11-24T10:00", "2h", "2026-11-24T12:00"),
        ("2026-11-24T10:00", "30 working minutes", "2026-11-24T10:30"),
    ],
)
def test_due_in_working_time(asked: str, due: str, expected: str) -> None:
    assert hours().due(there(asked), parse_due(due)) == there(expected)


def test_a_holiday_is_no_working_day() -> None:
    asked = there("2026-11-25T16:00")
    assert hours(holidays="US").due(asked, parse_due("2 working hours")) == there("2026-11-27T10:00")  # Thanksgiving
    assert hours().due(asked, parse_due("2 working hours")) == there("2026-11-26T10:00")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("2026-03-07T23:00", "2026-03-08T07:00"), ("2026-10-31T23:00", "2026-11-01T05:00")],
    ids=["an hour is left out", "an hour comes twice"],
)
def test_a_night_shift_is_as_long_as_it_is_when_the_clock_changes(asked: str, expected: str) -> None:
    night = hours(start=22, end=8, days=tuple(range(7)))
    assert night.due(there(asked), parse_due("7 working hours")) == there(expected)


def test_a_person_may_have_other_hours_than_everybody() -> None:
    working = WorkingTime.model_validate(
        {"days": "mon-fri", "from": "08:00", "to": "16:00", "holidays": "US",
         "people": {"Ada@Example.com": {"timezone": "Europe/Berlin", "holidays": "DE-BY", "days": "tue-sat"}}}
    )  # fmt: skip
    ada = Hours.of(working, "ada@example.com", "America/New_York", "UTC")
    assert (ada.zone.key, ada.days, ada.holidays, ada.start) == ("Europe/Berlin", (1, 2, 3, 4, 5), "DE-BY", time(8))
    other = Hours.of(working, None, "Australia/Sydney", "UTC")
    assert (other.zone.key, other.holidays) == ("Australia/Sydney", "US")


@given(
    asked=st.datetimes(datetime(2026, 2, 1), datetime(2026, 12, 1)),
    minutes=st.integers(1, 1_500),
    zone=st.sampled_from(["America/New_York", "Europe/Berlin", "Australia/Sydney", "Asia/Kolkata"]),
)
def test_so_many_minutes_are_open_until_it_is_due(asked: datetime, minutes: int, zone: str) -> None:
    mine, at = hours(zone), asked.replace(second=0, microsecond=0, tzinfo=UTC)
    due = mine.due(at, parse_due(f"{minutes} working minutes" if minutes > 1 else "1 working minute"))
    opened, step = 0, at
    while step < due:  # counted minute by minute, by the wall clock there
        local = step.astimezone(ZoneInfo(zone))
        opened += local.weekday() < 5 and 9 <= local.hour < 17
        step += timedelta(minutes=1)
    assert opened == minutes
    before = (due - timedelta(minutes=1)).astimezone(ZoneInfo(zone))
    assert before.weekday() < 5
    assert 9 <= before.hour < 17


@given(
    at=st.datetimes(datetime(2026, 3, 1), datetime(2026, 11, 30), timezones=st.just(UTC)),
    due=st.sampled_from(["4 working hours", "2 working days", "30 working minutes", "2h", "3d"]),
)
def test_what_was_asked_no_later_is_due_by_then_and_nothing_else(at: datetime, due: str) -> None:
    works = hours()
    last = works.asked_before(at, parse_due(due))
    assert works.due(last, parse_due(due)) <= at < works.due(last + timedelta(microseconds=2), parse_due(due))
