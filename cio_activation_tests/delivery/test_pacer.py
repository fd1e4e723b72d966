"""The shared pacer on a made-up clock: never above the limit in any window, lanes keep their share, a 429 stops all."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cio_activation.delivery import pacer as pacing
from cio_activation.delivery.journal import Journal
from cio_activation.delivery.pacer import SharedPacer, _conform

UNITS, SECONDS = 190.0, 10.0  # HubSpot, Professional


class MovedClock:
    """Stands in for time and sleep: sleeping moves the clock, nothing waits."""

    def __init__(self) -> None:
        self.now = 1_000.0

    async def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 0.001)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> MovedClock:
    moved = MovedClock()
    monkeypatch.setattr(Journal, "now", lambda self, con: moved.now)
    # The module's own name, not asyncio.sleep itself: a stand-in in another thread sleeps too, and would move the clock.
    monkeypatch.setattr(pacing, "asyncio", SimpleNamespace(sleep=moved.sleep))
    return moved


def pacer(url: str, lane: str) -> SharedPacer:
    return SharedPacer(Journal(url), {"v": {"default": (UNITS, SECONDS)}}, lane)


def most_in_a_window(moments: list[float]) -> int:
    return max(sum(1 for m in moments if start <= m < start + SECONDS - 1e-6) for start in moments)


def test_no_window_holds_more_than_the_limit_and_most_of_it_is_used(journal_url: str, clock: MovedClock) -> None:
    daily = pacer(journal_url, "daily")
    moments: list[float] = []

    async def work() -> None:
        for _ in range(450):
            await daily.acquire("v", "default", 1)
            moments.append(clock.now)

    asyncio.run(work())
    assert most_in_a_window(moments) <= UNITS
    assert len(moments) / (moments[-1] - moments[0]) >= 0.9 * UNITS / SECONDS


def test_a_busy_daily_lane_leaves_the_real_time_lane_its_share(journal_url: str, clock: MovedClock) -> None:
    lanes = {name: pacer(journal_url, name) for name in ("daily", "realtime")}
    moments: dict[str, list[float]] = {"daily": [], "realtime": []}

    async def work() -> None:
        for _ in range(600):
            for name, one in lanes.items():
                if one._try("v", "default", 1, UNITS, SECONDS) <= 0:
                    moments[name].append(clock.now)
            await clock.sleep(0.025)

    asyncio.run(work())
    together = sorted(moments["daily"] + moments["realtime"])
    assert most_in_a_window(together) <= UNITS
    assert len(moments["realtime"]) >= 0.5 * len(together)
    assert len(moments["daily"]) >= 0.3 * len(together)


def test_a_429_pauses_every_process_for_as_long_as_it_says(journal_url: str, clock: MovedClock) -> None:
    one, other = pacer(journal_url, "daily"), pacer(journal_url, "realtime")
    one.observe("v", "default", 429, {"retry-after": "7"})
    started = clock.now
    asyncio.run(other.acquire("v", "default", 1))
    assert clock.now - started == pytest.approx(7, abs=0.1)


def test_a_vendor_without_a_limit_never_waits(journal_url: str, clock: MovedClock) -> None:
    started = clock.now
    asyncio.run(pacer(journal_url, "daily").acquire("elsewhere", "default", 1_000))
    assert clock.now == started


@pytest.mark.slow
def test_workers_that_start_at_once_share_one_budget(journal_url: str) -> None:
    """Real threads, real time, no row in the journal yet: nobody fails, and together they keep the limit."""
    units, seconds, workers = 40.0, 1.0, 6
    started = threading.Barrier(workers, timeout=60)
    journals = [Journal(journal_url) for _ in range(workers)]

    def work(number: int) -> list[float]:
        lane = ("daily", "realtime")[number % 2]
        one = SharedPacer(journals[number], {"v": {"default": (units, seconds)}}, lane)
        granted: list[float] = []
        started.wait()
        end = time.monotonic() + 3.0
        while time.monotonic() < end:
            if one._try("v", "default", 1, units, seconds) <= 0:
                granted.append(time.monotonic())
            time.sleep(0.02)
        return granted

    with ThreadPoolExecutor(workers) as pool:
        moments = sorted(moment for granted in pool.map(work, range(workers)) for moment in granted)
    assert len(moments) >= units
    # The grant is decided in the journal, a moment before this clock is read: a busy machine's delay is allowed for.
    most = max(sum(1 for m in moments if start <= m < start + seconds) for start in moments)
    assert most <= units * 1.15


@given(st.lists(st.floats(0.0, 0.5), min_size=1, max_size=200), st.integers(2, 60), st.floats(0.5, 20))
@settings(max_examples=60, deadline=None)
def test_the_rate_algorithm_keeps_every_window(gaps: list[float], units: int, seconds: float) -> None:
    burst, rate = 1.0, (units - 1.0) / seconds
    now = arrival = 0.0
    granted: list[float] = []
    for gap in gaps:
        now += gap
        now += _conform(arrival, now, 1.0, burst, rate)[0]
        wait, following = _conform(arrival, now, 1.0, burst, rate)
        if not wait:
            arrival = following
            granted.append(now)
    assert max(sum(1 for g in granted if s <= g < s + seconds * 0.999) for s in granted) <= units
