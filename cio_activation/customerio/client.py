"""The Customer.io App API, as far as this project reads it. Paths, limits and shapes: Customer.io's App API document.

10 requests/s for everything here; a 429 without ``Retry-After`` means a daily quota, which no waiting mends.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from cio_activation.activation.settings import Settings
from cio_activation.customerio.answers import (
    VENDOR,
    Export,
    Fetched,
    Identifiers,
    PersonAttributes,
    Segment,
    export_of,
    instant,
    object_of,
    part_of,
    profile_of,
)
from cio_activation.transport.errors import OutcomeUnknown, Rejected, Stop, VendorError
from cio_activation.transport.http import Calls, Pacer, VendorClient

PAGE = 30_000
"""Members a page; the API's maximum (its default is 1,000)."""
AT_ONCE = 4
"""Calls under way at the same time; the pacer decides how fast they follow each other."""
ATTRIBUTES_PER_CALL = 100
"""People in one attributes call; the API's maximum."""
_LINK_GONE = frozenset({400, 401, 403, 404, 410})
"""What storage hosts answer for a signed link whose time is over (S3 says 403, GCS 400)."""

_NO_NAME = frozenset({400, 422})
"""Answers to an id or e-mail that cannot be one: nobody has it. Any other refusal says nothing about people."""


class LinkExpired(VendorError):
    """A signed download link is no longer valid (they live 15 minutes): ask for a new one."""


