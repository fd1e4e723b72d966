"""The routes of people: search, look-ups by identifier, profiles."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from cio_activation.sandbox.customerio.answers import Refusal, body, cut, page, routes
from cio_activation.sandbox.customerio.identity import id_type as _id_type
from cio_activation.sandbox.customerio.identity import one_person
from cio_activation.sandbox.customerio.workspace import Workspace
from cio_activation.sandbox.world.snapshot import Identifiers, Snapshot

SEARCH_LIMIT = 1_000
ATTRIBUTES_LIMIT = 100
_ALWAYS_TEXT = ("id", "email", "cio_id", "phone")
_JSON = re.compile(r"true|false|-?(0|[1-9][0-9]{0,14})([.][0-9]{1,6})?|[\[{].*[\]}]", re.DOTALL)
"""Texts that were JSON when they were sent; no number with a leading zero, which is a code."""


class PeopleRoutes:
    """People over a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return routes(
            [
                ("POST", "/v1/customers/attributes", self._batch_attributes),
                ("GET", "/v1/customers", self._find_by_email),
                ("POST", "/v1/customers", self._search),
                ("GET", "/v1/customers/{customer_id}/attributes", self._attributes),
                ("GET", "/v1/customers/{customer_id}/segments", self._segments_of),
                ("GET", "/v1/workspaces", self._workspaces),
            ]
        )

    async def _find_by_email(self, request: Request) -> Response:
        email = request.query_params.get("email")
        if not email:
            raise Refusal(400, "email is required")
        snapshot = await self._workspace.snapshot()
        # Reviewed behaviour of the real API: an address that was not percent-encoded finds nobody, with 200.
        found = [] if b"@" in request.scope["query_string"] else self._workspace.world.find("email", email, snapshot.at)
        known = snapshot.among(found)
        shown = [_shown_ids(known[c]) for c in found if c in known]
        return JSONResponse({"results": shown})

    async def _search(self, request: Request) -> Response:
        limit, start = page(request, default=50, maximum=SEARCH_LIMIT)
        given = await body(request, "filter")
        if "filter" not in given:
            raise Refusal(400, "filter is required")
        snapshot = await self._workspace.snapshot()
        wanted = self._workspace.filter(given["filter"], snapshot, "filter")
        found = await asyncio.to_thread(snapshot.page, wanted, after=start, limit=limit + 1)
        people, following = cut(found, limit)
        return JSONResponse({**listed(people), "next": following})

    async def _batch_attributes(self, request: Request) -> Response:
        ids = (await body(request, "ids")).get("ids")
        if not isinstance(ids, list) or not all(isinstance(value, str) for value in ids):
            raise Refusal(400, "ids must be a list of texts")
        if not 1 <= len(ids) <= ATTRIBUTES_LIMIT:
            raise Refusal(400, f"ids must hold 1 to {ATTRIBUTES_LIMIT} values")
        kind, snapshot = _id_type(request), await self._workspace.snapshot()
        if kind == "cio_id":  # whether these want their prefix is not documented: with and without
            ids = [value.removeprefix("cio_") for value in ids]
        owners = [self._workspace.world.find(kind, value, snapshot.at) for value in ids]
        wanted = dict.fromkeys(found[0] for found in owners if found)
        found = snapshot.attributes(list(wanted))
        return JSONResponse({"customers": [{"customer": _typed_profile(found[c])} for c in wanted if c in found]})

    async def _one(self, request: Request) -> tuple[Snapshot, str]:
        snapshot = await self._workspace.snapshot()
        return snapshot, one_person(self._workspace, request, snapshot)

    async def _attributes(self, request: Request) -> Response:
        snapshot, cio_id = await self._one(request)
        return JSONResponse({"customer": _profile(snapshot.attributes([cio_id])[cio_id])})

    async def _segments_of(self, request: Request) -> Response:
        snapshot, cio_id = await self._one(request)
        inside = [
            s
            for s in self._workspace.world.segments.values()
            if snapshot.among([cio_id], self._workspace.visible(s, snapshot))
        ]
        rows = [{"id": s.id, "name": s.name, "description": s.description} for s in inside]
        return JSONResponse({"segments": rows})

    async def _workspaces(self, _request: Request) -> Response:
        people = len(await self._workspace.snapshot())
        zero = {"messages_sent": 0, "billable_messages_sent": 0, "object_types": 0, "objects": 0}
        return JSONResponse({"workspaces": [{"id": 100, "name": "Sandbox", "people": people, **zero}]})


def listed(people: list[Identifiers]) -> dict[str, Any]:
    """Return people as membership and search list them."""
    # A person without an id is an empty string in ``ids``: the trap the document warns of.
    return {"identifiers": [_shown_ids(row) for row in people], "ids": [row[1] or "" for row in people]}


def _shown_ids(row: Identifiers) -> dict[str, str | None]:
    return {"email": row[2], "id": row[1], "cio_id": row[0]}


def _typed_profile(attributes: dict[str, str]) -> dict[str, Any]:
    """Return a profile with numbers, booleans and nested values as JSON, as the route for several people has them."""
    profile = _profile(attributes)
    shown = {name: value if name in _ALWAYS_TEXT else _typed(value) for name, value in profile["attributes"].items()}
    return profile | {"attributes": shown}


def _typed(value: str | None) -> Any:
    if value is None or not _JSON.fullmatch(value):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _profile(attributes: dict[str, str]) -> dict[str, Any]:
    created = attributes.get("created_at", "")
    set_at = int(created) if created.isdigit() else 0
    return {
        "id": attributes.get("id", ""),  # text in the document, also of a person without one
        "identifiers": {name: attributes.get(name) for name in ("email", "id", "cio_id")},
        "attributes": {"id": None, "email": None, **attributes},
        "timestamps": dict.fromkeys(attributes, set_at),
        "unsubscribed": attributes.get("unsubscribed", "").lower() in ("true", "1"),
        "devices": [],
    }
