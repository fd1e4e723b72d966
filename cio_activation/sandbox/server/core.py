"""What every stand-in is made of: a clock, a request log and planned faults that all share, and the vendor itself.

The sandbox imports nothing of the rest of the project: it is built from the vendors' documents, so that a
mistake of our client cannot also be a mistake of the stand-in.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from cio_activation.sandbox.server.agents import Agents
from cio_activation.sandbox.server.faults import Faults
from cio_activation.sandbox.server.request_log import RequestLog

_PINNED: ContextVar[float | None] = ContextVar("pinned", default=None)


class Clock:
    """The vendors' time: real time plus an offset that the control surface sets. Seconds since the epoch, UTC."""

    def __init__(self) -> None:
        self._offset = 0.0

    def now(self) -> float:
        """Return the vendors' present time."""
        pinned = _PINNED.get()
        return time.time() + self._offset if pinned is None else pinned

    @contextmanager
    def pinned(self, instant: float) -> Iterator[None]:
        """Stand at ``instant`` for what the caller does now; for all others the clock goes on."""
        token = _PINNED.set(instant)
        try:
            yield
        finally:
            _PINNED.reset(token)

    def set(self, instant: float) -> None:
        """Make the vendors' present time ``instant``; it goes on from there."""
        self._offset = instant - time.time()

    def advance(self, seconds: float) -> None:
        """Move the vendors' time on."""
        self._offset += seconds


@dataclass
class Shared:
    """What all vendors of one sandbox share."""

    clock: Clock = field(default_factory=Clock)
    log: RequestLog = field(default_factory=RequestLog)
    faults: Faults = field(default_factory=Faults)


class Vendor(ABC):
    """One stand-in. Subclasses declare routes and hold their own state; handlers are ``async`` and never block."""

    name: str
    agents: Agents | None = None
    """The humans who work in it, where humans do."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared

    @property
    def now(self) -> float:
        """The vendors' present time, seconds since the epoch."""
        return self.shared.clock.now()

    @abstractmethod
    def routes(self) -> list[BaseRoute]:
        """Return the vendor's routes, at the paths of the real API."""

    @abstractmethod
    def admit(self, request: Request) -> Response | None:
        """Return the refusal (401, 429, ...) of a request, or None to let it in. Runs before every handler."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return what the vendor holds, as JSON-able data, for ``GET /_sandbox/state``."""

    @abstractmethod
    def edit(self, change: dict[str, Any]) -> dict[str, Any]:
        """Apply a change as if a person made it by hand in the vendor's own UI (``POST /_sandbox/edit``)."""

    @abstractmethod
    def hold_limits(self, on: bool) -> None:
        """Hold the vendor's rate windows from now on, or (``on`` false) only count (``POST /_sandbox/limits``)."""

    def decorate(self, request: Request, response: Response) -> None:
        """Add the vendor's headers (rate windows, request ids) to every answer."""
