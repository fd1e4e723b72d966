"""The Track API, as far as this project writes by it: a few attributes of people who are there already.

Paths, limits and shapes: Customer.io's Track API document (``/api/v2/batch``). The same API can delete people and bar
them for good, so its client here lets nothing through but the one read and the one update.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cio_activation.activation.settings import Settings
from cio_activation.customerio.workspace import access_hash
from cio_activation.destinations.customerio.config import NAME
from cio_activation.transport.errors import OutcomeUnknown
from cio_activation.transport.http import Pacer, Response, VendorClient

BUCKET = "track"
BATCH = 240
"""Updates in one request. An item has at most 2,080 bytes (a label of 200 characters of 4 bytes, twice if all of them
are escaped, and the rest), so that a full request stays below the API's 500 KB."""
ACTIVE, AUDIENCE, UNTIL, OUTCOME = "outreach_active", "outreach_audience", "outreach_until", "outreach_outcome"
ATTRIBUTES = (ACTIVE, AUDIENCE, UNTIL, OUTCOME)
"""What the attributes are called, after their prefix."""
REGION, UPDATES = "/api/v1/accounts/region", "/api/v2/batch"


@dataclass(frozen=True)
class Update:
    """Attributes of one person; an empty text removes one. Of two updates Customer.io keeps that of the later instant.

    ``instant``: whole seconds since 1970.
    """

    cio_id: str
    attributes: Mapping[str, Any]
    instant: int

    def body(self) -> dict[str, Any]:
        """Return the item of a batch. Whoever is not there is left alone (``_update``), not made."""
        return {
            "type": "person",
            "action": "identify",
            "identifiers": {"cio_id": self.cio_id},
            "timestamp": self.instant,
            "attributes": {"_update": True, **self.attributes},
        }


@dataclass(frozen=True)
class Refusal:
    """Why one item of a batch was not taken: Customer.io's own reason and field. Its message may quote values."""

    reason: str
    field: str


class TrackClient(VendorClient):
    """A client of the Track API that can read the account's region, and update our attributes, and nothing else."""

    def __init__(self, settings: Settings, pacer: Pacer) -> None:
        pair = f"{settings.secret('customerio_track_site_id')}:{settings.secret('customerio_track_api_key')}"
        super().__init__(
            NAME,
            settings.customerio_track,
            {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"},
            pacer=pacer,
            timeout_s=settings.vendor_timeout_s,
            backoff_s=settings.vendor_backoff_s,
        )
        self.pacer = pacer
        # The same account and credential as people are read by: whichever of the two asked first has asked for both.
        self.access_hash = access_hash(settings)

    async def request(self, method: str, path: str, **options: Any) -> Response:
        """Make one of the two calls there are; ValueError for any other."""
        reads = (method, path) == ("GET", REGION)
        if not reads and not ((method, path) == ("POST", UPDATES) and _only_updates(options.get("json"))):
            raise ValueError(f"{method} {path}: this client reads the region and updates our attributes only")
        return await super().request(method, path, bucket=BUCKET, **options)


async def region(client: VendorClient) -> Mapping[str, Any]:
    """Return the account's region and which workspace the credential is of."""
    answer = await client.request("GET", REGION, operation="account.region")
    body: Mapping[str, Any] = _object(answer, "account.region")
    return body


async def update(client: VendorClient, updates: Sequence[Update]) -> dict[int, Refusal]:
    """Send up to ``BATCH`` updates in one request; return place in ``updates`` -> why that one was not taken.

    200 with an empty object: all were taken. 207: those listed were not, the others stand. 200 means accepted, not
    applied. An answer that is neither tells nothing of anybody. Raises Rejected where the whole request was refused.
    """
    body = {"batch": [one.body() for one in updates]}
    answer = await client.request("POST", UPDATES, operation="people.update", json=body, repeatable=True)
    told = _object(answer, "people.update")
    if answer.status == 200 and not told:
        return {}
    errors = told.get("errors")
    if not isinstance(errors, list) or not errors:
        raise OutcomeUnknown("the answer is neither empty nor a list of errors", vendor=NAME, operation="people.update")
    refused: dict[int, Refusal] = {}
    for error in errors:
        place = error.get("batch_index") if isinstance(error, dict) else None
        if not isinstance(place, int) or isinstance(place, bool) or not 0 <= place < len(updates):
            raise OutcomeUnknown("an error is of no item that was sent", vendor=NAME, operation="people.update")
        refused.setdefault(place, Refusal(str(error.get("reason") or "refused"), str(error.get("field") or "")))
    return refused


def _only_updates(body: Any) -> bool:
    """Return whether a body is a batch of updates of our own attributes, of people who are there already."""
    items = body.get("batch") if isinstance(body, dict) and body.keys() == {"batch"} else None
    return isinstance(items, list) and all(_is_update(item) for item in items)


def _is_update(item: Mapping[str, Any]) -> bool:
    if item.keys() != {"type", "action", "identifiers", "timestamp", "attributes"}:
        return False
    attributes = dict(item["attributes"])
    return (
        (item["type"], item["action"]) == ("person", "identify")
        and item["identifiers"].keys() == {"cio_id"}
        and attributes.pop("_update", False) is True
        and all(name.endswith(ATTRIBUTES) for name in attributes)
    )


def _object(answer: Response, operation: str) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise OutcomeUnknown("the answer is not a JSON object", vendor=NAME, operation=operation)
    return body
