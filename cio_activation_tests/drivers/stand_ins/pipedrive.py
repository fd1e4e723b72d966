"""Pipedrive's stand-in: a running account, an HTTP client for it, and fixtures for the tests of the stand-in itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import httpx
import pytest

from cio_activation.sandbox.pipedrive.app import Pipedrive
from cio_activation.sandbox.server.core import Shared
from cio_activation.sandbox.server.running import RunningSandbox, start
from cio_activation_tests.drivers.stand_ins.stand_in import StandIn

TOKEN = "sandbox-pipedrive-token"
NOON = 1_795_348_800.0
"""2026-11-22 12:00:00 UTC."""
SEED: list[dict[str, Any]] = [
    {"email": "ann@example.com", "first_name": "Ann", "last_name": "Lee", "phone": "+12025550101"},
    {"email": "bob@example.com", "first_name": "Bob", "last_name": "Ray", "phone": None},
    {"email": "Cy@Example.com", "first_name": "Cy", "last_name": None, "phone": None},
]


class PipedriveStandIn(StandIn[Pipedrive]):
    """One account, answering on its own port; v2 paths are the default."""

    def __init__(self, vendor: Pipedrive, running: RunningSandbox) -> None:
        super().__init__(vendor, running, {"x-api-token": TOKEN})

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

    def stop(self) -> None:
        """Stop answering, without waiting for it: some tenths of a second of uvicorn winding down."""
        self.http.close()
        threading.Thread(target=self.running.stop).start()


Start = Callable[..., PipedriveStandIn]


def begin(seed: Sequence[Mapping[str, Any]] = (), *, at: float | None = None, **options: Any) -> PipedriveStandIn:
    """Start an account (without rate limits unless asked); the caller stops it.

    ``at``: the vendor's time at the start, seconds since the epoch; the real one by default.
    """
    shared = Shared()
    if at is not None:
        shared.clock.set(at)
    vendor = Pipedrive(shared, [dict(one) for one in seed], **{"limited": False, **options})
    return PipedriveStandIn(vendor, start({"pipedrive": vendor}, shared))


@pytest.fixture
def start_account() -> Iterator[Start]:
    """Start accounts with any options; all are stopped at the end."""
    made: list[PipedriveStandIn] = []

    def one_more(seed: list[dict[str, Any]] | None = None, **options: Any) -> PipedriveStandIn:
        made.append(begin(SEED if seed is None else seed, at=NOON, **options))
        return made[-1]

    yield one_more
    for one in made:
        one.stop()


@pytest.fixture
def rig(start_account: Start) -> PipedriveStandIn:
    """Return a fresh account with three persons and no rate limit."""
    return start_account()


@pytest.fixture(scope="module")
def common() -> Iterator[PipedriveStandIn]:
    """Return an account that the tests of a module share: for many small questions."""
    made = begin(SEED, at=NOON)
    yield made
    made.stop()
