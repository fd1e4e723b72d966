"""What HubSpot's families share: the account's state, one request as handlers see it, versions of paths."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from cio_activation.sandbox.hubspot.errors import Refusal, invalid_input, missing_fields, not_found
from cio_activation.sandbox.hubspot.schema import PropertySet
from cio_activation.sandbox.server.core import Clock

if TYPE_CHECKING:
    from cio_activation.sandbox.hubspot.records import Records

DATED = ("2026-09", "2026-03")
BATCH_MAX = 100
_TYPES = {
    **dict.fromkeys(("contacts", "contact", "0-1"), "contacts"),
    **dict.fromkeys(("tasks", "task", "0-27"), "tasks"),
}

Handler = Callable[["Call"], Response]
RouteRow = tuple[str, str, Handler]
"""Method, path below the family's base (with ``{names}``), handler."""


@dataclass
class Settings:
    """Behaviours that the fact sheet leaves open, or that tests want to turn."""

    search_lag_s: float = 3.0
    echo_trace_ids: bool = True
    omit_empty_ids: bool = False


@dataclass
class Portal:
    """One HubSpot account."""

    clock: Clock
    settings: Settings
    portal_id: int = 48_000_123
    time_zone: str = "US/Eastern"
    rng: random.Random = field(default_factory=lambda: random.Random(20260922))
    properties: dict[str, PropertySet] = field(default_factory=dict)
    records: dict[str, Records] = field(default_factory=dict)

    @property
    def now(self) -> float:
        """The vendors' present time, seconds since the epoch."""
        return self.clock.now()

    def object_type(self, name: str) -> str:
        """Return ``contacts`` or ``tasks`` for any of a type's names."""
        found = _TYPES.get(name.lower())
        if found is None:
            raise Refusal(400, "VALIDATION_ERROR", f"Unable to infer object type from: {name}")
        return found


@dataclass
class Call:
    """One request: path parameters, query, body, and the API version it named (``v3`` or a date)."""

    request: Request
    raw: bytes
    version: str

    @property
    def params(self) -> dict[str, str]:
        """The path parameters."""
        return {name: str(value) for name, value in self.request.path_params.items()}

    def query(self, name: str, default: str = "") -> str:
        """Return a query parameter."""
        return self.request.query_params.get(name, default)

    def names(self, name: str) -> list[str]:
        """Return a query parameter that may be repeated or hold commas."""
        return [part for value in self.request.query_params.getlist(name) for part in value.split(",") if part]

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """Return a number from the query, refused outside ``low..high``."""
        text = self.query(name, str(default))
        if not text.isdigit() or not low <= int(text) <= high:
            raise invalid_input(f"{name} must be a number between {low} and {high}, was {text}")
        return int(text)

    def body(self) -> Any:
        """Return the parsed JSON body."""
        try:
            return orjson.loads(self.raw)
        except orjson.JSONDecodeError as error:
            raise invalid_input(
                f"Invalid input JSON on line {error.lineno}, column {error.colno}: {error.msg}"
            ) from error

    def object(self) -> dict[str, Any]:
        """Return the body, which must be a JSON object."""
        found = self.body()
        if not isinstance(found, dict):
            raise invalid_input("Invalid input JSON on line 1, column 1: Cannot deserialize value of type `object`")
        return found

    def inputs(self, maximum: int = BATCH_MAX) -> list[dict[str, Any]]:
        """Return a batch's ``inputs``: a list of objects, ``maximum`` at most."""
        found = self.object().get("inputs")
        if found is None:
            raise missing_fields("inputs")
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise invalid_input("Invalid input JSON: Cannot deserialize value of type `inputs`")
        if len(found) > maximum:
            raise invalid_input(f"The maximum number of inputs supported in a batch request is {maximum}")
        return found


def endpoint(handler: Handler, version: str | None) -> Callable[[Request], Awaitable[Response]]:
    """Wrap a handler for Starlette; refusals become answers. ``version`` None takes it from the path."""

    async def serve(request: Request) -> Response:
        call = Call(request, await request.body(), version or request.path_params["version"])
        try:
            if version is None and call.version not in DATED:
                raise not_found(f"No API version {call.version}")
            return handler(call)
        except Refusal as refusal:
            return refusal.response()

    return serve
