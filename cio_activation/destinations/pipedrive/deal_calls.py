"""Calls about deals (v2), and a deal as an answer shows it. Archived ones have their own list, and are read-only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cio_activation.destinations.common.actions.texts import shown_hash
from cio_activation.destinations.pipedrive.activity_calls import instant
from cio_activation.destinations.pipedrive.answers import page_of, record_of
from cio_activation.destinations.pipedrive.api import GONE_STATUS, MAX_IDS, PAGE
from cio_activation.transport.errors import Rejected, Stop
from cio_activation.transport.http import VendorClient


@dataclass(frozen=True)
class SeenDeal:
    """One deal now."""

    record_id: str
    title: str
    stage_id: int
    pipeline_id: int
    status: str
    value: float | None
    owner_id: str | None
    creator_id: str | None
    closed_at: datetime | None
    """Naive UTC."""
    archived: bool
    deleted: bool

    @property
    def shown(self) -> str:
        """What it shares with another reading in which no human moved or changed it."""
        return shown_hash(self.title, str(self.stage_id), self.status, str(self.value or 0.0))


class DealCalls:
    """The calls, over one client."""

    def __init__(self, client: VendorClient) -> None:
        self._client = client

    async def create(self, body: Mapping[str, Any]) -> SeenDeal:
        """Create a deal. Never repeated: a lost answer leaves the outcome unknown."""
        return await self._write("POST", "/api/v2/deals", "deals.create", body, repeatable=False)

    async def update(self, record_id: str, body: Mapping[str, Any]) -> SeenDeal:
        """Set some properties of a deal."""
        return await self._write("PATCH", f"/api/v2/deals/{record_id}", "deals.update", body, repeatable=True)

    async def get(self, record_id: str) -> SeenDeal | None:
        """Return a deal; None if it is gone."""
        try:
            answer = await self._client.request("GET", f"/api/v2/deals/{record_id}", operation="deals.get", params=None)
        except Rejected as error:
            if error.status not in GONE_STATUS:
                raise
            return None
        found = seen_deal(record_of(self._client, "deals.get", answer))
        return None if found.deleted else found

    async def open_ones(self, **about: Any) -> list[SeenDeal]:
        """Return the open deals of ``person_id`` or ``org_id``; archived ones are not among them."""
        return [deal async for deal in self._listed("deals", "deals.list", about | {"status": "open"})]

    async def all_of_person(self, person_id: str) -> AsyncIterator[SeenDeal]:
        """Yield a person's deals, those that can be seen at a glance first, then archived and deleted ones."""
        async for deal in self._listed("deals", "deals.list", {"person_id": person_id}):
            yield deal
        async for deal in self._listed("deals/archived", "deals.archived", {"person_id": person_id}):
            yield deal
        async for deal in self._listed("deals", "deals.list", {"person_id": person_id, "status": "deleted"}):
            yield deal

    async def by_ids(self, ids: list[str]) -> list[SeenDeal]:
        """Return those of up to 100 deals that are in the ordinary list: not deleted, not archived."""
        params = {"ids": ",".join(ids), "limit": MAX_IDS}
        answer = await self._client.request("GET", "/api/v2/deals", operation="deals.list", params=params)
        return [seen_deal(row) for row in page_of(self._client, "deals.list", answer)[0]]

    async def _listed(self, path: str, operation: str, about: Mapping[str, Any]) -> AsyncIterator[SeenDeal]:
        params: dict[str, Any] = {**about, "limit": PAGE, "sort_by": "add_time", "sort_direction": "desc"}
        while True:
            answer = await self._client.request("GET", f"/api/v2/{path}", operation=operation, params=params)
            rows, cursor = page_of(self._client, operation, answer)
            for row in rows:
                yield seen_deal(row)
            if not cursor:
                return
            params["cursor"] = cursor

    async def _write(
        self, method: str, path: str, operation: str, body: Mapping[str, Any], *, repeatable: bool
    ) -> SeenDeal:
        try:
            answer = await self._client.request(
                method, path, operation=operation, json=dict(body), repeatable=repeatable
            )
        except Stop as error:
            if error.status != 403 or not isinstance(error.body, dict):
                raise  # the firewall's page, or a credential
            # A full plan, or a deal archived since it was read: that is about this deal, not about us.
            raise Rejected(
                "not allowed for this deal", vendor=self._client.vendor, operation=operation, status=403,
                request_id=error.request_id, body=error.body,
            ) from None  # fmt: skip
        return seen_deal(record_of(self._client, operation, answer))


def seen_deal(row: Mapping[str, Any]) -> SeenDeal:
    """Return a deal as an answer shows it."""
    owner, creator, value = row.get("owner_id"), row.get("creator_user_id"), row.get("value")
    return SeenDeal(
        str(row["id"]),
        str(row.get("title") or ""),
        int(row.get("stage_id") or 0),
        int(row.get("pipeline_id") or 0),
        str(row.get("status") or ""),
        None if value is None else float(value),
        None if owner is None else str(owner),
        None if creator is None else str(creator),
        instant(row.get("close_time")),
        bool(row.get("is_archived")),
        bool(row.get("is_deleted")),
    )
