"""When an audience with people held out will say something, told before it starts.

How many would buy is not known then, so that is assumed; so is that as many enter a day as come to its segment, of
which a gate takes a part.
"""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from pathlib import Path

from cio_activation.activation.durations import format_duration
from cio_activation.activation.models import Activation, Audience
from cio_activation.outcome.inference import Rates, people_needed
from cio_activation.outcome.lift import LONGEST, larger_holdout
from cio_activation.warehouse.sessions import Connection, Warehouse
from cio_activation.warehouse.sql import exists
from cio_activation.warehouse.tables import MEASURED_ENTRIES, SEGMENT_TURNOVER

ASSUMED = 0.05
"""Part of those held out who buy, as long as nobody has entered."""
DAYS = 7
"""Of turnover that the pace is taken from."""


def answers(warehouse: Path, activation: Activation, now: datetime) -> list[str]:
    """Return a sentence for each measured audience with a holdout that nobody has entered yet; changes nothing.

    ``now``: naive UTC.
    """
    everywhere = activation.workspace.holdout
    drawn = {
        a.name: everywhere + a.holdout - everywhere * a.holdout
        for a in activation.audiences.values()
        if a.touch and a.measure is not None and (everywhere or a.holdout)
    }
    if not drawn:
        return []
    started, pace = _known(warehouse, activation)
    return [
        _sentence(activation.audiences[name], share, pace.get(name), now)
        for name, share in drawn.items()
        if name not in started
    ]


def _sentence(audience: Audience, share: float, pace: float | None, now: datetime) -> str:
    assert audience.measure is not None
    effect, within = audience.measure.smallest_effect, audience.measure.within
    most = audience.launch.max_entries_per_day
    if pace is not None and most is not None:
        pace = min(pace, most)
    more = larger_holdout(share)
    told = [
        f"{people:,} people with {part:.0%} held out{_when(people, pace, within, now)}"
        for part in dict.fromkeys((share, more))
        if (people := _needed(part, effect))
    ]
    at = f"at the {pace:,.0f} a day that come to it at most" if pace else "how many come a day is not known yet"
    return (
        f"audience {audience.name}: {' or '.join(told)} say whether it works, each {format_duration(within)} after "
        f"entering ({at}; a difference of {100 * effect:.0f} points, if {ASSUMED:.0%} buy without it)"
    )


def _needed(share: float, effect: float) -> int:
    """Return how many people it takes, by made-up arms in which as many buy as is assumed."""
    many = 100_000
    bought = round(ASSUMED * many)
    return people_needed(Rates(many, bought + round(effect * many), many, bought, share), effect)


def _when(people: int, pace: float | None, within: timedelta, now: datetime) -> str:
    if not pace:
        return ""
    days = math.ceil(people / pace)
    if days >= LONGEST.days:
        return " (in no less than ten years)"
    found: date = (now + timedelta(days=days) + within).date()
    return f" (about {found})"


def _known(warehouse: Path, activation: Activation) -> tuple[set[str], dict[str, float]]:
    """Return who has begun already, and audience -> how many come to its segment a day."""
    if not warehouse.exists():
        return set(), {}
    with Warehouse(warehouse).read() as con:
        if not exists(con, MEASURED_ENTRIES):
            return set(), {}
        rows = con.execute(f"SELECT DISTINCT audience FROM {MEASURED_ENTRIES} WHERE holdout > 0").fetchall()
        return {str(name) for (name,) in rows}, _pace(con, activation)


def _pace(con: Connection, activation: Activation) -> dict[str, float]:
    found = con.execute(
        f"""SELECT lane, segment_id, sum(entered) / count(*) FROM {SEGMENT_TURNOVER}
        WHERE day > (SELECT max(day) FROM {SEGMENT_TURNOVER}) - {DAYS} GROUP BY lane, segment_id"""
    ).fetchall()
    by_segment = {(str(lane), int(segment)): float(entered) for lane, segment, entered in found}
    return {
        a.name: by_segment[a.lane.value, a.segment]
        for a in activation.audiences.values()
        if a.segment is not None and by_segment.get((a.lane.value, a.segment))
    }
