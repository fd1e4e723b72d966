"""What the HubSpot sandbox tests share: a running portal and short ways to call it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from cio_activation.sandbox.core import Shared
from cio_activation.sandbox.hubspot import HubSpot
from cio_activation.sandbox.server import start

SEED = [
    {"email": "Ann@Example.com", "first_name": "Ann", "last_name": "Arbor", "phone": "+13135550100"},
    {"email": "bob@example.com", "first_name": "Bob", "last_name": "Burns", "phone": None},
    {"email": "cara@example.com", "first_name": "Cara", "last_name": "Cole", "additional_emails": ["CC@example.com"]},
]
OBJECTS = "/crm/objects/2026-09/contacts"
PROPERTIES = "/crm/properties/2026-09/contacts"
LISTS = "/crm/lists/2026-09"
OPTIONS = [
    {"label": label, "value": value, "displayOrder": order, "hidden": False}
    for order, (label, value) in enumerate([("Active", "active"), ("Lapsed", "lapsed"), ("Lost", "lost")])
]


class World:
    """A portal over HTTP. ``vendor`` is the object behind it."""

    def __init__(self, vendor: HubSpot, client: httpx.Client) -> None:
        self.vendor, self.client = vendor, client

    def call(self, method: str, path: str, body: Any = None, status: int = 200, **options: Any) -> Any:
        """Call and check the status; returns the parsed body."""
        answer = self.client.request(method, path, json=body, **options)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def batch(self, verb: str, inputs: list[dict[str, Any]], status: int = 200, **more: Any) -> Any:
        return self.call("POST", f"{OBJECTS}/batch/{verb}", {"inputs": inputs, **more}, status)

    def edit(self, action: str, **values: Any) -> Any:
        return self.call("POST", "/_sandbox/edit", {"vendor": "hubspot", "action": action, **values})

    def state(self) -> dict[str, Any]:
        return self.call("GET", "/_sandbox/state?vendor=hubspot")["hubspot"]

    def property(self, name: str, type_: str = "string", field_type: str = "text", **more: Any) -> Any:
        body = {"name": name, "label": name, "type": type_, "fieldType": field_type}
        return self.call("POST", PROPERTIES, {**body, "groupName": "contactinformation", **more}, 201)

    def id_of(self, email: str) -> str:
        return self.call("GET", f"{OBJECTS}/{email}?idProperty=email")["id"]


@contextmanager
def portal(seed: list[dict[str, Any]] | None = None, **options: Any) -> Iterator[World]:
    """Run a portal with the three seeded contacts and the properties ``cio_id`` (unique) and a few others."""
    shared = Shared()
    vendor = HubSpot(shared, SEED if seed is None else seed, **{"property_lag_s": 0.0, **options})
    running = start({"hubspot": vendor}, shared)
    token = {"Authorization": "Bearer sandbox-hubspot-token"}
    try:
        with httpx.Client(base_url=running.urls["hubspot"], headers=token, timeout=10) as client:
            yield World(vendor, client)
    finally:
        running.stop()


def with_properties(world: World) -> World:
    """Define what the contact tests write."""
    world.property("cio_id", hasUniqueValue=True)
    world.property("cio_bucket", "enumeration", "select", options=OPTIONS)
    world.property("cio_audiences", "enumeration", "checkbox", options=OPTIONS)
    world.property("cio_score", "number", "number")
    world.property("cio_due", "date", "date")
    world.property("cio_seen", "datetime", "date")
    flag = [{"label": v.title(), "value": v, "displayOrder": i, "hidden": False} for i, v in enumerate(["true", "false"])]
    world.property("cio_flag", "bool", "booleancheckbox", options=flag)
    return world
