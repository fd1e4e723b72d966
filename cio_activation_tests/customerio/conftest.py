"""A running Customer.io stand-in over a small generated world, shared by this room's integration tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cio_activation.activation.models import Activation, Attribute, AttributeType, Lane, Profile, Workspace
from cio_activation.customerio.exports import Poll
from cio_activation.runtime import Runtime
from cio_activation.sandbox.build import build_sandbox
from cio_activation.sandbox.customerio.app import CustomerIO as StandIn
from cio_activation.sandbox.server.running import RunningSandbox
from cio_activation.sandbox.world.orders import generate
from cio_activation.sandbox.world.snapshot import Snapshot
from cio_activation.sandbox.world.world import World
from cio_activation_tests.drivers.builders import START, runtime
from cio_activation_tests.drivers.customerio import audience

FAST = Poll(first_s=0.02, factor=1.2, widest_s=0.05)
_ATTRIBUTES = {
    "created_at": AttributeType.TIMESTAMP,
    "last_order_at": AttributeType.TIMESTAMP,
    "orders_count": AttributeType.INTEGER,
    "cart_value": AttributeType.MONEY,
    "last_category": AttributeType.TEXT,
    "unsubscribed": AttributeType.BOOLEAN,
}


class Site:
    """One workspace with a project pointed at it."""

    def __init__(self, sandbox: RunningSandbox, home: Path) -> None:
        self.sandbox, self.home = sandbox, home
        self.stand_in: StandIn = sandbox.vendors["customerio"]  # type: ignore[assignment]

    def runtime(self, rt: tuple[int, ...] = (1, 11), daily: tuple[int, ...] = (3, 4)) -> Runtime:
        audiences = [audience(f"rt_{s}", s, Lane.REALTIME) for s in rt]
        audiences += [audience(f"daily_{s}", s, Lane.DAILY) for s in daily]
        model = Activation(
            workspace=Workspace(),
            profile=Profile(),
            attributes={n: Attribute(name=n, source=n, type=t) for n, t in _ATTRIBUTES.items()},
            properties={},
            audiences={a.name: a for a in audiences},
            destinations={},
        )
        environment = {k.lower(): v for k, v in self.sandbox.environment().items()}
        return runtime(self.home, model, **environment)

    def edit(self, **change: object) -> dict[str, object]:
        return self.stand_in.edit(dict(change))

    def picture(self) -> Snapshot:
        """Return everyone and every membership at the moment the workspace shows."""
        return self.stand_in.world.at(self.stand_in.state()["at"])

    def pick(self, *cio_ids: str) -> None:
        """Put people into segment 11, the manual one."""
        for cio_id in cio_ids:
            self.edit(action="add_to_segment", segment=11, cio_id=cio_id)

    def drop(self, *cio_ids: str) -> None:
        for cio_id in cio_ids:
            self.edit(action="remove_from_segment", segment=11, cio_id=cio_id)

    def fault(self, **values: object) -> None:
        self.sandbox.shared.faults.add(**values)

    def calls(self) -> dict[str, int]:
        return self.sandbox.shared.log.calls("customerio")

    def clear_log(self) -> None:
        self.sandbox.shared.log.clear()


@pytest.fixture(scope="session")
def _running() -> Iterator[RunningSandbox]:
    world = World(generate(60, ends_at=START.timestamp()), seed=3)
    sandbox = build_sandbox(
        world, vendors=("customerio",), export_seconds=0.05, customerio={"requests_per_second": 100_000}
    )
    sandbox.urls.setdefault("hubspot", "http://127.0.0.1:9")
    sandbox.urls.setdefault("pipedrive", "http://127.0.0.1:9")
    yield sandbox
    sandbox.stop()


@pytest.fixture
def site(_running: RunningSandbox, tmp_path: Path) -> Iterator[Site]:
    """The workspace standing still, without faults and with an empty log."""
    here = Site(_running, tmp_path)
    here.edit(action="freeze")
    yield here
    _running.shared.faults.clear()
    here.edit(action="fail_exports", times=0)
    here.edit(action="export_seconds", seconds=0.05)
    here.edit(action="quota", left=True)
    for segment in here.stand_in.world.segments:
        here.edit(action="set_segment_state", segment=segment, state="finished")
    here.drop(*tuple(here.stand_in.world.hand_picked[11]))
    here.clear_log()


@pytest.fixture
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    """Make every wait of the clients instant; returns a function giving the seconds asked for."""
    waits: list[float] = []
    real = asyncio.sleep

    async def instant(seconds: float, *_: object) -> None:
        waits.append(seconds)
        await real(0)

    monkeypatch.setattr("asyncio.sleep", instant)
    return lambda: sum(waits)
