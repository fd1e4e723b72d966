"""The one HTTP client under every vendor: pacing before, policy after, secrets and bodies out of every message.

The only module that imports httpx. HTTP/1.1 on purpose: an ordinary HTTP/2 GOAWAY would turn in-flight writes
into unknown outcomes (measured), and it is no cheaper.
"""

from __future__ import annotations

import hashlib
import os
import ssl
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import httpx
import orjson

from cio_activation.transport import json_text
from cio_activation.transport.errors import OutcomeUnknown, RateLimited, Rejected, Retryable, Stop, VendorError
from cio_activation.transport.policy import Meaning, policy_for
from cio_activation.transport.progress import working
from cio_activation.transport.retry import retry_after, retrying

_REQUEST_ID_HEADERS = ("x-hubspot-correlation-id", "x-correlation-id", "x-request-id", "cf-ray")


@dataclass(frozen=True, kw_only=True)
class Response:
    """A successful (2xx) answer."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    request_id: str | None
    body: Any = None
    """What the content says, read once; None for an empty one."""

    def json(self) -> Any:
        """Return the parsed body; None for an empty one."""
        return self.body


Answer = tuple[int, str | None]
"""Status and request id of a successful answer."""
answers: ContextVar[list[Answer] | None] = ContextVar("answers", default=None)
"""Takes the answers to writes that are made now, for whoever has to say what came of them; None: nobody does."""


class Pacer(Protocol):
    """Grants the right to make one call, and learns from what the vendor answers."""

    async def acquire(self, vendor: str, bucket: str, cost: float, daily: float = 0.0) -> None:
        """Wait until ``cost`` units of ``vendor``'s ``bucket`` may be used, and take ``daily`` units of its day.

        Raises Stop if that would take too long, BudgetSpent if the day has no such units left.
        """

    def observe(self, vendor: str, bucket: str, status: int, headers: Mapping[str, str]) -> None:
        """Learn from an answer's status and rate headers (a 429 pauses everyone)."""

    def spent(self, vendor: str) -> None:
        """Learn that the vendor said its daily budget is used up."""


class Unpaced:
    """A pacer that never waits; for tests and for addresses without a limit (a signed download link)."""

    async def acquire(self, vendor: str, bucket: str, cost: float, daily: float = 0.0) -> None:
        """Return at once."""

    def observe(self, vendor: str, bucket: str, status: int, headers: Mapping[str, str]) -> None:
        """Learn nothing."""

    def spent(self, vendor: str) -> None:
        """Learn nothing."""


@dataclass(kw_only=True)
class Calls:
    """What one client did: calls per operation, and how many were answered 429."""

    made: dict[str, int] = field(default_factory=dict)
    throttled: int = 0
    unanswered: int = 0
    """Those that are with the vendor now; a call that waits for its turn is not among them yet."""

    @property
    def total(self) -> int:
        """All calls, retries included."""
        return sum(self.made.values())


