"""Settles writes to tasks and notes that got no answer: creations are looked for by marker, among those of the contact.

Never by search, whose index lags. A contact that was merged has handed its tasks on, and is followed by our key to what
is left of the two; one that was deleted leaves its tasks where nobody can find them again. Then nothing is made a
second time: a human may have the first before them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cio_activation.delivery.destination import FOUND_DONE, NOT_MADE, UNLEARNED
from cio_activation.delivery.outreach import Status
from cio_activation.destinations.common.actions.declared import marker
from cio_activation.destinations.common.actions.handing import HAD_BY
from cio_activation.destinations.hubspot import api, task_api
from cio_activation.destinations.hubspot.contact_answers import PROPERTIES, merged_ids
from cio_activation.destinations.hubspot.task_api import TASKS, Engagement
from cio_activation.destinations.hubspot.task_changes import is_deletion
from cio_activation.destinations.hubspot.task_rows import Task, TasksRead, read
from cio_activation.destinations.hubspot.task_text import plain
from cio_activation.destinations.hubspot.values import stamp_of
from cio_activation.journal.operations import End, Operation, Result
from cio_activation.transport.http import VendorClient

NEVER_KNOWN = "no answer, and the contact is gone: whether it was made cannot be learned, so none is made again"


async def recover(client: VendorClient, unanswered: Sequence[Operation], sort: Engagement = TASKS) -> list[Result]:
    """Return how they ended; what is still not certain is left out, and asked for again by the next run.

    Changes are given back: the next plan reads a task before it writes, and sees by its seal whose words those are.
    Whose a task is bears no seal: that is read here.
    """
    made = [o for o in unanswered if o.kind.creates]
    results: list[Result] = []
    asked = [o for o in unanswered if not o.kind.creates and (is_deletion(o) or HAD_BY in o.payload)]
    if asked:
        seen = await read(client, [str(o.record_id) for o in asked], sort)
        results = [end for o in asked if (end := _settled(o, seen)) is not None]
    known = {o.operation_id for o in (*made, *asked)}
    results += [Result(o.operation_id, End.RETRY, UNLEARNED) for o in unanswered if o.operation_id not in known]
    return results + (await _seek(client, made, sort) if made else [])


def _settled(operation: Operation, seen: TasksRead) -> Result | None:
    """Return the end of a deletion, or of giving a task to somebody else; None: HubSpot did not say.

    Whose a task is has to be known: nobody but us gave it to them, and the next plan, or a reading of what humans did,
    would take that for a colleague's choice.
    """
    record = str(operation.record_id)
    task = seen.there.get(record)
    if task is None and record not in seen.missing:
        return None
    if is_deletion(operation):
        # One that is gone now was there when it was sent to the recycle bin.
        done, observed = task is None, {}
    else:
        to = operation.payload["owner_id"]
        done, observed = task is not None and task.owner_id == to, {"owner_id": to}
    name = operation.operation_id
    return Result(name, End.DELIVERED, FOUND_DONE, observed=observed) if done else Result(name, End.RETRY, UNLEARNED)


@dataclass(frozen=True)
class _Contacts:
    """Where the tasks of some contacts are now."""

    there: frozenset[str]
    heirs: Mapping[str, str]
    """Contact that was merged away -> what is left of it."""
    carriers: Mapping[str, str]
    """``cio_id`` -> the contact that carries it, of those whose contact is gone."""
    known: bool
    """Whether HubSpot answered for all of them."""


async def _seek(client: VendorClient, made: Sequence[Operation], sort: Engagement) -> list[Result]:
    """Look for each creation's task."""
    targets = {o.operation_id: str(o.target) for o in made}
    found, linked = await _find(client, made, targets, sort)
    lost = [o for o in made if o.operation_id not in found]
    if not lost:
        return list(found.values())
    contacts = await _contacts(client, lost)
    elsewhere = {
        o.operation_id: to
        for o in lost
        if str(o.target) not in contacts.there
        and (to := contacts.heirs.get(str(o.target)) or contacts.carriers.get(o.cio_id))
    }
    moved, linked_there = await _find(client, [o for o in lost if o.operation_id in elsewhere], elsewhere, sort)
    results = [*found.values(), *moved.values()]
    for operation in lost:
        name, target = operation.operation_id, str(operation.target)
        if name in moved:
            continue
        if target in contacts.there:
            if target in linked:
                results.append(Result(name, End.RETRY, NOT_MADE))
        elif target in contacts.heirs:
            if contacts.heirs[target] in linked_there:
                results.append(Result(name, End.RETRY, NOT_MADE))
        elif contacts.known:
            results.append(Result(name, End.UNNEEDED, NEVER_KNOWN))
    return results


