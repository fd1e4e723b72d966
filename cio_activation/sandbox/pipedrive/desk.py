"""Pipedrive's activities as its agents see them (see :mod:`cio_activation.sandbox.server.agents`)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from cio_activation.sandbox.pipedrive.company import Company
from cio_activation.sandbox.pipedrive.values import OPTIONED
from cio_activation.sandbox.server.agents import Item

TAKEN_UP = "<p>I am on it.</p>"
"""Activities have no state between open and done: whoever begins writes a line."""


class ActivityDesk:
    """Activities that are not done."""

    def __init__(self, company: Company) -> None:
        self._company = company

    def open_items(self) -> Iterable[Item]:
        """Return the open activities of active users."""
        for activity in self._company.activities.table.living():
            if not activity.done:
                yield Item(str(activity.id), str(activity.values["owner_id"]), float(activity.add_time))

    def complete(self, key: str) -> None:
        """Tick an activity off."""
        self._change(key, {"done": True})

    def snooze(self, key: str, due: float) -> None:
        """Move the day and the time; both are UTC."""
        at = datetime.fromtimestamp(due, UTC)
        self._change(key, {"due_date": at.date().isoformat(), "due_time": at.strftime("%H:%M:%S")})

    def reassign(self, key: str, owner: str) -> None:
        """Give the activity to another user."""
        self._change(key, {"owner_id": int(owner)})

    def take_up(self, key: str) -> None:
        """Write a line under the note."""
        activity = self._company.activities.table.rows[int(key)]
        self._change(key, {"note": (activity.values["note"] or "") + TAKEN_UP})

    def delete(self, key: str) -> None:
        """Delete the activity."""
        activities = self._company.activities
        activities.table.remove(activities.table.rows[int(key)], self._company.now)

    def outcome(self, key: str, field: str, value: str, dated: str | None) -> None:
        """Write the outcome on the activity's person, where the company has such a field (by name)."""
        person_id = self._company.activities.table.rows[int(key)].person_id
        person = self._company.persons.table.get(person_id or 0)
        today = datetime.fromtimestamp(self._company.now, UTC).date().isoformat()
        given: dict[str, Any] = {}
        for definition in self._company.fields.custom.values():
            if definition.name == field:
                options = {option.label: option.id for option in definition.options}
                given[definition.code] = options[value] if definition.type in OPTIONED else value
            elif definition.name == dated:
                given[definition.code] = today
        if person is not None and given:
            self._company.persons.change(person, {"custom_fields": given})

    def _change(self, key: str, given: dict[str, Any]) -> None:
        self._company.activities.change(int(key), given)
