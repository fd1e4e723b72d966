"""What changed the stand-ins, kept in a file, so that others can be brought to the same state later.

Given its requests and the instants at which they came, a stand-in always holds the same: its ids are counted, and what
it draws is seeded. So the file has the requests that changed something, a line each, before anybody is answered;
exports are left out, since what they hold is somebody's file by then.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Scope

_READS = ("/batch/read", "/search", "/v1/customers", "/v1/customers/attributes", "/v1/exports/customers")
"""What is asked by POST and changes nothing that lasts."""
_CREDENTIALS = ("authorization", "x-api-token")
_HEADERS = ("content-type", *_CREDENTIALS)
Credentials = Mapping[tuple[str, str, str], str]
"""(vendor, header, scheme) -> what a stand-in admits."""
PASSING = ("/_sandbox/clock", "/_sandbox/faults", "/_sandbox/limits")
"""Switches of the control surface; the clock's every entry has."""


@dataclass(frozen=True)
class Change:
    """One request that changed something. ``at``: the vendors' time, seconds since the epoch."""

    vendor: str
    method: str
    path: str
    query: str
    at: float
    body: str
    """Base64."""
    headers: dict[str, str]
    """Those that a stand-in looks at; of a credential its scheme only: no secret is in the file."""


class Recording:
    """One file of changes, which is added to."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, vendor: str, scope: Scope, body: bytes, at: float, status: int) -> None:
        """Keep a request, if it changed something."""
        method, path = scope["method"], scope["path"]
        if method in ("GET", "HEAD") or status >= 400 or path.endswith(_READS) or path in PASSING:
            return
        given = {name.decode(): value.decode() for name, value in scope["headers"] if name.decode() in _HEADERS}
        headers = {name: _scheme(value) if name in _CREDENTIALS else value for name, value in given.items()}
        query, packed = scope["query_string"].decode(), base64.b64encode(body).decode()
        change = Change(vendor, method, path, query, at, packed, headers)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(change)) + "\n")

    def changes(self) -> list[Change]:
        """Return what was kept, in order; a line that was cut off by the end of its process is none."""
        if not self._path.exists():
            return []
        whole = [line for line in self._path.read_text(encoding="utf-8").split("\n")[:-1] if line]
        return [Change(**json.loads(line)) for line in whole]


def play(changes: list[Change], apps: Mapping[str, ASGIApp], clock: Any, credentials: Credentials) -> None:
    """Ask ``apps`` (vendor -> its app) for all of it anew, each at its own instant; nobody may hold rates meanwhile.

    ValueError where one is refused now: then these are other stand-ins than those that the changes were made in.
    """

    async def ask_all() -> None:
        for change in changes:
            with clock.pinned(change.at):
                status = await _ask(apps[change.vendor], change, credentials)
            if status >= 400:
                raise ValueError(
                    f"the stand-ins cannot be brought back to where they were: {change.vendor} answers {status} to "
                    f"{change.method} {change.path}"
                )

    asyncio.run(ask_all())


def _scheme(value: str) -> str:
    """Return ``Bearer`` or the like; empty where the value is nothing but the secret."""
    scheme, space, _ = value.partition(" ")
    return scheme if space else ""


async def _ask(app: ASGIApp, change: Change, credentials: Credentials) -> int:
    headers = {n: credentials.get((change.vendor, n, v), v) for n, v in change.headers.items()}
    told: list[int] = []
    body = base64.b64decode(change.body)
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": change.method,
        "scheme": "http",
        "path": change.path,
        "raw_path": change.path.encode(),
        "query_string": change.query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 0),
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            told.append(int(message["status"]))

    await app(scope, receive, send)
    return told[0]
