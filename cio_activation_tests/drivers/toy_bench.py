"""A home with the toy destination: what is common to every test that drives the machinery without a real vendor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cio_activation.activation.models import Activation, Lane
from cio_activation.delivery.destination import Step
from cio_activation.delivery.report import StepReport
from cio_activation.delivery.run import run_step
from cio_activation.delivery.schema import run_schema
from cio_activation.runtime import Runtime
from cio_activation_tests.drivers import builders, tables
from cio_activation_tests.drivers.decided import write_state
from cio_activation_tests.drivers.toy import ToyDestination, ToyOptions


def sized(lane: Lane = Lane.DAILY, **guards: Any) -> Activation:
    """Return the activation with one property, ``size``, delivered to the toy."""
    return builders.activation(builders.tier("size", "toy", lane=lane), destinations={"toy": ToyOptions()}, **guards)


class ToyBench:
    """A toy destination, a warehouse, and people with the property ``size`` if the activation is not another."""

    def __init__(self, home: Path, activation: Activation | None = None, toy: ToyDestination | None = None) -> None:
        self.toy = toy or ToyDestination()
        self.runtime: Runtime = builders.runtime(home, activation or sized())

    @property
    def step(self) -> Step:
        """The step that ``run`` runs."""
        return self.toy.steps(self.runtime.activation)[0]

    def schema(self) -> None:
        """Run the schema step."""
        run_schema(self.runtime, self.toy)

    def decide(self, states: Mapping[str, Mapping[str, str | None]], lane: Lane = Lane.DAILY) -> None:
        """Write the lane's states: person -> property -> value."""
        write_state(self.runtime, lane, states)

    def state(self, **sizes: str | None) -> None:
        """Write the daily states: everybody's size."""
        self.decide({person: {"size": size} for person, size in sizes.items()})

    def run(self, day: int = 1) -> StepReport:
        """Run the step in the ``day``-th window."""
        report = run_step(self.runtime, self.toy, self.step, builders.window(day), f"run-{day}")
        assert report.planned == report.delivered + report.rejected + report.unneeded + report.held
        return report

    @property
    def there(self) -> Any:
        """What the vendor holds: person -> size."""
        return {person: values.get("size") for person, values in self.toy.vendor.people.items()}

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a SELECT over the warehouse."""
        return tables.query(self.runtime, sql)
