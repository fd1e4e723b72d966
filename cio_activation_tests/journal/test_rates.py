"""The shared pacer on a made-up clock: never above the limit in any window, lanes keep their share, a 429 stops all."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cio_activation.journal import rates as pacing
from cio_activation.journal.attempts import Journal
from cio_activation.journal.days import Meter, Told
from cio_activation.journal.rates import Pace, SharedPacer, next_slot

LIMIT = UNITS, SECONDS = 190.0, 10.0  # HubSpot, Professional


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
    monkeypatch.setattr(pacing, "sleep", moved.sleep)
    return moved


def said(headers: Mapping[str, str]) -> Told:
    return Told(float(headers["left"]), UNITS) if "left" in headers else Told()


def pacer(url: str, lane: str, limit: tuple[float, float] = LIMIT) -> SharedPacer:
    meter = Meter("calls", "UTC", None, 1.0, 0.0, said)
    return SharedPacer(Journal(url), {"v": {"default": limit}}, lane, {"v": meter})


def most_in_a_window(moments: list[float], seconds: float = SECONDS) -> int:
    return max(sum(1 for m in moments if start <= m < start + seconds - 1e-6) for start in moments)


@pytest.mark.parametrize("limit", [LIMIT, (152.0, 10.0), (32.0, 2.0), (16.0, 2.0), (10.0, 1.0), (4.0, 1.0), (5.6, 1.0)])
def test_no_window_holds_more_than_the_limit_and_nearly_all_of_it_is_used(
    journal_url: str, clock: MovedClock, limit: tuple[float, float]
) -> None:
    daily = pacer(journal_url, "daily", limit)
    moments: list[float] = []

    async def work() -> None:
        for _ in range(400):
            await daily.acquire("v", "default", 1)
            moments.append(clock.now)

    asyncio.run(work())
    assert most_in_a_window(moments, limit[1]) <= limit[0]
    assert (len(moments) - 1) / (moments[-1] - moments[0]) >= 0.95 * int(limit[0]) / limit[1]


class Lane:
    """A lane with many calls to make (``every`` 0), or one each ``every`` seconds. It asks for the next slot at once."""

    def __init__(self, url: str, name: str, every: float) -> None:
        self._pacer, self._every = pacer(url, name), every
        self._due = self._asks = 1_000.0
        self.sent: list[float] = []
        self.waits: list[float] = []

    def turn(self, now: float) -> None:
        while self._due <= now and self._asks <= now:
            slot = self._pacer.ask("v", "default", 1, LIMIT)
            if not slot.granted:
                self._asks = now + slot.wait
                return
            self.sent.append(now + slot.wait)
            self.waits.append(now + slot.wait - self._due)
            self._due = max(self._due + self._every, now)
            self._asks = self._due


def run_lanes(lanes: list[Lane], clock: MovedClock, seconds: float) -> list[float]:
    end = clock.now + seconds
    while clock.now < end:
        for lane in lanes:
            lane.turn(clock.now)
        clock.now += 0.01
    together = sorted(m for lane in lanes for m in lane.sent)
    assert most_in_a_window(together) <= UNITS
    return together


def test_two_busy_lanes_share_as_agreed(journal_url: str, clock: MovedClock) -> None:
    lanes = [Lane(journal_url, name, 0.0) for name in ("daily", "realtime")]
    together = run_lanes(lanes, clock, 30)
    assert len(together) >= 0.95 * 30 * UNITS / SECONDS
    assert 0.55 <= len(lanes[1].sent) / len(together) <= 0.65


def test_a_daily_push_uses_what_a_slow_real_time_lane_leaves_and_never_delays_it(
    journal_url: str, clock: MovedClock
) -> None:
    daily, live = Lane(journal_url, "daily", 0.0), Lane(journal_url, "realtime", 0.5)
    together = run_lanes([daily, live], clock, 30)
    assert len(together) >= 0.95 * 30 * UNITS / SECONDS
    assert len(live.sent) >= 58
    assert max(live.waits) <= 0.5


def test_a_window_that_is_nearly_full_at_the_vendor_is_given_time(journal_url: str, clock: MovedClock) -> None:
    one, other = pacer(journal_url, "daily"), pacer(journal_url, "realtime")
    one.observe("v", "default", 200, {"left": "50"})
    assert other.ask("v", "default", 1, LIMIT).granted
    one.observe("v", "default", 200, {"left": "0"})
    slot = other.ask("v", "default", 1, LIMIT)
    assert not slot.granted
    assert 0.1 <= slot.wait <= SECONDS / 10


def test_a_window_that_nobody_but_us_fills_is_no_reason_to_wait(journal_url: str, clock: MovedClock) -> None:
    one, other = pacer(journal_url, "daily"), pacer(journal_url, "realtime")

    async def fill(calls: int) -> None:
        for _ in range(calls):
            await one.acquire("v", "default", 1)

    asyncio.run(fill(int(UNITS) - 3))
    one.observe("v", "default", 200, {"left": "1"})
    assert other.ask("v", "default", 1, LIMIT).granted
    clock.now += SECONDS / 2  # half of them have left the window: it cannot be we who fill it
    one.observe("v", "default", 200, {"left": "1"})
    slot = other.ask("v", "default", 1, LIMIT)
    assert not slot.granted
    assert 0.1 <= slot.wait <= SECONDS / 10


def test_whoever_fills_a_window_there_is_no_room_in_a_full_one(journal_url: str, clock: MovedClock) -> None:
    one = pacer(journal_url, "daily")

    async def fill(calls: int) -> None:
        for _ in range(calls):
            await one.acquire("v", "default", 1)

    asyncio.run(fill(int(UNITS) - 3))
    one.observe("v", "default", 200, {"left": "0"})
    assert not one.ask("v", "default", 1, LIMIT).granted


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
            asked = time.monotonic()
            slot = one.ask("v", "default", 1, (units, seconds))
            if slot.granted:
                granted.append(asked + slot.wait)
            time.sleep(0.02)
        return granted

    with ThreadPoolExecutor(workers) as pool:
        moments = sorted(moment for granted in pool.map(work, range(workers)) for moment in granted)
    assert len(moments) >= units
    # The grant is decided in the journal, a moment after this clock is read: a busy machine's delay is allowed for.
    most = max(sum(1 for m in moments if start <= m < start + seconds) for start in moments)
    assert most <= units * 1.15


@pytest.mark.slow
def test_workers_that_begin_a_bucket_at_once_do_not_wait_for_each_other(journal_url: str) -> None:
    buckets, workers = 60, 6
    started = threading.Barrier(workers, timeout=60)
    journals = [Journal(journal_url) for _ in range(workers)]

    def work(number: int) -> int:
        one = SharedPacer(journals[number], {}, ("daily", "realtime")[number % 2])
        asked = 0
        for bucket in range(buckets):
            started.wait()
            asked += one.ask("v", f"bucket {bucket}", 1, (1_000.0, 1.0)).granted
        return asked

    with ThreadPoolExecutor(workers) as pool:
        assert sum(pool.map(work, range(workers))) == buckets * workers


@given(st.lists(st.floats(0.0, 0.5), min_size=1, max_size=200), st.integers(1, 60), st.floats(0.5, 20))
@settings(max_examples=60, deadline=None)
def test_the_rate_algorithm_keeps_every_window(gaps: list[float], units: int, seconds: float) -> None:
    now, pace = 1_000.0, Pace()
    granted: list[float] = []
    for gap in gaps:
        now += gap
        wait, pace = next_slot(pace, now, 1.0, units, seconds)
        granted.append(now + wait)
    assert granted == sorted(granted)
    assert max(sum(1 for g in granted if s <= g < s + seconds) for s in granted) <= units


@given(st.lists(st.tuples(st.floats(5, 30), st.floats(0.1, 0.9)), min_size=3, max_size=8))
@settings(max_examples=30, deadline=None)
def test_what_a_busy_machine_missed_is_caught_up_with_inside_every_window(stalls: list[tuple[float, float]]) -> None:
    """Between two stalls of up to a second everything is asked for at once; in the end nearly all was used."""
    now, pace = 1_000.0, Pace()
    granted: list[float] = []
    for busy, stall in stalls:
        end = now + busy
        while now < end:
            wait, pace = next_slot(pace, now, 1.0, UNITS, SECONDS)
            now += wait
            granted.append(now)
        now += stall
    assert len(granted) >= 0.9 * UNITS / SECONDS * (now - 1_000.0)
    # A slot is a tick later than what left the window: in floating point it may look a rounding too early.
    assert all(
        later - earlier >= SECONDS - 1e-6 for earlier, later in zip(granted, granted[int(UNITS) :], strict=False)
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("units", "seconds"), [LIMIT, (40.0, 2.0), (10.0, 1.0)])
def test_no_window_is_too_full_though_calls_arrive_late_by_turns(units: float, seconds: float, seed: int) -> None:
    """As on a busy machine at a share of 1.0: one call is held up on its way, the next ones are not."""
    random, now, pace = Random(seed), 1_000.0, Pace()
    arrived: list[float] = []
    for _ in range(6):
        end = now + random.uniform(1, 3) * seconds
        while now < end:
            wait, pace = next_slot(pace, now, 1.0, units, seconds)
            now += wait
            arrived.append(now + random.choice((0.0, 0.029 * seconds)))
        now += random.uniform(0.1, 0.9)
    assert most_in_a_window(sorted(arrived), seconds) <= units
