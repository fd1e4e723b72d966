"""HubSpot's endpoints that are used, one function each; everything vendor-specific about paths and bodies.

Facts: HubSpot's dated API (contacts, properties, limits, account info), as collected in the
project's fact sheet. Batches take at most 100 inputs. Results come back in another order and with e-mails in
lower case, so nothing is ever matched by position here or by a caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

from cio_activation.destinations.hubspot.errors import missing_ids
from cio_activation.transport.errors import OutcomeUnknown, Rejected
from cio_activation.transport.http import Response, VendorClient

VERSION = "2026-09"
"""The dated version every path carries; supported for 18 months."""
KEY = "cio_id"
"""Our unique contact property."""
MAX_BATCH = 100
CONCURRENCY = 16
"""Calls on their way at once. The pacer keeps the rate: this only has to be enough for answers that take a second."""
CONTACT_TYPE = "0-1"

_CONTACTS = f"/crm/objects/{VERSION}/contacts"
_PROPERTIES = f"/crm/properties/{VERSION}/contacts"

_SEARCHED_PHONES = ("hs_searchable_calculated_phone_number", "hs_searchable_calculated_mobile_number")
"""What HubSpot calculates of ``phone`` and ``mobilephone`` for searches (guide to CRM search)."""

Row = dict[str, Any]


@dataclass(frozen=True)
class BatchReply:
    """The answer to a batch: rows that went well, entries that did not."""

    status: int
    results: tuple[Row, ...]
    errors: tuple[Row, ...]
    request_id: str | None

    @cached_property
    def missing(self) -> frozenset[str]:
        """Ids the reply names as not found, in lower case; of a hundred it is asked a hundred times."""
        return missing_ids(self.errors)

    @property
    def silent(self) -> bool:
        """A success that mentions nobody: not to be believed."""
        return not self.results and not self.errors

    def said(self, client: VendorClient, operation: str) -> BatchReply:
        """Return the reply; OutcomeUnknown if it is silent."""
        if self.silent:
            raise OutcomeUnknown(
                "the answer names nobody, neither found nor missing", vendor=client.vendor, operation=operation,
                status=self.status, request_id=self.request_id,
            )  # fmt: skip
        return self


async def read_contacts(
    client: VendorClient, ids: Sequence[str], properties: Sequence[str], *, by: str | None = None
) -> BatchReply:
    """Read up to 100 contacts by record id, or by the unique property ``by`` (``email`` or ``cio_id``)."""
    # The history is asked for by name, and wanted of nothing: HubSpot's document requires the key.
    body: Row = {"properties": list(properties), "propertiesWithHistory": [], "inputs": [{"id": i} for i in ids]}
    if by is not None:
        body["idProperty"] = by
    return await _batch(client, "read", f"contacts.batch_read.{by or 'id'}", body)


async def read_histories(client: VendorClient, ids: Sequence[str], properties: Sequence[str]) -> BatchReply:
    """Read what properties of contacts held at any time, by record id."""
    body: Row = {"properties": [KEY], "propertiesWithHistory": list(properties), "inputs": [{"id": i} for i in ids]}
    return await _batch(client, "read", "contacts.batch_read.history", body)


async def in_recycle_bin(client: VendorClient, ids: Sequence[str]) -> frozenset[str]:
    """Return which of up to 100 record ids lie in the recycle bin: deleted within 90 days, not merged, not erased."""
    body: Row = {"properties": [KEY], "propertiesWithHistory": [], "inputs": [{"id": i} for i in dict.fromkeys(ids)]}
    reply = await _batch(client, "read", "contacts.batch_read.archived", body, params={"archived": "true"})
    return frozenset(str(row.get("id")) for row in reply.results)


async def update_contacts(client: VendorClient, inputs: Sequence[Row]) -> BatchReply:
    """Write properties by record id; each input: ``id``, ``properties``, ``objectWriteTraceId``."""
    return await _batch(client, "update", "contacts.batch_update", {"inputs": list(inputs)})


async def create_contacts(client: VendorClient, inputs: Sequence[Row]) -> BatchReply:
    """Create; each input: ``properties`` with our key, ``objectWriteTraceId``.

    Rejected with 409 if one of them is there: by e-mail, or by our key, as after a creation whose answer was lost.
    """
    return await _batch(client, "create", "contacts.batch_create", {"inputs": list(inputs)})


async def _batch(
    client: VendorClient, verb: str, operation: str, body: Row, params: Mapping[str, str] | None = None
) -> BatchReply:
    # Reads, and writes by record id, give the same end when sent twice. A creation that is sent twice makes nothing
    # twice either: our key is unique, so the second is refused with 409, and whoever asked looks it up by our key.
    return await batch(client, f"{_CONTACTS}/batch/{verb}", operation, body, params=params, repeatable=True)


async def batch(
    client: VendorClient,
    path: str,
    operation: str,
    body: Row,
    *,
    repeatable: bool,
    params: Mapping[str, str] | None = None,
) -> BatchReply:
    """Make one batch call of any object type and return what it answers."""
    answer = await client.request("POST", path, operation=operation, json=body, params=params, repeatable=repeatable)
    found = object_of(client, operation, answer)
    return BatchReply(answer.status, rows_of(found, "results"), rows_of(found, "errors"), answer.request_id)


async def contacts_with_key(client: VendorClient) -> int:
    """Return how many contacts carry our key, as far as search shows them by now (some seconds late)."""
    filters = [{"propertyName": KEY, "operator": "HAS_PROPERTY"}]
    answer = await client.request(
        "POST", f"{_CONTACTS}/search", operation="contacts.search", bucket="search", repeatable=True,
        json={"filterGroups": [{"filters": filters}], "properties": [KEY], "limit": 1},
    )  # fmt: skip
    return int(object_of(client, "contacts.search", answer).get("total") or 0)


async def contacts_with_phone(client: VendorClient, local: Sequence[str], properties: Sequence[str]) -> list[Row]:
    """Return the contacts that search finds with one of these numbers (no country code), as phone or mobile phone."""
    filters = [[{"propertyName": name, "operator": "IN", "values": list(local)}] for name in _SEARCHED_PHONES]
    found: list[Row] = []
    after: str | None = None
    while True:
        body: Row = {"filterGroups": [{"filters": f} for f in filters], "properties": list(properties), "limit": 200}
        answer = await client.request(
            "POST", f"{_CONTACTS}/search", operation="contacts.search", bucket="search", repeatable=True,
            json=body | ({"after": after} if after else {}),
        )  # fmt: skip
        page = object_of(client, "contacts.search", answer)
        found += listed(client, "contacts.search", page)
        following = (page.get("paging") or {}).get("next") or {}
        if not (after := following.get("after")):
            return found


async def contacts_page(client: VendorClient) -> None:
    """Read one contact: tells whether the credential may read contacts."""
    await client.request("GET", _CONTACTS, operation="contacts.page", params={"limit": 1})


async def properties(client: VendorClient) -> dict[str, Row]:
    """Return all active contact properties by name (one unpaged call)."""
    answer = await client.request("GET", _PROPERTIES, operation="properties.list")
    page = object_of(client, "properties.list", answer)
    return {str(p["name"]): p for p in listed(client, "properties.list", page)}


async def property_groups(client: VendorClient) -> frozenset[str]:
    """Return the names of the contact property groups."""
    answer = await client.request("GET", f"{_PROPERTIES}/groups", operation="properties.groups")
    page = object_of(client, "properties.groups", answer)
    return frozenset(str(g["name"]) for g in listed(client, "properties.groups", page))


async def create_group(client: VendorClient, name: str, label: str) -> None:
    """Create a property group; one that exists by now is fine."""
    body = {"name": name, "label": label, "displayOrder": -1}
    try:
        await client.request("POST", f"{_PROPERTIES}/groups", operation="properties.create_group", json=body)
    except Rejected as error:
        if error.status != 409:
            raise


async def create_properties(client: VendorClient, definitions: Sequence[Row]) -> BatchReply:
    """Create up to 100 properties. A name that lies in the archive comes back as it was."""
    operation = "properties.batch_create"
    answer = await client.request(
        "POST", f"{_PROPERTIES}/batch/create", operation=operation, json={"inputs": list(definitions)}
    )
    found = object_of(client, operation, answer)
    return BatchReply(answer.status, rows_of(found, "results"), rows_of(found, "errors"), answer.request_id)


async def change_property(client: VendorClient, name: str, changes: Row) -> None:
    """Change a property's definition. ``options``, if given, replace all there are: those left out vanish."""
    await client.request(
        "PATCH", f"{_PROPERTIES}/{quote(name, safe='')}", operation="properties.update", json=changes, repeatable=True
    )


