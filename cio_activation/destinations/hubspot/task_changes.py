"""Writes to tasks and notes that are there: each is read first, and what a human wrote or took up is left alone.

One read and one write per 100. Between the two somebody may still be faster: HubSpot has no conditional write.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cio_activation.activation.actions import OnEnd
from cio_activation.delivery.outreach import Status
from cio_activation.destinations.common.actions.texts import ended_line
from cio_activation.destinations.hubspot import task_api, task_text
from cio_activation.destinations.hubspot.api import BatchReply, Row
from cio_activation.destinations.hubspot.errors import NOT_FOUND, context_values, reason
from cio_activation.destinations.hubspot.task_api import TASKS, Engagement
from cio_activation.destinations.hubspot.task_rows import Task, TasksRead, read
from cio_activation.journal.operations import End, Operation, Result
from cio_activation.transport.errors import OutcomeUnknown, Rejected
from cio_activation.transport.http import VendorClient

NOT_READ = "could not be read before writing"
Wanted = dict[str, str]
"""Properties of a task, as they should be."""


@dataclass(frozen=True)
class Sorted:
    """What is to be written, and the ends of those that are left alone."""

    write: list[tuple[Operation, Task]]
    ended: list[Result]


async def change(
    client: VendorClient, batch: Sequence[Operation], wanted: Callable[[Operation], Wanted], sort: Engagement = TASKS
) -> list[Result]:
    """Bring subject, body and priority of open tasks up to date; a task that says so already is not written."""
    sorted_ = await sort_by_hands(client, batch, sort, Status.OPEN)
    return [*sorted_.ended, *await update(client, [(o, t, wanted(o)) for o, t in sorted_.write])]


async def withdraw(client: VendorClient, batch: Sequence[Operation], sort: Engagement = TASKS) -> list[Result]:
    """Complete tasks that nobody took up, with a line that says why, or delete them where they are to be."""
    sorted_ = await sort_by_hands(client, batch, sort, Status.OPEN)
    deleted = [(o, t) for o, t in sorted_.write if is_deletion(o)]
    results = [*sorted_.ended]
    if deleted:
        request_id = await task_api.archive_tasks(client, [t.record_id for _, t in deleted], sort)
        results += [Result(o.operation_id, End.DELIVERED, status=204, request_id=request_id) for o, _ in deleted]
    rest = [(o, t, _completed(o, t)) for o, t in sorted_.write if not is_deletion(o)]
    return results + await update(client, rest)


async def tell(client: VendorClient, batch: Sequence[Operation], sort: Engagement = TASKS) -> list[Result]:
    """Write into tasks that somebody took up that their reason has ended, once, above what is there."""
    sorted_ = await sort_by_hands(client, batch, sort, Status.OPEN, Status.TAKEN_UP)
    lines = [(o, t, ended_line(str(o.payload["reason"]))) for o, t in sorted_.write]
    written = await update(
        client, [(o, t, {sort.body: task_text.with_line(t.body, line)}) for o, t, line in lines
                 if not task_text.says(t.body, line)]
    )  # fmt: skip
    # The words are a human's: what they share with ours is not learned anew.
    told = [Result(r.operation_id, r.end, r.reason, None, r.status, r.request_id) for r in written]
    said = [Result(o.operation_id, End.DELIVERED) for o, t, line in lines if task_text.says(t.body, line)]
    return [*sorted_.ended, *told, *said]


def is_deletion(operation: Operation) -> bool:
    """Return whether an operation that takes a task back deletes it."""
    return operation.payload.get("on_end") == OnEnd.DELETE


def _completed(operation: Operation, task: Task) -> Wanted:
    body = task_text.with_line(task.body, ended_line(str(operation.payload["reason"])))
    done = {task_api.STATUS: task_api.COMPLETED} if task.sort.completes else {}
    return done | {task.sort.body: task_text.sealed(task.subject, body)}


async def sort_by_hands(
    client: VendorClient, batch: Sequence[Operation], sort: Engagement, *writable: Status
) -> Sorted:
    """Read the tasks of ``batch``, and tell which are in one of the hands that may be written to."""
    seen = await read(client, [str(o.record_id) for o in batch], sort)
    sorted_ = Sorted([], [])
    for operation in batch:
        task = seen.there.get(str(operation.record_id))
        if task is None:
            sorted_.ended.append(_absent(operation, seen))
            continue
        hands = task.in_hands(operation.payload.get("shown"))
        if hands in writable:
            sorted_.write.append((operation, task))
        else:
            sorted_.ended.append(_left(operation, hands))
    return sorted_


def _absent(operation: Operation, seen: TasksRead) -> Result:
    if str(operation.record_id) in seen.missing:
        return _left(operation, Status.DELETED)
    return Result(operation.operation_id, End.RETRY, NOT_READ)


def _left(operation: Operation, hands: Status) -> Result:
    """Return the end of an operation whose task was a human's already; or ours, by a write that got no answer."""
    observed = {} if hands is Status.WITHDRAWN else {"status": str(hands)}
    return Result(operation.operation_id, End.DELIVERED, observed=observed)


