"""HubSpot's list memberships and list folders."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from starlette.responses import Response

from cio_activation.sandbox.hubspot import body_checks
from cio_activation.sandbox.hubspot.call import Call, RouteRow
from cio_activation.sandbox.hubspot.errors import (
    batch_reply,
    invalid_input,
    missing_fields,
    missing_records,
    no_content,
    not_found,
    reply,
    stamp,
)
from cio_activation.sandbox.hubspot.lists import ContactList, Lists
from cio_activation.sandbox.hubspot.values import as_text

IDS_MAX = 100_000
PAGE_MAX = 250
_MEMBER = {"objectTypeId": body_checks.text, "recordId": body_checks.text}


class MemberDesk:
    """Serves ``/crm/lists/{version}/{id}/memberships``."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists
        self._account = lists.account

    def routes(self) -> list[RouteRow]:
        """Return the routes below ``/crm/lists/{version}``."""
        return [
            ("PUT", "/{id}/memberships/add-and-remove", self._add_and_remove),
            ("PUT", "/{id}/memberships/add", self._add),
            ("PUT", "/{id}/memberships/remove", self._remove),
            ("PUT", "/{id}/memberships/add-from/{source}", self._add_from),
            ("GET", "/{id}/memberships/join-order", self._in_join_order),
            ("GET", "/{id}/memberships", self._read),
            ("DELETE", "/{id}/memberships", self._empty),
            ("POST", "/records/memberships/batch/read", self._of_many),
            ("GET", "/records/{type}/{id}/memberships", self._of_one),
        ]

    def _writable(self, call: Call) -> ContactList:
        found = self._lists.get(call.params["id"])
        if found.kind == "DYNAMIC":
            raise invalid_input(f"Memberships of list {found.id} cannot be changed: its processing type is DYNAMIC.")
        return found

    def _add_and_remove(self, call: Call) -> Response:
        body = call.object(dict.fromkeys(("recordIdsToAdd", "recordIdsToRemove"), body_checks.texts))
        lacking = [key for key in ("recordIdsToAdd", "recordIdsToRemove") if key not in body]
        if lacking:
            raise missing_fields(*lacking)
        return self._change(self._writable(call), _ids(body["recordIdsToAdd"]), _ids(body["recordIdsToRemove"]))

    def _add(self, call: Call) -> Response:
        return self._change(self._writable(call), _ids(call.body()), [])

    def _remove(self, call: Call) -> Response:
        return self._change(self._writable(call), [], _ids(call.body()))

    def _change(self, found: ContactList, to_add: list[str], to_remove: list[str]) -> Response:
        """Apply a change; members that are there already, non-members and unknown ids are skipped."""
        records, now = self._account.records["contacts"], self._account.now
        added, removed, missing = [], [], []
        for record_id in dict.fromkeys(to_add):
            record = records.get(record_id)
            if record is None:
                missing.append(record_id)
            elif record.id not in found.members:
                found.members[record.id] = found.last_added = now
                added.append(record_id)
        for record_id in dict.fromkeys(to_remove):
            record = records.get(record_id)
            if record is None:
                missing.append(record_id)
            elif found.members.pop(record.id, None) is not None:
                removed.append(record_id)
        if added or removed:
            found.ordered, found.updated = None, now
        # "recordsIdsAdded" is HubSpot's own spelling; the others have no second s.
        body = {"recordsIdsAdded": added, "recordIdsRemoved": removed, "recordIdsMissing": list(dict.fromkeys(missing))}
        if self._account.settings.omit_empty_ids:
            body = {name: ids for name, ids in body.items() if ids}
        return reply(body)

    def _add_from(self, call: Call) -> Response:
        found, source = self._writable(call), self._lists.get(call.params["source"])
        if len(source.members) > IDS_MAX:
            raise invalid_input(f"Lists of more than {IDS_MAX} members cannot be copied")
        for record_id in source.members:
            found.members.setdefault(record_id, self._account.now)
        found.ordered = None
        return no_content()

    def _empty(self, call: Call) -> Response:
        found = self._writable(call)
        if len(found.members) > IDS_MAX:
            raise invalid_input(f"Lists of more than {IDS_MAX} members cannot be emptied")
        found.members.clear()
        found.ordered = None
        return no_content()

    def _read(self, call: Call) -> Response:
        found = self._lists.get(call.params["id"])
        if found.ordered is None:
            found.ordered = sorted(found.members)
        limit, after = call.whole("limit", 100, 1, PAGE_MAX), call.whole("after", 0, 0, 2**63)
        start = bisect_right(found.ordered, after)
        page = found.ordered[start : start + limit]
        cursor = str(page[-1]) if start + limit < len(found.ordered) else None
        return _member_page(found, page, cursor)

    def _in_join_order(self, call: Call) -> Response:
        found = self._lists.get(call.params["id"])
        limit, after = call.whole("limit", 100, 1, PAGE_MAX), call.whole("after", 0, 0, 2**63)
        page = sorted(found.members, key=lambda i: (found.members[i], i))[after : after + limit]
        cursor = str(after + limit) if after + limit < len(found.members) else None
        return _member_page(found, page, cursor)

    def _memberships(self, record_id: int) -> list[dict[str, Any]]:
        rows = []
        for found in self._lists.live:
            joined = found.members.get(record_id)
            if joined is not None:
                at = stamp(joined)
                row: dict[str, Any] = {"listId": str(found.id), "listVersion": found.version}
                rows.append({**row, "firstAddedTimestamp": at, "lastAddedTimestamp": at, "isPublicList": False})
        return rows

    def _of_one(self, call: Call) -> Response:
        record = self._account.records[self._account.object_type(call.params["type"])].get(call.params["id"])
        if record is None:
            raise not_found(f"Object not found: {call.params['id']}")
        rows = self._memberships(record.id)
        return reply({"total": len(rows), "results": rows})

    def _of_many(self, call: Call) -> Response:
        results, missing = [], []
        for item in call.inputs(_MEMBER):
            wanted = as_text(item.get("recordId")) or ""
            if not wanted or not item.get("objectTypeId"):
                raise missing_fields("objectTypeId", "recordId")
            record = self._account.records[self._account.object_type(str(item["objectTypeId"]))].get(wanted)
            if record is None:
                missing.append(wanted)
                continue
            rows = self._memberships(record.id)
            results.append({"objectTypeId": item["objectTypeId"], "recordId": wanted, "recordListMemberships": rows})
        return batch_reply(results, [missing_records("CONTACT", missing)] if missing else [], self._account.now)


