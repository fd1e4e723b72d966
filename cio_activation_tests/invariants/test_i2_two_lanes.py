"""I2 and I4 where both lanes are at work for the same people: what one of them had answered is folded after the other's.

A run ends after a step's answers are recorded and before they are folded, as a push of everybody is for half a minute at
a time; then the other lane has its turn, with what it knows. Whatever the order: everybody has one record, with the
values of both lanes, and then it is quiet.
"""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cio_activation.activation.models import Lane, PropertyType
from cio_activation.delivery import run as running
from cio_activation.delivery.destination import Destination
from cio_activation.delivery.fold import fold
from cio_activation.destinations import hubspot, pipedrive
from cio_activation_tests.drivers.bench import VendorBench
from cio_activation_tests.drivers.builders import window
from cio_activation_tests.drivers.hubspot import HubSpotBench, hubspot_bench, make_activation, person, prop
from cio_activation_tests.drivers.pipedrive import PipedriveBench, begin, model
from cio_activation_tests.forms import form

pytestmark = pytest.mark.slow
PEOPLE = 4
THERE = 2
"""People who have a record before we come; of the others we make one."""
Run = tuple[Lane, int | None]
"""A run of a lane, and after which of its steps, counted from nought, it ends without a fold; None: none."""


class Vendor(ABC):
    """One vendor's account with :data:`THERE` people in it, and a home that is to deliver all of them."""

    destination: Destination
    bench: VendorBench[Any]

    def run(self, lane: Lane, unfolded: int | None) -> None:
        """Run the lane in the next window."""
        self.bench.day += 1
        steps = [step for step in self.destination.steps(self.bench.activation) if step.lane is lane]
        for number, step in enumerate(steps):
            with pytest.MonkeyPatch.context() as patch:
                if number == unfolded:
                    patch.setattr(running, "fold", _Ending())
                running.run_step(self.bench.runtime, self.destination, step, window(self.bench.day, lane), "run")

    @abstractmethod
    def values(self) -> dict[str, tuple[Any, Any]]:
        """Return who has a record with our key -> the daily and the real-time value; fails if somebody has two."""

    @abstractmethod
    def writes(self, since: int) -> int:
        """Return how many writes came after call ``since``."""

    def close(self) -> None:
        """Stop the vendor."""
        self.bench.stop()


class _Ending:
    """Folds what an earlier run of the step had left, and ends this one before its own answers are folded."""

    def __init__(self) -> None:
        self._called = False

    def __call__(self, *given: Any) -> int:
        if self._called:
            raise InterruptedError
        self._called = True
        return fold(*given)


class HubSpot(Vendor):
    destination = hubspot.DESTINATION

    def __init__(self, home: Path) -> None:
        fields = (
            prop("ltv", PropertyType.NUMBER),
            prop("cart_tier", PropertyType.ENUM, Lane.REALTIME, ("low", "high")),
        )
        seed = [{"email": f"person{n}@example.com"} for n in range(1, THERE + 1)]
        self.bench: HubSpotBench = hubspot_bench(home, seed, make_activation(fields, audiences=()))
        self.bench.schema()
        self.bench.persons([person(n) for n in range(1, PEOPLE + 1)])
        self.bench.state({f"p{n:05d}": {"ltv": n} for n in range(1, PEOPLE + 1)})
        self.bench.state({f"p{n:05d}": {"cart_tier": "low"} for n in range(1, PEOPLE + 1)}, Lane.REALTIME)

    def values(self) -> dict[str, tuple[Any, Any]]:
        return {who: (c.get("cio_ltv"), c.get("cio_cart_tier")) for who, c in self.bench.contacts().items()}

    def writes(self, since: int) -> int:
        return len(self.bench.writes(since))


class Pipedrive(Vendor):
    destination = pipedrive.DESTINATION

    def __init__(self, home: Path) -> None:
        seed = [{"email": f"person{n}@example.com", "first_name": "A"} for n in range(1, THERE + 1)]
        self.bench: PipedriveBench = PipedriveBench(
            home, begin(seed), model({}, ("spent", "cart_tier"), create_people="everyone")
        )
        self.bench.schema()
        for n in range(1, PEOPLE + 1):
            self.bench.person(f"p{n:05d}", f"person{n}@example.com", name=f"Ann {n}", spent=n, cart_tier="low")
        self.bench.decide()

    def values(self) -> dict[str, tuple[Any, Any]]:
        persons = [p["custom_fields"] for p in self.bench.vendor.state()["persons"].values()]
        ours = [p for p in persons if p.get("cio_id")]
        assert len({p["cio_id"] for p in ours}) == len(ours)
        return {p["cio_id"]: (p.get("cio_spent"), p.get("cio_cart_tier")) for p in ours}

    def writes(self, since: int) -> int:
        return sum(e.method in ("POST", "PATCH", "PUT", "DELETE") for e in self.bench.entries(since))


runs = st.lists(st.tuples(st.sampled_from(Lane), st.none() | st.integers(0, 2)), max_size=form(4, 7))


@pytest.mark.parametrize(("vendor", "number"), [(HubSpot, str), (Pipedrive, float)])
@settings(max_examples=form(3, 80), deadline=None)
@given(before=runs)
@example(before=[(Lane.DAILY, 0), (Lane.REALTIME, None)])
@example(before=[(Lane.REALTIME, 0), (Lane.DAILY, None)])
@example(before=[(Lane.DAILY, 1), (Lane.REALTIME, 1), (Lane.DAILY, 0)])
def test_in_whatever_order_the_lanes_answers_are_folded_everybody_is_delivered_once(
    vendor: type[Any], number: type[Any], before: list[Run]
) -> None:
    with tempfile.TemporaryDirectory() as home, closing(vendor(Path(home))) as world:
        for lane, unfolded in before:
            with suppress(InterruptedError):
                world.run(lane, unfolded)
        for lane in (Lane.DAILY, Lane.REALTIME, *Lane):
            world.run(lane, None)
        assert world.values() == {f"p{n:05d}": (number(n), "low") for n in range(1, PEOPLE + 1)}
        since = world.bench.mark()
        for lane in Lane:
            world.run(lane, None)
        assert world.writes(since) == 0
