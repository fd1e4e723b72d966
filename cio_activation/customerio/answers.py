"""What Customer.io's App API answers, as the project understands it; an answer without what was asked for is none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cio_activation.transport.errors import OutcomeUnknown
from cio_activation.transport.http import Response

VENDOR = "customerio"


@dataclass(frozen=True)
class Segment:
    """One segment as listed. Members may be read only when ``state`` is ``finished``."""

    id: int
    name: str
    state: str
    updated_at: datetime | None = None
    """When it was last saved; naive UTC, by Customer.io's clock."""
    conditions: str | None = None
    """JSON with sorted keys, where they were asked for and Customer.io tells them."""
    manual: bool = False
    """Whether people are put in by hand, by the API or by a journey, not by conditions."""


@dataclass(frozen=True)
class Export:
    """One export as polled. ``status`` is ``pending``, ``done`` or ``failed``; ``total`` counts its rows once done."""

    id: int
    status: str
    total: int
    created_at: datetime
    """Naive UTC, by Customer.io's clock."""


@dataclass(frozen=True)
class Identifiers:
    """How the API names one person. ``external_id`` is the workspace's own id, which a person may lack."""

    cio_id: str
    external_id: str | None = None


@dataclass(frozen=True)
class PersonAttributes:
    """One person's profile attributes; every value is text on the wire."""

    cio_id: str
    attributes: Mapping[str, str]


@dataclass(frozen=True)
class Fetched:
    """The answer for some people: profiles of those found, ``cio_id`` of those Customer.io no longer knows."""

    people: tuple[PersonAttributes, ...] = ()
    gone: tuple[str, ...] = field(default=())


def object_of(answer: Response, operation: str) -> Any:
    """Return the JSON object of an answer; OutcomeUnknown where it has none."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise OutcomeUnknown("the answer is not a JSON object", vendor=VENDOR, operation=operation)
    return body


def part_of(body: Any, name: str) -> Any:
    """Return ``body[name]``; an answer without it is no answer."""
    if body.get(name) is None:
        raise OutcomeUnknown(f"the answer has no {name!r}", vendor=VENDOR, operation=name)
    return body[name]


def instant(seconds: Any) -> datetime | None:
    """Return seconds since the epoch as naive UTC; None where there is no instant."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None) if isinstance(seconds, int) and seconds else None


def export_of(body: Any) -> Export:
    """Return the export that an answer is about."""
    given = part_of(body, "export")
    status = "failed" if given.get("failed") else str(given["status"])
    created = datetime.fromtimestamp(int(given.get("created_at") or 0), UTC).replace(tzinfo=None)
    return Export(int(given["id"]), status, int(given.get("total") or 0), created)


def profile_of(customer: Mapping[str, Any]) -> tuple[str, Mapping[str, str]]:
    """Return (cio_id, attributes) with the identifiers among the attributes, as the export has them."""
    identifiers = customer.get("identifiers") or {}
    given = {k: _text(v) for k, v in (customer.get("attributes") or {}).items() if v is not None}
    for name in ("cio_id", "id", "email"):
        if identifiers.get(name):
            given[name] = str(identifiers[name])
    return given.get("cio_id", ""), given


def _text(value: Any) -> str:
    """Return a typed JSON value as the export writes it: a whole number without a point, anything nested as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)
