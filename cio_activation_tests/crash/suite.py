"""Kills runs of a lane and looks at what the next run makes of it.

One round: the world moves on, a run is killed, the next run of the same lane goes through, and then: nothing is
lost, nothing is there twice, every plan's counts add up, at most what was in flight was asked again. Now and then a
further run must be quiet.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from cio_activation.activation.models import Lane
from cio_activation.cli.readback import READS
from cio_activation_tests import expected, lanes
from cio_activation_tests.crash import worker
from cio_activation_tests.crash.nursery import Child, Ended, call, warm_up
from cio_activation_tests.crash.vendors import Vendors
from cio_activation_tests.town import warm_warehouse

SETTLE_S = 0.6
"""How long a worker waits before it looks a creation up; longer than any delay the vendors are given."""
DELAYS = (0.05, 0.15, 0.3)
_PATHS = ("*/contacts/batch/u*", "*/memberships/*", "/api/v2/persons", "/api/v2/persons/*")
UNBALANCED = """SELECT plan_id, step, status, planned, delivered, rejected, superseded, held FROM delivery.plans
    WHERE status = 'sending' OR planned <> coalesce(delivered + rejected + superseded + held, -1)
    AND planned > 0"""


@dataclass
class Figures:
    """What a series of kills came to."""

    kills: int = 0
    outlived: int = 0
    """Runs that ended before their kill."""
    lost: int = 0
    doubles: int = 0
    unbalanced: int = 0
    loud: int = 0
    """Further runs that wrote although nothing had changed."""
    quiet_checked: int = 0
    failed: int = 0
    """Next runs that failed."""
    batches_again: Counter[tuple[str, int]] = field(default_factory=Counter)
    """(destination, batches of one round asked again) -> rounds."""
    seconds: float = 0.0
    complaints: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubles or self.unbalanced or self.loud or self.failed)

    def as_dict(self) -> dict[str, Any]:
        again = {
            name: {str(n): rounds for (place, n), rounds in sorted(self.batches_again.items()) if place == name}
            for name in ("hubspot", "pipedrive")
        }
        return {
            "kills": self.kills, "outlived": self.outlived, "lost": self.lost, "doubles": self.doubles,
            "unbalanced_plans": self.unbalanced, "failed_next_runs": self.failed,
            "further_runs": self.quiet_checked, "loud_further_runs": self.loud,
            "rounds_by_batches_asked_again": again,
            "seconds_per_kill": round(self.seconds / max(1, self.kills), 2), "complaints": self.complaints[:20],
        }  # fmt: skip


class Suite:
    """Vendors in another process, a home, and the means to kill runs over them."""

    def __init__(self, home: Path, vendors: Vendors, environment: dict[str, str], seed: int, people: int) -> None:
        self._home, self._vendors, self._random = home, vendors, random.Random(seed)
        self._environment = environment | {"VENDOR_SETTLE_S": str(SETTLE_S)}
        self._people = people
        self._now = lanes.START + timedelta(days=1)
        self._made = 0
        self._stirred: list[str] = []
        """Who got a cart since the last run."""
        self._typical = {Lane.DAILY: 3.0, Lane.REALTIME: 2.0}
        self.figures = Figures()
        self._set_time()

    def begin(self) -> None:
        """Run both lanes once, so that the rounds start from a delivered world."""
        for lane in (Lane.DAILY, Lane.REALTIME, Lane.DAILY):
            self._typical[lane] = self._complete(lane).seconds

    def random_kills(self, count: int) -> None:
        """Kill ``count`` runs, each at a random moment of its life."""
        for number in range(count):
            lane = self._random.choice((Lane.DAILY, Lane.REALTIME))
            self._round(f"kill {number}", lane, None, quiet=number % 5 == 4)

    def boundaries(self, lane: Lane) -> list[str]:
        """Return the boundaries a run of ``lane`` with something to do passes, the first time of each name."""
        self._stir(lane)
        trace = self._home / "boundaries.txt"
        trace.unlink(missing_ok=True)
        call(self._killable(lane), self._environment | {worker.CRASH_TRACE: str(trace)})
        passed = trace.read_text().splitlines()
        return [p for p in passed if p.endswith("#1")]

    def kill_at(self, lane: Lane, boundary: str) -> None:
        """Kill one run at a boundary."""
        self._round(boundary, lane, boundary, quiet=False)

    def _round(self, name: str, lane: Lane, boundary: str | None, *, quiet: bool) -> None:
        started = time.monotonic()
        self._stir(lane)
        self._vendors.clear_log()
        killed = self._killed(lane, boundary)
        while boundary is None and killed.killed and self._random.random() < 0.15:
            killed = self._killed(lane, None)  # the run that should have mended it dies too
        self.figures.kills += killed.killed
        self.figures.outlived += not killed.killed
        before = self._vendors.entries()
        self._vendors.clear_log()
        self._vendors.clear_faults()
        if boundary is None and self._random.random() < 0.3:
            self._take_back(lane)
        try:
            self._typical[lane] = self._complete(lane).seconds
            found = call(self._look(lane), self._environment)
        except Exception as error:
            self.figures.failed += 1
            self.figures.complaints.append(f"{name} {lane}: the next run failed: {error}")
            return
        self._count_again(before, self._vendors.entries())
        self._judge(f"{name} {lane}", found)
        if quiet:
            self._quiet(name, lane)
        self.figures.seconds += time.monotonic() - started

    def _killed(self, lane: Lane, boundary: str | None) -> Ended:
        if boundary is not None:
            return Child(self._killable(lane), self._environment | {worker.CRASH_AT: boundary}).wait()
        if self._random.random() < 0.7:
            self._vendors.fault(
                kind="delay", delay_s=self._random.choice(DELAYS), when=self._random.choice(("before", "after")),
                path=self._random.choice(_PATHS), times=self._random.choice((1, 5)),
            )  # fmt: skip
        # Extraction and decisions take the first third: most kills go where vendors are written to.
        share = self._random.uniform(0.3, 1.0) if self._random.random() < 0.75 else self._random.uniform(0.0, 0.3)
        child = Child(self._killable(lane), self._environment)
        time.sleep(share * self._typical[lane])
        child.kill()
        return child.wait()

    def _complete(self, lane: Lane) -> Ended:
        home, number = self._home, self._number(lane)

        def run() -> dict[str, Any]:
            with warm_warehouse(home / "warehouse.duckdb"):
                done = worker.work(home, lane, number)
            return {"planned": done.planned}

        return Child(run, self._environment).wait()

    def _killable(self, lane: Lane) -> Callable[[], Any]:
        home, number = self._home, self._number(lane)
        return lambda: worker.killable(home, lane, number)

    def _look(self, lane: Lane) -> Callable[[], dict[str, Any]]:
        home, environment, there = self._home, dict(self._environment), self._vendors.state()

        def look() -> dict[str, Any]:
            runtime = lanes.build_runtime(home, environment, lanes.small_activation(home))
            with warm_warehouse(runtime.warehouse.path), runtime.warehouse.read() as con:
                unbalanced = con.execute(UNBALANCED).fetchall()
                lost = expected.differences(runtime, there, (lane,))
            return {
                "lost": lost, "doubles": expected.doubles(there),
                "unbalanced": [[str(v) for v in row] for row in unbalanced],
            }  # fmt: skip

        return look

    def _judge(self, name: str, found: dict[str, Any]) -> None:
        for what in ("lost", "doubles", "unbalanced"):
            setattr(self.figures, what, getattr(self.figures, what) + len(found[what]))
            self.figures.complaints += [f"{name}: {what}: {one}" for one in found[what]]

    def _quiet(self, name: str, lane: Lane) -> None:
        self._vendors.clear_log()
        self._complete(lane)
        writes = [e for e in self._vendors.entries() if _writes(e)]
        self.figures.quiet_checked += 1
        self.figures.loud += bool(writes)
        self.figures.complaints += [f"{name} {lane}: again {w['method']} {w['path']}" for w in writes]

    def _count_again(self, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
        for destination in ("hubspot", "pipedrive"):
            done = {u for e in before if e["vendor"] == destination and _applied(e) for u in _units(e)}
            again = sum(1 for e in after if e["vendor"] == destination and done.intersection(_units(e)))
            self.figures.batches_again[destination, again] += 1

    # -- the world --------------------------------------------------------------------------------------

    def _number(self, lane: Lane) -> int:
        if lane is Lane.DAILY:
            return (self._now - lanes.START) // timedelta(days=1)
        return -((lanes.START - self._now) // lanes.QUARTER)

    def _set_time(self) -> None:
        self._vendors.clock(self._now.timestamp())
        self._vendors.edit("customerio", "freeze", at=self._now.timestamp())

    def _take_back(self, lane: Lane) -> None:
        """Undo what the killed run may have sent: half of those it entered leave before the next run."""
        for who in self._stirred[::2]:
            self._vendors.edit("customerio", "clear_cart", cio_id=who)
        if lane is Lane.DAILY and self._stirred:
            self._vendors.edit("customerio", "delete_person", cio_id=self._stirred[-1])

    def _stir(self, lane: Lane) -> None:
        """Let people come, go, buy, fill carts and ask, so that every step of the lane has something to do."""
        self._now += timedelta(minutes=20)
        self._set_time()
        act = self._vendors.edit
        everyone = self._vendors.people()
        some = self._random.sample(everyone, 8)
        made: list[str] = []
        for _ in range(2):
            self._made += 1
            new = act("customerio", "add_person", id=f"N{self._made}", email=f"new{self._made}@example.com")["cio_id"]
            made.append(str(new))
            for value in (30.0, 45.0):
                # Earlier than the cart: an order empties the cart of its moment.
                earlier = (self._now - timedelta(minutes=10)).timestamp()
                act("customerio", "place_order", cio_id=new, value=value, category="Tea", at=earlier)
            act("customerio", "fill_cart", cio_id=new, value=self._random.choice((90.0, 250.0)))
            if self._random.random() < 0.5:
                for _ in range(2):
                    act("customerio", "click", cio_id=new, kind="wismo")
        act("customerio", "place_order", cio_id=some[0], value=61.5, category="Tea")
        act("customerio", "place_order", cio_id=some[1], value=-9.0, category="Tea")
        act("customerio", "fill_cart", cio_id=some[2], value=self._random.choice((20.0, 120.0, 300.0)))
        act("customerio", "fill_cart", cio_id=some[3], value=210.0)
        self._stirred = [some[2], some[3], *made]
        for _ in range(2):
            act("customerio", "click", cio_id=some[4], kind="wismo")
        if lane is Lane.DAILY and len(everyone) > self._people:
            for gone in some[5:8]:
                act("customerio", "delete_person", cio_id=gone)


def _writes(entry: dict[str, Any]) -> bool:
    return entry["method"] != "GET" and not entry["path"].endswith(READS)


def _applied(entry: dict[str, Any]) -> bool:
    return _writes(entry) and entry["status"] is not None and 200 <= entry["status"] < 300


def _units(entry: dict[str, Any]) -> Iterator[str]:
    """Yield what a write does, piece by piece: one text per record and change."""
    if not _writes(entry):
        return
    body, path = entry["request"], entry["path"]
    if "/memberships/" in path:
        for key in ("recordIdsToAdd", "recordIdsToRemove"):
            yield from (f"{path} {key} {one}" for one in body[key])
    elif isinstance(body, dict) and "inputs" in body:
        yield from (
            f"{path} {one.get('id')} {json.dumps(one.get('properties'), sort_keys=True)}" for one in body["inputs"]
        )
    else:
        yield f"{entry['method']} {path} {json.dumps(body, sort_keys=True)}"


@contextmanager
def running(home: Path, *, people: int, seed: int) -> Iterator[Suite]:
    """Start the vendors in another process and yield a suite that has begun."""
    warm_up()
    command = [sys.executable, "-m", "cio_activation_tests.crash.vendors", str(people), str(seed)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        suite = Suite(home, Vendors(said["urls"]), said["environment"], seed, people)
        suite.begin()
        yield suite
    finally:
        process.terminate()
        process.wait(10)
