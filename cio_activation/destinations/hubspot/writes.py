"""Builds write batches for contacts and reads what became of each operation from the answer.

Every input carries its own trace id (the operation id), so that one bad record does not sink its batch. An
answer names who went well and who did not; whoever it names in neither way was merged away (HubSpot leaves such
rows out without a word), unless it has errors that cannot be assigned to anybody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cio_activation.delivery.destination import FOUND_DONE
from cio_activation.delivery.ownership import examine, refuse_foreign
from cio_activation.destinations.common.records import GONE
from cio_activation.destinations.hubspot import api
from cio_activation.destinations.hubspot.errors import MISSING, NOT_FOUND, context_values, property_names, reason
from cio_activation.destinations.hubspot.values import wire
from cio_activation.journal.operations import Cause, End, Operation, Result, person_claim
from cio_activation.transport.errors import OutcomeUnknown, Rejected, Retryable
from cio_activation.transport.http import VendorClient

CONFLICT = 409
_CREATED_WITH = {"email": "email", "firstname": "first_name", "lastname": "last_name", "phone": "phone"}
"""HubSpot's own properties we write, only when we make the contact -> name in ``Operation.keys``."""


async def create(client: VendorClient, prefix: str, batch: Sequence[Operation]) -> list[Result]:
    """Make contacts. Our key is unique: a repeated creation makes no second one, it is refused, and leads to the first.

    Who is there and holds our values was made by a try that got no answer; anybody else who is there is linked, and
    written to by the next plan.
    """
    try:
        results = await _create(client, prefix, batch)
    except Rejected as error:
        if error.status != CONFLICT and not _names_key(error):
            raise
        found = await _by_key(client, prefix, batch)
        if not found:
            raise  # it is about an e-mail: the batch is split down to whose
    else:
        return await _settled(client, prefix, batch, results)
    linked = [_linked(o, *found[o.cio_id]) for o in batch if o.cio_id in found]
    rest = [o for o in batch if o.cio_id not in found]
    return linked + (await _create_rest(client, prefix, rest) if rest else [])


def _names_key(error: Rejected) -> bool:
    return isinstance(error.body, dict) and api.KEY in property_names(error.body)


async def _settled(
    client: VendorClient, prefix: str, batch: Sequence[Operation], results: Sequence[Result]
) -> list[Result]:
    """Return the ends of a creation; of whom our key was refused, the contact that carries it is looked up."""
    taken = {r.operation_id for r in results if r.end is End.REJECTED and api.KEY in r.fields}
    if not taken:
        return list(results)
    asked = [o for o in batch if o.operation_id in taken]
    found = await _by_key(client, prefix, asked)
    linked = {o.operation_id: _linked(o, *found[o.cio_id]) for o in asked if o.cio_id in found}
    return [linked.get(r.operation_id, r) for r in results]


async def _create_rest(client: VendorClient, prefix: str, batch: Sequence[Operation]) -> list[Result]:
    """Make those whom nobody has under our key; if they are refused too, all of them go back to the plan."""
    try:
        return await _settled(client, prefix, batch, await _create(client, prefix, batch))
    except (Rejected, Retryable) as error:
        text = "not made: others of the batch were there already; planned again"
        return [Result(o.operation_id, End.RETRY, text, status=error.status) for o in batch]


def _linked(operation: Operation, record_id: str, is_ours: bool) -> Result:
    """Return the end of a creation whose contact is there; one that holds all of it was made by an unanswered try."""
    end, reason_ = (End.DELIVERED, None) if is_ours else (End.RETRY, "is there already; linked")
    return Result(operation.operation_id, end, reason_, record_id=record_id, status=CONFLICT)


async def _by_key(client: VendorClient, prefix: str, batch: Sequence[Operation]) -> dict[str, tuple[str, bool]]:
    """Return cio_id -> record id of those of ``batch`` whom a contact carries already, and if it holds their values."""
    names = _WireNames(prefix)
    wanted = {o.cio_id: _properties(names, o) | {api.KEY: o.cio_id} for o in batch}
    shown = sorted({api.KEY}.union(*wanted.values()))
    reply = await api.read_contacts(client, list(wanted), shown, by=api.KEY)
    found = {}
    for row in reply.results:
        values = row.get("properties") or {}
        first = wanted.get(str(values.get(api.KEY)))
        if first is not None:
            is_ours = all((values.get(name) or "") == value for name, value in first.items())
            found[first[api.KEY]] = (str(row["id"]), is_ours)
    return found


async def _create(client: VendorClient, prefix: str, batch: Sequence[Operation]) -> list[Result]:
    names = _WireNames(prefix)
    inputs = [{"objectWriteTraceId": o.operation_id, "properties": _first_properties(names, o)} for o in batch]
    _refuse_foreign(inputs, prefix, (api.KEY, *_CREATED_WITH))
    try:
        reply = await api.create_contacts(client, inputs)
    except Rejected as error:
        if error.status == CONFLICT:
            raise  # who of them is there already is for the caller to find out
        return [_refused_alone(names, batch, error)]
    if reply.silent:
        raise _silence(client, "contacts.batch_create", reply)
    ends = _read(names, batch, reply, {o.cio_id: o for o in batch})
    return [
        Result(
            operation.operation_id, End.DELIVERED, record_id=record_id,
            status=reply.status, request_id=reply.request_id,
        )
        for operation, record_id in ends.written
    ] + ends.refused  # fmt: skip


