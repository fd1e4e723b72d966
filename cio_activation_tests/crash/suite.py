"""Kills runs of a lane and looks at what the next run makes of it.

One round: the world moves on, a run is killed, the next run of the same lane goes through, and then: nothing is
lost, nothing is there twice, every plan's counts add up, at most what was in flight was asked again. Now and then the
other lane has a run in between, before what the killed one had answered is folded, and now and then a further run must
be quiet.
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
from cio_activation_tests.crash import worker
from cio_activation_tests.crash.nursery import Child, Ended, call, imported, warm_up
from cio_activation_tests.crash.vendors import Vendors
from cio_activation_tests.drivers import lanes
from cio_activation_tests.drivers.oracles import actions, expected
from cio_activation_tests.drivers.warm import warm_warehouses

SETTLE_S = 0.6
"""How long a worker waits before it looks a creation up; longer than any delay the vendors are given."""
AT_ONCE = {"hubspot": 4, "pipedrive": 8}
"""Calls a step has in flight at most, each a batch: that many a killed run may leave without a recorded answer."""
DELAYS = (0.05, 0.15, 0.3)
_PATHS = (
    "*/contacts/batch/u*", "*/memberships/*", "/api/v2/persons", "/api/v2/persons/*", "*/tasks/batch/*",
    "/api/v2/activities*", "/api/v2/batch",
)  # fmt: skip
UNBALANCED = """SELECT plan_id, step, status, planned, delivered, rejected, unneeded, held FROM delivery.plans
    WHERE status = 'sending' OR planned <> coalesce(delivered + rejected + unneeded + held, -1)
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
    calls_again: Counter[tuple[str, int]] = field(default_factory=Counter)
    """(destination, calls of one round that did again what was done) -> rounds."""
    too_often: int = 0
    """Rounds and destinations with more of those than may have been in flight."""
    seconds: float = 0.0
    complaints: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubles or self.unbalanced or self.loud or self.failed or self.too_often)

    def as_dict(self) -> dict[str, Any]:
        again = {
            name: {str(n): rounds for (place, n), rounds in sorted(self.calls_again.items()) if place == name}
            for name in AT_ONCE
        }
        return {
            "kills": self.kills, "outlived": self.outlived, "lost": self.lost, "doubles": self.doubles,
            "unbalanced_plans": self.unbalanced, "failed_next_runs": self.failed,
            "further_runs": self.quiet_checked, "loud_further_runs": self.loud,
            "rounds_by_calls_made_again": again,
            "seconds_per_kill": round(self.seconds / max(1, self.kills), 2), "complaints": self.complaints[:20],
        }  # fmt: skip


