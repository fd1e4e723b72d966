"""HubSpot's endpoints of lists, their members and folders, one function each.

Facts: the Lists API of the dated version, as collected in the project's fact sheet, section 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from cio_activation.destinations.hubspot.api import CONTACT_TYPE, MAX_BATCH, VERSION, Row, listed, object_of, rows_of
from cio_activation.destinations.hubspot.errors import missing_ids
from cio_activation.transport.errors import OutcomeUnknown, Rejected
from cio_activation.transport.http import Response, VendorClient

MEMBERS_PAGE = 250
"""Most members that one call lists (fact sheet, section 7)."""
MANUAL = "MANUAL"
_LISTS = f"/crm/lists/{VERSION}"
_MEMBER_IDS = frozenset({"recordsIdsAdded", "recordIdsAdded", "recordIdsRemoved", "recordIdsMissing"})
"""What a membership reply may hold; the first is HubSpot's own spelling (fact sheet, section 7)."""


@dataclass(frozen=True)
class MembersReply:
    """The answer to a list change. Members that were there already are not in ``added``: that is normal."""

    status: int
    missing: frozenset[str]
    """Record ids HubSpot does not know (any more)."""
    request_id: str | None
    silent: bool = False
    """The answer has none of its lists of ids: all may have been there already, or nothing was done."""


async def list_by_name(client: VendorClient, name: str) -> Row | None:
    """Return the contact list called ``name`` (any case); None if there is none. Deleted lists do not show."""
    path = f"{_LISTS}/object-type-id/{CONTACT_TYPE}/name/{quote(name, safe='')}"
    try:
        answer = await client.request("GET", path, operation="lists.by_name")
    except Rejected as error:
        if error.status == 404:  # any other refusal must not look like "not there"
            return None
        raise
    found = object_of(client, "lists.by_name", answer).get("list")
    return found if isinstance(found, dict) and not found.get("deletedAt") else None


async def list_by_id(client: VendorClient, list_id: str) -> Row | None:
    """Return the list with this id, whatever it is called by now; None if there is none, or it was deleted."""
    try:
        answer = await client.request("GET", f"{_LISTS}/{quote(list_id, safe='')}", operation="lists.get")
    except Rejected as error:
        if error.status == 404:
            return None
        raise
    found = _inner(client, "lists.get", answer, "list")
    return None if found.get("deletedAt") else found  # asked by id, HubSpot shows deleted ones too


async def lists_by_ids(client: VendorClient, list_ids: Sequence[str]) -> list[Row]:
    """Return the lists with these ids, 100 a call; deleted ones do not show."""
    found: list[Row] = []
    for start in range(0, len(list_ids), MAX_BATCH):
        params = {"listIds": list(list_ids[start : start + MAX_BATCH])}
        answer = await client.request("GET", _LISTS, operation="lists.several", params=params)
        found += listed(client, "lists.several", object_of(client, "lists.several", answer), "lists")
    return found


def list_size(row: Row) -> int | None:
    """Return how many members a list says it has; None if it does not say."""
    size = row.get("size", (row.get("additionalProperties") or {}).get("hs_list_size"))
    return int(str(size)) if str(size).isdecimal() else None


async def rename_list(client: VendorClient, list_id: str, name: str) -> None:
    """Call a list something else; its id, members and whatever hangs on it stay."""
    await client.request(
        "PUT", f"{_LISTS}/{quote(list_id, safe='')}/update-list-name", operation="lists.rename",
        params={"listName": name}, repeatable=True,
    )  # fmt: skip


async def delete_list(client: VendorClient, list_id: str) -> None:
    """Delete a list; somebody can restore it in HubSpot within 90 days. One that is gone already is fine."""
    try:
        await client.request("DELETE", f"{_LISTS}/{quote(list_id, safe='')}", operation="lists.delete", repeatable=True)
    except Rejected as error:
        if error.status != 404:
            raise


async def has_members(client: VendorClient, list_id: str) -> bool:
    """Return whether anybody is on the list; a list that is gone has nobody."""
    path = f"{_LISTS}/{quote(list_id, safe='')}/memberships"
    try:
        answer = await client.request("GET", path, operation="lists.members", params={"limit": 1})
    except Rejected as error:
        if error.status == 404:
            return False
        raise
    return bool(listed(client, "lists.members", object_of(client, "lists.members", answer)))


