"""The Customer.io stand-in: App API here, exports, filters and Track API in the modules beside it.

Facts: the vendor's App API document and fact sheet. Error bodies are the current ``errors`` list with ``detail``
and ``status`` (text). Where the documents are silent the stand-in takes the less convenient choice: a segment that
is not finished shows only a part of its members, and an e-mail with an unencoded ``@`` or ``+`` finds nobody.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import math
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from cio_activation.sandbox.core import RollingWindow, Shared, Vendor
from cio_activation.sandbox.customerio_edit import apply_edit
from cio_activation.sandbox.customerio_exports import Exports, csv_columns, write_csv
from cio_activation.sandbox.customerio_filters import BadFilter, Test, compile_filter
from cio_activation.sandbox.customerio_track import Track
from cio_activation.sandbox.picture import Identifiers, Picture
from cio_activation.sandbox.segments import Segment
from cio_activation.sandbox.world import World

APP_KEY = "sandbox-app-key"
MEMBERSHIP_LIMIT = 30_000
SEARCH_LIMIT = 1_000
ATTRIBUTES_LIMIT = 100
EVERY_METHOD = ["GET", "POST", "PUT", "PATCH", "DELETE"]

Handler = Callable[[Request], Awaitable[Response]]


class Refusal(Exception):
    """An answer that is no success; carries the response."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        reference = hashlib.md5(detail.encode()).hexdigest()[:6]
        body = {"errors": [{"detail": f"{detail} (reference {reference})", "status": str(status)}]}
        self.response = JSONResponse(body, status_code=status, headers=headers)


