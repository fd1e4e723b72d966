"""HubSpot's stand-in: a running portal and short ways to call it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.types import Receive, Scope, Send

from cio_activation.sandbox.hubspot.app import HubSpot
from cio_activation.sandbox.server.core import Shared, Vendor
from cio_activation.sandbox.server.running import RunningSandbox, start
from cio_activation_tests.drivers.stand_ins.stand_in import StandIn

SEED: list[dict[str, Any]] = [
    {"email": "Ann@Example.com", "first_name": "Ann", "last_name": "Arbor", "phone": "+13135550100"},
    {"email": "bob@example.com", "first_name": "Bob", "last_name": "Burns", "phone": None},
    {"email": "cara@example.com", "first_name": "Cara", "last_name": "Cole", "additional_emails": ["CC@example.com"]},
]
OBJECTS = "/crm/objects/2026-09/contacts"
PROPERTIES = "/crm/properties/2026-09/contacts"
LISTS = "/crm/lists/2026-09"
TOKEN = {"Authorization": "Bearer sandbox-hubspot-token"}
OPTIONS = [
    {"label": label, "value": value, "displayOrder": order, "hidden": False}
    for order, (label, value) in enumerate([("Active", "active"), ("Lapsed", "lapsed"), ("Lost", "lost")])
]


class HubSpotStandIn(StandIn[HubSpot]):
    """A portal over HTTP."""

    def __init__(self, vendor: HubSpot, running: RunningSandbox) -> None:
        super().__init__(vendor, running, TOKEN)

    def call(self, method: str, path: str, body: Any = None, status: int = 200, **options: Any) -> Any:
        """Call and check the status; returns the parsed body."""
        answer = self.http.request(method, path, json=body, **options)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def batch(self, verb: str, inputs: list[dict[str, Any]], status: int = 200, **more: Any) -> Any:
        needed = {"propertiesWithHistory": []} if verb == "read" else {}
        return self.call("POST", f"{OBJECTS}/batch/{verb}", {"inputs": inputs, **needed, **more}, status)

    def property(self, name: str, type_: str = "string", field_type: str = "text", **more: Any) -> Any:
        body = {"name": name, "label": name, "type": type_, "fieldType": field_type}
        return self.call("POST", PROPERTIES, {**body, "groupName": "contactinformation", **more}, 201)

    def id_of(self, email: str) -> str:
        return str(self.call("GET", f"{OBJECTS}/{email}?idProperty=email")["id"])


class _Stage(Vendor):
    """A server that outlives a portal: starting and stopping one costs more than most tests."""

    name = "hubspot"

    def __init__(self) -> None:
        super().__init__(Shared())
        self.show(HubSpot(self.shared, []))
        self.running = start({"hubspot": self}, self.shared)

    def show(self, portal: HubSpot) -> None:
        """Put another portal behind the server, with a clean log, no faults and the real time."""
        self.portal, self.app = portal, Starlette(routes=portal.routes())
        self.agents = portal.agents
        self.shared.log.clear()
        self.shared.faults.clear()
        self.shared.clock.set(time.time())

    def routes(self) -> list[BaseRoute]:
        async def forward(scope: Scope, receive: Receive, send: Send) -> None:
            await self.app(scope, receive, send)

        return [Mount("", app=forward)]

    def admit(self, request: Request) -> Response | None:
        return self.portal.admit(request)

    def decorate(self, request: Request, response: Response) -> None:
        self.portal.decorate(request, response)

    def state(self) -> dict[str, Any]:
        return self.portal.state()

    def edit(self, change: dict[str, Any]) -> dict[str, Any]:
        return self.portal.edit(change)

    def hold_limits(self, on: bool) -> None:
        self.portal.hold_limits(on)


_free: list[_Stage] = []


def begin(seed: Sequence[Mapping[str, Any]] = (), *, at: float | None = None, **options: Any) -> HubSpotStandIn:
    """Start a portal of its own server (without rate limits unless asked); the caller stops it.

    ``at``: the vendor's time at the start, seconds since the epoch; the real one by default.
    """
    shared = Shared()
    if at is not None:
        shared.clock.set(at)
    vendor = HubSpot(shared, [dict(one) for one in seed], **{"limited": False, **options})
    return HubSpotStandIn(vendor, start({"hubspot": vendor}, shared))


@contextmanager
def portal(seed: list[dict[str, Any]] | None = None, **options: Any) -> Iterator[HubSpotStandIn]:
    """Open a portal with the three seeded contacts, on a server that others had before; definitions can be read at once."""
    stage = _free.pop() if _free else _Stage()
    vendor = HubSpot(stage.shared, SEED if seed is None else seed, **{"property_lag_s": 0.0, **options})
    stage.show(vendor)
    made = HubSpotStandIn(vendor, stage.running)
    try:
        yield made
    finally:
        made.http.close()
        _free.append(stage)


def with_properties(world: HubSpotStandIn) -> HubSpotStandIn:
    """Define what the contact tests write."""
    world.property("cio_id", hasUniqueValue=True)
    world.property("cio_bucket", "enumeration", "select", options=OPTIONS)
    world.property("cio_audiences", "enumeration", "checkbox", options=OPTIONS)
    world.property("cio_score", "number", "number")
    world.property("cio_due", "date", "date")
    world.property("cio_seen", "datetime", "date")
    flag = [
        {"label": v.title(), "value": v, "displayOrder": i, "hidden": False} for i, v in enumerate(["true", "false"])
    ]
    world.property("cio_flag", "bool", "booleancheckbox", options=flag)
    return world
