"""What every Pipedrive answer and request has in common: envelopes of v1 and v2, times, query parameters.

Where the documents leave a behaviour open, this stand-in takes the harsher one: a client that lives with it
also lives with the real vendor.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.responses import Response

SCHEMA_ERROR = "ERR_SCHEMA_VALIDATION_FAILED"
BAD_REQUEST = "ERR_BAD_REQUEST"
NOT_FOUND = "ERR_NOT_FOUND"
PAGE_DEFAULT, PAGE_MAX = 100, 500

_RFC3339 = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")


class Refusal(Exception):
    """A request the vendor refuses: HTTP status, error text and the v2 ``code``."""

    def __init__(self, status: int, error: str, code: str | None = None) -> None:
        super().__init__(error)
        self.status, self.error, self.code = status, error, code

    def response(self, version: int) -> Response:
        """Return the refusal in the envelope of API ``version``."""
        body: dict[str, Any] = {"success": False, "error": self.error}
        if version == 2:
            body["code"] = self.code or BAD_REQUEST
        else:
            body["error_info"] = "see the API reference"
            body |= {"data": None, "additional_data": None}
            if self.code:
                body["code"] = self.code
        return reply(body, self.status)


def bad_schema(problems: list[str]) -> Refusal:
    """Return the one 400 that lists every bad parameter of a request."""
    return Refusal(400, "Validation failed: " + "; ".join(problems), SCHEMA_ERROR)


def missing(what: str) -> Refusal:
    """Return the 404 of a record that does not exist, is deleted, or was merged away."""
    return Refusal(404, f"{what} not found", NOT_FOUND)


def reply(body: Any, status: int = 200) -> Response:
    """Return ``body`` as a JSON answer."""
    return Response(orjson.dumps(body), status, media_type="application/json")


def ok(data: Any, status: int = 200, **additional: Any) -> Response:
    """Return a success envelope; ``additional`` becomes ``additional_data``."""
    body: dict[str, Any] = {"success": True, "data": data}
    if additional:
        body["additional_data"] = additional
    return reply(body, status)


def utc(instant: float) -> str:
    """Return a time as v2 writes it: RFC 3339, UTC, whole seconds."""
    return datetime.fromtimestamp(int(instant), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc_v1(instant: float) -> str:
    """Return a time as v1 writes it: ``YYYY-MM-DD HH:MM:SS``, UTC."""
    return datetime.fromtimestamp(int(instant), UTC).strftime("%Y-%m-%d %H:%M:%S")


def instant_of(text: Any) -> float | None:
    """Return the epoch seconds of an RFC 3339 time with zone, or None if it is not one."""
    if not isinstance(text, str) or not _RFC3339.match(text):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


class Query:
    """The query parameters of one request. Every mistake is gathered; ``done()`` refuses them all at once."""

    def __init__(self, given: Mapping[str, str], *, strict: bool) -> None:
        self._given, self._strict = given, strict
        self._read: set[str] = set()
        self._problems: list[str] = []

    def has(self, name: str) -> bool:
        """Tell whether the caller sent ``name``."""
        return name in self._given

    def text(self, name: str) -> str | None:
        """Return the parameter as it came."""
        self._read.add(name)
        return self._given.get(name)

    def integer(self, name: str, default: int | None = None, low: int = 1, high: int = 2**53) -> int | None:
        """Return a whole number between ``low`` and ``high``."""
        raw = self.text(name)
        if raw is None:
            return default
        if not re.fullmatch(r"-?\d{1,16}", raw) or not low <= int(raw) <= high:
            self._problems.append(f"{name}: expected an integer between {low} and {high}")
            return default
        return int(raw)

    def flag(self, name: str) -> bool | None:
        """Return ``true``/``false``."""
        raw = self.text(name)
        if raw not in (None, "true", "false"):
            self._problems.append(f"{name}: expected true or false")
        return None if raw is None else raw == "true"

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        """Return one of ``allowed``."""
        raw = self.text(name)
        if raw is not None and raw not in allowed:
            self._problems.append(f"{name}: must be one of {', '.join(allowed)}")
            return default
        return default if raw is None else raw

    def words(self, name: str, most: int, allowed: tuple[str, ...] | None = None) -> list[str] | None:
        """Return a comma-separated list of at most ``most`` entries."""
        raw = self.text(name)
        if raw is None:
            return None
        words = [w.strip() for w in raw.split(",") if w.strip()]
        if len(words) > most:
            self._problems.append(f"{name}: at most {most} entries are allowed")
        if allowed is not None and (wrong := [w for w in words if w not in allowed]):
            self._problems.append(f"{name}: {', '.join(wrong)} is not allowed")
        return words

    def ids(self, name: str = "ids") -> list[int] | None:
        """Return up to 100 record ids."""
        words = self.words(name, 100)
        if words is None:
            return None
        if not all(w.isascii() and w.isdigit() for w in words):
            self._problems.append(f"{name}: expected comma-separated integers")
            return []
        return [int(w) for w in words]

    def instant(self, name: str) -> float | None:
        """Return an RFC 3339 time as epoch seconds."""
        raw = self.text(name)
        found = instant_of(raw)
        if raw is not None and found is None:
            self._problems.append(f"{name}: expected an RFC 3339 time")
        return found

    def problem(self, text: str) -> None:
        """Add a mistake that only the endpoint can see."""
        self._problems.append(text)

    def done(self) -> None:
        """Refuse the request if a parameter was wrong or, in v2, unknown."""
        if self._strict:
            self._problems += [f"{n}: is not allowed" for n in self._given if n not in self._read]
        if self._problems:
            raise bad_schema(self._problems)


@dataclass
class Call:
    """One admitted request as a handler sees it."""

    version: int
    path: dict[str, str]
    query: Query
    body: bytes = b""
    content_type: str = ""
    extras: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> int:
        """The record id of the path."""
        raw = self.path["id"]
        if not (raw.isascii() and raw.isdigit()) or len(raw) > 16:
            raise bad_schema(["id: expected an integer"])
        return int(raw)

    def json(self) -> Any:
        """Return the body; anything but JSON sent as JSON is refused."""
        if not self.content_type.startswith("application/json"):
            raise Refusal(400, "The request body must be sent as application/json", BAD_REQUEST)
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise Refusal(400, "The request body is not valid JSON", BAD_REQUEST) from error