async def _find(
    client: VendorClient, made: Sequence[Operation], contacts: Mapping[str, str], sort: Engagement
) -> tuple[dict[str, Result], frozenset[str]]:
    """Look for creations among the tasks of contacts (operation id -> contact).

    Returns operation id -> DELIVERED of those found, and the contacts whose tasks are all known.
    """
    if not made:
        return {}, frozenset()
    asked = [contacts[o.operation_id] for o in made]
    linked = await task_api.tasks_of(client, asked, sort)
    for contact in dict.fromkeys(c for c in asked if c not in linked):  # a batch that says nothing of it
        if (tasks := await task_api.tasks_of_one(client, contact, sort)) is not None:
            linked[contact] = tasks
    seen = await read(client, [task for tasks in linked.values() for task in tasks], sort)
    found = {}
    for operation in made:
        mark = marker(str(operation.claim))
        of_contact = linked.get(contacts[operation.operation_id], [])
        task = next((t for i in of_contact if (t := seen.there.get(i)) and mark in plain(t.body)), None)
        if task is not None:
            found[operation.operation_id] = _found(operation, task)
    certain = {c for c, tasks in linked.items() if all(i in seen.there or i in seen.missing for i in tasks)}
    return found, frozenset(certain)


def _found(operation: Operation, task: Task) -> Result:
    """Return the end of a creation whose task is there. That a human finished it meanwhile is heard later."""
    observed: dict[str, str | None] = {"shown": task.shown}
    if task.sort.completes:
        observed |= {"owner_id": task.owner_id} | ({"due_at": task.due_at.isoformat()} if task.due_at else {})
    if task.in_hands(None) is Status.TAKEN_UP:
        observed["status"] = str(Status.TAKEN_UP)
    return Result(operation.operation_id, End.DELIVERED, FOUND_DONE, record_id=task.record_id, observed=observed)


async def _contacts(client: VendorClient, lost: Sequence[Operation]) -> _Contacts:
    """Tell which contacts are there, and what is left of those that were merged away."""
    there: set[str] = set()
    heirs: dict[str, str] = {}
    carriers: dict[str, str] = {}
    answered: set[str] = set()
    targets = list(dict.fromkeys(str(o.target) for o in lost))
    for start in range(0, len(targets), api.MAX_BATCH):
        reply = await api.read_contacts(client, targets[start : start + api.MAX_BATCH], PROPERTIES)
        answered |= reply.missing
        for row in reply.results:
            there.add(str(row.get("id")))
            # An id that was merged away may be answered with its survivor's row, under the survivor's id.
            heirs |= dict.fromkeys(merged_ids(row), str(row.get("id")))
    gone = [o for o in lost if str(o.target) not in there]
    keys = list(dict.fromkeys(o.cio_id for o in gone))
    for start in range(0, len(keys), api.MAX_BATCH):
        reply = await api.read_contacts(client, keys[start : start + api.MAX_BATCH], PROPERTIES, by=api.KEY)
        for row in reply.results:
            heirs |= dict.fromkeys(merged_ids(row), str(row.get("id")))
            carriers |= {str(stamp): str(row.get("id"))} if (stamp := stamp_of(row)) else {}
    heirs = {old: new for old, new in heirs.items() if old not in there}
    known = all(str(o.target) in answered or str(o.target) in heirs for o in gone)
    return _Contacts(frozenset(there), heirs, carriers, known)
