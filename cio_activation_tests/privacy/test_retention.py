"""Old raw files and plans go, and what is still read stays however old it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cio_activation.activation.models import Lane
from cio_activation.privacy.retention import Pruned, prune
from cio_activation_tests.drivers.town import Town, town

DAY = timedelta(days=1)
NOW = datetime(2030, 1, 1)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Town]:
    with town(tmp_path / "home", people=30) as made:
        for day in range(3):
            made.run(Lane.DAILY)
            age(made.home, NOW - timedelta(days=200 - day))
            made.wait(DAY)
        yield made


def age(home: Path, at: datetime) -> None:
    """Have every file that is not dated yet say that it was written at ``at``."""
    written = at.replace(tzinfo=UTC).timestamp()
    for path in [*home.glob("raw/**/*"), *home.glob("plans/**/*")]:
        if path.is_file() and path.stat().st_mtime < datetime(2028, 1, 1, tzinfo=UTC).timestamp():
            os.utime(path, (written, written))


def windows(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "raw" / "daily").iterdir())


def pruned(here: Town, now: datetime) -> Pruned:
    return prune(here.runtime, now)


def test_what_is_old_goes_and_what_is_read_stays(here: Town) -> None:
    before = windows(here.home)
    young = pruned(here, NOW - 180 * DAY)
    assert (young.raw_windows, young.plan_files, young.freed_bytes) == (0, 0, 0)
    assert windows(here.home) == before
    plans = {path.stem for path in here.home.glob("plans/**/*.parquet")}
    done = pruned(here, NOW)
    assert (done.raw_windows, windows(here.home)) == (len(before) - 1, before[-1:])
    stayed = {path.stem for path in here.home.glob("plans/**/*.parquet")}
    assert done.plan_files == len(plans) - len(stayed) > 0
    newest = here.query(
        """SELECT plan_id FROM delivery.plans WHERE planned > 0 AND status <> 'held'
        QUALIFY row_number() OVER (PARTITION BY destination, step ORDER BY made_at DESC) = 1"""
    )
    assert stayed == {plan_id for (plan_id,) in newest}
    assert done.freed_bytes > 0
    assert here.query("SELECT DISTINCT window_key FROM raw.files WHERE lane = 'daily'") == [(before[-1],)]


def test_the_lanes_go_on_without_what_went(here: Town) -> None:
    pruned(here, NOW)
    here.settle()
    assert here.differences() == []
    mark = here.mark()
    here.run(Lane.DAILY)
    assert here.writes(mark) == []


def test_a_window_that_is_young_in_one_file_stays_whole(here: Town) -> None:
    oldest = here.home / "raw" / "daily" / windows(here.home)[0]
    young = next(path for path in oldest.iterdir())
    at = (NOW - DAY).replace(tzinfo=UTC).timestamp()
    os.utime(young, (at, at))
    files = sorted(oldest.iterdir())
    pruned(here, NOW)
    assert sorted(oldest.iterdir()) == files


def test_what_a_guard_holds_stays_to_be_released(here: Town) -> None:
    held = here.query("SELECT plan_id FROM delivery.plans WHERE planned > 0 ORDER BY made_at LIMIT 1")[0][0]
    with here.runtime.warehouse.write() as con:
        con.execute("UPDATE delivery.plans SET status = 'held' WHERE plan_id = ?", [held])
    pruned(here, NOW)
    assert held in {path.stem for path in here.home.glob("plans/**/*.parquet")}
