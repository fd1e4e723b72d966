"""HubSpot's calls about the fields that humans write: their history, and who is marked as active."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from cio_activation.destinations.hubspot import api
from cio_activation.transport.http import VendorClient

MAX_WITH_HISTORY = 50
"""Contacts in one batch read with histories."""
CHANGED = "lastmodifieddate"
PAGE = 200
"""Most results on a page of search (fact sheet, section 8)."""
_CONTACTS = f"/crm/objects/{api.VERSION}/contacts"


async def histories(client: VendorClient, ids: Sequence[str], properties: Sequence[str]) -> list[api.Row]:
    """Return up to 50 contacts with the versions of ``properties``, each with its ``timestamp``."""
    body: api.Row = {"properties": [], "propertiesWithHistory": list(properties), "inputs": [{"id": i} for i in ids]}
    reply = await api.batch(client, f"{_CONTACTS}/batch/read", "contacts.batch_read.history", body, repeatable=True)
    return list(reply.results)


async def active_contacts(
    client: VendorClient, flag: str, properties: Sequence[str], since: datetime | None
) -> list[api.Row]:
    """Return the contacts of which the checkbox ``flag`` is true, of those that changed ``since`` (naive UTC)."""
    filters: list[api.Row] = [{"propertyName": flag, "operator": "EQ", "value": "true"}]
    if since is not None:
        at = str(int(since.replace(tzinfo=UTC).timestamp() * 1000))
        filters.append({"propertyName": CHANGED, "operator": "GTE", "value": at})
    found: list[api.Row] = []
    after: str | None = None
    while True:
        body: api.Row = {"filterGroups": [{"filters": filters}], "properties": list(properties), "limit": PAGE}
        answer = await client.request(
            "POST", f"{_CONTACTS}/search", operation="contacts.search", bucket="search", repeatable=True,
            json=body | ({"after": after} if after else {}),
        )  # fmt: skip
        page = api.object_of(client, "contacts.search", answer)
        found += api.listed(client, "contacts.search", page)
        following = (page.get("paging") or {}).get("next") or {}
        if not (after := following.get("after")):
            return found
