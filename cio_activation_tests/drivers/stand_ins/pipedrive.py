"""A running Pipedrive stand-in and an HTTP client for it, for this folder's tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from cio_activation.sandbox.pipedrive.app import Pipedrive
from cio_activation.sandbox.server import running
from cio_activation.sandbox.server.core import Shared

TOKEN = "sandbox-pipedrive-token"
NOON = 1_795_348_800.0
"""2026-11-22 12:00:00 UTC."""
SEED = [
    {"email": "ann@example.com", "first_name": "Ann", "last_name": "Lee", "phone": "+12025550101"},
    {"email": "bob@example.com", "first_name": "Bob", "last_name": "Ray", "phone": None},
    {"email": "Cy@Example.com", "first_name": "Cy", "last_name": None, "phone": None},
]


@dataclass
class Rig:
    """One account, answering on its own port; v2 paths are the default."""

    vendor: Pipedrive
    shared: Shared
    http: httpx.Client

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        full = path if path.startswith(("/v1", "/api")) else f"/api/v2{path}"
        return self.http.request(method, full, **more)

    def data(self, method: str, path: str, **more: Any) -> Any:
        answer = self.call(method, path, **more)
        assert answer.status_code in (200, 201), answer.text
        assert answer.json()["success"] is True
        return answer.json()["data"]

    def refused(self, status: int, method: str, path: str, **more: Any) -> dict[str, Any]:
        answer = self.call(method, path, **more)
        assert answer.status_code == status, answer.text
        body: dict[str, Any] = answer.json()
        assert body["success"] is False
        return body

    def field(self, name: str, kind: str, *labels: str) -> dict[str, Any]:
        body: dict[str, Any] = {"field_name": name, "field_type": kind}
        if labels:
            body["options"] = [{"label": label} for label in labels]
        made: dict[str, Any] = self.data("POST", "/personFields", json=body)
        return made

    def walk(self, path: str, **params: Any) -> list[list[Any]]:
        pages: list[list[Any]] = []
        cursor = None
        while cursor is not None or not pages:
            given = params | ({"cursor": cursor} if cursor else {})
            answer = self.call("GET", path, params=given).json()
            pages.append(answer["data"])
            assert len(pages) < 100, "the walk does not end"
            cursor = answer["additional_data"]["next_cursor"]
        return pages


Start = Callable[..., Rig]


def begin(seed: list[dict[str, Any]] | None = None, **options: Any) -> tuple[Rig, Callable[[], None]]:
    """Start an account (without rate limits unless asked) and return it with what stops it."""
    shared = Shared()
    shared.clock.set(NOON)
    options.setdefault("limited", False)
    vendor = Pipedrive(shared, SEED if seed is None else seed, **options)
    sandbox = running.start({"pipedrive": vendor}, shared)
    http = httpx.Client(base_url=sandbox.urls["pipedrive"], headers={"x-api-token": TOKEN})

    def stop() -> None:
        http.close()
        # Some tenths of a second of uvicorn winding down: not worth a test's wait.
        threading.Thread(target=sandbox.stop).start()

    return Rig(vendor, shared, http), stop


@pytest.fixture
def start_account() -> Iterator[Start]:
    """Start accounts with any options; all are stopped at the end."""
    stops: list[Callable[[], None]] = []

    def one_more(seed: list[dict[str, Any]] | None = None, **options: Any) -> Rig:
        rig, stop = begin(seed, **options)
        stops.append(stop)
        return rig

    yield one_more
    for stop in stops:
        stop()


@pytest.fixture
def rig(start_account: Start) -> Rig:
    """Return a fresh account with three persons and no rate limit."""
    return start_account()


@pytest.fixture(scope="module")
def common() -> Iterator[Rig]:
    """Return an account that the tests of a module share: for many small questions."""
    rig, stop = begin()
    yield rig
    stop()
