"""The webhook receiver: checks a request, stores its event, and only then answers 200.

``POST /webhooks/reporting`` takes reporting webhooks, ``/webhooks/journey`` what journeys send ("Send and receive
data"; POST, PUT or PATCH). ``GET /healthz`` tells whether events can be stored, ``GET /metrics`` counts.

What Customer.io does with an answer (its webhook document) decides which one is given. 4 s without one, and any status
but 2xx, makes it try again for 7 days, with later events queueing behind; after 400 to 405, 410, 429, 500, 502 or a
refused connection it waits an hour first. So overload and a locked inbox are 503, early; everything that is signed is
stored and answered 200, whatever is in it; what is not signed by the key gets 401 and may wait.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import sqlalchemy as sa
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from cio_activation.customerio.inbox import Inbox, Source
from cio_activation.customerio.inbox_writer import InboxWriter, NotStored
from cio_activation.customerio.receiver_metrics import CONTENT_TYPE, Metrics
from cio_activation.customerio.webhook import Keys, Refused, check, event_of, headers_of

log = logging.getLogger("cio_activation.receiver")

ANSWER_S = 3.0
"""Every request is answered within this time; Customer.io waits 4 s."""
READ_S = 2.0
"""A body that is not here by then is not waited for."""
MOST_BYTES = 1_048_576
"""Largest body taken. A webhook that includes message contents sends whole e-mails."""
MOST_BYTES_AT_ONCE = 64 * 1_048_576
"""Bodies in memory, of all requests together: who cannot sign can still send."""
RETRY_AFTER_S = 2
_PROBE_EVERY_S = 2.0


class Gone(Exception):
    """The client went away before its body was complete: there is nobody to answer."""


class Receiver:
    """Everything the routes share."""

    def __init__(self, inbox: Inbox, writer: InboxWriter, keys: Keys, most_bytes: int = MOST_BYTES) -> None:
        self.writer, self.metrics = writer, Metrics()
        self._inbox, self._keys, self._most_bytes = inbox, keys, most_bytes
        self._bytes = 0
        self._probed_at = float("-inf")
        self._probe: asyncio.Task[str | None] | None = None

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/webhooks/reporting", _Endpoint(self, Source.REPORTING), methods=["POST"]),
                Route("/webhooks/journey", _Endpoint(self, Source.JOURNEY), methods=["POST", "PUT", "PATCH"]),
                Route("/healthz", self._health),
                Route("/metrics", self._show),
            ],
            lifespan=self._life,
        )

    async def take(self, source: Source, scope: Scope, receive: Receive, began: float) -> None:
        """Store the event of one request, durably; Refused or NotStored if that cannot be done, Gone if nobody asks."""
        if reason := self.writer.refusal(began):
            raise NotStored(reason)
        headers = headers_of(scope["headers"])
        declared = _declared(scope)
        self._reserve(declared, declared)
        reserved = declared
        try:
            async with asyncio.timeout(READ_S):
                body = bytearray()
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Gone
                    body += message.get("body", b"")
                    if len(body) > reserved:  # a length that was not told, or not truly
                        self._reserve(len(body) - reserved, len(body))
                        reserved = len(body)
                    if not message.get("more_body"):
                        break
        except TimeoutError:
            raise Refused(408, "too_slow") from None
        else:
            whole, now = bytes(body), time.time()
            seal = check(source, headers, whole, self._keys, now)
            if seal.previous:
                self.metrics.previous_key_used()
            await self.writer.store(event_of(source, headers, whole, seal, now), began + ANSWER_S)
        finally:
            self._bytes -= reserved

    def _reserve(self, more: int, size: int) -> None:
        """Reserve ``more`` bytes for a body of ``size`` so far, before they are read."""
        if size > self._most_bytes:
            raise Refused(413, "too_large")
        if self._bytes + more > MOST_BYTES_AT_ONCE:
            raise NotStored("memory_full")
        self._bytes += more

    async def _health(self, _request: Request) -> Response:
        problem = self.writer.refusal(time.monotonic()) or await self._writable()
        return JSONResponse({"ok": problem is None, "problem": problem}, 503 if problem else 200)

    async def _writable(self) -> str | None:
        """Return why nothing can be written; asks the database at most every two seconds, whoever asks here."""
        if self._probe is None or (self._probe.done() and time.monotonic() - self._probed_at > _PROBE_EVERY_S):
            self._probe = asyncio.create_task(self._ask())
        return await asyncio.shield(self._probe)

    async def _ask(self) -> str | None:
        try:
            async with asyncio.timeout(ANSWER_S):
                await asyncio.to_thread(self._inbox.probe)
        except (sa.exc.SQLAlchemyError, TimeoutError) as error:
            log.warning("the inbox cannot be written: %s", type(getattr(error, "orig", error)).__name__)
            return "inbox_unavailable"
        finally:
            self._probed_at = time.monotonic()
        return None

    async def _show(self, _request: Request) -> Response:
        read: list[Metric] = [
            GaugeMetricFamily("cio_receiver_in_line", "Requests that wait for their commit.", self.writer.waiting),
            CounterMetricFamily("cio_receiver_commits", "Commits to the inbox.", self.writer.commits),
            CounterMetricFamily("cio_receiver_new", "Events stored.", self.writer.new),
            CounterMetricFamily("cio_receiver_known", "Events that were in the inbox already.", self.writer.known),
        ]
        try:
            news = await asyncio.to_thread(self._inbox.news)
        except sa.exc.SQLAlchemyError as error:
            log.warning("the inbox cannot be read: %s", type(getattr(error, "orig", error)).__name__)
        else:
            age = max(0.0, time.time() - news.oldest_at) if news.oldest_at is not None else 0.0
            read += [
                GaugeMetricFamily("cio_inbox_events", "Events that no run has landed yet.", news.events),
                GaugeMetricFamily("cio_inbox_oldest_seconds", "Age of the oldest of them.", age),
            ]
        return Response(self.metrics.text(read), media_type=CONTENT_TYPE)

    @asynccontextmanager
    async def _life(self, _app: Starlette) -> AsyncIterator[None]:
        self.writer.start()
        yield
        await self.writer.stop()
        self.metrics.say()


class _Endpoint:
    """One webhook route. Plain ASGI: a request object and a response object would cost more than the work."""

    def __init__(self, receiver: Receiver, source: Source) -> None:
        self._receiver, self._source = receiver, source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.monotonic()
        status, outcome = 200, "stored"
        try:
            await self._receiver.take(self._source, scope, receive, began)
        except NotStored as late:
            status, outcome = 503, str(late)
        except Refused as refused:
            status, outcome = refused.status, refused.reason
        except Gone:
            self._receiver.metrics.answered(self._source, "gone", 0, time.monotonic() - began)
            return
        content = b'{"stored":true}' if status == 200 else b'{"stored":false,"reason":"%s"}' % outcome.encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
        if status == 503:
            headers.append((b"retry-after", b"%d" % RETRY_AFTER_S))
        if status in (408, 413):
            headers.append((b"connection", b"close"))  # the rest of the body is not read
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})
        self._receiver.metrics.answered(self._source, outcome, status, time.monotonic() - began)


def _declared(scope: Scope) -> int:
    """Return the body's declared length, 0 if none was; the server has refused lengths that are no number."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)
    return 0
