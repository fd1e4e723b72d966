"""I10 pacing: never above the configured share of a vendor's window, over all processes; a 429 pauses everyone.

On a made-up clock, window by window: ``delivery/test_pacer.py``. The day's budget: ``test_i10_budget.py``. Here real
processes, real time, and stand-ins with the vendors' real limits. A busy machine makes all of it slower, so what is
asserted of speed is loose; ``python -m benchmarks.pacing`` measures it.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from math import ceil
from pathlib import Path

import pytest

from cio_activation.journal.attempts import Journal
from cio_activation.journal.rates import AHEAD_S, SharedPacer
from cio_activation.transport.http import VendorClient
from cio_activation_tests.drivers.pacing import LIMITS, measure
from cio_activation_tests.drivers.stand_ins import hubspot

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("vendor", "changes"), [("hubspot", 10_000), ("pipedrive", 100)])
def test_a_push_beside_a_real_time_lane_keeps_the_vendors_limits(tmp_path: Path, vendor: str, changes: int) -> None:
    limit, seconds = LIMITS[vendor]
    for attempt in range(3):
        (folder := tmp_path / str(attempt)).mkdir()
        found = measure(vendor, folder, changes)
        # A machine that stands still for half a second makes calls arrive together that left apart: then once more.
        if not found.throttled and found.most_in_a_window <= limit:
            break
    assert found.delivered == changes
    assert found.throttled == 0
    assert found.most_in_a_window <= limit
    assert found.share_used >= 0.1
    assert found.realtime_calls > 0
    assert found.slowest_realtime_s <= 2 * max(seconds, 5.0)
    # Both processes' calls, one count, and the vendor's own is the same.
    assert found.counted == found.charged


def test_processes_together_never_get_more_than_one_budget(tmp_path: Path) -> None:
    units, seconds, workers = 40.0, 1.0, 4
    url = f"sqlite:///{tmp_path / 'journal.sqlite'}"
    Journal(url).close()
    command = [sys.executable, "-m", __name__, url, str(units), str(seconds)]
    lanes = ["daily", "realtime"] * (workers // 2)
    started = [subprocess.Popen([*command, lane], stdout=subprocess.PIPE, text=True) for lane in lanes]
    spans = [json.loads(p.communicate()[0]) for p in started]
    assert all(p.returncode == 0 for p in started)
    granted = sum(len(span) for span in spans)
    first, last = min(t[0] for span in spans for t in span), max(t[1] for span in spans for t in span)
    assert granted <= units * ceil((last - first) / seconds)
    assert granted > workers


async def _grab(url: str, limit: tuple[float, float], lane: str) -> list[tuple[float, float]]:
    """Return, of each unit got in three seconds, when it was asked for and when it could be used at the latest."""
    pacer = SharedPacer(Journal(url), {"v": {"default": limit}}, lane)
    got: list[tuple[float, float]] = []
    end = time.time() + 3.0

    async def work() -> None:
        while time.time() < end:
            asked = time.time()
            await pacer.acquire("v", "default", 1)
            got.append((asked, time.time() + AHEAD_S))

    await asyncio.gather(*(work() for _ in range(4)))
    return got


def test_a_429_pauses_every_process_and_lane(tmp_path: Path) -> None:
    """Two pacers over one journal file, as two processes have them; one of them is refused."""
    portal = hubspot.begin(limited=True)
    journals = [Journal(f"sqlite:///{tmp_path / 'journal.sqlite'}") for _ in range(2)]
    limits = {"hubspot": {"default": (150.0, 10.0)}}
    over = time.time() + 8.0

    async def calls(lane: str, journal: Journal) -> None:
        pacer = SharedPacer(journal, limits, lane)
        async with VendorClient("hubspot", portal.url, hubspot.TOKEN, pacer=pacer, backoff_s=0.0) as client:
            while time.time() < over:
                await client.request("GET", "/crm/owners/2026-09", operation="owners.page")

    async def both() -> None:
        await asyncio.gather(*(calls(lane, one) for lane, one in zip(("daily", "realtime"), journals, strict=True)))

    portal.fault(kind="status", status=429, headers={"retry-after": "4"}, skip=8, times=1)
    try:
        asyncio.run(both())
    finally:
        portal.stop()
    at = {entry.real_at: entry.status for entry in portal.entries()}
    refused = next(t for t, status in at.items() if status == 429)
    assert portal.shared.log.throttled("hubspot") == 1
    # What was on its way when the answer came may still arrive; then nobody calls until the pause is over.
    assert not [t for t in at if refused + 1.5 < t < refused + 4.0]
    assert [t for t in at if t >= refused + 4.0]


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_grab(sys.argv[1], (float(sys.argv[2]), float(sys.argv[3])), sys.argv[4]))))
