"""Customer.io's stand-in: a running workspace over a small world, and clients for both its surfaces."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from cio_activation.sandbox.build import build_sandbox
from cio_activation.sandbox.customerio.app import CustomerIO
from cio_activation.sandbox.server.running import RunningSandbox
from cio_activation.sandbox.world import orders
from cio_activation.sandbox.world.world import World
from cio_activation_tests.drivers.stand_ins.stand_in import StandIn

NOON = 1_795_348_800.0
"""2026-11-22 12:00:00 UTC."""
DAY = 86_400
APP = {"Authorization": "Bearer sandbox-app-key"}
TRACK = ("sandbox-site", "sandbox-track-key")
EVERYONE = {"attribute": {"field": "cio_id", "operator": "exists"}}


def small_world(people: int = 80, *, seed: int = 7, dirty_share: float = 0.1) -> World:
    """Return a world of made-up orders that ends at noon."""
    return World(orders.generate(people, seed, ends_at=NOON), seed=seed, dirty_share=dirty_share)


class CustomerioStandIn(StandIn[CustomerIO]):
    """One workspace. ``app`` is a client of the App API, ``track`` one of the Track API."""

    def __init__(self, running: RunningSandbox) -> None:
        vendor = running.vendors["customerio"]
        assert isinstance(vendor, CustomerIO)
        super().__init__(vendor, running, APP)
        self.app, self.world = self.http, vendor.world
        self.track = httpx.Client(base_url=self.url, auth=TRACK, timeout=30, verify=False)

    def get(self, path: str, **params: Any) -> Any:
        answer = self.app.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, status: int, method: str, path: str, **more: Any) -> str:
        """Return the ``detail`` of an App API error in the documented shape."""
        answer = self.app.request(method, path, **more)
        assert answer.status_code == status, answer.text
        (error,) = answer.json()["errors"]
        assert error["status"] == str(status)
        return str(error["detail"])

    def request_export(self, filters: Any = EVERYONE, attributes: list[str] | None = None) -> dict[str, Any]:
        body = {"filters": filters} if attributes is None else {"filters": filters, "attributes": attributes}
        answer = self.app.post("/v1/exports/customers", json=body)
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()["export"]
        return shown

    def wait(self, number: int) -> dict[str, Any]:
        deadline = time.monotonic() + 5
        while (shown := self.get(f"/v1/exports/{number}")["export"])["status"] == "pending":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return dict(shown)

    def link(self, number: int) -> str:
        return str(self.get(f"/v1/exports/{number}/download")["url"])

    def export(self, filters: Any = EVERYONE, attributes: list[str] | None = None) -> list[dict[str, str]]:
        """Go the whole way and return the file's rows."""
        number = self.request_export(filters, attributes)["id"]
        self.wait(number)
        answer = httpx.get(self.link(number), verify=False)
        assert answer.status_code == 200, answer.text
        return list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))

    def members(self, segment: int, limit: int = 30_000) -> list[dict[str, Any]]:
        """Walk all pages of a membership."""
        found: list[dict[str, Any]] = []
        start = ""
        while True:
            page = self.get(f"/v1/segments/{segment}/membership", limit=limit, start=start)
            found += page["identifiers"]
            if not (start := page["next"]):
                return found

    def somebody(self, **wanted: Any) -> str:
        """Return the cio_id of the first person whose facts are as ``wanted``."""
        rows = self.world.at(NOON).facts.to_pylist()
        return next(str(r["cio_id"]) for r in rows if all(r[k] == v for k, v in wanted.items()))

    def stop(self) -> None:
        """Stop answering and free the port."""
        self.track.close()
        super().stop()


def begin(world: World, **options: Any) -> CustomerioStandIn:
    """Start a workspace over ``world`` (without the rate limit unless asked for); the caller stops it."""
    settings = {"limited": False, "export_seconds": 0.0, **options}
    return CustomerioStandIn(build_sandbox(world, vendors=("customerio",), customerio=settings))


@contextmanager
def running(world: World | None = None, **options: Any) -> Iterator[CustomerioStandIn]:
    """Run a workspace that stands still at noon unless a test thaws it."""
    made = begin(world or small_world(), **options)
    made.vendor.workspace.frozen_at = NOON
    try:
        yield made
    finally:
        made.stop()
