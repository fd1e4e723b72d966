"""Thin typed calls to Pipedrive: v2 under ``/api/v2``, the token's own user under ``/v1``.

There is no batch write, no upsert and no idempotency key, so a creation is never repeated by the client. Every
list is asked with ``limit=500``, because a call costs the same tokens for one row as for 500.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from cio_activation.destinations.pipedrive.answers import page_of, record_of, told_at
from cio_activation.transport.errors import Rejected
from cio_activation.transport.http import Response, VendorClient

CONCURRENCY = 16
"""Calls on their way at once. The pacer keeps the rate: enough for Premium's, with answers that take 0.4 s."""
MAX_IDS = 100
"""Most ids that one call may ask for (OpenAPI, ``ids``)."""
FIELDS_AT_ONCE = 15
"""Custom fields that one reading of persons shows (OpenAPI, ``custom_fields``)."""
GONE_STATUS = (404, 410)
PAGE = 500
"""Largest page of persons and person fields (OpenAPI, ``limit``)."""

TOKENS: Mapping[str, int] = {
    "users.me": 2,
    "personFields.list": 10,
    "personFields.create": 5,
    "personFields.update": 5,
    "personFields.options.add": 5,
    "personFields.options.update": 5,
    "dealFields.list": 10,
    "persons.list": 10,
    "persons.get": 1,
    "persons.create": 5,
    "persons.update": 5,
    "users.list": 20,
    "activityTypes.list": 20,
    "activityFields.list": 10,
    "activities.list": 10,
    "activities.get": 1,
    "activities.create": 5,
    "activities.update": 5,
    "activities.delete": 3,
    "notes.list": 20,
    "notes.get": 2,
    "notes.create": 10,
    "notes.update": 10,
    "notes.delete": 6,
    "deals.list": 10,
    "deals.archived": 20,
    "deals.get": 1,
    "deals.create": 5,
    "deals.update": 5,
    "pipelines.list": 5,
    "stages.list": 5,
}
"""Tokens one call takes from the company's daily budget (``x-token-cost`` in the vendor's OpenAPI files)."""


def tokens(calls: Mapping[str, int]) -> int:
    """Return the tokens that ``calls`` (operation -> count, as ``VendorClient.calls.made`` has it) cost."""
    return sum(TOKENS[operation] * count for operation, count in calls.items())


class PersonPage(NamedTuple):
    """Persons as one call listed them, and when that was by the vendor's clock (UTC; None if it did not say)."""

    rows: list[dict[str, Any]]
    told_at: datetime | None