class Suite:
    """Vendors in another process, a home, and the means to kill runs over them."""

    def __init__(self, home: Path, vendors: Vendors, environment: dict[str, str], seed: int, people: int) -> None:
        self._home, self._vendors, self._random = home, vendors, random.Random(seed)
        self._environment = environment | {"VENDOR_SETTLE_S": str(SETTLE_S)}
        self._people = people
        self._now = lanes.START + timedelta(days=1)
        self._made = self._told = 0
        self._stirred: list[str] = []
        """Who got a cart since the last run."""
        self._typical = {Lane.DAILY: 1.0, Lane.REALTIME: 1.0}
        self.figures = Figures()
        self._set_time()

    def begin(self) -> None:
        """Run both lanes once, so that the rounds start from a delivered world."""
        for lane in (Lane.DAILY, Lane.REALTIME, Lane.DAILY):
            warm_up(self._complete(lane, look=False).answer["imported"])
            self._stir(lane)

    def random_kills(self, count: int) -> None:
        """Kill ``count`` runs, each at a random moment of its life."""
        for number in range(count):
            lane = self._random.choice((Lane.DAILY, Lane.REALTIME))
            self._round(f"kill {number}", lane, None, quiet=number % 5 == 3)
            self._tell(f"kill {number}")

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
        self._tell(boundary)

    def _tell(self, name: str) -> None:
        """Say on standard error how far it is, and what has gone wrong since."""
        new = self.figures.complaints[self._told :]
        self._told += len(new)
        print("\n   ".join([f"{self.figures.kills} kills, {name}", *new]), file=sys.stderr, flush=True)

    def _round(self, name: str, lane: Lane, boundary: str | None, *, quiet: bool) -> None:
        started = time.monotonic()
        self._stir(lane)
        self._vendors.clear_log()
        ended = [self._killed(lane, boundary)]
        while boundary is None and ended[-1].killed and self._random.random() < 0.15:
            ended.append(self._killed(lane, None))  # the run that should have mended it dies too
        kills = sum(one.killed for one in ended)
        self.figures.kills += kills
        self.figures.outlived += len(ended) - kills
        self._vendors.clear_faults()
        if boundary is None and self._random.random() < 0.3:
            self._take_back(lane)
        try:
            if self._random.random() < 0.3:
                self._complete(Lane.REALTIME if lane is Lane.DAILY else Lane.DAILY, look=False)
            found = self._complete(lane).answer
        except Exception as error:
            self.figures.failed += 1
            self.figures.complaints.append(f"{name} {lane}: the next run failed: {error}")
            return
        self._count_again(f"{name} {lane}", kills, self._vendors.entries())
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

    def _complete(self, lane: Lane, *, look: bool = True) -> Ended:
        """Run the lane undisturbed; the answer says what is wrong afterwards, if it is to ``look``."""
        home, number, environment, vendors = self._home, self._number(lane), dict(self._environment), self._vendors

        def run() -> dict[str, Any]:
            with warm_warehouses():
                worker.work(home, lane, number)
                if not look:
                    return {"imported": imported()}
                runtime = lanes.build_runtime(home, environment, lanes.small_activation(home, worker.ACTIVATION))
                there = vendors.state()
                with runtime.warehouse.read() as con:
                    unbalanced = con.execute(UNBALANCED).fetchall()
                lost = expected.differences(runtime, there, (lane,)) + actions.differences(runtime, there, (lane,))
            return {
                "lost": lost, "doubles": expected.doubles(there) + actions.doubles(there),
                "unbalanced": [[str(v) for v in row] for row in unbalanced],
            }  # fmt: skip

        done = Child(run, self._environment).wait()
        self._typical[lane] = done.seconds
        return done

    def _killable(self, lane: Lane) -> Callable[[], Any]:
        home, number = self._home, self._number(lane)
        return lambda: worker.killable(home, lane, number)

    def _judge(self, name: str, found: dict[str, Any]) -> None:
        for what in ("lost", "doubles", "unbalanced"):
            setattr(self.figures, what, getattr(self.figures, what) + len(found[what]))
            self.figures.complaints += [f"{name}: {what}: {one}" for one in found[what]]

    def _quiet(self, name: str, lane: Lane) -> None:
        self._vendors.clear_log()
        self._complete(lane, look=False)
        writes = [e for e in self._vendors.entries() if _writes(e)]
        self.figures.quiet_checked += 1
        self.figures.loud += bool(writes)
        self.figures.complaints += [f"{name} {lane}: again {w['method']} {w['path']}" for w in writes]

    def _count_again(self, name: str, kills: int, entries: list[dict[str, Any]]) -> None:
        """Count the calls of a round that did again what an earlier one had done already, killed run or next one."""
        for destination in AT_ONCE:
            done: set[str] = set()
            again = 0
            for entry in entries:
                if entry["vendor"] == destination and _applied(entry):
                    units = set(_units(entry))
                    again += not done.isdisjoint(units)
                    done |= units
            self.figures.calls_again[destination, again] += 1
            if again > AT_ONCE[destination] * kills:
                self.figures.too_often += 1
                self.figures.complaints.append(f"{name}: {again} calls to {destination} made again after {kills} kills")

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
        self._work_on_one()
        self._stirred = [some[2], some[3], *made]
        for _ in range(2):
            act("customerio", "click", cio_id=some[4], kind="wismo")
        if lane is Lane.DAILY and len(everyone) > self._people:
            for gone in some[5:8]:
                act("customerio", "delete_person", cio_id=gone)

    def _work_on_one(self) -> None:
        """Let a human complete, put off or delete something of ours, now and then."""
        there = self._vendors.state()
        tasks = [i for i, one in actions.tasks(there).items() if one.open]
        calls = [i for i, one in actions.activities(there).items() if one.open]
        deed = self._random.random()
        if tasks and deed < 0.3:
            self._vendors.edit("hubspot", "complete_task", id=self._random.choice(tasks))
        elif calls and deed < 0.6:
            self._vendors.edit("pipedrive", "complete_activity", activity=int(self._random.choice(calls)))
        elif calls and deed < 0.75:
            self._vendors.edit("pipedrive", "delete_activity", activity=int(self._random.choice(calls)))


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
