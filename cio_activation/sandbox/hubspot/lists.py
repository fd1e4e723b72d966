"""HubSpot's lists (segments): definitions, names, deletion and restoring, enumeration."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.responses import Response

from cio_activation.sandbox.hubspot import body_checks
from cio_activation.sandbox.hubspot.account import Account
from cio_activation.sandbox.hubspot.call import Call, RouteRow
from cio_activation.sandbox.hubspot.errors import (
    VALIDATION,
    Refusal,
    invalid_input,
    missing_fields,
    no_content,
    not_found,
    reply,
    stamp,
)
from cio_activation.sandbox.hubspot.values import as_text

RESTORE_SECONDS = 90 * 86_400
SEARCH_MAX = 500
_KINDS = ("MANUAL", "SNAPSHOT", "DYNAMIC")


@dataclass
class ContactList:
    """One list. ``members`` maps record id to when it joined."""

    id: int
    name: str
    kind: str
    folder: int
    created: float
    filters: Any = None
    updated: float = 0.0
    version: int = 1
    deleted_at: float | None = None
    last_added: float | None = None
    members: dict[int, float] = field(default_factory=dict)
    ordered: list[int] | None = None

    def as_body(self, *, filters: bool = False) -> dict[str, Any]:
        """Return the list as HubSpot answers it."""
        body: dict[str, Any] = {
            "listId": str(self.id),
            "listVersion": self.version,
            "createdAt": stamp(self.created),
            "updatedAt": stamp(self.updated or self.created),
            "filtersUpdatedAt": stamp(self.created),
            "processingStatus": "COMPLETE",
            "createdById": "50000001",
            "updatedById": "50000001",
            "processingType": self.kind,
            "objectTypeId": "0-1",
            "name": self.name,
            "size": len(self.members),
        }
        if self.deleted_at is not None:
            body["deletedAt"] = stamp(self.deleted_at)
        if filters and self.filters is not None:
            body["filterBranch"] = self.filters
        return body

    def as_search_row(self) -> dict[str, Any]:
        """Return the list as search and ``/all`` answer it: size only among the additional properties."""
        body = self.as_body()
        del body["size"]
        extra = {"hs_list_size": str(len(self.members)), "hs_list_reference_count": "0"}
        if self.last_added is not None:
            extra["hs_last_record_added_at"] = str(int(self.last_added * 1000))
        return {**body, "additionalProperties": extra}


class Lists:
    """All lists of the account, deleted ones too."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.by_id: dict[int, ContactList] = {}
        self.folders: dict[int, dict[str, Any]] = {0: {"id": 0, "name": "root", "parentFolderId": 0}}
        self._next_id = 101

    @property
    def live(self) -> list[ContactList]:
        """Lists that are not deleted, in order of id."""
        return [found for found in self.by_id.values() if found.deleted_at is None]

    def named(self, name: str) -> ContactList | None:
        """Return the live list of that name, whatever the case."""
        return next((found for found in self.live if found.name.casefold() == name.casefold()), None)

    def get(self, list_id: str, *, deleted: bool = False) -> ContactList:
        """Return a list by id, also a deleted one if asked; refuses unknown ids."""
        found = self.by_id.get(int(list_id)) if list_id.isdecimal() else None
        if found is None or (found.deleted_at is not None and not deleted):
            raise not_found(f"List does not exist with ID {list_id}.")
        return found

    def require_free(self, name: str, but: ContactList | None = None) -> None:
        """Refuse a name that another live list has (whether a deleted one holds its name is not confirmed)."""
        owner = self.named(name)
        if owner is not None and owner is not but:
            raise Refusal(
                400,
                VALIDATION,
                f"List name '{name}' is already in use by list {owner.id}.",
                sub_category="ILS.DUPLICATE_LIST_NAMES",
            )

    def create(self, body: dict[str, Any]) -> ContactList:
        """Make a list."""
        lacking = [key for key in ("name", "objectTypeId", "processingType") if not body.get(key)]
        if lacking:
            raise missing_fields(*lacking)
        kind, folder = body["processingType"], as_text(body.get("listFolderId") or 0) or ""
        if kind not in _KINDS:
            raise invalid_input(f"Unknown processingType {kind}")
        if body["objectTypeId"] != "0-1":
            raise invalid_input(f"Lists of object type {body['objectTypeId']} cannot be made here")
        if kind == "DYNAMIC" and not body.get("filterBranch"):
            raise invalid_input("A DYNAMIC list needs a filterBranch")
        if not folder.isdecimal() or int(folder) not in self.folders:
            raise invalid_input(f"Folder {folder} does not exist")
        self.require_free(body["name"])
        made = ContactList(self._next_id, body["name"], kind, int(folder), self.account.now, body.get("filterBranch"))
        self._next_id += 1
        self.by_id[made.id] = made
        return made

    def records_gone(self, gone: list[int], heir: int | None) -> None:
        """Take deleted contacts out of every list; a merged one's heir takes its place."""
        for found in self.by_id.values():
            joined = [found.members.pop(record_id) for record_id in gone if record_id in found.members]
            if joined:
                found.ordered = None
                if heir is not None:
                    found.members[heir] = min(*joined, found.members.get(heir, joined[0]))


