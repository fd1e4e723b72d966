"""The routes of segments: states, counts, members, and manual segments made through the API."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from cio_activation.sandbox.customerio.answers import Refusal, body, cut, number, page, routes
from cio_activation.sandbox.customerio.people import listed
from cio_activation.sandbox.customerio.workspace import Workspace
from cio_activation.sandbox.world.segments import Segment

MEMBERSHIP_LIMIT = 30_000


class SegmentRoutes:
    """Segments over a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return routes(
            [
                ("GET", "/v1/segments", self._list_segments),
                ("POST", "/v1/segments", self._create_segment),
                ("GET", "/v1/segments/{segment_id}", self._get_segment),
                ("DELETE", "/v1/segments/{segment_id}", self._delete_segment),
                ("GET", "/v1/segments/{segment_id}/customer_count", self._count),
                ("GET", "/v1/segments/{segment_id}/membership", self._membership),
                ("GET", "/v1/segments/{segment_id}/used_by", self._used_by),
            ]
        )

    async def _list_segments(self, _request: Request) -> Response:
        return JSONResponse({"segments": [self._shown(s) for s in self._workspace.world.segments.values()]})

    async def _get_segment(self, request: Request) -> Response:
        segment = self._segment(request)
        # Newer documents only, and of one segment, not of the list: whoever reads them has to do without.
        conditions = {} if segment.conditions is None else {"conditions": segment.conditions}
        return JSONResponse({"segment": {**self._shown(segment), **conditions}})

    async def _create_segment(self, request: Request) -> Response:
        given = (await body(request, "segment")).get("segment")
        name = given.get("name") if isinstance(given, dict) else None
        if not isinstance(name, str) or not name:
            raise Refusal(400, "segment.name is required")
        segment = self._workspace.world.add_segment(
            name, str(given.get("description") or "") if isinstance(given, dict) else ""
        )
        return JSONResponse({"segment": self._shown(segment)})

    async def _delete_segment(self, request: Request) -> Response:
        segment = self._segment(request)
        if segment.type != "manual":
            raise Refusal(400, "only manual segments can be deleted through the API")
        self._workspace.world.drop_segment(segment.id)
        return Response(status_code=204)

    async def _count(self, request: Request) -> Response:
        segment, snapshot = self._segment(request), await self._workspace.snapshot()
        return JSONResponse(
            {"segment_id": segment.id, "count": snapshot.how_many(self._workspace.visible(segment, snapshot))}
        )

    async def _membership(self, request: Request) -> Response:
        segment = self._segment(request)
        limit, start = page(request, default=1_000, maximum=MEMBERSHIP_LIMIT)
        snapshot = await self._workspace.snapshot()

        def answer() -> Response:
            shown = self._workspace.visible(segment, snapshot)
            members, following = cut(snapshot.page(shown, after=start, limit=limit + 1), limit)
            told = listed(members)
            if self._workspace.spoilt_pages:
                self._workspace.spoilt_pages -= 1
                told["identifiers"] += [["no", "member"]]
            return JSONResponse({"segment_id": segment.id, **told, "next": following})

        return await asyncio.to_thread(answer)

    async def _used_by(self, request: Request) -> Response:
        segment = self._segment(request)
        used: dict[str, list[int]] = {"campaigns": [], "sent_newsletters": [], "draft_newsletters": []}
        return JSONResponse({"segment_id": segment.id, "used_by": used})

    def _segment(self, request: Request) -> Segment:
        segment = self._workspace.world.segments.get(number(request, "segment_id"))
        if segment is None:
            raise Refusal(404, "segment not found")
        return segment

    def _shown(self, segment: Segment) -> dict[str, Any]:
        made = int(self._workspace.world.ends_at) - 90 * 86_400
        saved = made if segment.updated_at is None else int(segment.updated_at)
        return {
            "id": segment.id,
            "deduplicate_id": f"{segment.id}:{saved}",
            "name": segment.name,
            "description": segment.description,
            "state": segment.state,
            "progress": segment.progress,
            "type": segment.type,
            "tags": [],
            "created_at": made,
            "updated_at": saved,
        }