async def look_up(client: VendorClient, prefix: str, operations: Sequence[Operation]) -> list[Result]:
    """Return DELIVERED for the writes to known records whose contact holds all of it by now; reads only."""
    names, results = _WireNames(prefix), []
    for start in range(0, len(operations), api.MAX_BATCH):
        batch = operations[start : start + api.MAX_BATCH]
        wanted = {o.operation_id: _properties(names, o) for o in batch}
        shown = sorted(set().union(*wanted.values()))
        reply = await api.read_contacts(client, list(dict.fromkeys(str(o.record_id) for o in batch)), shown)
        rows = {str(row.get("id")): row.get("properties") or {} for row in reply.results}
        results += [
            Result(o.operation_id, End.DELIVERED, FOUND_DONE, status=reply.status, request_id=reply.request_id)
            for o in batch
            if (values := rows.get(str(o.record_id))) is not None
            and all((values.get(name) or "") == value for name, value in wanted[o.operation_id].items())
        ]
    return results


async def update(
    client: VendorClient, prefix: str, batch: Sequence[Operation], keeps: Sequence[str] = ()
) -> list[Result]:
    """Write to known records; a stamp also writes our key.

    Properties that ``keeps`` names are read first, of all who would get one, in one call: what a human changed stays.
    """
    asked = [o for o in batch if not o.payload.keys().isdisjoint(keeps)]
    if not asked:
        return await _write(client, prefix, batch)
    there, gone = await _current(client, prefix, asked, keeps)
    lost = {r.operation_id for r in gone}
    examined = examine([o for o in batch if o.operation_id not in lost], keeps, there)
    written = await _write(client, prefix, examined.write) if examined.write else []
    return examined.told([*gone, *written])


async def _current(
    client: VendorClient, prefix: str, asked: Sequence[Operation], keeps: Sequence[str]
) -> tuple[dict[str, dict[str, Any]], list[Result]]:
    """Return operation id -> what its record holds in the kept properties, and the ends of those not to be read."""
    names = [n for n in keeps if any(n in o.payload for o in asked)]
    records = list(dict.fromkeys(str(o.record_id) for o in asked))
    reply = await api.read_contacts(client, records, [f"{prefix}{n}" for n in names])
    if reply.silent:
        raise _silence(client, "contacts.batch_read.id", reply)
    rows = {str(row.get("id")): row.get("properties") or {} for row in reply.results}
    there = {
        o.operation_id: {n: rows[str(o.record_id)].get(f"{prefix}{n}") for n in names}
        for o in asked
        if str(o.record_id) in rows
    }
    unclear = any(not context_values(entry, "ids") for entry in reply.errors)
    lost = [o for o in asked if o.operation_id not in there]
    # Whom an error is about that names nobody is not known: never write without having read.
    certain = [_gone(o, reply) for o in lost if not unclear or str(o.record_id) in reply.missing]
    named = {r.operation_id for r in certain}
    later = [
        Result(o.operation_id, End.RETRY, "could not be read before writing", request_id=reply.request_id)
        for o in lost
        if o.operation_id not in named
    ]
    return there, certain + later


async def _write(client: VendorClient, prefix: str, batch: Sequence[Operation]) -> list[Result]:
    names = _WireNames(prefix)
    inputs = [
        {"id": o.record_id, "objectWriteTraceId": o.operation_id, "properties": _properties(names, o)} for o in batch
    ]
    _refuse_foreign(inputs, prefix, (api.KEY,))
    try:
        reply = await api.update_contacts(client, inputs)
    except Rejected as error:
        return [_refused_alone(names, batch, error)]
    if reply.silent:
        missing = await _missing(client, batch)
        if not missing:
            raise _silence(client, "contacts.batch_update", reply)
        return [_gone(o, reply) for o in missing]
    ends = _read(names, batch, reply, {str(o.record_id): o for o in batch})
    results = [
        Result(o.operation_id, End.DELIVERED, status=reply.status, request_id=reply.request_id) for o, _ in ends.written
    ] + ends.refused
    if ends.unassigned:
        return results  # whom the rest is about is not known: unknown
    named = {r.operation_id for r in results}
    return results + [_gone(o, reply) for o in batch if o.operation_id not in named]


@dataclass
class _Ends:
    written: list[tuple[Operation, str | None]] = field(default_factory=list)
    refused: list[Result] = field(default_factory=list)
    unassigned: int = 0


