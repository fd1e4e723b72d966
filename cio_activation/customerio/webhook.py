"""Judges one webhook request: is it Customer.io's, is it recent enough, and which event is it.

Facts: ``X-CIO-Signature`` is the hex HMAC-SHA256 of ``v0:<X-CIO-Timestamp>:<raw body>`` under the signing key of the
integration's page (Customer.io, "Securely verifying requests"). Journey webhook actions are signed too, but staff
said that the key is not the customer's, so they may carry a bearer token, set as a header of the action, instead.
``x-cio-idempotency-key`` and ``x-cio-delivery-id`` stay the same over the retries of an action.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from cio_activation.activation.settings import Settings
from cio_activation.customerio.inbox import REPLAY_WINDOW_S, SKEW_S, Event, Source

_TIMESTAMP = b"x-cio-timestamp"
_SIGNATURE = b"x-cio-signature"
_TOKEN = b"authorization"
_KEY = b"x-cio-idempotency-key"
_DELIVERY = b"x-cio-delivery-id"
_READ = frozenset({_TIMESTAMP, _SIGNATURE, _TOKEN, _KEY, _DELIVERY})
_SECONDS = re.compile(rb"[0-9]{1,12}")
_HEX = re.compile(rb"[0-9a-fA-F]{64}")
_ID = re.compile(r"[\x21-\x7e]{1,200}")


class Refused(Exception):
    """A request that is not stored: the status to answer and the reason, one word for metrics and logs."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


@dataclass(frozen=True)
class Seal:
    """What vouches for a request. ``signature`` and ``signed_at`` are None for one that came with a token."""

    signed_at: float | None
    signature: str | None
    previous: bool
    """It was made with the previous key or token."""


@dataclass(frozen=True, repr=False)
class Keys:
    """Signing keys and journey tokens that are good now: the current one first, then the previous one."""

    signing: tuple[bytes, ...]
    tokens: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> Keys:
        """Return the installation's keys; ConfigError, naming the variable, if there is no signing key."""
        signing = [settings.secret("customerio_webhook_signing_key")]
        signing += settings.secrets("customerio_webhook_signing_key_previous")
        tokens = settings.secrets("customerio_journey_token", "customerio_journey_token_previous")
        return cls(tuple(k.strip().encode() for k in signing), tuple(t.strip().encode() for t in tokens))


def headers_of(raw: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the headers that matter here, by lower-case name; Refused if one is there twice."""
    found: dict[bytes, bytes] = {}
    for name, value in raw:
        if name in _READ:
            if name in found:
                raise Refused(400, "repeated_header")
            found[name] = value
    return found


def check(source: Source, headers: dict[bytes, bytes], body: bytes, keys: Keys, now: float) -> Seal:
    """Return what vouches for the request; Refused if nothing does, or if it was signed too long ago.

    ``now``: seconds since the epoch. Every comparison takes the same time whatever is given, and every key is tried.
    """
    stamp, given = headers.get(_TIMESTAMP), headers.get(_SIGNATURE)
    if source is Source.JOURNEY and (token := headers.get(_TOKEN)) is not None and keys.tokens:
        place = _place(token, [b"Bearer " + known for known in keys.tokens])
        if place is not None:
            return Seal(None, None, place > 0)
    if stamp is None or given is None:
        raise Refused(401, "unsigned")
    if not _SECONDS.fullmatch(stamp) or not _HEX.fullmatch(given):
        raise Refused(401, "forged")
    signed = b"v0:" + stamp + b":" + body
    place = _place(given.lower(), [hmac.digest(key, signed, "sha256").hex().encode() for key in keys.signing])
    if place is None:
        raise Refused(401, "forged")
    signed_at = float(stamp)
    if signed_at < now - REPLAY_WINDOW_S:
        raise Refused(403, "too_old")
    if signed_at > now + SKEW_S:
        raise Refused(403, "from_the_future")
    return Seal(signed_at, given.lower().decode(), place > 0)


def event_of(source: Source, headers: dict[bytes, bytes], body: bytes, seal: Seal, received_at: float) -> Event:
    """Return the event of a request that was checked. Never refuses: what cannot be understood is stored as it is.

    A reporting event is known by ``event_id``, of the signed body; one without by its bytes, which hold its time. A
    journey action is known by its idempotency key and by its signature, as the key is a header and not signed.
    """
    content = _object(body)
    delivery = _text(headers.get(_DELIVERY))
    if source is Source.REPORTING:
        known, data = content or {}, (content or {}).get("data")
        if isinstance(data, dict) and isinstance(data.get("delivery_id"), str):
            delivery = data["delivery_id"]
        event_id = known.get("event_id")
        name = event_id if isinstance(event_id, str) and event_id else f"bytes:{hashlib.sha256(body).hexdigest()}"
        parts = [known.get("object_type"), known.get("metric")]
        kind = "_".join(p for p in parts if isinstance(p, str) and p)
        signature = None
    else:
        kind = str((content or {}).get("event") or "journey")
        signature = seal.signature
        # Without a key nothing says that two requests are one; taking them for two loses nothing.
        name = _text(headers.get(_KEY)) or (f"signature:{signature}" if signature else f"request:{uuid.uuid4()}")
    return Event(
        source,
        _id(name),
        "unreadable" if content is None else _kind(kind),
        body,
        received_at,
        seal.signed_at,
        signature,
        _id(delivery) if delivery else None,
    )


def _place(given: bytes, known: list[bytes]) -> int | None:
    """Return which of ``known`` is ``given``, comparing with all of them in constant time."""
    same = [hmac.compare_digest(given, one) for one in known]
    return same.index(True) if any(same) else None


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return content if isinstance(content, dict) else None


def _text(header: bytes | None) -> str | None:
    return header.decode("latin-1").strip() or None if header is not None else None


def _id(text: str) -> str:
    """Return an id as it is, or its hash where it is too long or odd for an index and for both databases."""
    return text if _ID.fullmatch(text) else f"hash:{hashlib.sha256(text.encode()).hexdigest()}"


def _kind(text: str) -> str:
    return text if 0 < len(text) <= 100 and text.isprintable() else "unknown"