async def members_page(client: VendorClient, list_id: str, after: str | None) -> tuple[list[str], str | None]:
    """Return up to 250 record ids of a list, and where the next page starts; None: that was the last."""
    path = f"{_LISTS}/{quote(list_id, safe='')}/memberships"
    params = {"limit": MEMBERS_PAGE} | ({"after": after} if after else {})
    answer = await client.request("GET", path, operation="lists.members", params=params)
    page = object_of(client, "lists.members", answer)
    following = (page.get("paging") or {}).get("next") or {}
    return [str(row["recordId"]) for row in listed(client, "lists.members", page)], following.get("after") or None


async def create_list(client: VendorClient, name: str, folder_id: str) -> Row:
    """Create a MANUAL contact list in a folder."""
    body = {"name": name, "objectTypeId": CONTACT_TYPE, "processingType": MANUAL, "listFolderId": int(folder_id)}
    answer = await client.request("POST", _LISTS, operation="lists.create", json=body)
    return _inner(client, "lists.create", answer, "list")


async def root_folder(client: VendorClient) -> Row:
    """Return the tree of list folders, from the root (id 0); children are in ``childNodes``."""
    answer = await client.request("GET", f"{_LISTS}/folders", operation="lists.folders", params={"folderId": "0"})
    return _inner(client, "lists.folders", answer, "folder")


def folder_called(tree: Row, name: str) -> Row | None:
    """Return the folder of that name, whatever its case, in the whole tree; None if there is none."""
    pending = [tree]
    while pending:
        folder = pending.pop()
        if str(folder.get("name", "")).casefold() == name.casefold():
            return folder
        pending += [child for child in folder.get("childNodes") or () if isinstance(child, dict)]
    return None


async def create_folder(client: VendorClient, name: str) -> Row:
    """Create a folder for lists below the root."""
    body = {"name": name, "parentFolderId": "0"}
    answer = await client.request("POST", f"{_LISTS}/folders", operation="lists.create_folder", json=body)
    return _inner(client, "lists.create_folder", answer, "folder")


async def change_members(client: VendorClient, list_id: str, add: Sequence[str], remove: Sequence[str]) -> MembersReply:
    """Add and remove members of a MANUAL list by record id. Repeating it changes nothing more."""
    operation = "lists.add_and_remove"
    answer = await client.request(
        "PUT", f"{_LISTS}/{quote(list_id, safe='')}/memberships/add-and-remove", operation=operation,
        json={"recordIdsToAdd": list(add), "recordIdsToRemove": list(remove)}, repeatable=True,
    )  # fmt: skip
    found = object_of(client, operation, answer)
    missing = found.get("recordIdsMissing") or []  # empty lists may be left out of the answer
    return MembersReply(
        answer.status, frozenset(str(i) for i in missing), answer.request_id, silent=not _MEMBER_IDS & found.keys()
    )


async def lists_of(client: VendorClient, record_ids: Sequence[str]) -> tuple[dict[str, frozenset[str]], frozenset[str]]:
    """Return the ids of the lists each contact is on, and the record ids HubSpot does not know."""
    operation, path = "lists.of_records", f"{_LISTS}/records/memberships/batch/read"
    found_on: dict[str, frozenset[str]] = {}
    missing: frozenset[str] = frozenset()
    for start in range(0, len(record_ids), MAX_BATCH):
        inputs = [{"objectTypeId": CONTACT_TYPE, "recordId": i} for i in record_ids[start : start + MAX_BATCH]]
        answer = await client.request("POST", path, operation=operation, json={"inputs": inputs}, repeatable=True)
        found = object_of(client, operation, answer)
        missing |= missing_ids(rows_of(found, "errors"))
        for row in rows_of(found, "results"):
            found_on[str(row.get("recordId"))] = frozenset(
                str(m["listId"]) for m in rows_of(row, "recordListMemberships")
            )
    return found_on, missing


def _inner(client: VendorClient, operation: str, answer: Response, name: str) -> Row:
    found = object_of(client, operation, answer).get(name)
    if isinstance(found, dict):
        return found
    raise OutcomeUnknown(
        f"the answer has no {name} in it", vendor=client.vendor, operation=operation,
        status=answer.status, request_id=answer.request_id,
    )  # fmt: skip
