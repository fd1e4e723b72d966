"""HubSpot's endpoints for single records, contact merge and permanent delete."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from cio_activation.sandbox.hubspot import body_checks
from cio_activation.sandbox.hubspot.account import Account
from cio_activation.sandbox.hubspot.batch import checked_properties, with_history
from cio_activation.sandbox.hubspot.call import Call, RouteRow
from cio_activation.sandbox.hubspot.errors import invalid_input, missing_fields, no_content, not_found, reply
from cio_activation.sandbox.hubspot.links import Links
from cio_activation.sandbox.hubspot.merges import merge
from cio_activation.sandbox.hubspot.record import Record
from cio_activation.sandbox.hubspot.record_rules import prepare
from cio_activation.sandbox.hubspot.records import Claims, Records
from cio_activation.sandbox.hubspot.values import as_text

PAGE_MAX = 100
_NEW = {name: body_checks.NEW_RECORD[name] for name in ("properties", "associations")}
_CHANGE = {"properties": body_checks.values}
_MERGE = {"primaryObjectId": body_checks.text, "objectIdToMerge": body_checks.text}
_ERASURE = {"objectId": body_checks.text, "idProperty": body_checks.text}


class ObjectDesk:
    """Serves ``/crm/objects/{version}/{type}`` for one record at a time and for pages of records."""

    def __init__(self, account: Account, links: Links) -> None:
        self._account, self._links = account, links

    def routes(self) -> list[RouteRow]:
        """Return the routes below ``/crm/objects/{version}``."""
        return [
            ("POST", "/{type}/merge", self._merge),
            ("POST", "/{type}/gdpr-delete", self._erase),
            ("GET", "/{type}", self._list),
            ("POST", "/{type}", self._create),
            ("GET", "/{type}/{id}", self._get),
            ("PATCH", "/{type}/{id}", self._update),
            ("DELETE", "/{type}/{id}", self._archive),
        ]

    def _records(self, call: Call) -> Records:
        return self._account.records[self._account.object_type(call.params["type"])]

    def _found(self, call: Call) -> Record:
        records, id_property = self._records(call), call.query("idProperty")
        wanted = call.params["id"]
        if call.flag("archived") and wanted.isdecimal():
            found = records.archived.get(int(wanted))
        elif id_property and id_property != "hs_object_id":
            found = records.lookup(id_property, wanted)
        else:
            found = records.get(wanted)
        if found is None:
            raise not_found("Object not found.  objectId are usually numeric.", objectId=[wanted])
        return found

    def _get(self, call: Call) -> Response:
        records, found = self._records(call), self._found(call)
        return reply(self._row(call, records, found))

    def _row(self, call: Call, records: Records, found: Record) -> dict[str, Any]:
        """Return a record with what the query asks for: properties, their histories, linked records."""
        row = records.row(found, call.names("properties"))
        row = with_history(records, found, row, call.names("propertiesWithHistory"))
        near = records.object_type
        linked: dict[str, Any] = {}
        for name in call.names("associations"):
            far = self._account.object_type(name)
            others = self._links.of(near, found.id, far)
            kind = f"{near[:-1]}_to_{far[:-1]}"
            if others:
                linked[far] = {"results": [{"id": str(i), "type": kind} for i in others]}
        return {**row, "associations": linked} if linked else row

    def _list(self, call: Call) -> Response:
        records, limit = self._records(call), call.whole("limit", 10, 1, PAGE_MAX)
        after = call.query("after", "0")
        if not after.isdecimal():
            raise invalid_input(f"Invalid paging cursor: {after}")
        if call.flag("archived"):
            archived = sorted((r for r in records.archived.values() if r.id > int(after)), key=lambda r: r.id)
            page, more = archived[:limit], len(archived) > limit
        else:
            page, more = records.page(int(after), limit)
        body: dict[str, Any] = {"results": [self._row(call, records, record) for record in page]}
        if more:
            cursor = str(page[-1].id)
            query = urlencode({**dict(call.request.query_params), "after": cursor})
            body["paging"] = {
                "next": {"after": cursor, "link": f"https://api.hubapi.com{call.request.url.path}?{query}"}
            }
        return reply(body)

    def _write(self, call: Call, record: Record | None) -> dict[str, Any]:
        records, body = self._records(call), call.object(_CHANGE if record else _NEW)
        by_email = call.query("idProperty") == "email"
        given = checked_properties(body.get("properties"))
        changes, warnings = records.check(given, record, call.version, by_email=by_email)
        prepare(self._account, records.object_type, changes, record, call.version)
        links = self._links.check(records.object_type, body.get("associations"))
        clash = records.clash(changes, record, Claims())
        if clash is not None:
            raise clash
        stored = records.create(changes) if record is None else records.update(record, changes)
        self._links.add(records.object_type, stored.id, links)
        row = records.written_row(stored, changes)
        return {**row, "warnings": warnings} if warnings else row

    def _create(self, call: Call) -> Response:
        return reply(self._write(call, None), 201)

    def _update(self, call: Call) -> Response:
        return reply(self._write(call, self._found(call)))

    def _archive(self, call: Call) -> Response:
        record = self._records(call).get(call.params["id"])
        if record is not None:
            self._records(call).archive(record)
        return no_content()

    def _merge(self, call: Call) -> Response:
        records, body = self._records(call), call.object(_MERGE)
        lacking = [name for name in ("primaryObjectId", "objectIdToMerge") if not body.get(name)]
        if lacking:
            raise missing_fields(*lacking)
        if records.object_type != "contacts":
            raise invalid_input("Only contacts can be merged here")
        primary, other = (records.get(as_text(body[n]) or "") for n in ("primaryObjectId", "objectIdToMerge"))
        if primary is None or other is None or primary is other:
            raise invalid_input("Both records of a merge must exist and differ")
        return reply(records.row(merge(records, primary, other)))

    def _erase(self, call: Call) -> Response:
        records, body = self._records(call), call.object(_ERASURE)
        wanted, id_property = as_text(body.get("objectId")) or "", body.get("idProperty")
        found = records.lookup(id_property, wanted) if id_property else records.get(wanted)
        if found is not None:
            records.erase(found)
        return no_content()
