"""What a workspace noted about people's changes: the activities that show what became of writes that were accepted.

Newest first; kept for 30 days.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from cio_activation.sandbox.customerio.activity_log import Activity
from cio_activation.sandbox.customerio.answers import Refusal, page, routes, token
from cio_activation.sandbox.customerio.identity import id_type, one_person
from cio_activation.sandbox.customerio.workspace import Workspace
from cio_activation.sandbox.world.snapshot import Identifiers, Snapshot

KEPT_S = 30 * 86_400
LIMIT_DEFAULT, LIMIT = 10, 100
_OF_PEOPLE = frozenset(
    {
        *("add_relationship", "anon_merge", "attribute_change", "delete_relationship", "device_change", "event"),
        *("failed_attribute_change", "failed_batch_update", "failed_event", "page", "profile_create"),
        *("profile_delete", "profile_merge", "relationship_attribute_change", "screen", "skipped_update"),
        *("relationship_failed_attribute_change", "topic_unsubscribed_email", "webhook_event"),
    }
)
_VERBS = (
    *("attempted", "bounced", "clicked", "converted", "deferred", "delivered", "drafted", "dropped", "failed"),
    *("opened", "sent", "spammed", "suppressed", "undeliverable", "unsubscribed", "viewed"),
)
_CHANNELS = ("action", "content", "email", "in_app", "push", "slack", "twilio", "webhook")
TYPES = _OF_PEOPLE | {f"{verb}_{channel}" for verb in _VERBS for channel in _CHANNELS}


class ActivityRoutes:
    """Activities of everybody and of one person."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return routes(
            [
                ("GET", "/v1/activities", self._all),
                ("GET", "/v1/customers/{customer_id}/activities", self._of_one),
            ]
        )

    async def _all(self, request: Request) -> Response:
        deleted = request.query_params.get("deleted", "false")
        if deleted not in ("true", "false"):
            raise Refusal(400, "deleted must be true or false")
        given, cio_id = request.query_params.get("customer_id"), None
        snapshot = await self._workspace.snapshot()
        if given is not None:
            kind = id_type(request)
            found = self._workspace.world.find(
                kind, given.removeprefix("cio_") if kind == "cio_id" else given, snapshot.at
            )
            if not found:
                return JSONResponse({"activities": [], "next": ""})
            cio_id = found[0]
        return self._answer(request, snapshot, cio_id, deleted=deleted == "true")

    async def _of_one(self, request: Request) -> Response:
        snapshot = await self._workspace.snapshot()
        return self._answer(request, snapshot, one_person(self._workspace, request, snapshot))

    def _answer(self, request: Request, snapshot: Snapshot, cio_id: str | None, *, deleted: bool = False) -> Response:
        limit, start = page(request, default=LIMIT_DEFAULT, maximum=LIMIT)
        wanted, name = request.query_params.get("type"), request.query_params.get("name")
        if wanted is not None and wanted not in TYPES and not wanted.startswith(("_o:", "_r:")):
            raise Refusal(400, "type is not a type of activity")
        if start and not start.isdecimal():
            raise Refusal(400, "start is not a token of an earlier page")
        log, edge = self._workspace.activities, self._workspace.instant() - KEPT_S
        rows = [
            row
            for row in reversed(log.rows)
            if row.at >= edge
            and (not start or row.number < int(start))
            and wanted in (None, row.type)
            and (name is None or name in row.names)
            and cio_id in (None, row.cio_id)
            and (row.cio_id in log.gone) is deleted
        ][: limit + 1]
        known = snapshot.among([row.cio_id for row in rows if row.cio_id]) | log.gone
        following = token(str(rows[limit - 1].number)) if len(rows) > limit else ""
        return JSONResponse({"activities": [_shown(row, known) for row in rows[:limit]], "next": following})


def _shown(row: Activity, known: dict[str, Identifiers]) -> dict[str, Any]:
    cio_id, external_id, email = known.get(row.cio_id or "", row.who)
    return {
        "id": f"{row.number:026d}",
        "type": row.type,
        "timestamp": row.at,
        "customer_id": external_id,
        "customer_identifiers": {"email": email, "id": external_id, "cio_id": cio_id},
        "data": row.data,
    }