class FolderDesk:
    """Serves ``/crm/lists/{version}/folders``."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists
        self._next_id = 1

    def routes(self) -> list[RouteRow]:
        """Return the routes below ``/crm/lists/{version}``."""
        return [
            ("GET", "/folders", self._get),
            ("POST", "/folders", self._create),
            ("PUT", "/folders/move-list", self._move_list),
            ("PUT", "/folders/{id}/rename", self._rename),
            ("PUT", "/folders/{id}/move/{parent}", self._move),
            ("DELETE", "/folders/{id}", self._delete),
        ]

    def _found(self, folder_id: str) -> dict[str, Any]:
        found = self._lists.folders.get(int(folder_id)) if folder_id.isdecimal() else None
        if found is None:
            raise not_found(f"Folder {folder_id} does not exist")
        return found

    def _tree(self, folder: dict[str, Any]) -> dict[str, Any]:
        children = [f for f in self._lists.folders.values() if f["parentFolderId"] == folder["id"] and f["id"] != 0]
        inside = [found.id for found in self._lists.live if found.folder == folder["id"]]
        ids = {name: str(folder[name]) for name in ("id", "parentFolderId")}
        return {**folder, **ids, "childLists": inside, "childNodes": [self._tree(child) for child in children]}

    def _get(self, call: Call) -> Response:
        return reply({"folder": self._tree(self._found(call.query("folderId", "0")))})

    def _create(self, call: Call) -> Response:
        body = call.object({"name": body_checks.text, "parentFolderId": body_checks.text})
        if not body.get("name"):
            raise missing_fields("name")
        parent = self._found(as_text(body.get("parentFolderId") or 0) or "")
        at = stamp(self._lists.account.now)
        made = {"id": self._next_id, "name": body["name"], "parentFolderId": parent["id"], "userId": 50_000_001}
        made |= {"createdAt": at, "updatedAt": at}
        self._lists.folders[self._next_id] = made
        self._next_id += 1
        return reply({"folder": self._tree(made)})

    def _rename(self, call: Call) -> Response:
        found, name = self._found(call.params["id"]), call.query("newFolderName")
        if not name:
            raise missing_fields("newFolderName")
        found["name"] = name
        return reply({"folder": self._tree(found)})

    def _move(self, call: Call) -> Response:
        found, parent = self._found(call.params["id"]), self._found(call.params["parent"])
        above: dict[str, Any] = parent
        while above["id"] != 0:
            if above is found:
                raise invalid_input("A folder cannot be moved into itself")
            above = self._lists.folders[above["parentFolderId"]]
        found["parentFolderId"] = parent["id"]
        return reply({"folder": self._tree(found)})

    def _delete(self, call: Call) -> Response:
        found = self._found(call.params["id"])
        tree = self._tree(found)
        if found["id"] == 0 or tree["childLists"] or tree["childNodes"]:
            raise invalid_input("Only empty folders can be deleted")
        del self._lists.folders[found["id"]]
        return no_content()

    def _move_list(self, call: Call) -> Response:
        body = call.object({"listId": body_checks.text, "newFolderId": body_checks.text})
        lacking = [key for key in ("listId", "newFolderId") if body.get(key) is None]
        if lacking:
            raise missing_fields(*lacking)
        found = self._lists.get(as_text(body["listId"]) or "")
        found.folder = self._found(as_text(body["newFolderId"]) or "")["id"]
        return no_content()


def _member_page(found: ContactList, page: list[int], cursor: str | None) -> Response:
    rows = [{"recordId": str(i), "membershipTimestamp": stamp(found.members[i])} for i in page]
    body: dict[str, Any] = {"results": rows, "total": len(found.members)}
    if cursor is not None:
        body["paging"] = {"next": {"after": cursor}}
    return reply(body)


def _ids(given: Any) -> list[str]:
    """Return a bare JSON array of record ids."""
    if not isinstance(given, list):
        raise invalid_input("Invalid input JSON on line 1, column 1: Cannot deserialize value of type `Set<String>`")
    if len(given) > IDS_MAX:
        raise invalid_input(f"At most {IDS_MAX} record ids can be sent at once")
    ids = [as_text(one) for one in given]
    if None in ids:
        raise invalid_input("Invalid input JSON: record ids must be strings")
    return [one for one in ids if one is not None]
