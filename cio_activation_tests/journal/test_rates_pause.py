"""A vendor that asks everyone to wait: obeyed by all processes, and no run sits there for hours."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from cio_activation.journal.attempts import Journal
from cio_activation.journal.rates import SharedPacer
from cio_activation.transport.errors import Stop

LIMITS = {"v": {"default": (100.0, 1.0)}}


def pacer(home: Path, lane: str) -> SharedPacer:
    return SharedPacer(Journal(f"sqlite:///{home / 'journal.sqlite'}"), LIMITS, lane)


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_pause_of_hours_stops_every_run_at_once(tmp_path: Path, form: str) -> None:
    word = "7200" if form == "seconds" else format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
    pacer(tmp_path, "daily").observe("v", "default", 429, {"retry-after": word})
    with pytest.raises(Stop, match="no call is allowed for another 7,"):
        asyncio.run(asyncio.wait_for(pacer(tmp_path, "realtime").acquire("v", "default", 1), 5))


def test_a_short_pause_is_waited_for(tmp_path: Path) -> None:
    one = pacer(tmp_path, "daily")
    one.observe("v", "default", 429, {"retry-after": "0.3"})

    async def waited() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await one.acquire("v", "default", 1)
        return loop.time() - began

    assert 0.2 < asyncio.run(waited()) < 5