class PipedriveApi:
    """The calls this destination makes, over one client."""

    def __init__(self, client: VendorClient) -> None:
        self._client = client

    async def me(self) -> dict[str, Any]:
        """Return the user the token belongs to."""
        return record_of(self._client, "users.me", await self._get("/v1/users/me", "users.me"))

    async def person_fields(self) -> list[dict[str, Any]]:
        """Return all person fields, the built-in ones too."""
        return await self._fields("personFields")

    async def deal_fields(self) -> list[dict[str, Any]]:
        """Return all deal fields: the cap on custom fields counts them too."""
        return await self._fields("dealFields")

    async def activity_fields(self) -> list[dict[str, Any]]:
        """Return all activity fields: only they tell which number is which priority."""
        return await self._fields("activityFields")

    async def _fields(self, entity: str) -> list[dict[str, Any]]:
        fields: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            params = {"limit": PAGE} | ({"cursor": cursor} if cursor else {})
            answer = await self._get(f"/api/v2/{entity}", f"{entity}.list", params)
            rows, cursor = page_of(self._client, f"{entity}.list", answer)
            fields += rows
            if not cursor:
                return fields

    async def create_field(self, name: str, kind: str, labels: Sequence[str]) -> dict[str, Any]:
        """Create a custom person field, with options if ``labels``; return it as the vendor shows it."""
        body: dict[str, Any] = {"field_name": name, "field_type": kind}
        if labels:
            body["options"] = [{"label": label} for label in labels]
        answer = await self._client.request(
            "POST", "/api/v2/personFields", operation="personFields.create", json=body, repeatable=False
        )
        return record_of(self._client, "personFields.create", answer)

    async def rename_field(self, code: str, name: str) -> None:
        """Call a custom person field something else; its code stays, and with it everybody's value."""
        await self._client.request(
            "PATCH",
            f"/api/v2/personFields/{code}",
            operation="personFields.update",
            json={"field_name": name},
            repeatable=True,
        )

    async def add_options(self, code: str, labels: Sequence[str]) -> list[dict[str, Any]]:
        """Add options to a field, all or none; return only the new ones."""
        answer = await self._client.request(
            "POST",
            f"/api/v2/personFields/{code}/options",
            operation="personFields.options.add",
            json=[{"label": label} for label in labels],
            repeatable=False,
        )
        return page_of(self._client, "personFields.options.add", answer)[0]

    async def rename_option(self, code: str, option_id: int, label: str) -> None:
        """Give an option another label; its id stays, and with it everybody's value."""
        await self._client.request(
            "PATCH",
            f"/api/v2/personFields/{code}/options",
            operation="personFields.options.update",
            json=[{"id": option_id, "label": label}],
            repeatable=True,
        )

    async def persons(
        self, codes: Sequence[str], *, since: str | None = None, newest_first: bool = False, limit: int = PAGE
    ) -> AsyncIterator[PersonPage]:
        """Yield pages of persons with only the custom fields ``codes`` (15 at most).

        ``since`` is an RFC 3339 time (``update_time`` >= since). By id, oldest first, or by ``update_time``,
        newest first.
        """
        params: dict[str, Any] = {"limit": limit} | ({"custom_fields": ",".join(codes)} if codes else {})
        params |= {"sort_by": "update_time" if newest_first else "id"}
        params |= {"sort_direction": "desc" if newest_first else "asc"}
        if since is not None:
            params["updated_since"] = since
        while True:
            answer = await self._get("/api/v2/persons", "persons.list", params)
            rows, cursor = page_of(self._client, "persons.list", answer)
            yield PersonPage(rows, told_at(answer))
            if not cursor:
                return
            params["cursor"] = cursor

    async def engagement(
        self, person_ids: Sequence[str], names: Sequence[str], codes: Sequence[str] = ()
    ) -> PersonPage:
        """Return up to 100 persons with what hangs on them, ``include_fields`` as the OpenAPI document names them.

        Of custom fields with ``codes`` only, where any are named. It costs what the list costs without.
        """
        params: dict[str, Any] = {"ids": ",".join(person_ids), "limit": MAX_IDS}
        params |= {"include_fields": ",".join(names)} if names else {}
        params |= {"custom_fields": ",".join(codes)} if codes else {}
        answer = await self._get("/api/v2/persons", "persons.list", params)
        return PersonPage(page_of(self._client, "persons.list", answer)[0], told_at(answer))

    async def users(self) -> list[dict[str, Any]]:
        """Return all users of the company, deactivated ones too; v1 has them on one page."""
        return page_of(self._client, "users.list", await self._get("/v1/users", "users.list"))[0]

    async def pipelines(self) -> list[dict[str, Any]]:
        """Return the pipelines of deals; more than a page of them nobody has."""
        answer = await self._get("/api/v2/pipelines", "pipelines.list", {"limit": PAGE})
        return page_of(self._client, "pipelines.list", answer)[0]

    async def stages(self) -> list[dict[str, Any]]:
        """Return the stages of all pipelines."""
        answer = await self._get("/api/v2/stages", "stages.list", {"limit": PAGE})
        return page_of(self._client, "stages.list", answer)[0]

    async def activity_types(self) -> list[dict[str, Any]]:
        """Return the activity types; v1 has them on one page."""
        return page_of(self._client, "activityTypes.list", await self._get("/v1/activityTypes", "activityTypes.list"))[
            0
        ]

    async def living(self, person_ids: Sequence[str]) -> set[str]:
        """Return which of up to 100 persons are there; those that are deleted, merged or not to be seen are left out.

        As the OpenAPI document says of ``ids``.
        """
        params = {"ids": ",".join(person_ids), "limit": MAX_IDS}
        answer = await self._get("/api/v2/persons", "persons.list", params)
        rows, _ = page_of(self._client, "persons.list", answer)
        return {str(row["id"]) for row in rows if not row.get("is_deleted")}

    async def persons_by_ids(self, person_ids: Sequence[str], codes: Sequence[str]) -> list[dict[str, Any]]:
        """Return those of up to 100 persons who are there, with only the custom fields ``codes``."""
        params = {"ids": ",".join(person_ids), "limit": MAX_IDS} | ({"custom_fields": ",".join(codes)} if codes else {})
        answer = await self._get("/api/v2/persons", "persons.list", params)
        return [row for row in page_of(self._client, "persons.list", answer)[0] if not row.get("is_deleted")]

    async def in_recycle_bin(self, person_id: str) -> bool:
        """Return whether a person was deleted and can still be restored (30 days); a merged or purged one cannot."""
        try:
            return bool((await self.person(person_id, ())).get("is_deleted"))
        except Rejected as error:
            if error.status not in GONE_STATUS:
                raise
            return False

    async def person(self, person_id: str, codes: Sequence[str]) -> dict[str, Any]:
        """Return one person with only the custom fields ``codes``."""
        params = {"custom_fields": ",".join(codes)} if codes else None
        answer = await self._get(f"/api/v2/persons/{person_id}", "persons.get", params)
        return record_of(self._client, "persons.get", answer)

    async def living_person(self, person_id: str) -> dict[str, Any] | None:
        """Return one person without custom fields; None if it was deleted or merged into another."""
        try:
            person = await self.person(person_id, ())
        except Rejected as error:
            if error.status not in GONE_STATUS:
                raise
            return None
        return None if person.get("is_deleted") else person

    async def create_person(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create a person. Never repeated: a lost answer leaves the outcome unknown."""
        answer = await self._client.request(
            "POST", "/api/v2/persons", operation="persons.create", json=dict(body), repeatable=False
        )
        return record_of(self._client, "persons.create", answer)

    async def update_person(self, person_id: str, custom_fields: Mapping[str, Any]) -> dict[str, Any]:
        """Set custom fields of a person to absolute values; all others stay as they are."""
        answer = await self._client.request(
            "PATCH",
            f"/api/v2/persons/{person_id}",
            operation="persons.update",
            json={"custom_fields": dict(custom_fields)},
            repeatable=True,
        )
        return record_of(self._client, "persons.update", answer)

    async def _get(self, path: str, operation: str, params: Mapping[str, Any] | None = None) -> Response:
        return await self._client.request("GET", path, operation=operation, params=params)
