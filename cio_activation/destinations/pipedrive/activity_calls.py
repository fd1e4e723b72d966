"""Calls about activities (v2), and an activity as an answer shows it.

As the OpenAPI document has them: people come as ``participants`` (``person_id`` is refused), a list finds by the
primary participant, and knows neither type nor text. ``due_time`` is UTC; hours, minutes and seconds are written, for
that a shorter form is taken nowhere says.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

from cio_activation.destinations.common.actions.markup import visible
from cio_activation.destinations.common.actions.texts import ENDED, shown_hash
from cio_activation.destinations.pipedrive.answers import page_of, record_of
from cio_activation.destinations.pipedrive.api import GONE_STATUS, MAX_IDS, PAGE
from cio_activation.transport.errors import Rejected
from cio_activation.transport.http import VendorClient


@dataclass(frozen=True)
class SeenActivity:
    """One activity now."""

    record_id: str
    owner_id: str | None
    due_at: datetime | None
    """Naive UTC; of a day without a time its end."""
    done: bool
    done_at: datetime | None
    """Naive UTC: when it was marked as done, or when a human says it was."""
    deleted: bool
    subject: str
    note: str
    """HTML."""

    @property
    def words(self) -> str:
        """The note as people read it."""
        return visible(self.note)

    @property
    def shown(self) -> str:
        """What subject and note share with another reading in which no human changed them."""
        return shown_hash(" ".join(self.subject.split()), self.words)

    @property
    def ended_by_us(self) -> bool:
        """Whether the line stands in it that we write at the end of its reason."""
        return ENDED in self.words


class ActivityCalls:
    """The calls, over one client."""

    def __init__(self, client: VendorClient) -> None:
        self._client = client

    async def create(self, body: Mapping[str, Any]) -> SeenActivity:
        """Create an activity. Never repeated: a lost answer leaves the outcome unknown."""
        answer = await self._client.request(
            "POST", "/api/v2/activities", operation="activities.create", json=dict(body), repeatable=False
        )
        return seen(record_of(self._client, "activities.create", answer))

    async def get(self, record_id: str) -> SeenActivity | None:
        """Return an activity; None if it is gone."""
        try:
            answer = await self._client.request(
                "GET", f"/api/v2/activities/{record_id}", operation="activities.get", params=None
            )
        except Rejected as error:
            if error.status not in GONE_STATUS:
                raise
            return None
        found = seen(record_of(self._client, "activities.get", answer))
        return None if found.deleted else found

    async def update(self, record_id: str, body: Mapping[str, Any]) -> SeenActivity:
        """Set some properties of an activity; all others stay as they are."""
        answer = await self._client.request(
            "PATCH",
            f"/api/v2/activities/{record_id}",
            operation="activities.update",
            json=dict(body),
            repeatable=True,
        )
        return seen(record_of(self._client, "activities.update", answer))

    async def delete(self, record_id: str) -> None:
        """Delete an activity; one that is gone already is as it should be."""
        try:
            await self._client.request(
                "DELETE", f"/api/v2/activities/{record_id}", operation="activities.delete", repeatable=True
            )
        except Rejected as error:
            if error.status not in GONE_STATUS:
                raise

    async def by_ids(self, record_ids: Sequence[str]) -> list[SeenActivity]:
        """Return those of up to 100 activities that are there: deleted ones are left out of every list."""
        params = {"ids": ",".join(record_ids), "limit": MAX_IDS}
        return [seen(row) for row in (await self._page(params))[0] if not row.get("is_deleted")]

    async def of_person(self, person_id: str) -> AsyncIterator[SeenActivity]:
        """Yield the activities whose primary participant a person is, newest first."""
        params = {"person_id": person_id, "sort_by": "add_time", "sort_direction": "desc"}
        async for rows in self._pages(params):
            for row in rows:
                yield seen(row)

    async def changed_since(self, since: str) -> AsyncIterator[list[SeenActivity]]:
        """Yield pages of the company's activities whose ``update_time`` is not before ``since`` (RFC 3339)."""
        async for rows in self._pages({"updated_since": since, "sort_by": "update_time", "sort_direction": "desc"}):
            yield [seen(row) for row in rows]

    async def _pages(self, params: dict[str, Any]) -> AsyncIterator[list[dict[str, Any]]]:
        asked = {**params, "limit": PAGE}
        while True:
            rows, cursor = await self._page(asked)
            yield rows
            if not cursor:
                return
            asked["cursor"] = cursor

    async def _page(self, params: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
        answer = await self._client.request(
            "GET", "/api/v2/activities", operation="activities.list", params=dict(params)
        )
        return page_of(self._client, "activities.list", answer)


def seen(row: Mapping[str, Any]) -> SeenActivity:
    """Return an activity as an answer shows it; what an answer leaves out is none."""
    owner = row.get("owner_id")
    return SeenActivity(
        str(row["id"]),
        None if owner is None else str(owner),
        _due(row.get("due_date"), row.get("due_time")),
        bool(row.get("done")),
        instant(row.get("marked_as_done_time")),
        bool(row.get("is_deleted")),
        str(row.get("subject") or ""),
        str(row.get("note") or ""),
    )


def due_body(due_at: str) -> dict[str, str]:
    """Return ``due_date`` and ``due_time`` of an instant (ISO, naive UTC), to the minute."""
    at = datetime.fromisoformat(due_at)
    return {"due_date": f"{at:%Y-%m-%d}", "due_time": f"{at:%H:%M}:00"}


def instant(text: Any) -> datetime | None:
    """Return a time of an answer (RFC 3339, or v1's without a zone: UTC) as naive UTC; None where there is none."""
    if not text:
        return None
    at = datetime.fromisoformat(str(text).replace(" ", "T"))
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at


def _due(day: Any, clock: Any) -> datetime | None:
    if not day:
        return None
    at = time.fromisoformat(str(clock)) if clock else time(23, 59)
    return datetime.combine(datetime.fromisoformat(str(day)), at).replace(second=0)