def _read(
    names: _WireNames, batch: Sequence[Operation], reply: api.BatchReply, by_id: Mapping[str, Operation]
) -> _Ends:
    """Assign every row and error of the answer to its operation: by trace id where echoed, else by id or key."""
    by_trace = {o.operation_id: o for o in batch}
    ends = _Ends()
    for row in reply.results:
        shown = row.get("properties") or {}
        operation = (
            by_trace.get(str(row.get("objectWriteTraceId")))
            or by_id.get(str(shown.get(api.KEY)))
            or by_id.get(str(row.get("id")))
        )
        if operation is not None:
            ends.written.append((operation, str(row["id"]) if row.get("id") else None))
    for entry in reply.errors:
        about = [
            *_known(by_trace, context_values(entry, "objectWriteTraceId")),
            *_known(by_id, context_values(entry, "ids")),
        ]
        ends.unassigned += not about
        for operation in {o.operation_id: o for o in about}.values():
            ends.refused.append(_refused(names, operation, entry, reply))
    return ends


def _known(operations: Mapping[str, Operation], names: Iterable[str]) -> list[Operation]:
    return [operations[n] for n in names if n in operations]


def _refused(names: _WireNames, operation: Operation, entry: api.Row, reply: api.BatchReply) -> Result:
    if entry.get("category") == NOT_FOUND and not operation.kind.creates:
        return _gone(operation, reply)
    text = reason(entry)
    status = 409 if text.startswith("409") else reply.status
    return Result(
        operation.operation_id, End.REJECTED, text, status=status, request_id=reply.request_id,
        fields=tuple(names.logical(n) for n in property_names(entry)), cause=_cause(text),
    )  # fmt: skip


def _refused_alone(names: _WireNames, batch: Sequence[Operation], error: Rejected) -> Result:
    """Return the end of the only operation of a batch that was refused whole; of several nobody knows whose fault."""
    if len(batch) > 1:
        raise error
    body = error.body if isinstance(error.body, dict) else {}
    text = reason(body)
    text = text if text.startswith(str(error.status)) else f"{error.status} {text}"
    return Result(
        batch[0].operation_id, End.REJECTED, text, status=error.status, request_id=error.request_id,
        fields=tuple(names.logical(n) for n in property_names(body)), cause=_cause(text),
    )  # fmt: skip


def _cause(text: str) -> Cause | None:
    return Cause.SCHEMA if any(code in text for code in MISSING) else None


def _gone(operation: Operation, reply: api.BatchReply) -> Result:
    """Return the end of a write whose record is not there any more; a clearing has nothing left to clear."""
    clearing = operation.kind.empties
    return Result(
        operation.operation_id, End.DELIVERED if clearing else End.REJECTED, None if clearing else GONE,
        status=reply.status, request_id=reply.request_id, observed={"gone": "true"},
        frees=person_claim(operation.cio_id),
    )  # fmt: skip


async def _missing(client: VendorClient, batch: Sequence[Operation]) -> list[Operation]:
    """Ask which records of a batch that was answered with nothing are surely not there under their id."""
    reply = await api.read_contacts(client, [str(o.record_id) for o in batch], (api.KEY,))
    if reply.silent:
        return []
    present = {str(row.get("id")) for row in reply.results}
    # An id that was merged away may be answered with its survivor's row, under the survivor's id.
    return [o for o in batch if str(o.record_id) not in present]


def _silence(client: VendorClient, operation: str, reply: api.BatchReply) -> OutcomeUnknown:
    return OutcomeUnknown(
        "the answer names no record, neither written nor refused",
        vendor=client.vendor, operation=operation, status=reply.status, request_id=reply.request_id,
    )  # fmt: skip


class _WireNames(dict[str, str]):
    """Logical name -> HubSpot's name, made when first asked for."""

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self._prefix = prefix

    def logical(self, name: str) -> str:
        """Return the way back; a name that is not under our prefix stays as it is."""
        return name.removeprefix(self._prefix) if name != api.KEY else name

    def __missing__(self, name: str) -> str:
        return self.setdefault(name, f"{self._prefix}{name}")


def _properties(names: Mapping[str, str], operation: Operation) -> dict[str, str]:
    """Return what is written to a record that is there: fields under our prefix, and our key; nothing else, ever."""
    # A planned value is text or none; this is the innermost loop of a push.
    values = {names[n]: v if type(v) is str else wire(v) for n, v in operation.payload.items()}
    if operation.kind.stamps:
        values[api.KEY] = operation.cio_id
    return values


def _first_properties(names: Mapping[str, str], operation: Operation) -> dict[str, str]:
    """Return what a new contact gets: name, e-mail and phone too, this once."""
    values: dict[str, str] = {theirs: v for theirs, ours in _CREATED_WITH.items() if (v := operation.keys.get(ours))}
    values.update(_properties(names, operation))
    values[api.KEY] = operation.cio_id
    return values


def _refuse_foreign(inputs: Sequence[api.Row], prefix: str, also: Collection[str]) -> None:
    """Look at every name that is about to be written, once a batch."""
    refuse_foreign(set().union(*(one["properties"] for one in inputs)), prefix, also=also)