async def custom_property_limits(client: VendorClient) -> Row:
    """Return how many custom properties exist and how many may (``byObjectType``, ``overallLimit``)."""
    path = f"/crm/limits/{VERSION}/custom-properties"
    return object_of(client, "limits.properties", await client.request("GET", path, operation="limits.properties"))


async def account(client: VendorClient) -> Row:
    """Return the account's details: portal id, type, time zone."""
    path = f"/account-info/{VERSION}/details"
    return object_of(client, "account.details", await client.request("GET", path, operation="account.details"))


async def deal_pipelines(client: VendorClient) -> dict[str, tuple[str, ...]]:
    """Return pipeline of deals -> its stages, both by label, in order; archived ones are left out."""
    operation = "pipelines.list"
    answer = await client.request("GET", f"/crm/pipelines/{VERSION}/deals", operation=operation)
    found = sorted(listed(client, operation, object_of(client, operation, answer)), key=_place)
    return {
        str(p.get("label")): tuple(
            str(s.get("label")) for s in sorted(rows_of(p, "stages"), key=_place) if not s.get("archived")
        )
        for p in found
        if not p.get("archived")
    }


def _place(row: Row) -> int:
    return int(row.get("displayOrder") or 0)


def object_of(client: VendorClient, operation: str, answer: Response) -> Row:
    """Return the JSON object of an answer; OutcomeUnknown where it has none."""
    body = answer.json()
    if isinstance(body, dict):
        return body
    raise OutcomeUnknown(
        "the answer has no JSON object in it", vendor=client.vendor, operation=operation,
        status=answer.status, request_id=answer.request_id,
    )  # fmt: skip


def listed(client: VendorClient, operation: str, page: Mapping[str, Any], name: str = "results") -> tuple[Row, ...]:
    """Return what a page lists; OutcomeUnknown where it has no such list: that is not the same as an empty one."""
    if isinstance(page.get(name), list):
        return rows_of(page, name)
    raise OutcomeUnknown(f"the answer has no {name} in it", vendor=client.vendor, operation=operation)


def rows_of(body: Mapping[str, Any], name: str) -> tuple[Row, ...]:
    """Return the objects listed under ``name``; none where there is no such list."""
    found = body.get(name)
    return tuple(r for r in found if isinstance(r, dict)) if isinstance(found, list) else ()