class VendorClient:
    """Calls one vendor. Use as an async context manager; one per step, with its own connection pool.

    ``repeatable`` requests (reads, absolute writes) are tried again after an unknown outcome; all others only
    when the request was surely not applied, because a blind retry of a creation makes a double.
    ``spent`` tells from a 429 (its ``Retry-After`` in seconds, its body) that a daily budget is used up, and says so;
    no waiting mends that, so it is a Stop. ``daily_cost`` gives the units of the vendor's day that an operation takes.
    ``timeout_s``: seconds without a byte; ``backoff_s``: the first pause.
    """

    def __init__(
        self,
        vendor: str,
        base_url: str,
        headers: Mapping[str, str],
        *,
        pacer: Pacer | None = None,
        attempts: int = 4,
        timeout_s: float = 30.0,
        backoff_s: float = 0.5,
        max_connections: int = 10,
        spent: Callable[[float | None, Any], str | None] = lambda _retry_after, _body: None,
        daily_cost: Callable[[str], float] = lambda _operation: 0.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.vendor = vendor
        self.access_hash = _access_hash(base_url, headers)
        """Differs for another address or another credential, and gives neither away."""
        self.calls = Calls()
        self._pacer: Pacer = pacer or Unpaced()
        self._attempts = attempts
        self._backoff = backoff_s
        self._spent = spent
        self._daily_cost = daily_cost
        self._transport = transport
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers=dict(headers),
            timeout=httpx.Timeout(timeout_s, connect=10.0),
            limits=httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_connections),
            http2=False,
            verify=_certificates() if base_url.startswith("https") else False,
            follow_redirects=False,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def request(
        self,
        method: str,
        path: str,
        *,
        operation: str,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        repeatable: bool | None = None,
        cost: float = 1.0,
        bucket: str = "default",
        authorised: bool = True,
    ) -> Response:
        """Make one call and return its 2xx answer; every other end is an error of ``transport.errors``.

        ``operation`` names the call in errors and counts ("contacts.batch_upsert"). ``repeatable`` defaults to
        True for GET. ``authorised=False`` leaves the credential out (signed links refuse it).
        """
        repeatable = method == "GET" if repeatable is None else repeatable
        once = partial(self._once, method, path, operation, json, params, cost, bucket, authorised)
        return await retrying(once, attempts=self._attempts, backoff_s=self._backoff, repeatable=repeatable)

    async def download(self, url: str, path: Path, operation: str) -> str:
        """Stream ``url`` (absolute, outside the vendor's API) into ``path``, synced to disk; return its SHA-256.

        No credential goes along, and nothing is asked of the pacer: a signed link is not the API. A body shorter
        than announced is an OutcomeUnknown and is fetched again from the start, like every read.
        """
        once = partial(self._download_once, url, path, operation)
        return await retrying(once, attempts=self._attempts, backoff_s=self._backoff, repeatable=True)

    async def _download_once(self, url: str, path: Path, operation: str) -> str:
        self.calls.made[operation] = self.calls.made.get(operation, 0) + 1
        context: dict[str, Any] = {"vendor": self.vendor, "operation": operation}
        digest = hashlib.sha256()
        # A client of its own: the vendor's default headers (credentials) must not reach a storage host.
        async with httpx.AsyncClient(
            timeout=self._http.timeout,
            follow_redirects=True,
            http2=False,
            verify=_certificates(),  # also of a plain link, which may lead on to a secure one
            transport=self._transport,
        ) as http:
            try:
                async with http.stream("GET", url) as answer:
                    if answer.status_code >= 300:
                        await answer.aread()
                        self._judge(answer, context)
                    size = answer.headers.get("content-length")
                    with path.open("wb") as file, working("bytes of a file", int(size) if size else None) as advance:
                        async for chunk in answer.aiter_bytes(1 << 20):
                            digest.update(chunk)
                            file.write(chunk)
                            advance(len(chunk))
                        file.flush()
                        os.fsync(file.fileno())
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
                raise Retryable(f"no connection ({type(error).__name__})", **context) from None
            except (httpx.TransportError, httpx.DecodingError) as error:
                raise OutcomeUnknown(f"the file is cut off ({type(error).__name__})", **context) from None
        announced = answer.headers.get("content-length")
        if announced is not None and int(announced) != answer.num_bytes_downloaded:
            raise OutcomeUnknown("the file is shorter than announced", **context)
        return digest.hexdigest()

    async def _once(
        self,
        method: str,
        path: str,
        operation: str,
        json: Any,
        params: Mapping[str, Any] | None,
        cost: float,
        bucket: str,
        authorised: bool,
    ) -> Response:
        await self._pacer.acquire(self.vendor, bucket, cost, self._daily_cost(operation))
        self.calls.made[operation] = self.calls.made.get(operation, 0) + 1
        content = None if json is None else orjson.dumps(json)
        request = self._http.build_request(method, path, params=params, content=content)
        if content is not None:
            request.headers["content-type"] = "application/json"
        if not authorised:
            for name in ("authorization", "x-api-token"):
                request.headers.pop(name, None)
        context: dict[str, Any] = {"vendor": self.vendor, "operation": operation}
        self.calls.unanswered += 1
        try:
            answer = await self._http.send(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Retryable(f"no connection ({type(error).__name__})", **context) from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise OutcomeUnknown(f"no answer ({type(error).__name__})", **context) from None
        finally:
            self.calls.unanswered -= 1
        self._pacer.observe(self.vendor, bucket, answer.status_code, answer.headers)
        judged = self._judge(answer, context)
        if method != "GET" and (noted := answers.get()) is not None:
            noted.append((judged.status, judged.request_id))
        return judged

    def _judge(self, answer: httpx.Response, context: dict[str, Any]) -> Response:
        status = answer.status_code
        request_id = next((answer.headers[h] for h in _REQUEST_ID_HEADERS if h in answer.headers), None)
        policy = policy_for(status)
        body = _parse(answer)
        context |= {"status": status, "request_id": request_id}
        if policy.meaning is Meaning.OK:
            if answer.content.strip() and body is None:
                raise OutcomeUnknown("the answer's body is cut off or is not JSON", **context)
            return Response(
                status=status, headers=answer.headers, content=answer.content, request_id=request_id, body=body
            )
        context |= {"body": body, "retry_after_s": retry_after(answer.headers)}
        if status == 429:
            self.calls.throttled += 1
            if spent := self._spent(context["retry_after_s"], body):
                self._pacer.spent(self.vendor)
                raise Stop(spent, **context)
            raise RateLimited(policy.why, **context)
        kinds: dict[Meaning, type[VendorError]] = {
            Meaning.WAIT: Retryable,
            Meaning.UNKNOWN: OutcomeUnknown,
            Meaning.REJECT: Rejected,
            Meaning.STOP: Stop,
        }
        raise kinds[policy.meaning](policy.why, **context)


@cache
def _certificates() -> ssl.SSLContext:
    """Return the trusted certificates, read once: building the context anew costs each client 0.1 s."""
    return httpx.create_ssl_context()


def _parse(answer: httpx.Response) -> Any:
    try:
        return json_text.loads(answer.content) if answer.content.strip() else None
    except ValueError:
        return None


def _access_hash(base_url: str, headers: Mapping[str, str]) -> str:
    parts = (base_url, *(f"{name}: {value}" for name, value in sorted(headers.items())))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
