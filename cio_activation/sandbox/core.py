"""What the three stand-ins share: a clock, a request log, planned faults, rate windows, the ASGI shell.

The sandbox imports nothing of the rest of the project: it is built from the vendors' documents, so that a
mistake of our client cannot also be a mistake of the stand-in.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from email.utils import formatdate
from fnmatch import fnmatchcase
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

KEEP_ENTRIES = 20_000
"""Log entries kept with bodies; counts are kept for ever."""


class Clock:
    """The vendors' time: real time plus an offset that the control surface sets. Seconds since the epoch, UTC."""

    def __init__(self) -> None:
        self._offset = 0.0

    def now(self) -> float:
        """Return the vendors' present time."""
        return time.time() + self._offset

    def set(self, moment: float) -> None:
        """Make the vendors' present time ``moment``; it goes on from there."""
        self._offset = moment - time.time()

    def advance(self, seconds: float) -> None:
        """Move the vendors' time on."""
        self._offset += seconds


@dataclass
class Entry:
    """One request as it arrived and what was answered."""

    number: int
    vendor: str
    method: str
    path: str
    template: str
    query: str
    status: int | None
    at: float
    real_at: float
    fault: str | None = None
    request: Any = None
    response: Any = None


class RequestLog:
    """Every request, in order of arrival; counts by (vendor, method, path template, status)."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=KEEP_ENTRIES)
        self.counts: Counter[tuple[str, str, str, int | None]] = Counter()
        self._number = 0
        self._lock = threading.Lock()

    def add(self, **values: Any) -> Entry:
        """Append one entry and count it."""
        with self._lock:
            self._number += 1
            entry = Entry(number=self._number, **values)
            self.entries.append(entry)
            self.counts[entry.vendor, entry.method, entry.template, entry.status] += 1
        return entry

    def calls(self, vendor: str) -> dict[str, int]:
        """Return calls of a vendor per ``METHOD template``."""
        totals: Counter[str] = Counter()
        for (name, method, template, _status), count in self.counts.items():
            if name == vendor:
                totals[f"{method} {template}"] += count
        return dict(sorted(totals.items()))

    def throttled(self, vendor: str) -> int:
        """Return how many 429 a vendor answered."""
        return sum(n for (name, _m, _t, status), n in self.counts.items() if name == vendor and status == 429)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self.entries.clear()
            self.counts.clear()


@dataclass
class Fault:
    """One planned misbehaviour, used up after ``times`` matching requests.

    ``path`` is a glob over the path. ``when`` says whether it strikes before the vendor's own work (nothing is
    applied) or after it (the work is done, the answer is lost). ``kind``: ``status`` answers ``status`` with
    ``body``/``headers``; ``reset`` sends a TCP RST; ``close`` ends the connection without an answer; ``truncate``
    cuts the true answer's body in half; ``delay`` waits ``delay_s`` and then goes on; ``html`` answers
    ``status`` (403) with a firewall's HTML page.
    """

    kind: str
    vendor: str = "*"
    method: str = "*"
    path: str = "*"
    when: str = "before"
    status: int = 500
    delay_s: float = 0.0
    times: int = 1
    skip: int = 0
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def matches(self, vendor: str, method: str, path: str) -> bool:
        """Tell whether this fault is meant for the request."""
        return fnmatchcase(vendor, self.vendor) and fnmatchcase(method, self.method) and fnmatchcase(path, self.path)


class Faults:
    """The planned faults, in order; the first that matches and is not used up strikes."""

    def __init__(self) -> None:
        self.planned: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, **values: Any) -> None:
        """Plan a fault (fields of :class:`Fault`)."""
        with self._lock:
            self.planned.append(Fault(**values))

    def clear(self) -> None:
        """Drop every planned fault."""
        with self._lock:
            self.planned.clear()

    def take(self, vendor: str, method: str, path: str) -> Fault | None:
        """Return the fault that strikes this request, using it up."""
        with self._lock:
            for fault in self.planned:
                if fault.times > 0 and fault.matches(vendor, method, path):
                    if fault.skip > 0:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    return fault
        return None


class RollingWindow:
    """At most ``limit`` units in any ``seconds`` of real time."""

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit, self.seconds = limit, seconds
        self._hits: deque[tuple[float, int]] = deque()

    def take(self, units: int = 1) -> bool:
        """Use ``units`` if they fit; False leaves the window as it was."""
        self._drop()
        if self.used + units > self.limit:
            return False
        self._hits.append((time.monotonic(), units))
        return True

    @property
    def used(self) -> int:
        """Units used in the window that ends now."""
        self._drop()
        return sum(units for _, units in self._hits)

    @property
    def remaining(self) -> int:
        """Units left now."""
        return max(0, self.limit - self.used)

    @property
    def resets_in(self) -> float:
        """Seconds until the oldest use leaves the window."""
        self._drop()
        return max(0.0, self._hits[0][0] + self.seconds - time.monotonic()) if self._hits else 0.0

    def _drop(self) -> None:
        edge = time.monotonic() - self.seconds
        while self._hits and self._hits[0][0] <= edge:
            self._hits.popleft()


@dataclass
class Shared:
    """What all vendors of one sandbox share."""

    clock: Clock = field(default_factory=Clock)
    log: RequestLog = field(default_factory=RequestLog)
    faults: Faults = field(default_factory=Faults)


class Vendor(ABC):
    """One stand-in. Subclasses declare routes and hold their own state; handlers are ``async`` and never block."""

    name: str

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

    def decorate(self, request: Request, response: Response) -> None:
        """Add the vendor's headers (rate windows, request ids) to every answer."""


