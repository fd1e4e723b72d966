"""The vendor's day in the journal: counted over all processes, corrected by the vendor, kept in parts, anew at midnight."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cio_activation.journal.attempts import Journal
from cio_activation.journal.days import EXIT_SHARE, PROBE_S, Days, Meter, Told, ordinary

MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC).timestamp()
HOUR = 3_600.0


class Clock:
    def __init__(self) -> None:
        self.now = MIDNIGHT


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(Journal, "now", lambda self, con: made.now)
    return made


def said(headers: Mapping[str, str]) -> Told:
    return Told(day_left=float(headers["left"]), day_limit=float(headers["limit"])) if headers else Told()


def days(
    url: str, lane: str = "daily", *, ours: float | None = 1_000.0, reserve: float = 0.0, zone: str = "UTC"
) -> Days:
    return Days(Journal(url), {"v": Meter("tokens", zone, ours, 0.8, reserve, said)}, lane)


def take(one: Days, units: float, *, exit: bool = True) -> bool:
    """Take ``units`` as a write of its class would; False if they were not given."""
    token = ordinary.set(not exit)
    try:
        journal = one._journal
        with journal.transaction(durable=False) as con:
            return one.spend(con, "v", units, journal.now(con)) is None
    finally:
        ordinary.reset(token)


def left(one: Days) -> tuple[float, float]:
    found = one.allowance("v")
    assert found is not None
    return found.exits, found.others


def test_what_all_processes_use_is_one_budget_and_a_new_day_starts_it_anew(journal_url: str, clock: Clock) -> None:
    one, other = days(journal_url), days(journal_url, "realtime")
    assert take(one, 600)
    assert take(other, 300)
    assert left(one)[0] == left(other)[0] == 100
    assert not take(one, 101)
    assert take(one, 100)
    assert not take(other, 1)
    clock.now += 24 * HOUR
    assert left(one)[0] == 1_000


def test_workers_at_once_never_use_more_than_there_is(journal_url: str, clock: Clock) -> None:
    def work(_number: int) -> int:
        mine = days(journal_url)
        return sum(take(mine, 5) for _ in range(60))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(4))) == 200


def test_a_day_turns_where_the_vendor_is(journal_url: str, clock: Clock) -> None:
    there = days(journal_url, zone="US/Eastern")
    clock.now = MIDNIGHT + 4 * HOUR  # 23:00 of the day before in New York
    assert take(there, 1_000)
    clock.now += 0.9 * HOUR
    assert not take(there, 1)
    found = there.allowance("v")
    assert found is not None
    assert found.resets_at == datetime(2026, 11, 20, 5, tzinfo=UTC)
    clock.now += 0.2 * HOUR
    assert take(there, 1)


def test_the_daily_lane_leaves_the_reserve_alone_and_its_exits_may_use_it(journal_url: str, clock: Clock) -> None:
    daily, live = (days(journal_url, lane, reserve=0.25) for lane in ("daily", "realtime"))
    kept = 1_000 * EXIT_SHARE
    assert left(daily) == (1_000, pytest.approx(750 - kept))
    assert left(live) == (1_000, pytest.approx(1_000 - kept))
    assert take(daily, 730, exit=False)
    assert not take(daily, 1, exit=False)
    assert take(live, 200, exit=False)
    assert take(daily, 60)
    assert take(live, 10)
    assert not take(live, 1, exit=False)


def test_what_is_kept_shrinks_with_the_rest_of_the_day(journal_url: str, clock: Clock) -> None:
    daily = days(journal_url, reserve=0.5)
    clock.now += 12 * HOUR
    assert left(daily)[1] == pytest.approx(1_000 * (1 - 0.25 - EXIT_SHARE / 2))
    clock.now += 12 * HOUR - 1
    assert left(daily)[1] == pytest.approx(1_000, rel=1e-3)


def test_what_other_apps_use_is_taken_from_what_is_left(journal_url: str, clock: Clock) -> None:
    one = days(journal_url)
    one.observe("v", "default", {"left": "40", "limit": "30000"})
    assert left(one)[0] == 40
    assert take(one, 30)
    assert left(days(journal_url))[0] == 10


def test_without_a_budget_of_its_own_a_share_of_what_the_vendor_says_is_ours(journal_url: str, clock: Clock) -> None:
    one = days(journal_url, ours=None)
    assert left(one)[0] == float("inf")
    one.observe("v", "default", {"left": "900", "limit": "1000"})
    assert left(one)[0] == 800
    clock.now += 24 * HOUR
    assert left(one)[0] == 800  # the limit is still known, what was left yesterday is not


def test_a_vendor_that_says_its_day_is_used_up_is_believed_by_all_and_asked_again_later(
    journal_url: str, clock: Clock
) -> None:
    one, other = days(journal_url), days(journal_url, "realtime")
    one.close("v")
    assert not take(other, 5)
    clock.now += PROBE_S + 1
    assert take(other, 5)
    assert not take(one, 5)  # one asks, the others wait for what it learns
    other.observe("v", "default", {"left": "500", "limit": "1000"})
    assert take(one, 5)


def test_what_a_killed_process_used_stays_used(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'journal.sqlite'}"
    code = (
        "import os, sys; from cio_activation_tests.journal.test_days import days, take; "
        "take(days(sys.argv[1]), 700); print('taken', flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, url], stdout=subprocess.PIPE, env=os.environ, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"taken\n")
    assert left(days(url))[0] == 300
