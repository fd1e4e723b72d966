"""The stand-in's outgoing webhooks: signed, repeated until taken, and, as faults, twice and out of order.

Facts (the vendor's webhook document, fact sheet section 7): reporting webhooks are POSTs with ``X-CIO-Timestamp``
("when the request was sent") and ``X-CIO-Signature``, hex HMAC-SHA256 of ``v0:<timestamp>:<body>``; 4 s without a 2xx
is a failure, tried again for seven days with growing waits, an hour first after some answers; later events queue
behind the failing one. Journey webhook actions carry an idempotency key and a delivery id that stay the same; a
secondhand source gives them 16 s and 11 tries in about an hour. How long the first wait is, and whether journey
actions queue behind each other, is documented nowhere: a minute, and no.

Waits are in the vendors' time: move the clock on to see a retry.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

SIGNING_KEY = "sandbox-signing-key"
SOURCES = ("reporting", "journey")
AN_HOUR_FIRST = frozenset({400, 401, 402, 403, 404, 405, 410, 429, 500, 502, 521})
SEVEN_DAYS = 7 * 86_400.0
JOURNEY_TRIES = 11
FIRST_WAIT = {"reporting": 60.0, "journey": 2.0}
TIMEOUT = {"reporting": 4.0, "journey": 16.0}
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass
class Delivery:
    """One event on its way. Instants are in the vendors' time."""

    body: bytes
    headers: dict[str, str]
    due_at: float
    first_at: float | None = None
    tries: int = 0


@dataclass
class Misbehaviour:
    """Faults, each a share of deliveries from 0 to 1; ``resign`` false keeps the first try's timestamp in retries."""

    duplicates: float = 0.0
    """Of deliveries that were taken and are sent again, as if the answer had been lost."""
    disorder: float = 0.0
    """Of tries that are not for the event whose turn it is."""
    resign: bool = True


@dataclass
class Tally:
    """What became of the deliveries to one address."""

    taken: int = 0
    repeated: int = 0
    given_up: int = 0
    answers: dict[str, int] = field(default_factory=dict)


class Address:
    """One address that events go to, with its queue and its sending thread."""

    def __init__(self, source: str, url: str, key: str, now: Callable[[], float], seed: int) -> None:
        self.source, self.url, self.faults, self.tally = source, url, Misbehaviour(), Tally()
        self._key, self._now, self._random = key.encode(), now, random.Random(seed)
        self._queue: list[Delivery] = []
        self._change = threading.Condition()
        self._open = True
        threading.Thread(target=self._send_all, name=f"webhooks-{source}", daemon=True).start()

    def put(self, body: bytes, headers: dict[str, str]) -> None:
        """Put an event in the queue."""
        with self._change:
            self._queue.append(Delivery(body, headers, self._now()))
            self._change.notify()

    def close(self) -> None:
        """Send nothing more."""
        with self._change:
            self._open = False
            self._change.notify()

    def state(self) -> dict[str, Any]:
        """Return the queue's length and what was answered."""
        with self._change:
            return {"source": self.source, "url": self.url, "waiting": len(self._queue), **self.tally.__dict__}

    def _send_all(self) -> None:
        while self._open:
            delivery = self._next()
            if delivery is not None:
                answer = self._send(delivery)
                with self._change:
                    self._note(delivery, answer)

    def _next(self) -> Delivery | None:
        with self._change:
            due = [d for d in self._queue if d.due_at <= self._now()]
            if self._queue and self.faults.disorder and self._random.random() < self.faults.disorder:
                due = [self._random.choice(due)] if due else []
            elif self.source == "reporting" and due and due[0] is not self._queue[0]:
                due = []  # it queues behind the failing one
            if not due:
                self._change.wait(0.02)
                return None
            return due[0]

    def _note(self, delivery: Delivery, answer: int | str) -> None:
        name = str(answer)
        self.tally.answers[name] = self.tally.answers.get(name, 0) + 1
        if isinstance(answer, int) and 200 <= answer < 300:
            self.tally.taken += 1
            if self._random.random() < self.faults.duplicates:
                self.tally.repeated += 1
                delivery.due_at = self._now()
            else:
                self._queue.remove(delivery)
            return
        assert delivery.first_at is not None
        wait = FIRST_WAIT[self.source]
        if self.source == "reporting" and (answer in AN_HOUR_FIRST or answer == "refused"):
            wait = 3_600.0
        delivery.due_at = self._now() + wait * 2.0 ** (delivery.tries - 1)
        late = delivery.due_at > delivery.first_at + SEVEN_DAYS
        if late if self.source == "reporting" else delivery.tries >= JOURNEY_TRIES:
            self.tally.given_up += 1
            self._queue.remove(delivery)

    def _send(self, delivery: Delivery) -> int | str:
        """Try once; return the status, or ``refused`` or ``timeout``."""
        now = self._now()
        if delivery.first_at is None:
            delivery.first_at = now
        delivery.tries += 1
        stamp = str(int(now if self.faults.resign else delivery.first_at))
        signature = hmac.new(self._key, f"v0:{stamp}:".encode() + delivery.body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-CIO-Timestamp": stamp,
            "X-CIO-Signature": signature,
            **delivery.headers,
        }
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT[self.source])
        try:
            connection.request("POST", parts.path or "/", delivery.body, headers)
            return connection.getresponse().status
        except TimeoutError:
            return "timeout"
        except (OSError, http.client.HTTPException):
            return "refused"
        finally:
            connection.close()


