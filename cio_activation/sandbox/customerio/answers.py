"""How the App API stand-in answers: error bodies, request bodies, pages."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from cio_activation.sandbox.world.snapshot import Identifiers

Handler = Callable[[Request], Awaitable[Response]]


class Refusal(Exception):
    """An answer that is no success; carries the response."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        reference = hashlib.md5(detail.encode()).hexdigest()[:6]
        body = {"errors": [{"detail": f"{detail} (reference {reference})", "status": str(status)}]}
        self.response = JSONResponse(body, status_code=status, headers=headers)


def routes(table: list[tuple[str, str, Handler]]) -> list[BaseRoute]:
    """Return the routes of (method, path, handler), each with and without a trailing slash."""
    return [
        Route(form, answering(handler), methods=[method])
        for method, path, handler in table
        for form in (path, path + "/")
    ]


def answering(handler: Handler) -> Handler:
    """Return the handler with its refusals turned into answers."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except Refusal as refusal:
            return refusal.response

    return answer


async def nowhere(_request: Request) -> Response:
    """Answer a path or method that the API does not have."""
    raise Refusal(404, "not found")


async def body(request: Request, *documented: str) -> dict[str, Any]:
    """Return the JSON object of the request; refuses keys that are not among the ``documented`` ones."""
    try:
        given = await request.json()
    except ValueError:
        raise Refusal(400, "the body is not JSON") from None
    if not isinstance(given, dict):
        raise Refusal(400, "the body must be an object")
    if unknown := sorted(set(given) - set(documented)):
        raise Refusal(400, f"unknown in the body: {', '.join(unknown)}")
    return given


def number(request: Request, name: str) -> int:
    """Return a number of the path; -1, which nothing has, when it is none."""
    return _digits(str(request.path_params[name]))


def _digits(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else -1


def page(request: Request, *, default: int, maximum: int) -> tuple[int, str]:
    """Return limit and the last cio_id of the page before."""
    limit = _digits(request.query_params.get("limit", str(default)))
    if not 1 <= limit <= maximum:
        raise Refusal(400, f"limit must be 1 to {maximum}")
    token = request.query_params.get("start", "")
    try:
        return limit, base64.urlsafe_b64decode(token.encode()).decode()
    except (binascii.Error, UnicodeError):
        raise Refusal(400, "start is not a token of an earlier page") from None


def cut(people: list[Identifiers], limit: int) -> tuple[list[Identifiers], str]:
    """Return the first ``limit`` of ``people`` and the token of the next page ("" if these are all)."""
    return people[:limit], token(people[limit - 1][0]) if len(people) > limit else ""


def token(last: str) -> str:
    """Return the ``start`` of the page after the row that ``last`` names."""
    return base64.urlsafe_b64encode(last.encode()).decode()
