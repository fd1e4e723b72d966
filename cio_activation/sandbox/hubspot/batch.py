"""HubSpot's batch verbs of every object type: read, create, update, upsert, archive.

A write batch is checked as a whole before anything is stored. How it ends (fact sheet, sections 1 and 4):
200/201 all written; 207 some written, if every input carries its own ``objectWriteTraceId`` or records are
missing; 400 nothing written (a bad record without trace ids, one id twice, more than 100); 409 nothing
written (one row clashes with an e-mail another record owns), with or without trace ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from cio_activation.sandbox.hubspot import body_checks
from cio_activation.sandbox.hubspot.account import Account
from cio_activation.sandbox.hubspot.call import Call, RouteRow
from cio_activation.sandbox.hubspot.errors import (
    Refusal,
    batch_reply,
    duplicate_inputs,
    invalid_input,
    missing_fields,
    missing_records,
    no_content,
    stamp,
)
from cio_activation.sandbox.hubspot.links import Link, Links
from cio_activation.sandbox.hubspot.record import Record
from cio_activation.sandbox.hubspot.record_rules import prepare
from cio_activation.sandbox.hubspot.records import Claims, Records
from cio_activation.sandbox.hubspot.values import as_text, email_of

HISTORY_MAX = 50
"""Records in one read that asks for histories."""
_READING: body_checks.Shape = {
    **dict.fromkeys(("properties", "propertiesWithHistory"), body_checks.texts),
    "idProperty": body_checks.text,
}


@dataclass
class Row:
    """One input of a write batch on its way: whom it means, what it will change."""

    given: dict[str, Any]
    trace: str | None
    record: Record | None = None
    key: tuple[str, str] | None = None
    by_email: bool = False
    changes: dict[str, str] | None = None
    warnings: list[dict[str, Any]] | None = None
    links: list[Link] | None = None


class BatchDesk:
    """Serves ``/crm/objects/{version}/{type}/batch/...``."""

    def __init__(self, account: Account, links: Links) -> None:
        self._account, self._links = account, links

    def routes(self) -> list[RouteRow]:
        """Return the routes below ``/crm/objects/{version}``."""
        return [
            ("POST", "/{type}/batch/upsert", self._upsert),
            ("POST", "/{type}/batch/update", self._update),
            ("POST", "/{type}/batch/read", self._read),
            ("POST", "/{type}/batch/create", self._create),
            ("POST", "/{type}/batch/archive", self._archive),
        ]

    def _records(self, call: Call) -> Records:
        return self._account.records[self._account.object_type(call.params["type"])]

    def _read(self, call: Call) -> Response:
        records, inputs = self._records(call), call.inputs(body_checks.IDENTITY, beside=_READING)
        body = call.body()
        if body.get("propertiesWithHistory") is None:
            raise missing_fields("propertiesWithHistory")
        id_property = body.get("idProperty")
        if id_property == "hs_object_id":
            id_property = None
        if id_property:
            records.require_key(id_property)
        if any("id" not in item for item in inputs):
            raise missing_fields("id")
        names, history = body.get("properties"), body["propertiesWithHistory"]
        if history and len(inputs) > HISTORY_MAX:
            # As public integrations quote it (PipedreamHQ/pipedream#8462).
            raise invalid_input(
                "The maximum number of inputs supported in a batch request for property histories is "
                f"{HISTORY_MAX}. Please reduce the number of items and try again"
            )
        found: dict[int, Record] = {}
        missing: dict[str, None] = {}
        for item in inputs:
            wanted = as_text(item["id"]) or ""
            if call.flag("archived") and not id_property:
                record = records.archived.get(int(wanted)) if wanted.isdecimal() else None
                if record is None:
                    missing[wanted] = None
                else:
                    found[record.id] = record
                continue
            record = records.lookup(id_property, wanted) if id_property else records.get(wanted)
            if record is None:
                missing[email_of(wanted) if id_property == "email" else wanted] = None
            else:
                found[record.id] = record
        rows = [with_history(records, record, records.row(record, names), history) for record in found.values()]
        self._account.rng.shuffle(rows)
        errors = [missing_records(records.label, list(missing))] if missing else []
        return batch_reply(rows, errors, self._account.now)

    def _create(self, call: Call) -> Response:
        rows = [_row(item) for item in call.inputs(body_checks.NEW_RECORD)]
        return self._write(call, rows, [], created=True)

    def _update(self, call: Call) -> Response:
        records, errors = self._records(call), []
        rows: list[Row] = []
        inputs = [_row(item, "id") for item in call.inputs(body_checks.CHANGED_RECORD)]
        _refuse_duplicates([str(as_text(row.given["id"])).strip() for row in inputs])
        for row in inputs:
            wanted, id_property = str(as_text(row.given["id"])), row.given.get("idProperty")
            if id_property in ("hs_object_id", "email"):
                raise invalid_input(f"Unable to perform update by property {id_property}: leave idProperty out")
            row.record = records.lookup(id_property, wanted) if id_property else records.get(wanted)
            if row.record is not None:
                rows.append(row)
            elif not id_property and (not wanted.isdecimal() or int(wanted) in records.merged_away):
                # No error and no row: ids that are no record ids, and ids that a merge consumed.
                continue
            else:
                item = missing_records(records.label, [wanted])
                if row.trace:
                    item["context"]["objectWriteTraceId"] = [row.trace]
                errors.append(item)
        return self._write(call, rows, errors, total=inputs)

    def _upsert(self, call: Call) -> Response:
        records = self._records(call)
        rows = [_row(item, "id") for item in call.inputs(body_checks.CHANGED_RECORD)]
        keys: list[str] = []
        for row in rows:
            id_property = row.given.get("idProperty")
            if not id_property or id_property == "hs_object_id":
                raise invalid_input("Upsert needs idProperty: email or a property with unique values")
            wanted = str(as_text(row.given["id"])).strip()
            row.by_email = id_property == "email"
            wanted = email_of(wanted) if row.by_email else wanted
            row.record, row.key = records.lookup(id_property, wanted), (id_property, wanted)
            keys.append(wanted)
        _refuse_duplicates(keys)
        _refuse_duplicates([str(row.record.id) for row in rows if row.record])
        return self._write(call, rows, [], upsert=True)

    def _archive(self, call: Call) -> Response:
        records = self._records(call)
        for item in call.inputs(body_checks.IDENTITY):
            record = records.get(as_text(item.get("id")) or "")
            if record is not None:
                records.archive(record)
        return no_content()

    def _write(
        self,
        call: Call,
        rows: list[Row],
        errors: list[dict[str, Any]],
        *,
        created: bool = False,
        upsert: bool = False,
        total: list[Row] | None = None,
    ) -> Response:
        """Check every row, refuse the batch or leave bad rows out, store the rest, answer in another order."""
        traced = _traced(rows if total is None else total)
        good: list[Row] = []
        for row in rows:
            try:
                self._check(call, row)
                good.append(row)
            except Refusal as refusal:
                if not traced:
                    raise
                errors.append(refusal.as_item(objectWriteTraceId=[str(row.trace)]))
        records, claims = self._records(call), Claims()
        for row in good:
            clash = records.clash(row.changes or {}, row.record, claims)
            if clash is not None:
                raise clash
        results = [self._store(records, row, upsert) for row in good]
        self._account.rng.shuffle(results)
        return batch_reply(results, errors, self._account.now, status=201 if created else 200)

    def _check(self, call: Call, row: Row) -> None:
        records = self._records(call)
        given = row.given["properties"]
        if row.key and row.record is None:
            given = {row.key[0]: row.key[1], **given}
        row.changes, row.warnings = records.check(given, row.record, call.version, by_email=row.by_email)
        prepare(self._account, records.object_type, row.changes, row.record, call.version)
        row.links = self._links.check(records.object_type, row.given.get("associations"))

    def _store(self, records: Records, row: Row, upsert: bool) -> dict[str, Any]:
        changes, new = row.changes or {}, row.record is None
        record = records.create(changes) if row.record is None else records.update(row.record, changes)
        self._links.add(records.object_type, record.id, row.links or [])
        answer = records.written_row(record, changes)
        if upsert:
            answer["new"] = new
        if row.warnings:
            answer["warnings"] = row.warnings
        if row.trace and self._account.settings.echo_trace_ids:
            answer["objectWriteTraceId"] = row.trace
        return answer


def with_history(records: Records, record: Record, row: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Add the asked histories to a row: the newest value of each property, with its instant; a cleared one as ''."""
    if names:
        since = {name: stamp(record.written.get(name, record.created)) for name in names}
        row["propertiesWithHistory"] = {
            name: [{"value": value or "", "timestamp": since[name], "sourceType": "INTEGRATION", "sourceId": "sandbox"}]
            for name in names
            if (value := records.value(record, name)) is not None or name in record.ever
        }
    return row


def checked_properties(given: Any) -> dict[str, Any]:
    """Return a body's ``properties``; a value that is no scalar spoils the whole request, as in a typed parser."""
    if not isinstance(given, dict):
        raise missing_fields("properties")
    for name, value in given.items():
        if value is not None and as_text(value) is None:
            raise invalid_input(f"Invalid input JSON: Cannot deserialize value of type `string` for property {name}")
    return given


def _row(item: dict[str, Any], *required: str) -> Row:
    lacking = [name for name in required if not as_text(item.get(name))]
    lacking += ["properties"] if item.get("properties") is None else []
    if lacking:
        raise missing_fields(*lacking)
    checked_properties(item["properties"])
    trace = item.get("objectWriteTraceId")
    return Row(item, None if trace is None else str(trace))


def _traced(rows: list[Row]) -> bool:
    """Tell whether every input carries a trace id of its own; only then a batch may be written in part."""
    traces = [row.trace for row in rows]
    return all(traces) and len(set(traces)) == len(traces)


def _refuse_duplicates(ids: list[str]) -> None:
    if len(set(ids)) < len(ids):
        raise duplicate_inputs(sorted({one for one in ids if ids.count(one) > 1}))