class CustomerIO:
    """Reads one Customer.io workspace. Use as an async context manager."""

    def __init__(self, settings: Settings, pacer: Pacer | None = None) -> None:
        self._settings = settings
        self._pacer = pacer
        self._app = VendorClient(
            VENDOR,
            settings.customerio_app,
            {"authorization": f"Bearer {settings.secret('customerio_app_api_key')}"},
            pacer=pacer,
            spent=_daily_quota,
            timeout_s=settings.vendor_timeout_s,
            backoff_s=settings.vendor_backoff_s,
        )

    @property
    def calls(self) -> Calls:
        """What this client did so far."""
        return self._app.calls

    async def __aenter__(self) -> Self:
        await self._app.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        await self._app.__aexit__(kind, error, trace)

    async def segments(self) -> tuple[Segment, ...]:
        """Return every segment of the workspace (the API does not page them)."""
        body = await self._call("GET", "/v1/segments", "segments.list")
        return tuple(
            Segment(
                int(s["id"]),
                str(s["name"]),
                str(s["state"]),
                instant(s.get("updated_at")),
                manual=s.get("type") == "manual",
            )
            for s in part_of(body, "segments")
        )

    async def conditions(self, segment: int) -> str | None:
        """Return what makes somebody a member, as JSON with sorted keys; None if Customer.io does not tell.

        No published document of ``GET /v1/segments/{id}`` has them, so nothing but a word to a person hangs on them.
        """
        try:
            body = await self._call("GET", f"/v1/segments/{segment}", "segments.get")
        except VendorError:  # if it is about more than this, the next call says so
            return None
        found = part_of(body, "segment").get("conditions")
        return json.dumps(found, sort_keys=True) if found else None

    async def read(self, path: str, operation: str, part: str, **params: Any) -> tuple[Any, str | None]:
        """Return the ``part`` of what is at ``path``, and where its next page starts, if it has one."""
        body = await self._call("GET", path, operation, params={k: v for k, v in params.items() if v is not None})
        return part_of(body, part), body.get("next") or None

    async def customer_count(self, segment: int) -> int:
        """Return how many people Customer.io counts in a segment now."""
        body = await self._call("GET", f"/v1/segments/{segment}/customer_count", "segments.count")
        return int(part_of(body, "count"))

    async def membership(self, segment: int) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield a segment's members page by page, as ``identifiers`` objects (``cio_id``, ``id``, ``email``).

        Not the ``ids`` list: there, a person without an id is an empty string.
        """
        start: str | None = None
        while True:
            params = {"limit": PAGE} | ({"start": start} if start else {})
            body = await self._call("GET", f"/v1/segments/{segment}/membership", "segments.members", params=params)
            yield part_of(body, "identifiers")
            following = body.get("next") or None
            if following is None:
                return
            if following == start:
                raise OutcomeUnknown("the page cursor does not move", vendor=VENDOR, operation="segments.members")
            start = following

    async def first_members(self, segment: int) -> list[Identifiers]:
        """Return the first members of a segment, a page of them at most. One call."""
        path = f"/v1/segments/{segment}/membership"
        body = await self._call("GET", path, "segments.members", params={"limit": PAGE})
        rows = [row for row in part_of(body, "identifiers") if isinstance(row, dict) and row.get("cio_id")]
        return [Identifiers(str(row["cio_id"]), row.get("id") or None) for row in rows]

    async def small_segment(self, segment: int) -> list[str] | None:
        """Return the ``cio_id`` of every member if they fit one page, else None. One call either way."""
        path = f"/v1/segments/{segment}/membership"
        body = await self._call("GET", path, "segments.members", params={"limit": PAGE})
        if body.get("next"):
            return None
        return [str(m.get("cio_id") if isinstance(m, dict) else m) for m in part_of(body, "identifiers")]

    async def request_export(self, attributes: Sequence[str]) -> Export:
        """Ask for an export of everyone, with these attributes as columns. Asking twice makes two exports.

        Everyone has a ``cio_id``; a filter on ``id`` would leave out people who have only an e-mail.
        """
        body = {
            "filters": {"attribute": {"field": "cio_id", "operator": "exists"}},
            "attributes": list(attributes),
        }
        return export_of(await self._call("POST", "/v1/exports/customers", "exports.request", json=body))

    async def export(self, export_id: int) -> Export:
        """Return where an export stands."""
        return export_of(await self._call("GET", f"/v1/exports/{export_id}", "exports.poll"))

    async def download_link(self, export_id: int) -> str:
        """Return a fresh signed link to a finished export's file; it lives 15 minutes."""
        body = await self._call("GET", f"/v1/exports/{export_id}/download", "exports.link")
        return str(part_of(body, "url"))

    async def download(self, link: str, path: Path) -> str:
        """Stream the file behind a signed link into ``path`` and return its SHA-256; LinkExpired if it is too late."""
        try:
            return await self._app.download(link, path, "exports.download")
        except (Rejected, Stop) as error:
            if error.status in _LINK_GONE:
                context: dict[str, Any] = {"vendor": VENDOR, "operation": error.operation, "status": error.status}
                raise LinkExpired("the signed link is no longer valid", **context) from None
            raise

    async def attributes_of(self, people: Sequence[Identifiers]) -> Fetched:
        """Return the attributes of at most 100 people.

        A batch leaves out whom it does not find. So whoever has no external id, or whose id no longer leads to the
        same ``cio_id``, is asked for by ``cio_id``; who is missing there too, alone, where the answer is certain.
        """
        if len(people) > ATTRIBUTES_PER_CALL:
            raise ValueError(f"at most {ATTRIBUTES_PER_CALL} people a call, not {len(people)}")
        found = await self._batch_attributes([p.external_id for p in people if p.external_id], "id")
        left = dict.fromkeys(p.cio_id for p in people if p.cio_id not in found)
        found |= await self._batch_attributes(list(left), "cio_id")
        gone: list[str] = []
        for person in people:
            if person.cio_id not in found:
                alone = await self._attributes_by_cio_id(person.cio_id)
                if alone is None:
                    gone.append(person.cio_id)
                else:
                    found[person.cio_id] = alone
        wanted = [p.cio_id for p in people if p.cio_id in found]
        return Fetched(tuple(PersonAttributes(c, found[c]) for c in dict.fromkeys(wanted)), tuple(gone))

    async def segments_of(self, cio_id: str) -> frozenset[int]:
        """Return which segments a person is in (App API, "Lookup a customer's segments"); none if nobody has the id."""
        try:
            body = await self._call(
                "GET", _path_of(cio_id, "segments"), "people.segments", params={"id_type": "cio_id"}
            )
        except Rejected as error:
            if error.status == 404:
                return frozenset()
            raise
        return frozenset(int(row["id"]) for row in part_of(body, "segments"))

    async def people_with_ids(self, ids: Sequence[str]) -> dict[str, Identifiers]:
        """Return who has each of at most 100 external ids; whoever is not there, Customer.io does not know.

        Ids compare as they are written (Customer.io, "Identifying people"): another spelling is another person.
        """
        if len(ids) > ATTRIBUTES_PER_CALL:
            raise ValueError(f"at most {ATTRIBUTES_PER_CALL} people a call, not {len(ids)}")
        try:
            found = await self._batch_attributes(ids, "id")
        except Rejected as error:
            # One id that is none must not cost the others.
            if error.status not in _NO_NAME:
                raise
            if len(ids) == 1:
                return {}
            half = len(ids) // 2
            return await self.people_with_ids(ids[:half]) | await self.people_with_ids(ids[half:])
        named = {str(given.get("id")): Identifiers(cio_id, given.get("id")) for cio_id, given in found.items()}
        return {name: named[name] for name in ids if name in named}

    async def people_with_email(self, email: str) -> tuple[Identifiers, ...]:
        """Return everyone who has this e-mail, in whatever case: there may be several (App API, "Get customers by
        email"). Not the batch of attributes: it gives one of them, or refuses where e-mails are no identifiers.
        """
        try:
            body = await self._call("GET", "/v1/customers", "people.by_email", params={"email": email})
        except Rejected as error:
            if error.status in _NO_NAME:
                return ()
            raise
        return tuple(Identifiers(str(row["cio_id"]), row.get("id") or None) for row in part_of(body, "results"))

    async def _batch_attributes(self, ids: Sequence[str], id_type: str) -> dict[str, Mapping[str, str]]:
        """Read people by one kind of identifier (App API, "List customers, attributes, and devices": ``id_type``)."""
        if not ids:
            return {}
        # A read in spite of its method, so it may be repeated.
        body = await self._call(
            "POST", "/v1/customers/attributes", "people.attributes",
            params={"id_type": id_type}, json={"ids": list(ids)}, repeatable=True,
        )  # fmt: skip
        return dict(profile_of(entry.get("customer", entry)) for entry in part_of(body, "customers"))

    async def _attributes_by_cio_id(self, cio_id: str) -> Mapping[str, str] | None:
        path = _path_of(cio_id, "attributes")
        try:
            body = await self._call("GET", path, "people.attributes_one", params={"id_type": "cio_id"})
        except Rejected as error:
            if error.status == 404:
                return None
            raise
        return profile_of(part_of(body, "customer"))[1]

    async def region(self) -> Mapping[str, Any]:
        """Return what the Track API says about the account's region: the cheapest read that tests its credential."""
        pair = (
            f"{self._settings.secret('customerio_track_site_id')}:{self._settings.secret('customerio_track_api_key')}"
        )
        headers = {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        async with VendorClient(VENDOR, self._settings.customerio_track, headers, pacer=self._pacer) as track:
            try:
                answer = await track.request(
                    "GET", "/api/v1/accounts/region", operation="account.region", bucket="track"
                )
            except Stop as error:
                raise self._explained(error, "CUSTOMERIO_TRACK_SITE_ID and CUSTOMERIO_TRACK_API_KEY") from None
        body: Mapping[str, Any] = object_of(answer, "account.region")
        return body

    async def _call(self, method: str, path: str, operation: str, **options: Any) -> Any:
        try:
            answer = await self._app.request(method, path, operation=operation, **options)
        except Stop as error:
            raise self._explained(error, "CUSTOMERIO_APP_API_KEY") from None
        return object_of(answer, operation)

    def _explained(self, error: Stop, credential: str) -> Stop:
        """Return ``error`` with its mend, if that is another region or credential."""
        here = self._settings.customerio_region
        other = "eu" if here == "us" else "us"
        mends = {
            **dict.fromkeys(
                (301, 302, 307, 308),
                f"the account lives in the other data centre; set CUSTOMERIO_REGION={other} (it is {here}), and see "
                "whether CUSTOMERIO_APP_URL and CUSTOMERIO_TRACK_URL are right if they are set",
            ),
            401: f"{credential} is wrong, revoked, or of an account in the other region than CUSTOMERIO_REGION={here}",
            403: f"{credential} may not do this; give it a scope that reads people, segments and exports",
        }
        if error.status not in mends:
            return error
        context: dict[str, Any] = {"status": error.status, "request_id": error.request_id, "body": error.body}
        return Stop(mends[error.status], vendor=VENDOR, operation=error.operation, **context)


def _path_of(cio_id: str, what: str) -> str:
    return f"/v1/customers/{quote('cio_' + cio_id, safe='')}/{what}"


def _daily_quota(retry_after_s: float | None, _body: Any) -> str | None:
    """Return what to say of a 429 without Retry-After: the header is there for the limit per second only."""
    if retry_after_s is None:
        return "the answer names no time to wait, which means a daily quota is spent; run again tomorrow"
    return None
