"""Spans of time as people write them: ``30m``, ``2h``, ``7d``, ``-3d``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

SPAN_PATTERN = r"^([+-]?\d+)\s*([smhdw])$"
"""What a span looks like; also what editors check (``schema.py``)."""

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN = re.compile(SPAN_PATTERN, re.ASCII)
_LARGEST_FIRST = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def parse_duration(value: Any) -> timedelta:
    """Return ``value`` (a span such as ``2h``, or a timedelta) as a timedelta; ValueError names the mend."""
    if isinstance(value, timedelta):
        return value
    match = _SPAN.match(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a duration; write a whole number and a unit, such as 30m, 2h or 7d")
    try:
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    except (OverflowError, ValueError) as error:  # ValueError: more digits than int() reads
        raise ValueError(f"{value[:20]!r} is too long a duration; write less than 2,700,000 years") from error


def format_duration(span: timedelta) -> str:
    """Return ``span`` as people write it, in the largest unit that fits without a rest; weeks read as days.

    >>> format_duration(timedelta(hours=-36))
    '-36h'
    """
    seconds = span // timedelta(seconds=1)
    if seconds == 0:
        return "0m"
    unit, size = next((unit, size) for unit, size in _LARGEST_FIRST if seconds % size == 0)
    return f"{seconds // size}{unit}"