async def update(client: VendorClient, wanted: Sequence[tuple[Operation, Task, Wanted]]) -> list[Result]:
    """Write what differs; return how each ended. Those the answer does not mention are left out."""
    ended = [
        Result(o.operation_id, End.DELIVERED, observed={"shown": task.shown})
        for o, task, properties in wanted
        if task.holds(properties)
    ]
    writes = {o.operation_id: _Write(o, task, values) for o, task, values in wanted if not task.holds(values)}
    if not writes:
        return ended
    sort = next(iter(writes.values())).task.sort
    try:
        reply = await task_api.update_tasks(client, [one.input for one in writes.values()], sort)
    except Rejected as error:
        if len(writes) > 1:
            raise
        text = f"{error.status} {reason(error.body if isinstance(error.body, dict) else {})}"
        (refused,) = writes
        return [*ended, Result(refused, End.REJECTED, text, status=error.status, request_id=error.request_id)]
    if reply.silent:
        raise OutcomeUnknown(
            f"the answer names no {sort.one}, neither written nor refused", vendor=client.vendor,
            operation=f"{sort.name}.batch_update", status=reply.status, request_id=reply.request_id,
        )  # fmt: skip
    of_record = {str(one.operation.record_id): one for one in writes.values()}
    for row in reply.results:
        one = writes.get(str(row.get("objectWriteTraceId"))) or of_record.get(str(row.get("id")))
        if one is not None:
            ended.append(one.written(row, reply))
    for entry in reply.errors:
        about = [writes[t] for t in context_values(entry, "objectWriteTraceId") if t in writes]
        about += [of_record[i] for i in context_values(entry, "ids") if i in of_record]
        ended += [one.refused(entry, reply) for one in {one.operation.operation_id: one for one in about}.values()]
    return ended


@dataclass(frozen=True)
class _Write:
    """One task on its way to what is wanted of it."""

    operation: Operation
    task: Task
    properties: Wanted

    @property
    def input(self) -> Row:
        """What goes into the batch."""
        return {
            "id": self.task.record_id,
            "objectWriteTraceId": self.operation.operation_id,
            "properties": self.properties,
        }

    def written(self, row: Row, reply: BatchReply) -> Result:
        """Return the end of it, with what the task shows now."""
        body = self.task.sort.body
        shown = {task_api.SUBJECT: self.task.subject, body: self.task.body} | self.properties
        shown |= {name: value for name, value in (row.get("properties") or {}).items() if value}
        observed: dict[str, str | None] = {"shown": task_text.shown_of(shown[task_api.SUBJECT], shown[body])}
        if task_api.OWNER in self.properties:
            observed["owner_id"] = (row.get("properties") or {}).get(task_api.OWNER)
        return Result(
            self.operation.operation_id, End.DELIVERED, status=reply.status, request_id=reply.request_id,
            observed=observed,
        )  # fmt: skip

    def refused(self, entry: Row, reply: BatchReply) -> Result:
        """Return the end of it; a task that was deleted meanwhile is a human's act."""
        if entry.get("category") == NOT_FOUND:
            return _left(self.operation, Status.DELETED)
        return Result(
            self.operation.operation_id, End.REJECTED, reason(entry), status=reply.status, request_id=reply.request_id
        )