class Webhooks:
    """Every address of a workspace, and what is sent to them."""

    def __init__(self, now: Callable[[], float], seed: int = 7) -> None:
        self._now, self._random = now, random.Random(seed)
        self._addresses: list[Address] = []

    @property
    def connected(self) -> bool:
        """Whether anybody gets anything."""
        return bool(self._addresses)

    def connect(self, source: str, url: str, key: str = SIGNING_KEY) -> None:
        """Send the events of ``source`` to ``url`` from now on, signed with ``key``."""
        if source not in SOURCES:
            raise ValueError(f"source must be one of {', '.join(SOURCES)}")
        self._addresses.append(Address(source, url, key, self._now, self._random.randrange(2**32)))

    def disconnect(self) -> None:
        """Forget every address and what waits for it."""
        for address in self._addresses:
            address.close()
        self._addresses.clear()

    def misbehave(self, **values: Any) -> None:
        """Set fields of :class:`Misbehaviour` for every address."""
        for address in self._addresses:
            address.faults = Misbehaviour(**values)

    def report(self, object_type: str, metric: str, identifiers: dict[str, Any], at: float, **data: Any) -> str:
        """Queue a reporting event that happened at ``at`` (may be long ago) and return its id."""
        event_id = self._ulid(at)
        delivery = {"delivery_id": self._name(), "action_id": 42, "campaign_id": 7, "identifiers": identifiers}
        body = {
            "metric": metric,
            "event_id": event_id,
            "object_type": object_type,
            "timestamp": int(at),
            "data": {**delivery, "customer_id": identifiers.get("id"), **data},
        }
        self._put("reporting", body, {})
        return event_id

    def act(self, body: Any) -> str:
        """Queue a journey webhook action with a body of the user's choosing and return its idempotency key."""
        key = self._name()
        self._put("journey", body, {"x-cio-idempotency-key": key, "x-cio-delivery-id": self._name()})
        return key

    def state(self) -> list[dict[str, Any]]:
        """Return each address with its queue."""
        return [address.state() for address in self._addresses]

    def _put(self, source: str, body: Any, headers: dict[str, str]) -> None:
        content = body.encode() if isinstance(body, str) else json.dumps(body, separators=(",", ":")).encode()
        for address in self._addresses:
            if address.source == source:
                address.put(content, headers)

    def _ulid(self, at: float) -> str:
        number = (int(at * 1000) << 80) | self._random.getrandbits(80)
        return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))

    def _name(self) -> str:
        return "".join(self._random.choice(_ALPHABET) for _ in range(28))


def wait_until_quiet(webhooks: Webhooks, seconds: float = 60.0) -> None:
    """Wait, in real time, until nothing is queued; TimeoutError if that takes longer than ``seconds``."""
    until = time.monotonic() + seconds
    while any(a["waiting"] for a in webhooks.state()):
        if time.monotonic() > until:
            raise TimeoutError(f"webhooks still wait: {webhooks.state()}")
        time.sleep(0.01)
