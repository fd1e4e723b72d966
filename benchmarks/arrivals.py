"""What happens to people in ``benchmarks.latency``, and which request to HubSpot shows that it has arrived."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from cio_activation_tests.drivers.processes import Site

Declared = dict[str, Any]


class Arrival(ABC):
    """One sort of event."""

    said: ClassVar[str]
    """What the output calls it."""

    @abstractmethod
    def declare(self, activation: Declared) -> None:
        """Change the default activation where the event needs more."""

    @abstractmethod
    def happen(self, place: Site, cio_id: str) -> None:
        """Let it happen to somebody, now."""

    @abstractmethod
    def whom(self, path: str, request: Any) -> Iterator[str]:
        """Yield whom a request to HubSpot brings it to: record ids, or our key."""


class Cart(Arrival):
    """A cart is filled; its person enters a segment, and the contact gets the tier and the stage of the cart."""

    said = "carts"
    value = 120.0
    """Enough for the segment of high intent carts."""
    fields = ("cio_cart_value_tier", "cio_cart_stage")
    """Real-time properties that the cart gives or changes: a daily run's writes for the same person do not count."""

    def declare(self, activation: Declared) -> None:
        """Nothing: its segment and properties are there."""

    def happen(self, place: Site, cio_id: str) -> None:
        place.edit(action="fill_cart", cio_id=cio_id, value=self.value)

    def whom(self, path: str, request: Any) -> Iterator[str]:  # noqa: ARG002
        for given in _inputs(request):
            properties = given.get("properties") or {}
            if any(properties.get(name) for name in self.fields):
                yield from (str(v) for v in (given.get("id"), properties.get("cio_id")) if v)


class Help(Arrival):
    """A journey's webhook says that somebody asked for help, and a human is given a task about it."""

    said = "moments to a task"
    name = "requested_help"

    def declare(self, activation: Declared) -> None:
        """Ask for a task at each such moment; nobody's desk is full, however many are measured."""
        task = {"subject": "Call back", "body": "They asked for help.", "owner": [{"rotate": ["ada@example.com"]}]}
        activation["audiences"]["asked_for_help"] = {
            "label": "CX - Asked For Help - Call Back",
            "owner": "cx@example.com",
            "moment": {"name": self.name},
            "lane": "realtime",
            "expires_after": "2d",
            "launch": {"baseline": "include"},
            "deliver": {"hubspot": {"task": task}},
        }
        activation["limits"]["capacity"] = {"open_per_owner": 10_000, "new_per_owner_per_day": 10_000}

    def happen(self, place: Site, cio_id: str) -> None:
        body = {"event": self.name, "cio_id": cio_id, "timestamp": int(time.time())}
        place.edit(action="journey_webhook", body=body)

    def whom(self, path: str, request: Any) -> Iterator[str]:
        if path.endswith("/tasks/batch/create"):
            for given in _inputs(request):
                if "Call back" in given["properties"]["hs_task_subject"]:
                    yield from (str(link["to"]["id"]) for link in given["associations"])


ARRIVALS: Mapping[str, Arrival] = {"cart": Cart(), "task": Help()}


def _inputs(request: Any) -> list[Any]:
    return list(request.get("inputs", ())) if isinstance(request, dict) else []
