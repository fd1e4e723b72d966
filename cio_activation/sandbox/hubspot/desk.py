"""HubSpot's tasks as its agents see them (see :mod:`cio_activation.sandbox.server.agents`)."""

from __future__ import annotations

from collections.abc import Iterable

from cio_activation.sandbox.hubspot.account import Account
from cio_activation.sandbox.hubspot.errors import stamp
from cio_activation.sandbox.hubspot.links import Links
from cio_activation.sandbox.hubspot.record_rules import OWNER, complete
from cio_activation.sandbox.server.agents import Item


class TaskDesk:
    """Tasks that are not completed and have an owner."""

    def __init__(self, account: Account, links: Links) -> None:
        self._account, self._links = account, links

    def open_items(self) -> Iterable[Item]:
        """Return the open tasks of owners."""
        for task in self._account.records["tasks"].live.values():
            if task.values.get(OWNER) and task.values.get("hs_task_status") != "COMPLETED":
                yield Item(str(task.id), task.values[OWNER], task.created)

    def complete(self, key: str) -> None:
        """Set the status that means done."""
        self.write(key, hs_task_status="COMPLETED")

    def snooze(self, key: str, due: float) -> None:
        """Move the due time."""
        self.write(key, hs_timestamp=stamp(due))

    def reassign(self, key: str, owner: str) -> None:
        """Give the task another owner."""
        self.write(key, **{OWNER: owner})

    def take_up(self, key: str) -> None:
        """Set the status to in progress."""
        self.write(key, hs_task_status="IN_PROGRESS")

    def delete(self, key: str) -> None:
        """Move the task to the recycle bin."""
        tasks = self._account.records["tasks"]
        tasks.archive(tasks.live[int(key)])

    def outcome(self, key: str, field: str, value: str, dated: str | None) -> None:
        """Write the outcome on the task's contacts, where the account has such a property."""
        contacts = self._account.records["contacts"]
        given = {field: value} | ({dated: stamp(self._account.now)[:10]} if dated else {})
        known = {name: text for name, text in given.items() if contacts.properties.live(name)}
        for contact in self._links.of("tasks", int(key), "contacts"):
            record = contacts.live[contact]
            changes, _ = contacts.check(known, record, "2026-09")
            contacts.update(record, changes)

    def write(self, key: str, **changes: str) -> dict[str, str]:
        """Change a task as its human does; ValueError for one that does not exist."""
        tasks = self._account.records["tasks"]
        record = tasks.get(key)
        if record is None:
            raise ValueError(f"no task {key}")
        checked, _ = tasks.check(changes, record, "2026-09")
        complete(self._account, checked, record)
        tasks.update(record, checked)
        return checked
