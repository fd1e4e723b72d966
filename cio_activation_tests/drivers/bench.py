"""A home whose project is pointed at one vendor's stand-in; what the deciding rooms say is the test's to write."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Generic, TypeVar

from cio_activation.activation.models import Activation
from cio_activation.runtime import Runtime
from cio_activation.sandbox.server.core import Shared
from cio_activation.sandbox.server.request_log import Entry
from cio_activation_tests.drivers import access, builders
from cio_activation_tests.drivers.stand_ins.stand_in import StandIn
from cio_activation_tests.drivers.tables import query

S = TypeVar("S", bound=StandIn[Any])


class OverStandIn(Generic[S]):
    """Whatever works over one stand-in: what can be done to it, and seen of it."""

    def __init__(self, stand_in: S) -> None:
        self.stand_in = stand_in

    @property
    def shared(self) -> Shared:
        """The stand-in's clock, request log and planned faults."""
        return self.stand_in.shared

    def edit(self, action: str, **change: Any) -> Any:
        """Change something as a person would by hand in the vendor's own pages."""
        return self.stand_in.edit(action, **change)

    def fault(self, **values: Any) -> None:
        """Plan a misbehaviour of the stand-in."""
        self.stand_in.fault(**values)

    def mark(self) -> int:
        """Return the number of the newest request."""
        return self.stand_in.mark()

    def entries(self, since: int = 0) -> list[Entry]:
        """Return the requests after ``since``."""
        return self.stand_in.entries(since)

    def stop(self) -> None:
        """Stop the stand-in."""
        self.stand_in.stop()


class VendorBench(OverStandIn[S]):
    """One home, one stand-in, and the number of the newest window (``day``)."""

    activation: Activation
    runtime: Runtime

    def __init__(self, home: Path, stand_in: S, activation: Activation) -> None:
        super().__init__(stand_in)
        self.home, self.day = home, 0
        self.use(activation)

    def use(self, activation: Activation) -> None:
        """Go on with another activation."""
        self.activation = activation
        self.runtime = builders.runtime(self.home, activation, **self.stand_in.settings)

    def runtime_with(self, **settings: Any) -> Runtime:
        """Return the runtime with some settings changed."""
        known = self.runtime
        changed = access.settings(self.home, self.stand_in.settings | settings)
        return Runtime(changed, known.activation, known.warehouse)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a SELECT over the warehouse."""
        return query(self.runtime, sql)
