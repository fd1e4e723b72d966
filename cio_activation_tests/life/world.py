"""The simulated town: 300 people over the three stand-ins, its calendar, and when there is news of people."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import dagster as dg
import yaml

from cio_activation.activation.models import Lane
from cio_activation.activation.windows import Window
from cio_activation.cli.windows import Windows
from cio_activation.sandbox.build import build_sandbox
from cio_activation.sandbox.server.running import RunningSandbox
from cio_activation.sandbox.world.orders import generate
from cio_activation.sandbox.world.world import World
from cio_activation_tests.drivers import builders, lanes
from cio_activation_tests.drivers.access import OF_OURS
from cio_activation_tests.drivers.town import UNLIMITED, WITHOUT_LAGS, Town
from cio_activation_tests.drivers.warm import warm_warehouses
from cio_activation_tests.life.clock import Clock, simulated

ZONE = ZoneInfo("America/New_York")
FIRST_DAY = datetime(2026, 9, 28).date()
"""In the 120 days from here on the clocks change in Sydney, Berlin and New York."""
AUTUMN = datetime(2026, 10, 24).date()
"""In the nine days from here on they change in Berlin and New York."""
WINDOW_S = 3_600
"""Of the real-time lane, as the activation says: news of an hour is one run."""
BEFORE_THE_END = timedelta(minutes=1)
"""A real-time run comes so long before its window ends, a daily run so long after."""
VIP_CART = 150.0
HOUR, DAY = 3_600, 86_400


def begin_of_day(number: int, first: Any) -> datetime:
    """Return when the ``number``-th day (from 0) begins in the workspace's time zone, in UTC."""
    return datetime.combine(first + timedelta(days=number), time(), ZONE).astimezone(UTC)


class LifeTown(Town):
    """A town whose daily windows follow the workspace's zone, and in which everybody lives at the same time."""

    def __init__(
        self, home: Path, sandbox: RunningSandbox, file: dict[str, Any], clock: Clock, begins: datetime
    ) -> None:
        self.clock = clock
        super().__init__(home, sandbox, builders.load(home, yaml.safe_dump(file, sort_keys=False)), begins)

    def wait(self, duration: timedelta) -> None:
        """Let time pass for everybody."""
        self.clock.set((self.now + duration).timestamp())
        super().wait(duration)

    def go_to(self, instant: datetime) -> None:
        """Make it ``instant``."""
        self.wait(instant - self.now)

    def window(self, lane: Lane) -> Window:
        """Return the lane's window now: the last full day of the workspace, or the running hour."""
        if lane is Lane.DAILY:
            today = self.now.astimezone(ZONE).date()
            start, end = (begin_of_day(number, today) for number in (-1, 0))
            return Window(lane, f"{today - timedelta(days=1)}", start, end)
        end_s = -(-self.now.timestamp() // WINDOW_S) * WINDOW_S
        start = datetime.fromtimestamp(end_s - WINDOW_S, UTC)
        return Window(lane, start.strftime("%Y-%m-%dT%H:%M"), start, datetime.fromtimestamp(end_s, UTC))

    def run_in_dagster(self, lane: Lane) -> Mapping[str, int]:
        """Run the lane's window as Dagster does, in this process; return how its operations ended."""
        window, began = self.window(lane), self.clock.aware()
        others = {name: value for name, value in os.environ.items() if not name.startswith(OF_OURS)}
        with (
            mock.patch.dict(os.environ, others | self._environment(), clear=True),
            dg.DagsterInstance.ephemeral() as instance,
        ):
            ran = self._windows.run(instance, window)
        assert ran.ok, f"{lane} {window.key}: {ran.failures}"
        assert (ran.window.start, ran.window.end) == (window.start, window.end)
        planned = f"SELECT planned_at FROM audience.assignments WHERE as_of = '{window.as_of}'"
        for (at,) in self.query(planned):  # else due times would count from another present
            assert began <= at.replace(tzinfo=UTC) <= max(self.clock.aware(), window.end), (window.key, at)
        return {end: sum(counts[end] for counts in ran.operations.values()) for end in ("planned", "held")}

    @cached_property
    def _windows(self) -> Windows:
        windows = Windows(self.activation)
        self.clock.follow()  # what only Dagster's side imports says when something was planned
        return windows

    def _environment(self) -> dict[str, str]:
        quick = {name.upper(): str(value) for name, value in lanes.QUICK.items()}
        return {**self.sandbox.environment(), **quick, "ACTIVATION_HOME": str(self.home)}

    def turns(self, after: float, until: float) -> list[float]:
        """Return when somebody may come into or leave a real-time segment by themselves, in this span."""
        found: set[float] = set()
        con = self.world._con.cursor()
        carts = con.execute(
            "SELECT opened_at, checkout_at, closed_at FROM carts WHERE value >= $1 AND opened_at <= $2 AND closed_at > $3",
            [VIP_CART, int(until), int(after) - 3 * DAY],
        ).fetchall()
        for opened, checkout, closed in carts:
            for changed in {opened, checkout or opened}:
                found |= {changed + 2 * HOUR + 1, changed + 2 * DAY + 1}
            found.add(closed)
        return sorted(at for at in found if after < at <= until)

    def inside(self, segments: tuple[int, ...]) -> dict[int, frozenset[str]]:
        """Return who is in each segment now."""
        now = self.world.at(self.now.timestamp())
        return {segment: frozenset(now.members(segment)) for segment in segments}


@contextmanager
def life_town(
    home: Path, file: dict[str, Any], *, people: int, days: int, first: Any = FIRST_DAY, seed: int = 5
) -> Iterator[LifeTown]:
    """Run the town in this process. Its history is made up to end with the simulation, so that all of it is replayed."""
    begins, ends = begin_of_day(0, first), begin_of_day(days + 1, first)
    with ExitStack() as stack:
        clock = stack.enter_context(simulated(begins.timestamp()))
        world = World(generate(people, seed, ends_at=ends.timestamp()), seed=seed, dirty_share=0.0, newcomer_share=0.0)
        sandbox = build_sandbox(
            world,
            now=begins.timestamp(),
            export_seconds=0.0,
            customerio=UNLIMITED,
            hubspot=WITHOUT_LAGS,
            pipedrive=UNLIMITED,
            crm_share=0.6,
            pipedrive_share=0.3,
        )
        stack.callback(sandbox.stop)
        shutil.rmtree(home, ignore_errors=True)
        town = LifeTown(home, sandbox, file, clock, begins)
        stack.enter_context(warm_warehouses())
        yield town
