"""The default rules once more, in plain Python: what the SQL is compared with. Shares no code with the package."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
Person = Mapping[str, Any]


def derive(people: Mapping[str, Person], as_of: datetime) -> dict[str, dict[str, Any]]:
    gaps = fallback_gaps(people)
    return {cio_id: _one(person, as_of, gaps) for cio_id, person in people.items()}


def fallback_gaps(people: Mapping[str, Person]) -> dict[str | None, int]:
    groups: dict[str | None, list[float]] = {}
    for person in people.values():
        gap = _own_gap(person)
        if gap is not None:
            groups.setdefault(None, []).append(gap)
            if person.get("category") is not None:
                groups.setdefault(person["category"], []).append(gap)
    return {
        group: max(1, math.floor(statistics.median(gaps) + 0.5))
        for group, gaps in groups.items()
        if group is None or len(gaps) >= 5
    }


def _one(person: Person, as_of: datetime, gaps: Mapping[str | None, int]) -> dict[str, Any]:
    get = person.get
    ordered, spent, score = get("last_order_at"), _number(get("spent")), _number(get("score"))
    lapsed, orders = _whole(ordered, as_of, DAY), get("orders")
    return {
        "lapse": None if lapsed is None else _bucket(lapsed, [31, 91, 181], ["0-30", "31-90", "91-180", "181+"]),
        "tier": None if spent is None else _bucket(spent, [75, 200.5], ["low", "mid", "high"]),
        "reorder": _reorder(person, as_of, gaps),
        "at_risk": lapsed is not None and lapsed > 60 and orders is not None and orders >= 2,
        "stage": _stage(person, as_of),
        "last_category": get("category"),
        "last_day": _local_day(ordered),
        "points": score,
    }


def _stage(person: Person, as_of: datetime) -> str:
    clicked = person.get("clicked_at")
    born = person.get("born_on")
    if clicked is not None and _whole(clicked, as_of, HOUR) < 2 and person.get("unsubscribed") is False:
        return "fresh"
    if clicked is not None and 1 <= _whole(clicked, as_of, DAY) <= 3:
        return "stale"
    if born is not None and _whole(datetime(born.year, born.month, born.day), as_of, DAY) == 10:
        return "stale"
    return "none"


def _reorder(person: Person, as_of: datetime, gaps: Mapping[str | None, int]) -> str | None:
    gap = _own_gap(person)
    if gap is None:
        gap = gaps.get(person.get("category"), gaps.get(None))
    if gap is None or person.get("last_order_at") is None:
        return None
    expected = person["last_order_at"] + timedelta(microseconds=math.floor(gap * 86_400_000_000 + 0.5))
    if as_of < expected - 3 * DAY:
        return "before"
    if as_of < expected:
        return "open"
    return "due" if as_of < expected + 7 * DAY else "overdue"


def _own_gap(person: Person) -> float | None:
    gap = person.get("gap_days")
    return gap if gap is not None and 0 < gap <= 36_500 else None


def _whole(moment: datetime | None, as_of: datetime, unit: timedelta) -> Any:
    return None if moment is None else max(0, (as_of - moment) // unit)


def _bucket(value: float, edges: list[float], labels: list[str]) -> str:
    return labels[sum(value >= edge for edge in edges)]


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def _local_day(moment: datetime | None) -> Any:
    if moment is None:
        return None
    return moment.replace(tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo("America/New_York")).date()
