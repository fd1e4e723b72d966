"""Several runs of one step at once, no double: real processes, a vendor in another, on SQLite and on PostgreSQL.

The vendor makes a record for every creation it is asked for, so that a double cannot hide.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cio_activation.activation.models import Lane
from cio_activation.journal.attempts import Journal
from cio_activation.journal.operations import by_name
from cio_activation.journal.schema import leases
from cio_activation_tests.delivery import workers
from cio_activation_tests.drivers.decided import write_state

PEOPLE = 300
PROGRAM = [sys.executable, "-m", "cio_activation_tests.delivery.workers"]
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def warm() -> None:
    """Let go of the warehouse between sessions: its file is for the workers."""


class Vendor:
    """The vendor's process, seen from outside."""

    def __init__(self) -> None:
        self.process = subprocess.Popen([*PROGRAM, "serve"], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    def state(self) -> dict[str, dict[str, int]]:
        with urllib.request.urlopen(f"{self.url}/state", timeout=10) as answer:
            found: dict[str, dict[str, int]] = json.load(answer)
        return found

    def delay(self, seconds: float) -> None:
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/delay/{seconds}", method="POST"), timeout=10)

    def calls_of(self, worker: Worker) -> int:
        return self.state()["calls"].get(str(worker.process.pid), 0)


class Worker:
    """One worker's process; it does nothing before ``go``."""

    def __init__(self, home: Path, journal_url: str, vendor: Vendor) -> None:
        self.process = subprocess.Popen(
            [*PROGRAM, "work", str(home), journal_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {workers.VENDOR: vendor.url},
        )

    def go(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def report(self) -> dict[str, Any]:
        out, _ = self.process.communicate(timeout=120)
        assert self.process.returncode == 0
        found: dict[str, Any] = json.loads(out)
        return found

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Works:
    """A home with ``PEOPLE`` people to make records for, a vendor, and workers that are gone when the test ends."""

    def __init__(self, home: Path, journal_url: str) -> None:
        self.home, self.journal_url = home, journal_url
        self.vendor = Vendor()
        self.started: list[Worker] = []
        run = workers.runtime(home, journal_url)
        write_state(run, Lane.DAILY, {f"p{i:04d}": {"size": "low"} for i in range(PEOPLE)})

    def workers(self, number: int) -> list[Worker]:
        """Start workers; the first holds the lease and is sending when the others are let go."""
        new = [Worker(self.home, self.journal_url, self.vendor) for _ in range(number)]
        self.started += new
        new[0].go()
        wait_until(lambda: self.vendor.calls_of(new[0]) > 0)
        for worker in new[1:]:
            worker.go()
        return new

    def kill_while_it_sends(self, worker: Worker) -> None:
        """Kill a worker between a call's arrival at the vendor and its answer."""
        self.vendor.delay(3.0)
        before = self.vendor.calls_of(worker)
        wait_until(lambda: self.vendor.calls_of(worker) > before)
        worker.kill()
        self.vendor.delay(0.05)

    def stop(self) -> None:
        for process in (self.vendor.process, *(w.process for w in self.started)):
            with suppress(ProcessLookupError):
                process.kill()
            process.communicate()

    def left_in_journal(self) -> int:
        """Return the rows that leases and open attempts left behind."""
        journal = Journal(self.journal_url)
        with journal.engine.connect() as con:
            rows = con.execute(sa.select(sa.func.count()).select_from(leases)).scalar_one()
        return int(rows) + len(journal.open_attempts("toy", "people", by_name(workers.Creations.kinds)))

    def linked(self) -> int:
        with workers.runtime(self.home, self.journal_url).warehouse.read() as con:
            return int(con.execute("SELECT count(*) FROM delivery.links WHERE record_id IS NOT NULL").fetchall()[0][0])


@pytest.fixture
def works(tmp_path: Path, journal_url: str) -> Iterator[Works]:
    made = Works(tmp_path / "home", journal_url)
    yield made
    made.stop()


def wait_until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


def everyone_once(vendor: Vendor) -> bool:
    return vendor.state()["made"] == {f"p{i:04d}": 1 for i in range(PEOPLE)}


@pytest.mark.parametrize("kind", ["create", "update"])  # a creation is also held by its claim; an update is not
def test_who_waits_for_another_run_of_the_step_finds_everyone_sent(
    works: Works, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(workers.KIND, kind)
    first, *others = works.workers(3)
    report, waited = first.report(), [w.report() for w in others]
    assert everyone_once(works.vendor)
    assert (report["planned"], report["delivered"]) == (PEOPLE, PEOPLE)
    assert [w["planned"] for w in waited] == [0, 0]
    assert set(works.vendor.state()["calls"]) == {str(first.process.pid)}
    assert (works.linked(), works.left_in_journal()) == (PEOPLE, 0)


def test_when_the_run_that_sends_is_killed_the_next_one_takes_over_what_is_left(works: Works) -> None:
    works.vendor.delay(0.4)
    doomed, *others = works.workers(3)
    works.kill_while_it_sends(doomed)
    reports = [w.report() for w in others]
    assert everyone_once(works.vendor)
    assert 0 < sum(r["recovered"] for r in reports) <= 2 * workers.Creations.batch_size
    assert (works.linked(), works.left_in_journal()) == (PEOPLE, 0)
