"""One request as HubSpot's handlers see it, and the versions of paths."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from cio_activation.sandbox.hubspot.body_checks import Shape, array, record, require
from cio_activation.sandbox.hubspot.errors import Refusal, invalid_input, missing_fields, not_found

DATED = ("2026-09", "2026-03")
BATCH_MAX = 100

Handler = Callable[["Call"], Response]
RouteRow = tuple[str, str, Handler]
"""Method, path below the family's base (with ``{names}``), handler."""


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

    def flag(self, name: str) -> bool:
        """Return a query parameter that is true or false, in any letter case; false if it is absent."""
        text = self.query(name, "false").lower()
        if text not in ("true", "false"):
            raise invalid_input(f"{name} must be true or false, was {text}")
        return text == "true"

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

    def object(self, shape: Shape) -> dict[str, Any]:
        """Return the body, which must be a JSON object with no key but those of ``shape``."""
        found = self.body()
        if not isinstance(found, dict):
            raise invalid_input("Invalid input JSON on line 1, column 1: Cannot deserialize value of type `object`")
        require(shape, found)
        return found

    def inputs(self, item: Shape, maximum: int = BATCH_MAX, beside: Shape | None = None) -> list[dict[str, Any]]:
        """Return a batch's ``inputs``: objects of the shape ``item``, at least one and ``maximum`` at most.

        ``beside``: what the body may hold beside them.
        """
        found = self.object({**(beside or {}), "inputs": array(record(item))}).get("inputs")
        if found is None:
            raise missing_fields("inputs")
        if not found:
            raise invalid_input("The number of inputs in a batch request must be at least 1")
        if len(found) > maximum:
            raise invalid_input(f"The maximum number of inputs supported in a batch request is {maximum}")
        return list(found)


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
