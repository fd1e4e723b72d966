from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cio_activation.activation.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("30m", timedelta(minutes=30)),
        ("2h", timedelta(hours=2)),
        ("+7d", timedelta(days=7)),
        ("-3d", timedelta(days=-3)),
        ("90 s", timedelta(seconds=90)),
        (" 1w ", timedelta(days=7)),
        (timedelta(hours=1), timedelta(hours=1)),
    ],
)
def test_spans_are_read_as_people_write_them(text: object, span: timedelta) -> None:
    assert parse_duration(text) == span


@pytest.mark.parametrize("text", ["2 hour", "h", "", "1.5h", "2h30m", "2H", 7, None, True, "٣h", "2h\n1m"])
def test_anything_else_is_refused_with_the_mend(text: object) -> None:
    with pytest.raises(ValueError, match="is not a duration; write a whole number and a unit, such as 30m, 2h or 7d"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["999999999999d", "9" * 5000 + "h"])
def test_a_span_beyond_the_calendar_is_refused_and_does_not_crash(text: str) -> None:
    with pytest.raises(ValueError, match="is too long a duration"):
        parse_duration(text)


@given(st.integers(min_value=-(10**9), max_value=10**9))
def test_a_span_written_out_reads_back_as_itself(seconds: int) -> None:
    span = timedelta(seconds=seconds)
    assert parse_duration(format_duration(span)) == span