class ListDesk:
    """Serves ``/crm/lists/{version}``, memberships and folders excepted."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists

    def routes(self) -> list[RouteRow]:
        """Return the routes below ``/crm/lists/{version}``."""
        return [
            ("POST", "/search", self._search),
            ("POST", "/all", self._all),
            ("GET", "/object-type-id/{type}/name/{name:path}", self._by_name),
            ("POST", "", self._create),
            ("POST", "/", self._create),
            ("GET", "", self._several),
            ("GET", "/", self._several),
            ("PUT", "/{id}/restore", self._restore),
            ("PUT", "/{id}/update-list-name", self._rename),
            ("GET", "/{id}", self._get),
            ("DELETE", "/{id}", self._delete),
        ]

    def _create(self, call: Call) -> Response:
        return reply({"list": self._lists.create(call.object(body_checks.NEW_LIST)).as_body(filters=True)})

    def _get(self, call: Call) -> Response:
        found = self._lists.get(call.params["id"], deleted=True)
        return reply({"list": found.as_body(filters=call.flag("includeFilters"))})

    def _by_name(self, call: Call) -> Response:
        found = self._lists.named(call.params["name"]) if call.params["type"] == "0-1" else None
        if found is None:
            raise not_found(f"List does not exist with name {call.params['name']}.")
        return reply({"list": found.as_body(filters=call.flag("includeFilters"))})

    def _several(self, call: Call) -> Response:
        wanted = set(call.names("listIds"))
        return reply({"lists": [found.as_body() for found in self._lists.live if str(found.id) in wanted]})

    def _rename(self, call: Call) -> Response:
        found, name = self._lists.get(call.params["id"]), call.query("listName")
        if not name:
            raise missing_fields("listName")
        self._lists.require_free(name, but=found)
        found.name, found.updated = name, self._lists.account.now
        found.version += 1
        return reply({"updatedList": found.as_body()})

    def _delete(self, call: Call) -> Response:
        found = self._lists.get(call.params["id"])
        found.deleted_at = self._lists.account.now
        return no_content()

    def _restore(self, call: Call) -> Response:
        found = self._lists.get(call.params["id"], deleted=True)
        if found.deleted_at is not None:
            if self._lists.account.now - found.deleted_at > RESTORE_SECONDS:
                raise not_found(f"List {found.id} was deleted more than 90 days ago.")
            self._lists.require_free(found.name)
            found.deleted_at = None
        return no_content()

    def _search(self, call: Call) -> Response:
        body = call.object(body_checks.LIST_SEARCH) if call.raw.strip() else {}
        offset, count = _number(body, "offset", 0, 2**31), _number(body, "count", 20, SEARCH_MAX)
        found = self._chosen(body)
        query = str(body.get("query") or "").casefold()
        if query:
            found = [one for one in found if query in one.name.casefold()]
        if body.get("listIds"):
            wanted = {as_text(i) for i in body["listIds"]}
            found = [one for one in found if str(one.id) in wanted]
        page, end = found[offset : offset + count], min(offset + count, len(found))
        return reply(
            {
                "offset": end,
                "hasMore": end < len(found),
                "lists": [one.as_search_row() for one in page],
                "total": len(found),
            }
        )

    def _all(self, call: Call) -> Response:
        if call.version != "2026-09":
            raise not_found("This endpoint exists from 2026-09")
        body = call.object(body_checks.LIST_PAGES) if call.raw.strip() else {}
        count = _number(body, "count", 20, SEARCH_MAX)
        asked = [sorted(body.get("processingTypes") or []), body.get("objectTypeId")]
        found, after = self._chosen(body), 0
        if body.get("after"):
            after = _read_cursor(str(body["after"]), asked)
        rest = [one for one in found if one.id > after]
        answer: dict[str, Any] = {"total": len(found), "results": [one.as_search_row() for one in rest[:count]]}
        if len(rest) > count:
            cursor = base64.urlsafe_b64encode(orjson.dumps([rest[count - 1].id, asked])).decode()
            answer["paging"] = {"next": {"after": cursor}}
        return reply(answer)

    def _chosen(self, body: dict[str, Any]) -> list[ContactList]:
        kinds = body.get("processingTypes") or _KINDS
        if body.get("objectTypeId") not in (None, "0-1"):
            return []
        return [one for one in self._lists.live if one.kind in kinds]


def _number(body: dict[str, Any], name: str, default: int, high: int) -> int:
    value = body.get(name)
    text = as_text(default if value is None else value) or ""
    if not text.isdecimal() or int(text) > high:
        raise invalid_input(f"{name} must be a number up to {high}, was {value}")
    return int(text)


def _read_cursor(cursor: str, asked: list[Any]) -> int:
    try:
        after, before = orjson.loads(base64.urlsafe_b64decode(cursor))
    except ValueError as error:
        raise _invalid_cursor() from error
    if before != asked:
        raise _invalid_cursor()
    return int(after)


def _invalid_cursor() -> Refusal:
    text = "The cursor is invalid, or the filters changed since it was given."
    return Refusal(400, VALIDATION, text, sub_category="INVALID_CURSOR")
