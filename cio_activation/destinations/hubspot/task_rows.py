"""What HubSpot shows of a task or a note, and in whose hands it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cio_activation.delivery.outreach import Status
from cio_activation.destinations.hubspot import task_api, task_text
from cio_activation.destinations.hubspot.api import MAX_BATCH, Row
from cio_activation.destinations.hubspot.task_api import TASKS, Engagement
from cio_activation.transport.http import VendorClient


@dataclass(frozen=True)
class Task:
    """One task; or a note, which has no subject, no status and nobody who acts."""

    record_id: str
    subject: str | None
    body: str | None
    status: str | None
    priority: str | None
    owner_id: str | None
    queues: str | None
    due_at: datetime | None
    """Naive UTC."""
    changed_at: datetime | None
    """Naive UTC."""
    sort: Engagement = TASKS

    @classmethod
    def of(cls, row: Row, sort: Engagement = TASKS) -> Task:
        """Return a row of an answer as a task, or note."""
        values = row.get("properties") or {}
        return cls(
            str(row.get("id")),
            values.get(task_api.SUBJECT),
            values.get(sort.body),
            values.get(task_api.STATUS),
            values.get(task_api.PRIORITY),
            values.get(task_api.OWNER) or None,
            values.get(task_api.QUEUES) or None,
            instant(values.get(task_api.DUE)),
            instant(values.get(task_api.CHANGED)),
            sort,
        )

    @property
    def shown(self) -> str:
        """What it shares with another one that reads the same."""
        return task_text.shown_of(self.subject, self.body)

    def holds(self, properties: Mapping[str, str]) -> bool:
        """Return whether it has all of ``properties`` already: words, status, priority, owner; others are unknown."""
        words = {task_api.SUBJECT: self.subject, self.sort.body: self.body}
        fixed = {task_api.STATUS: self.status, task_api.PRIORITY: self.priority, task_api.OWNER: self.owner_id}
        return all(
            task_text.plain(words[name]) == task_text.plain(value) if name in words else fixed.get(name) == value
            for name, value in properties.items()
        )

    def in_hands(self, shown: str | None) -> Status:
        """Return in whose hands it is; ``shown`` is what it shared with what we wrote last, as far as that was learned.

        Done is its status only. What we completed says so in words of ours, and is withdrawn, not done.
        """
        ours = task_text.is_ours(self.subject, self.body) or self.shown == shown
        if not self.sort.completes:
            return (Status.WITHDRAWN if task_text.says_ended(self.body) else Status.OPEN) if ours else Status.TAKEN_UP
        if self.status == task_api.COMPLETED:
            return Status.WITHDRAWN if ours and task_text.says_ended(self.body) else Status.DONE
        return Status.OPEN if ours and self.status == task_api.NOT_STARTED else Status.TAKEN_UP


@dataclass(frozen=True)
class TasksRead:
    """What some tasks are, and which of them are surely not there any more; of others nothing was said."""

    there: Mapping[str, Task]
    missing: frozenset[str]


async def read(client: VendorClient, ids: Sequence[str], sort: Engagement = TASKS) -> TasksRead:
    """Read tasks, or notes, 100 a call."""
    there: dict[str, Task] = {}
    missing: set[str] = set()
    wanted = list(dict.fromkeys(ids))
    for start in range(0, len(wanted), MAX_BATCH):
        reply = await task_api.read_tasks(client, wanted[start : start + MAX_BATCH], sort)
        there |= {str(row.get("id")): Task.of(row, sort) for row in reply.results}
        missing |= reply.missing
    return TasksRead(there, frozenset(missing - there.keys()))


def instant(value: object) -> datetime | None:
    """Return an instant as HubSpot shows it (ISO 8601, or milliseconds since the epoch) as naive UTC."""
    text = str(value or "").strip()
    if not text:
        return None
    if text.isdecimal():
        return datetime.fromtimestamp(int(text) / 1000, UTC).replace(tzinfo=None)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found


def wire(at: datetime) -> str:
    """Return an instant (naive UTC) as HubSpot takes it."""
    return f"{at.isoformat(timespec='seconds')}Z"
