"""What HubSpot says of owners, of our tasks, and of people about to be asked for. Reads only, never by search."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from cio_activation.delivery.destination import Context
from cio_activation.delivery.outreach import HandledBy, OpenAction, Owner, PersonContext, SeenAction, Status
from cio_activation.destinations.hubspot import api, outcome_fields, task_api
from cio_activation.destinations.hubspot.config import settings_of
from cio_activation.destinations.hubspot.task_rows import Task, instant, read
from cio_activation.destinations.hubspot.tasks import TASKS
from cio_activation.transport.errors import OutcomeUnknown
from cio_activation.transport.http import VendorClient

CONTACTED, ENROLLED, OWNER = "notes_last_contacted", "hs_sequences_is_enrolled", "hubspot_owner_id"
"""What is read of a contact; what an account has not is simply not answered.

``notes_last_contacted`` is about calls, mails and meetings. Not ``notes_last_updated``, which tasks move too, and so
would our own.
"""
TASK_READS = 3
"""So many reads of 100 tasks at most for 100 people: one, but for accounts whose people have many old tasks."""


async def owners(client: VendorClient) -> list[Owner]:
    """Return all owners; deactivated ones show by themselves only (``archived=true``). HubSpot tells no time zone."""
    found = {str(row["id"]): row for row in await task_api.owners(client, archived=True)}
    active = {str(row["id"]): row for row in await task_api.owners(client, archived=False)}
    return [
        Owner(owner_id, str(row["email"]).lower() if row.get("email") else None, owner_id in active)
        for owner_id, row in sorted((found | active).items())
    ]


async def actions(client: VendorClient, open: Sequence[OpenAction]) -> list[SeenAction]:
    """Return what became of tasks, 100 a call. Notes are never done: of them nothing is asked.

    One that we completed ourselves by a call without an answer is left out: its step learns that. What a human took up
    once stays taken up, also where they put its status back.
    """
    tasks = [one for one in open if one.kind == TASKS.word]
    seen = await read(client, [one.record_id for one in tasks])
    found = []
    for one in tasks:
        task = seen.there.get(one.record_id)
        if task is None:
            if one.record_id in seen.missing:
                found.append(SeenAction(one.record_id, Status.DELETED))
            continue
        hands = task.in_hands(one.shown)
        if hands is Status.WITHDRAWN:
            continue
        if hands is Status.OPEN and one.status is Status.TAKEN_UP:
            hands = Status.TAKEN_UP
        happened_at = task.changed_at if hands is Status.DONE else None
        found.append(SeenAction(one.record_id, hands, happened_at, task.owner_id, task.due_at))
    return found


async def contexts(
    client: VendorClient, context: Context, records: Sequence[str], ours: Collection[str]
) -> list[PersonContext]:
    """Return who has each contact, and who is on them: 3 calls for 100 people, at most 5."""
    since = _now(context) - settings_of(context.activation).recent_contact
    wanted, known = list(dict.fromkeys(records)), frozenset(ours)
    found: list[PersonContext] = []
    for start in range(0, len(wanted), api.MAX_BATCH):
        asked = wanted[start : start + api.MAX_BATCH]
        written = outcome_fields.names(context)
        reply = await api.read_contacts(client, asked, (OWNER, CONTACTED, ENROLLED, *written.values()))
        reply = reply.said(client, "contacts.batch_read.id")
        said = {s.record_id: s for row in reply.results if (s := outcome_fields.fields_of(row, written)) is not None}
        rows = {i: row.get("properties") or {} for row in reply.results if (i := str(row.get("id"))) in set(asked)}
        busy = await _with_open_tasks(client, list(rows), known) if rows else frozenset()
        found += [replace(_context(i, values, i in busy, since), said=said.get(i)) for i, values in rows.items()]
    return found


def _context(record_id: str, values: Mapping[str, str | None], busy: bool, since: datetime) -> PersonContext:
    owner_id, contacted = values.get(OWNER) or None, instant(values.get(CONTACTED))
    if busy:
        return PersonContext(record_id, owner_id, HandledBy.OPEN_TASK)
    if contacted is not None and contacted > since:
        return PersonContext(record_id, owner_id, HandledBy.CONTACTED, contacted)
    if values.get(ENROLLED) == "true":
        return PersonContext(record_id, owner_id, HandledBy.ENROLLED)
    return PersonContext(record_id, owner_id)


async def _with_open_tasks(client: VendorClient, contacts: Sequence[str], ours: frozenset[str]) -> frozenset[str]:
    """Return which contacts have a task that is not ours and not completed; the newest are looked at first."""
    linked = await task_api.tasks_of(client, contacts)
    if not linked:
        raise OutcomeUnknown(
            "the answer names none of the contacts", vendor=client.vendor, operation="associations.tasks"
        )
    waiting = {contact: _newest_first(i for i in tasks if i not in ours) for contact, tasks in linked.items()}
    busy: set[str] = set()
    for _ in range(TASK_READS):
        turns = sorted((place, i) for tasks in waiting.values() for place, i in enumerate(tasks))
        turn = list(dict.fromkeys(i for _, i in turns))[: api.MAX_BATCH]
        if not turn:
            break
        seen = await read(client, turn)
        busy |= {contact for contact, tasks in waiting.items() if any(_is_open(seen.there.get(i)) for i in tasks)}
        read_now = frozenset(turn)
        waiting = {c: [i for i in tasks if i not in read_now] for c, tasks in waiting.items() if c not in busy}
    return frozenset(busy)


def _newest_first(ids: Iterable[str]) -> list[str]:
    return sorted(ids, key=lambda i: (len(i), i), reverse=True)


def _is_open(task: Task | None) -> bool:
    return task is not None and task.status != task_api.COMPLETED


def _now(context: Context) -> datetime:
    return context.window.as_of if context.window else datetime.now(UTC).replace(tzinfo=None)
