"""The shared pacer on a made-up clock: never above the limit in any window, lanes keep their share, a 429 stops all."""

from __future__ import annotations

import asyncio
from pathlib import Path

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

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 0.001)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> MovedClock:
    moved = MovedClock()
    monkeypatch.setattr(pacing.time, "time", moved.time)
    monkeypatch.setattr(pacing.asyncio, "sleep", moved.sleep)
    return moved


def pacer(folder: Path, lane: str) -> SharedPacer:
    return SharedPacer(Journal(f"sqlite:///{folder / 'j.sqlite'}"), {"v": {"default": (UNITS, SECONDS)}}, lane)


def most_in_a_window(moments: list[float]) -> int:
    return max(sum(1 for m in moments if start <= m < start + SECONDS - 1e-6) for start in moments)


def test_no_window_holds_more_than_the_limit_and_most_of_it_is_used(tmp_path: Path, clock: MovedClock) -> None:
    daily = pacer(tmp_path, "daily")
    moments: list[float] = []

    async def work() -> None:
        for _ in range(600):
            await daily.acquire("v", "default", 1)
            moments.append(clock.now)

    asyncio.run(work())
    assert most_in_a_window(moments) <= UNITS
    assert len(moments) / (moments[-1] - moments[0]) >= 0.9 * UNITS / SECONDS


def test_a_busy_daily_lane_leaves_the_real_time_lane_its_share(tmp_path: Path, clock: MovedClock) -> None:
    lanes = {name: pacer(tmp_path, name) for name in ("daily", "realtime")}
    moments: dict[str, list[float]] = {"daily": [], "realtime": []}

    async def work() -> None:
        for _ in range(1500):
            for name, one in lanes.items():
                if one._try("v", "default", 1, UNITS, SECONDS) <= 0:
                    moments[name].append(clock.now)
            await clock.sleep(0.01)

    asyncio.run(work())
    together = sorted(moments["daily"] + moments["realtime"])
    assert most_in_a_window(together) <= UNITS
    assert len(moments["realtime"]) >= 0.5 * len(together)
    assert len(moments["daily"]) >= 0.3 * len(together)


def test_a_429_pauses_every_process_for_as_long_as_it_says(tmp_path: Path, clock: MovedClock) -> None:
    one, other = pacer(tmp_path, "daily"), pacer(tmp_path, "realtime")
    one.observe("v", "default", 429, {"retry-after": "7"})
    started = clock.now
    asyncio.run(other.acquire("v", "default", 1))
    assert clock.now - started == pytest.approx(7, abs=0.1)


def test_a_vendor_without_a_limit_never_waits(tmp_path: Path, clock: MovedClock) -> None:
    started = clock.now
    asyncio.run(pacer(tmp_path, "daily").acquire("elsewhere", "default", 1_000))
    assert clock.now == started


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
