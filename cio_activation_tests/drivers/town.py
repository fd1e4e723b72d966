"""A small town: the three stand-ins over one world, and one installation that carries its states.

Customer.io stands still between two moments, so that "the same picture" means something; :meth:`Town.wait` moves it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.windows import Window
from cio_activation.cli.readback import READS
from cio_activation.sandbox.build import build_sandbox
from cio_activation.sandbox.server.request_log import Entry
from cio_activation.sandbox.server.running import RunningSandbox
from cio_activation.sandbox.world.orders import generate
from cio_activation.sandbox.world.world import World
from cio_activation_tests.drivers import lanes
from cio_activation_tests.drivers.lanes import LaneRun
from cio_activation_tests.drivers.oracles import expected
from cio_activation_tests.drivers.tables import query
from cio_activation_tests.drivers.warm import warm_warehouses

DESTINATIONS = ("hubspot", "pipedrive")
NOON = lanes.START + timedelta(hours=12)
UNLIMITED = {"limited": False}
WITHOUT_LAGS = {**UNLIMITED, "property_lag_s": 0.0, "search_lag_s": 0.0}


def build_town_sandbox(people: int, seed: int, *, dirty_share: float = 0.1, **vendors: Any) -> RunningSandbox:
    """Start the stand-ins over a made-up world that ends at noon of the first day; no limits, no lags."""
    world = World(generate(people, seed, ends_at=NOON.timestamp()), seed=seed, dirty_share=dirty_share)
    options: dict[str, Any] = {"customerio": UNLIMITED, "hubspot": WITHOUT_LAGS, "pipedrive": UNLIMITED, **vendors}
    return build_sandbox(world, export_seconds=0.0, **options)


class Town:
    """Stand-ins, an installation at ``home``, and a present moment that only moves by :meth:`wait`."""

    def __init__(
        self,
        home: Path,
        sandbox: RunningSandbox,
        activation: Activation | None = None,
        begins: datetime = lanes.START + timedelta(days=1),
    ) -> None:
        self.home, self.sandbox = home, sandbox
        self.activation = activation or lanes.small_activation(home)
        self.runtime = lanes.build_runtime(home, sandbox.environment(), self.activation)
        self.now = begins
        self.wait(timedelta(0))

    def wait(self, duration: timedelta) -> None:
        """Let time pass for everybody."""
        self.now += duration
        self.sandbox.shared.clock.set(self.now.timestamp())
        self.act("freeze", at=self.now.timestamp())

    def window(self, lane: Lane) -> Window:
        """Return the lane's window of this moment: the last full day, or the running quarter of an hour."""
        if lane is Lane.DAILY:
            return lanes.window(lane, (self.now - lanes.START) // timedelta(days=1))
        return lanes.window_at(lane, self.now)

    def run(self, lane: Lane, **options: Any) -> LaneRun:
        """Run a lane now."""
        return lanes.run_lane(self.runtime, lane, self.window(lane), **options)

    def settle(self) -> None:
        """Run both lanes until what one holds back for the other is through."""
        for lane in (Lane.DAILY, Lane.REALTIME, Lane.DAILY):
            self.run(lane)

    def act(self, action: str, **change: Any) -> dict[str, Any]:
        """Let somebody act in Customer.io, at this moment."""
        return self.sandbox.vendors["customerio"].edit({"action": action, **change})

    def by_hand(self, vendor: str, action: str, **change: Any) -> dict[str, Any]:
        """Let a colleague edit a CRM by hand."""
        return self.sandbox.vendors[vendor].edit({"action": action, **change})

    def people(self) -> list[str]:
        """Return everybody's ``cio_id`` in Customer.io, in order."""
        return [str(c) for c in self.world.at(self.now.timestamp()).facts.column("cio_id").to_pylist()]

    @property
    def there(self) -> dict[str, dict[str, Any]]:
        """What both CRMs hold."""
        return {name: self.sandbox.vendors[name].state() for name in DESTINATIONS}

    def differences(self, only: Sequence[Lane] = tuple(Lane)) -> list[str]:
        """Return where the CRMs differ from what was decided."""
        return expected.differences(self.runtime, self.there, only)

    def fault(self, **values: Any) -> None:
        self.sandbox.shared.faults.add(**values)

    def clear_faults(self) -> None:
        self.sandbox.shared.faults.clear()

    def mark(self) -> int:
        """Return the number of the newest request."""
        entries = self.sandbox.shared.log.entries
        return entries[-1].number if entries else 0

    def calls(self, since: int) -> list[Entry]:
        """Return the requests to both CRMs after ``since``."""
        return [e for e in self.sandbox.shared.log.entries if e.number > since and e.vendor in DESTINATIONS]

    def writes(self, since: int) -> list[Entry]:
        """Return the requests after ``since`` that can change something."""
        return [e for e in self.calls(since) if e.method != "GET" and not e.path.endswith(READS)]

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return query(self.runtime, sql)

    @property
    def world(self) -> World:
        """The world behind Customer.io's stand-in."""
        return self.sandbox.vendors["customerio"].world  # type: ignore[attr-defined, no-any-return]


@contextmanager
def town(home: Path, *, people: int = 40, seed: int = 7, warm: bool = True, **options: Any) -> Iterator[Town]:
    """Run a town in this process. ``warm`` keeps the warehouse's file open between sessions (see ``warm``)."""
    activation = options.pop("activation", None)
    with ExitStack() as stack:
        sandbox = build_town_sandbox(people, seed, **options)
        stack.callback(sandbox.stop)
        shutil.rmtree(home, ignore_errors=True)
        made = Town(home, sandbox, activation)
        if warm:
            stack.enter_context(warm_warehouses())
        yield made
