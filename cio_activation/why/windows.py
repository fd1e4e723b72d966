"""A window by its key, without Dagster: asking why takes no second to start."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.windows import Window


def window_of(activation: Activation, lane: str, key: str) -> Window | None:
    """Return the window of ``lane`` that is called ``key``; None if no window is called so."""
    try:
        start = datetime.fromisoformat(key)
        pace = Lane(lane)
    except ValueError:
        return None
    if pace is Lane.REALTIME:
        begun = start.replace(tzinfo=UTC)
        return Window(pace, key, begun, begun + activation.workspace.realtime_window)
    zone = ZoneInfo(activation.workspace.timezone)
    midnights = (datetime.combine(start.date() + timedelta(days=n), time(), zone) for n in (0, 1))
    return Window(pace, key, *midnights)
