"""HubSpot's endpoints for tasks and notes, their links to contacts, and owners, one function each.

Facts (fact sheet, section 7): batches take 100 inputs; a creation is not idempotent; search lags, so nothing here
searches. All verbs of tasks need the two scopes of contacts; owners ``crm.objects.owners.read``. Notes are objects
like tasks, with a body (``hs_note_body``, 65,536 characters at most) and the instant they are filed under
(``hs_timestamp``, required), without subject, status or due time: developers.hubspot.com, CRM API, guide "Notes".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from cio_activation.destinations.hubspot.api import (
    MAX_BATCH,
    VERSION,
    BatchReply,
    Row,
    batch,
    listed,
    object_of,
    rows_of,
)
from cio_activation.destinations.hubspot.errors import context_values
from cio_activation.transport.errors import Rejected
from cio_activation.transport.http import VendorClient

_OWNERS = f"/crm/owners/{VERSION}"
_OWNERS_PAGE = 100
NO_LINKS = "NO_ASSOCIATIONS_FOUND"

SUBJECT, BODY, STATUS, DUE = "hs_task_subject", "hs_task_body", "hs_task_status", "hs_timestamp"
PRIORITY, TYPE, OWNER, QUEUES = "hs_task_priority", "hs_task_type", "hubspot_owner_id", "hs_queue_membership_ids"
CHANGED = "hs_lastmodifieddate"
READ = (SUBJECT, BODY, STATUS, PRIORITY, DUE, OWNER, QUEUES, CHANGED)
"""What is read of a task. Not ``hs_task_completion_date``: while a task is open it reportedly holds the due date."""
NOT_STARTED, COMPLETED, HIGH = "NOT_STARTED", "COMPLETED", "HIGH"
NOTE_BODY = "hs_note_body"


@dataclass(frozen=True)
class Engagement:
    """What HubSpot has beside tasks and like them: another object, with fewer properties."""

    name: str
    """In addresses, and in operations' names."""
    one: str
    to_contact: int
    """Type id of the association that HubSpot defines between one and its contact."""
    body: str
    """The property that holds its text."""
    read: tuple[str, ...]
    """What is read of one."""
    has_subject: bool = True
    completes: bool = True
    """It can be done; else the line that says why its reason ended is all that ends it."""

    @property
    def batch(self) -> str:
        """Where batches of them go."""
        return f"/crm/objects/{VERSION}/{self.name}/batch"


TASKS = Engagement("tasks", "task", 204, BODY, READ)
NOTES = Engagement("notes", "note", 202, NOTE_BODY, (NOTE_BODY, DUE, CHANGED), has_subject=False, completes=False)


def link_to(contact_id: str, sort: Engagement = TASKS) -> Row:
    """Return the association of a new task, or note, with its contact."""
    kind = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": sort.to_contact}
    return {"to": {"id": contact_id}, "types": [kind]}


async def create_tasks(client: VendorClient, inputs: Sequence[Row], sort: Engagement = TASKS) -> BatchReply:
    """Make up to 100 tasks; each input: ``properties``, ``associations``, ``objectWriteTraceId``. Never sent again."""
    return await batch(
        client, f"{sort.batch}/create", f"{sort.name}.batch_create", {"inputs": list(inputs)}, repeatable=False
    )  # fmt: skip


async def read_tasks(client: VendorClient, ids: Sequence[str], sort: Engagement = TASKS) -> BatchReply:
    """Read up to 100 tasks. Those that were deleted are named as missing."""
    body: Row = {"properties": list(sort.read), "propertiesWithHistory": [], "inputs": [{"id": i} for i in ids]}
    return await batch(client, f"{sort.batch}/read", f"{sort.name}.batch_read", body, repeatable=True)


async def update_tasks(client: VendorClient, inputs: Sequence[Row], sort: Engagement = TASKS) -> BatchReply:
    """Write properties of up to 100 tasks; each input: ``id``, ``properties``, ``objectWriteTraceId``."""
    return await batch(
        client, f"{sort.batch}/update", f"{sort.name}.batch_update", {"inputs": list(inputs)}, repeatable=True
    )


async def archive_tasks(client: VendorClient, ids: Sequence[str], sort: Engagement = TASKS) -> str | None:
    """Put up to 100 tasks into the recycle bin; those there already are fine. Returns the request's id."""
    body = {"inputs": [{"id": i} for i in ids]}
    answer = await client.request(
        "POST", f"{sort.batch}/archive", operation=f"{sort.name}.batch_archive", json=body, repeatable=True
    )
    return answer.request_id


async def tasks_of(client: VendorClient, contacts: Sequence[str], sort: Engagement = TASKS) -> dict[str, list[str]]:
    """Return contact -> ids of all its tasks, 100 contacts a call; contacts the answers do not mention are left out.

    A contact that is gone shows as one without tasks.
    """
    path = f"/crm/associations/{VERSION}/contacts/{sort.name}/batch/read"
    found: dict[str, list[str]] = {}
    wanted: list[Row] = [{"id": i} for i in dict.fromkeys(contacts)]
    while wanted:
        asked, wanted = wanted[:MAX_BATCH], wanted[MAX_BATCH:]
        reply = await batch(client, path, f"associations.{sort.name}", {"inputs": asked}, repeatable=True)
        for row in reply.results:
            contact = str((row.get("from") or {}).get("id"))
            found.setdefault(contact, []).extend(str(to["toObjectId"]) for to in rows_of(row, "to"))
            following = (row.get("paging") or {}).get("next") or {}
            if after := following.get("after"):
                wanted.append({"id": contact, "after": str(after)})
        for error in reply.errors:
            if NO_LINKS in str(error.get("subCategory")):
                found |= {contact: found.get(contact, []) for contact in context_values(error, "fromObjectId")}
    return found


async def tasks_of_one(client: VendorClient, contact: str, sort: Engagement = TASKS) -> list[str] | None:
    """Return the ids of all tasks of one contact; None if there is no such contact."""
    path, after = f"/crm/objects/{VERSION}/contacts/{quote(contact, safe='')}/associations/{sort.name}", None
    found: list[str] = []
    while True:
        try:
            params = {"after": after} if after else None
            answer = await client.request("GET", path, operation="associations.one", params=params)
        except Rejected as error:
            if error.status == 404:
                return None
            raise
        page = object_of(client, "associations.one", answer)
        found += [str(row["toObjectId"]) for row in listed(client, "associations.one", page)]
        following = (page.get("paging") or {}).get("next") or {}
        if not (after := following.get("after")):
            return found


async def owners(client: VendorClient, *, archived: bool) -> list[Row]:
    """Return every owner, or every deactivated one: those show by themselves only."""
    found: list[Row] = []
    after: str | None = None
    while True:
        params = {"limit": _OWNERS_PAGE, "archived": str(archived).lower()} | ({"after": after} if after else {})
        answer = await client.request("GET", _OWNERS, operation="owners.list", params=params)
        page = object_of(client, "owners.list", answer)
        found += listed(client, "owners.list", page)
        following = (page.get("paging") or {}).get("next") or {}
        if not (after := following.get("after")):
            return found
