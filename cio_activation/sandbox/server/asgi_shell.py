"""The ASGI shell around every stand-in: log, planned faults, admission; the vendor's own routes inside."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from cio_activation.sandbox.server.core import Vendor
from cio_activation.sandbox.server.faults import Fault
from cio_activation.sandbox.server.recording import PASSING, Recording
from cio_activation.sandbox.server.request_log import template_of

KEEP_BELOW = 200_000
"""Bytes of an answer that the log keeps; it forgets longer ones."""
PIECE = 1 << 20
"""Bytes sent at once."""


def vendor_app(vendor: Vendor, control: list[BaseRoute], recording: Recording | None = None) -> ASGIApp:
    """Return the ASGI app of one vendor, with the control surface beside it; what changes it is kept, if asked for."""
    inner = Starlette(routes=[*control, *vendor.routes()])
    return _Shell(vendor, inner, recording)


class _Shell:
    """Log, faults, admission around a vendor's routes; control requests pass untouched."""

    def __init__(self, vendor: Vendor, inner: Starlette, recording: Recording | None) -> None:
        self._vendor, self._inner, self._recording = vendor, inner, recording

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        control = scope["type"] != "http" or scope["path"].startswith("/_sandbox")
        if control and (self._recording is None or scope["type"] != "http" or scope["path"] in PASSING):
            await self._inner(scope, receive, send)
            return
        body = await _read(receive)
        answered = self._controlled if control else self._called
        if self._recording is None:
            await answered(scope, body, send)
            return
        with self._vendor.shared.clock.pinned(self._vendor.now):  # to the instant that is kept, whatever it takes
            await answered(scope, body, send)

    async def _called(self, scope: Scope, body: bytes, send: Send) -> None:
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
        kind, done = fault.kind if fault else None, answer
        if fault and kind in ("status", "html"):
            page = b"<html><body><h1>403 Forbidden</h1>Access denied</body></html>"
            content = page if kind == "html" else json.dumps(fault.body or {"message": "fault"}).encode()
            media = "text/html" if kind == "html" else "application/json"
            status = 403 if kind == "html" else fault.status
            answer = Response(content, status, headers=fault.headers, media_type=media)
        if answer is not None:
            answer.headers["date"] = formatdate(self._vendor.now, usegmt=True)
        if done is not None:
            self._keep(scope, body, done)
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
        await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
        for start in range(0, len(content), PIECE):
            # In pieces, so that an export's file is not copied whole for a slow reader.
            piece = content[start : start + PIECE]
            await send({"type": "http.response.body", "body": piece, "more_body": start + PIECE < len(content)})
        if not content:
            await send({"type": "http.response.body", "body": b""})

    async def _controlled(self, scope: Scope, body: bytes, send: Send) -> None:
        """Answer a control request, and keep it before it is answered."""
        answer = await _run(self._inner, scope, body)
        self._keep(scope, body, answer)
        await answer(scope, _replay(body), send)

    def _keep(self, scope: Scope, body: bytes, answer: Response) -> None:
        """Keep what the vendor did, also where its answer gets lost."""
        if self._recording is not None:
            self._recording.note(self._vendor.name, scope, body, self._vendor.now, answer.status_code)

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
            request_body=body,
            response_body=bytes(answer.body) if answer is not None and len(answer.body) < KEEP_BELOW else None,
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
