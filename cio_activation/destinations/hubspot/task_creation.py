"""Makes tasks, and notes, with their link to the contact, once each, and looks at what HubSpot made of them.

A creation is not idempotent. Once the call that makes them went out, nothing here raises: whatever is asked afterwards
(an owner who was not echoed, a contact that may be gone) is about tasks that are there already.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from cio_activation.delivery.send import all_ended
from cio_activation.destinations.common.records import GONE
from cio_activation.destinations.hubspot import api, task_api, task_text
from cio_activation.destinations.hubspot.errors import context_values, property_names, reason
from cio_activation.destinations.hubspot.task_api import TASKS, Engagement
from cio_activation.destinations.hubspot.task_rows import Task, TasksRead, read
from cio_activation.journal.operations import End, Operation, Result
from cio_activation.transport.errors import OutcomeUnknown, Rejected, VendorError
from cio_activation.transport.http import VendorClient

T = TypeVar("T")
NO_OWNER = "made, but HubSpot did not give it its owner"
NO_QUEUE = "made, but HubSpot did not put it into its queue"
NOT_READ = "made, but whether owner and queue were taken could not be read"


@dataclass(frozen=True)
class NewTask:
    """A task to make."""

    operation: Operation
    contact_id: str
    marker: str
    properties: dict[str, str]
    sort: Engagement = TASKS

    @property
    def input(self) -> api.Row:
        """What goes into the batch."""
        return {
            "objectWriteTraceId": self.operation.operation_id,
            "properties": self.properties,
            "associations": [task_api.link_to(self.contact_id, self.sort)],
        }

    def without_queue(self) -> NewTask:
        """Return it without its queue."""
        return replace(self, properties={n: v for n, v in self.properties.items() if n != task_api.QUEUES})


async def create(client: VendorClient, wanted: Sequence[NewTask]) -> list[Result]:
    """Make tasks, all of one sort. A queue that is refused is left out, and said to be missing.

    Raises Rejected only where nothing was made.
    """
    sort = wanted[0].sort
    notes: dict[str, str] = {}
    try:
        reply = await task_api.create_tasks(client, [one.input for one in wanted], sort)
    except Rejected as error:
        if not (_names_queue(error.body) and any(task_api.QUEUES in one.properties for one in wanted)):
            return await _refused_whole(client, wanted, error)
        notes = {one.operation.operation_id: NO_QUEUE for one in wanted if task_api.QUEUES in one.properties}
        wanted = [one.without_queue() for one in wanted]
        try:
            reply = await task_api.create_tasks(client, [one.input for one in wanted], sort)
        except Rejected as again:
            return await _refused_whole(client, wanted, again)
    return await _results(client, wanted, reply, notes)


async def _results(
    client: VendorClient, wanted: Sequence[NewTask], reply: api.BatchReply, notes: dict[str, str]
) -> list[Result]:
    """Return how each ended; those the answer does not mention are left out, and found by their marker later."""
    sort = wanted[0].sort
    if reply.silent:
        raise OutcomeUnknown(
            f"the answer names no {sort.one}, neither made nor refused", vendor=client.vendor,
            operation=f"{sort.name}.batch_create", status=reply.status, request_id=reply.request_id,
        )  # fmt: skip
    of_trace = {one.operation.operation_id: one for one in wanted}
    made = [(one, Task.of(row, sort)) for row in reply.results if (one := _whose(row, of_trace)) is not None]
    results = await _made(client, made, reply, notes)
    refused: list[tuple[NewTask, api.Row]] = []
    for entry in reply.errors:
        names = context_values(entry, "objectWriteTraceId")
        refused += [(of_trace[name], entry) for name in names if name in of_trace]
    queued = [one for one, entry in refused if _names_queue(entry) and task_api.QUEUES in one.properties]
    again = {one.operation.operation_id for one in queued}
    if queued:
        results += await _without_queue(client, queued)
    rest = [(one, reason(entry)) for one, entry in refused if one.operation.operation_id not in again]
    return results + await _refused(client, rest, reply.status, reply.request_id)


def _whose(row: api.Row, of_trace: dict[str, NewTask]) -> NewTask | None:
    """Return which task a row is: by its trace id, else by its marker. Never by its place."""
    known = of_trace.get(str(row.get("objectWriteTraceId")))
    if known is not None:
        return known
    values = row.get("properties") or {}
    found = (one for one in of_trace.values() if one.marker in task_text.plain(values.get(one.sort.body)))
    return next(found, None)


async def _made(
    client: VendorClient, made: Sequence[tuple[NewTask, Task]], reply: api.BatchReply, notes: dict[str, str]
) -> list[Result]:
    """Return the ends of tasks that were made, with what they are now; what the answer leaves out is read."""
    unclear = [task.record_id for one, task in made if _lacks(one, task)]
    seen = await tried(read(client, unclear, made[0][0].sort)) if unclear else None
    results = []
    for one, task in made:
        current, told = task, notes.get(one.operation.operation_id)
        if task.record_id in unclear:
            found = seen.there.get(task.record_id) if isinstance(seen, TasksRead) else None
            current, told = (found or task), (told if found else NOT_READ)
        lost = _lost(one, current) if told is None else told
        observed: dict[str, Any] = {"shown": current.shown}
        if lost != NOT_READ and one.sort.completes:
            observed["owner_id"] = current.owner_id
        if current.due_at is not None and one.sort.completes:
            observed["due_at"] = current.due_at.isoformat()
        end = Result(
            one.operation.operation_id, End.DELIVERED, lost, record_id=task.record_id, status=reply.status,
            request_id=reply.request_id, observed=observed,
        )  # fmt: skip
        results.append(end)
    return results


def _lacks(one: NewTask, task: Task) -> bool:
    """Return whether an answer leaves open if a task has what it was asked to have."""
    unsaid = task.body is None or task.due_at is None or (one.sort.has_subject and task.subject is None)
    return unsaid or _lost(one, task) is not None


def _lost(one: NewTask, task: Task) -> str | None:
    """Return what a task was to have and has not."""
    if one.properties.get(task_api.OWNER) != task.owner_id and task_api.OWNER in one.properties:
        return NO_OWNER
    return NO_QUEUE if task_api.QUEUES in one.properties and task.queues is None else None


async def _without_queue(client: VendorClient, queued: Sequence[NewTask]) -> list[Result]:
    """Make tasks whose queue was refused without it; others of their batch are made already, so this never raises."""
    plain = [one.without_queue() for one in queued]
    operations = [one.operation for one in queued]
    try:
        reply = await task_api.create_tasks(client, [one.input for one in plain])
        return await _results(client, plain, reply, dict.fromkeys((o.operation_id for o in operations), NO_QUEUE))
    except Rejected as error:
        return all_ended(operations, End.REJECTED, error)
    except OutcomeUnknown as error:
        return all_ended(operations, End.UNKNOWN, error)
    except VendorError as error:  # surely not made: the next plan tries again
        return all_ended(operations, End.RETRY, error)


async def _refused_whole(client: VendorClient, wanted: Sequence[NewTask], error: Rejected) -> list[Result]:
    """Return the end of the only task of a batch that was refused whole; of several nobody knows whose fault."""
    if len(wanted) > 1:
        raise error
    body = error.body if isinstance(error.body, dict) else {}
    text = reason(body)
    text = text if text.startswith(str(error.status)) else f"{error.status} {text}"
    return await _refused(client, [(wanted[0], text)], error.status, error.request_id)


async def _refused(
    client: VendorClient, refused: Sequence[tuple[NewTask, str]], status: int | None, request_id: str | None
) -> list[Result]:
    """Return the ends of tasks that HubSpot refused; it does so where the contact is gone, so that is looked at."""
    if not refused:
        return []
    contacts = list(dict.fromkeys(one.contact_id for one, _ in refused))
    seen = await tried(api.read_contacts(client, contacts, (api.KEY,)))
    there = {str(row.get("id")) for row in seen.results} if isinstance(seen, api.BatchReply) else set(contacts)
    if isinstance(seen, api.BatchReply) and seen.silent:
        there = set(contacts)
    results = []
    for one, text in refused:
        why, observed = (text, {}) if one.contact_id in there else (GONE, {"gone": "true"})
        trace = one.operation.operation_id
        results.append(Result(trace, End.REJECTED, why, status=status, request_id=request_id, observed=observed))
    return results


async def tried(call: Awaitable[T]) -> T | None:
    """Return what a read gives; None where HubSpot does not answer it: what was made stays made."""
    try:
        return await call
    except VendorError:
        return None


def _names_queue(body: Any) -> bool:
    return isinstance(body, dict) and task_api.QUEUES in property_names(body)
