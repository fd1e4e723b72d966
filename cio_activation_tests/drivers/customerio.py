"""Customer.io: a workspace, a home pointed at it, and short ways to say who does what there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cio_activation.activation.models import Activation, AttributeType, Lane
from cio_activation.runtime import Runtime
from cio_activation.sandbox.world.orders import generate
from cio_activation.sandbox.world.snapshot import Snapshot
from cio_activation.sandbox.world.world import World
from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers.bench import OverStandIn
from cio_activation_tests.drivers.stand_ins.customerio import CustomerioStandIn, begin

EXPORT_S = 0.05
MANUAL = 11
"""The segment whose members are picked by hand."""
_ATTRIBUTES = {
    "created_at": AttributeType.TIMESTAMP,
    "last_order_at": AttributeType.TIMESTAMP,
    "orders_count": AttributeType.INTEGER,
    "cart_value": AttributeType.MONEY,
    "last_category": AttributeType.TEXT,
    "unsubscribed": AttributeType.BOOLEAN,
}


def model(rt: tuple[int, ...] = (1, MANUAL), daily: tuple[int, ...] = (3, 4)) -> Activation:
    """Return an activation whose audiences read these segments, delivered nowhere."""
    audiences = [builders.audience(f"rt_{s}", Lane.REALTIME, segment=s) for s in rt]
    audiences += [builders.audience(f"daily_{s}", segment=s) for s in daily]
    return builders.activation(audiences=audiences, attributes=_ATTRIBUTES)


def workspace(*, export_seconds: float = EXPORT_S) -> CustomerioStandIn:
    """Start a workspace of sixty people that stands still where the tests' calendar begins; the caller stops it."""
    world = World(generate(60, ends_at=builders.START.timestamp()), seed=3)
    made = begin(world, limited=True, export_seconds=export_seconds, requests_per_second=100_000)
    made.edit("freeze")
    return made


class CustomerioBench(OverStandIn[CustomerioStandIn]):
    """One workspace with a project pointed at it."""

    def __init__(self, home: Path, stand_in: CustomerioStandIn) -> None:
        super().__init__(stand_in)
        self.home, self.world = home, stand_in.world

    def runtime(self, rt: tuple[int, ...] = (1, MANUAL), daily: tuple[int, ...] = (3, 4), **settings: Any) -> Runtime:
        """Return a runtime over the home whose audiences read these segments."""
        return builders.runtime(self.home, model(rt, daily), **self.stand_in.settings, **settings)

    def picture(self) -> Snapshot:
        """Return everyone and every membership at the instant the workspace shows."""
        return self.world.at(self.stand_in.state()["at"])

    def pick(self, *cio_ids: str) -> None:
        """Put people into the manual segment."""
        for cio_id in cio_ids:
            self.edit("add_to_segment", segment=MANUAL, cio_id=cio_id)

    def drop(self, *cio_ids: str) -> None:
        """Take people out of the manual segment."""
        for cio_id in cio_ids:
            self.edit("remove_from_segment", segment=MANUAL, cio_id=cio_id)

    def calls(self) -> dict[str, int]:
        """Return the calls since the log was cleared, per ``METHOD template``."""
        return self.shared.log.calls("customerio")

    def clear_log(self) -> None:
        """Forget all calls."""
        self.shared.log.clear()

    def calm(self, *segments: int) -> None:
        """Undo every setting of exports and quota, and finish building ``segments``; what was done to data stays."""
        self.edit("fail_exports", times=0)
        self.edit("spoil_exports", how=[])
        self.edit("spoil_members", times=0)
        self.edit("export_seconds", seconds=EXPORT_S)
        self.edit("quota", left=True)
        for segment in segments:
            self.edit("set_segment_state", segment=segment, state="finished")