def vendor_app(vendor: Vendor, control: list[BaseRoute]) -> ASGIApp:
    """Return the ASGI app of one vendor, with the control surface beside it."""
    inner = Starlette(routes=[*control, *vendor.routes()])
    return _Shell(vendor, inner)


class _Shell:
    """Log, faults, admission around a vendor's routes; control requests pass untouched."""

    def __init__(self, vendor: Vendor, inner: Starlette) -> None:
        self._vendor, self._inner = vendor, inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/_sandbox"):
            await self._inner(scope, receive, send)
            return
        body = await _read(receive)
        vendor, shared = self._vendor, self._vendor.shared
        method, path = scope["method"], scope["path"]
        fault = shared.faults.take(vendor.name, method, path)
        answer: Response | None = None
        if fault is None or fault.when == "after" or fault.kind in ("delay", "truncate"):
            if fault is not None and fault.kind == "delay" and fault.when == "before":
                await asyncio.sleep(fault.delay_s)
            request = Request(scope, _replay(body))
            answer = vendor.admit(request) or await _run(self._inner, scope, body)
            vendor.decorate(request, answer)
            if fault is not None and fault.kind == "delay" and fault.when == "after":
                await asyncio.sleep(fault.delay_s)
        await self._finish(scope, send, body, fault, answer)

    async def _finish(
        self, scope: Scope, send: Send, body: bytes, fault: Fault | None, answer: Response | None
    ) -> None:
        kind = fault.kind if fault else None
        if fault and kind in ("status", "html"):
            page = b"<html><body><h1>403 Forbidden</h1>Access denied</body></html>"
            content = page if kind == "html" else json.dumps(fault.body or {"message": "fault"}).encode()
            media = "text/html" if kind == "html" else "application/json"
            status = 403 if kind == "html" else fault.status
            answer = Response(content, status, headers=fault.headers, media_type=media)
        if answer is not None:
            answer.headers["date"] = formatdate(self._vendor.now, usegmt=True)
        self._log(scope, body, answer, f"{kind}:{fault.when}" if fault else None, lost=kind in ("reset", "close"))
        if fault and kind in ("reset", "close"):
            _drop_connection(scope, hard=kind == "reset")
            return
        assert answer is not None
        content = bytes(answer.body)
        if kind == "truncate":
            # The declared length stays whole: the client sees a body that ends too early.
            await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
            await send({"type": "http.response.body", "body": content[: len(content) // 2], "more_body": True})
            _drop_connection(scope, hard=False)
            return
        await answer(scope, _replay(body), send)

    def _log(self, scope: Scope, body: bytes, answer: Response | None, fault: str | None, *, lost: bool) -> None:
        self._vendor.shared.log.add(
            vendor=self._vendor.name,
            method=scope["method"],
            path=scope["path"],
            template=template_of(scope["path"]),
            query=scope["query_string"].decode(),
            status=None if lost or answer is None else answer.status_code,
            at=self._vendor.now,
            real_at=time.time(),
            fault=fault,
            request=_loads(body),
            response=_loads(bytes(answer.body)) if answer is not None and len(answer.body) < 200_000 else None,
        )


_ID = re.compile(r"^(\d+|[0-9a-f]{40}|[0-9a-f-]{36}|[0-9a-f]{8,}|.*@.*|.*%40.*|cio_.*)$")
_NAMED = frozenset({"name", "export-files"})
"""Path parts whose next part is a name of somebody's choosing."""
_VERSION = re.compile(r"^(v\d+|20\d\d-\d\d(-beta)?)$")


def template_of(path: str) -> str:
    """Return ``path`` with ids and versions' dates replaced, so that calls can be counted: ``/lists/{id}/...``."""
    parts = path.split("/")
    return "/".join(
        "{name}" if before in _NAMED else "{id}" if part and not _VERSION.match(part) and _ID.match(part) else part
        for before, part in zip(["", *parts], parts, strict=False)
    )


async def _read(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(chunks)
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


def _replay(body: bytes) -> Callable[[], Awaitable[Any]]:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _run(inner: ASGIApp, scope: Scope, body: bytes) -> Response:
    """Run the vendor's handler and hold its answer back, so that a fault can strike after the work is done."""
    started: dict[str, Any] = {}
    chunks: list[bytes] = []

    async def capture(message: Any) -> None:
        if message["type"] == "http.response.start":
            started.update(message)
        elif message["type"] == "http.response.body":
            chunks.append(message.get("body", b""))

    await inner(scope, _replay(body), capture)
    answer = Response(b"".join(chunks), started["status"])
    answer.raw_headers = [(k, v) for k, v in started["headers"] if k.lower() != b"content-length"]
    answer.headers["content-length"] = str(len(answer.body))
    return answer


def _drop_connection(scope: Scope, *, hard: bool) -> None:
    """Close the client's TCP connection; ``hard`` sends an RST. The server puts the transport into the scope."""
    transport = scope.get("extensions", {}).get("sandbox.transport")
    if transport is None:
        raise RuntimeError("this server cannot drop connections; run the sandbox with sandbox.server")
    if hard and (sock := transport.get_extra_info("socket")) is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _loads(body: bytes) -> Any:
    try:
        return json.loads(body) if body.strip() else None
    except (ValueError, UnicodeDecodeError):
        return f"<{len(body)} bytes>"


def control_routes(shared: Shared, vendors: dict[str, Vendor]) -> list[BaseRoute]:
    """Return the ``/_sandbox`` routes: log, state, faults, clock, edit. The same on every vendor's port."""
    from starlette.routing import Route

    async def log(request: Request) -> Response:
        if request.method == "DELETE":
            shared.log.clear()
            return JSONResponse({})
        vendor = request.query_params.get("vendor")
        since = int(request.query_params.get("since", 0))
        rows = [asdict(e) for e in shared.log.entries if e.number > since and vendor in (None, e.vendor)]
        names = list(vendors)
        return JSONResponse(
            {
                "entries": rows if request.query_params.get("entries", "1") != "0" else [],
                "calls": {name: shared.log.calls(name) for name in names},
                "throttled": {name: shared.log.throttled(name) for name in names},
            }
        )

    async def state(request: Request) -> Response:
        vendor = request.query_params.get("vendor")
        return JSONResponse({n: v.state() for n, v in vendors.items() if vendor in (None, n)})

    async def faults(request: Request) -> Response:
        if request.method == "DELETE":
            shared.faults.clear()
        elif request.method == "POST":
            given = await request.json()
            for fault in given if isinstance(given, list) else [given]:
                shared.faults.add(**fault)
        return JSONResponse([asdict(f) for f in shared.faults.planned])

    async def clock(request: Request) -> Response:
        if request.method == "POST":
            given = await request.json()
            if "set" in given:
                shared.clock.set(float(given["set"]))
            if "advance" in given:
                shared.clock.advance(float(given["advance"]))
        return JSONResponse({"now": shared.clock.now()})

    async def edit(request: Request) -> Response:
        given = await request.json()
        try:
            return JSONResponse(vendors[given.pop("vendor")].edit(given))
        except (KeyError, ValueError) as error:
            return JSONResponse({"error": f"{type(error).__name__}: {error}"}, status_code=400)

    return [
        Route("/_sandbox/log", log, methods=["GET", "DELETE"]),
        Route("/_sandbox/state", state),
        Route("/_sandbox/faults", faults, methods=["GET", "POST", "DELETE"]),
        Route("/_sandbox/clock", clock, methods=["GET", "POST"]),
        Route("/_sandbox/edit", edit, methods=["POST"]),
    ]