class CustomerIO(Vendor):
    """Customer.io over a world.

    ``export_seconds``: real seconds an export stays pending. ``requests_per_second``: the App API's general limit,
    not held when ``limited`` is false. ``region`` is where this host stands, ``account_region`` where the account
    lives (default: the same).
    """

    name = "customerio"

    def __init__(
        self,
        shared: Shared,
        world: World,
        *,
        export_seconds: float = 0.5,
        requests_per_second: int = 10,
        limited: bool = True,
        region: str = "us",
        account_region: str | None = None,
    ) -> None:
        super().__init__(shared)
        self.world = world
        self.exports = Exports(export_seconds)
        self.region, self.account_region = region, account_region or region
        self.limited = limited
        self.quota_left = True
        self.frozen_at: float | None = None
        self.track = Track(world, self.moment, self.account_region)
        self._window = RollingWindow(requests_per_second, 1.0)

    def moment(self) -> float:
        """Return the moment the workspace shows: the vendors' time, unless frozen by hand."""
        return self.now if self.frozen_at is None else self.frozen_at

    def routes(self) -> list[BaseRoute]:
        """Return the App API, the export files and the Track API; every other path is answered with 404."""
        app: list[tuple[str, str, Handler]] = [
            ("POST", "/v1/exports/customers", self._export_people),
            ("GET", "/v1/exports", self._list_exports),
            ("GET", "/v1/exports/{export_id}", self._get_export),
            ("GET", "/v1/exports/{export_id}/download", self._download),
            ("GET", "/export-files/customers-{number:int}.csv", self._file),
            ("GET", "/v1/segments", self._list_segments),
            ("POST", "/v1/segments", self._create_segment),
            ("GET", "/v1/segments/{segment_id}", self._get_segment),
            ("DELETE", "/v1/segments/{segment_id}", self._delete_segment),
            ("GET", "/v1/segments/{segment_id}/customer_count", self._count),
            ("GET", "/v1/segments/{segment_id}/membership", self._membership),
            ("GET", "/v1/segments/{segment_id}/used_by", self._used_by),
            ("POST", "/v1/customers/attributes", self._batch_attributes),
            ("GET", "/v1/customers", self._find_by_email),
            ("POST", "/v1/customers", self._search),
            ("GET", "/v1/customers/{customer_id}/attributes", self._attributes),
            ("GET", "/v1/customers/{customer_id}/segments", self._segments_of),
            ("GET", "/v1/workspaces", self._workspaces),
        ]
        found: list[BaseRoute] = []
        for method, path, handler in app:
            answering = _answering(handler)
            found += [Route(form, answering, methods=[method]) for form in (path, path + "/")]
        found += self.track.routes()
        found.append(Route("/{path:path}", _answering(_nowhere), methods=EVERY_METHOD))
        return found

    def admit(self, request: Request) -> Response | None:
        """Check the credentials of the surface, the region and the App API's rate."""
        path = request.url.path
        if path.startswith("/export-files/"):
            return None
        if path.startswith("/api/"):
            return self.track.refusal(request)
        if request.headers.get("authorization") != f"Bearer {APP_KEY}" or self.region != self.account_region:
            return Refusal(401, "unauthorized").response
        if not self.quota_left:
            # Without Retry-After: the documents give the header for the per-second limit only.
            return Refusal(429, "daily request quota reached").response
        if self.limited and not self._window.take():
            wait = str(max(1, math.ceil(self._window.resets_in)))
            limit = f"rate limited to {self._window.limit} requests per 1s"
            return Refusal(429, limit, {"Retry-After": wait}).response
        return None

    def state(self) -> dict[str, Any]:
        """Return segments with their counts, exports, hand-set attributes and what the Track API took."""
        picture = self.world.at(self.moment())
        return {
            "at": picture.at,
            "frozen": self.frozen_at is not None,
            "people": len(picture),
            "source": self.world.source,
            "segments": {
                str(s.id): {"name": s.name, "type": s.type, "state": s.state, "count": picture.count(s.id)}
                for s in self.world.segments.values()
            },
            "exports": self.exports.shown(),
            "attributes": self.world.custom,
            "track": self.track.state(),
        }

    def edit(self, change: dict[str, Any]) -> dict[str, Any]:
        """Apply one action by hand; see :mod:`cio_activation.sandbox.customerio_edit`."""
        return apply_edit(self, change)

    async def _picture(self) -> Picture:
        return await asyncio.to_thread(self.world.at, self.moment())

    # Exports

    async def _export_people(self, request: Request) -> Response:
        body = await _body(request)
        if "filters" not in body:
            raise Refusal(400, "filters is required")
        attributes = body.get("attributes")
        if attributes is not None and (
            not isinstance(attributes, list) or not all(isinstance(name, str) and name for name in attributes)
        ):
            raise Refusal(400, "attributes must be a list of names")
        picture = await self._picture()
        test = self._filter(body["filters"], picture, "filters")

        def render() -> tuple[bytes, int]:
            people = [person for person in picture.everyone() if test(person)]
            return write_csv(people, csv_columns(attributes, people)), len(people)

        content, rows = await asyncio.to_thread(render)
        export = self.exports.create(content, rows, self.now, "People export through the API")
        return JSONResponse({"export": export.shown()})

    async def _list_exports(self, _request: Request) -> Response:
        return JSONResponse({"exports": self.exports.shown()})

    async def _get_export(self, request: Request) -> Response:
        export = self.exports.get(_number(request, "export_id"))
        if export is None:
            raise Refusal(404, "export not found")
        return JSONResponse({"export": export.shown()})

    async def _download(self, request: Request) -> Response:
        export = self.exports.get(_number(request, "export_id"))
        if export is None:
            raise Refusal(404, "export not found")
        if export.status != "done":
            raise Refusal(400, "export is not ready" if export.status == "pending" else "export failed")
        return JSONResponse({"url": self.exports.link(export, str(request.base_url), self.now)})

    async def _file(self, request: Request) -> Response:
        if "authorization" in request.headers:
            return _storage_error(400, "InvalidArgument", "Only one auth mechanism allowed")
        query = request.query_params
        export = self.exports.fetch(
            int(request.path_params["number"]), query.get("Expires", ""), query.get("Signature", ""), self.now
        )
        if export is None:
            return _storage_error(403, "AccessDenied", "Request has expired or its signature does not match")
        return Response(export.content, media_type="text/csv; charset=utf-8")

    # Segments

    async def _list_segments(self, _request: Request) -> Response:
        return JSONResponse({"segments": [self._shown(s) for s in self.world.segments.values()]})

    async def _get_segment(self, request: Request) -> Response:
        return JSONResponse({"segment": self._shown(self._segment(request))})

    async def _create_segment(self, request: Request) -> Response:
        given = (await _body(request)).get("segment")
        name = given.get("name") if isinstance(given, dict) else None
        if not isinstance(name, str) or not name:
            raise Refusal(400, "segment.name is required")
        segment = self.world.add_segment(name, str(given.get("description") or "") if isinstance(given, dict) else "")
        return JSONResponse({"segment": self._shown(segment)})

    async def _delete_segment(self, request: Request) -> Response:
        segment = self._segment(request)
        if segment.type != "manual":
            raise Refusal(400, "only manual segments can be deleted through the API")
        self.world.drop_segment(segment.id)
        return Response(status_code=204)

    async def _count(self, request: Request) -> Response:
        segment, picture = self._segment(request), await self._picture()
        return JSONResponse({"segment_id": segment.id, "count": len(self._visible(segment, picture))})

    async def _membership(self, request: Request) -> Response:
        segment = self._segment(request)
        limit, start = _page(request, default=1_000, maximum=MEMBERSHIP_LIMIT)
        picture = await self._picture()
        page, following = _cut(self._visible(segment, picture), start, limit)
        return JSONResponse({"segment_id": segment.id, **_people(page, picture), "next": following})

    async def _used_by(self, request: Request) -> Response:
        segment = self._segment(request)
        used: dict[str, list[int]] = {"campaigns": [], "sent_newsletters": [], "draft_newsletters": []}
        return JSONResponse({"segment_id": segment.id, "used_by": used})

    def _visible(self, segment: Segment, picture: Picture) -> list[str]:
        """Return the members the API shows: while a segment is being built, only a part of them."""
        members = picture.members(segment.id)
        return members if segment.state == "finished" else members[: len(members) * (segment.progress or 0) // 100]

    def _segment(self, request: Request) -> Segment:
        segment = self.world.segments.get(_number(request, "segment_id"))
        if segment is None:
            raise Refusal(404, "segment not found")
        return segment

    def _shown(self, segment: Segment) -> dict[str, Any]:
        made = int(self.world.ends_at) - 90 * 86_400
        return {
            "id": segment.id,
            "deduplicate_id": f"{segment.id}:{made}",
            "name": segment.name,
            "description": segment.description,
            "state": segment.state,
            "progress": segment.progress,
            "type": segment.type,
            "tags": [],
            "created_at": made,
            "updated_at": made,
        }

    # People

    def _filter(self, given: Any, picture: Picture, path: str) -> Test:
        def members(segment: int) -> list[str]:
            return self._visible(self.world.segments[segment], picture)

        try:
            return compile_filter(given, members, path)
        except BadFilter as error:
            raise Refusal(400, str(error)) from error

    async def _find_by_email(self, request: Request) -> Response:
        email = request.query_params.get("email")
        if not email:
            raise Refusal(400, "email is required")
        picture = await self._picture()
        # Reviewed behaviour of the real API: an address that was not percent-encoded finds nobody, with 200.
        found = [] if b"@" in request.scope["query_string"] else self.world.find("email", email, picture.at)
        return JSONResponse({"results": [_shown_ids(picture.identifiers[c]) for c in found]})

    async def _search(self, request: Request) -> Response:
        limit, start = _page(request, default=50, maximum=SEARCH_LIMIT)
        body = await _body(request)
        if "filter" not in body:
            raise Refusal(400, "filter is required")
        picture = await self._picture()
        test = self._filter(body["filter"], picture, "filter")
        found = await asyncio.to_thread(lambda: [p["cio_id"] for p in picture.everyone() if test(p)])
        page, following = _cut(found, start, limit)
        return JSONResponse({**_people(page, picture), "next": following})

    async def _batch_attributes(self, request: Request) -> Response:
        ids = (await _body(request)).get("ids")
        if not isinstance(ids, list) or not all(isinstance(value, str) for value in ids):
            raise Refusal(400, "ids must be a list of texts")
        if not 1 <= len(ids) <= ATTRIBUTES_LIMIT:
            raise Refusal(400, f"ids must hold 1 to {ATTRIBUTES_LIMIT} values")
        kind, picture = _id_type(request), await self._picture()
        wanted = dict.fromkeys(c for value in ids if (c := self._lookup(picture, kind, value)) is not None)
        found = picture.attributes(list(wanted))
        return JSONResponse({"customers": [{"customer": _profile(found[c])} for c in wanted if c in found]})

    def _lookup(self, picture: Picture, kind: str, value: str) -> str | None:
        found = self.world.find(kind, value, picture.at)
        return found[0] if found and found[0] in picture.identifiers else None

    async def _one(self, request: Request) -> tuple[Picture, str]:
        kind, picture, given = _id_type(request), await self._picture(), str(request.path_params["customer_id"])
        if "id_type" not in request.query_params and given.startswith("cio_"):
            kind = "cio_id"
        cio_id = self._lookup(picture, kind, given)
        if cio_id is None:
            raise Refusal(404, "customer not found")
        return picture, cio_id

    async def _attributes(self, request: Request) -> Response:
        picture, cio_id = await self._one(request)
        return JSONResponse({"customer": _profile(picture.attributes([cio_id])[cio_id])})

    async def _segments_of(self, request: Request) -> Response:
        picture, cio_id = await self._one(request)
        inside = [s for s in self.world.segments.values() if cio_id in self._visible(s, picture)]
        rows = [{"id": s.id, "name": s.name, "description": s.description} for s in inside]
        return JSONResponse({"segments": rows})

    async def _workspaces(self, _request: Request) -> Response:
        people = len(await self._picture())
        zero = {"messages_sent": 0, "billable_messages_sent": 0, "object_types": 0, "objects": 0}
        return JSONResponse({"workspaces": [{"id": 100, "name": "Sandbox", "people": people, **zero}]})


def _answering(handler: Handler) -> Handler:
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except Refusal as refusal:
            return refusal.response

    return answer


async def _nowhere(_request: Request) -> Response:
    raise Refusal(404, "not found")


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        raise Refusal(400, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise Refusal(400, "the body must be an object")
    return body


def _number(request: Request, name: str) -> int:
    text = str(request.path_params[name])
    return int(text) if text.isascii() and text.isdigit() else -1


def _page(request: Request, *, default: int, maximum: int) -> tuple[int, str]:
    """Return limit and the last cio_id of the page before."""
    given = request.query_params.get("limit", str(default))
    if not (given.isascii() and given.isdigit()) or not 1 <= int(given) <= maximum:
        raise Refusal(400, f"limit must be 1 to {maximum}")
    token = request.query_params.get("start", "")
    try:
        return int(given), base64.urlsafe_b64decode(token.encode()).decode()
    except (binascii.Error, UnicodeError):
        raise Refusal(400, "start is not a token of an earlier page") from None


def _cut(people: list[str], start: str, limit: int) -> tuple[list[str], str]:
    """Return one page after ``start`` and the token of the next ("" at the end). Members may change in between."""
    rest = [cio_id for cio_id in people if cio_id > start]
    following = base64.urlsafe_b64encode(rest[limit - 1].encode()).decode() if len(rest) > limit else ""
    return rest[:limit], following


def _people(cio_ids: list[str], picture: Picture) -> dict[str, Any]:
    rows = [picture.identifiers[c] for c in cio_ids]
    # A person without an id is an empty string in ``ids``: the trap the document warns of.
    return {"identifiers": [_shown_ids(row) for row in rows], "ids": [row[1] or "" for row in rows]}


def _shown_ids(row: Identifiers) -> dict[str, str | None]:
    return {"email": row[2], "id": row[1], "cio_id": row[0]}


def _id_type(request: Request) -> str:
    kind = request.query_params.get("id_type", "id")
    if kind == "phone":
        raise Refusal(400, "phone is not enabled as an identifier in this workspace")
    if kind not in ("id", "email", "cio_id"):
        raise Refusal(400, "id_type must be id, email, phone or cio_id")
    return kind


def _profile(attributes: dict[str, str]) -> dict[str, Any]:
    created = attributes.get("created_at", "")
    set_at = int(created) if created.isdigit() else 0
    return {
        "id": attributes.get("id"),
        "identifiers": {name: attributes.get(name) for name in ("email", "id", "cio_id")},
        "attributes": {"id": None, "email": None, **attributes},
        "timestamps": dict.fromkeys(attributes, set_at),
        "unsubscribed": attributes.get("unsubscribed", "").lower() in ("true", "1"),
        "devices": [],
    }


def _storage_error(status: int, code: str, message: str) -> Response:
    body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Response(body, status, media_type="application/xml")
