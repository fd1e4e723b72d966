"""What people do by hand with HubSpot's tasks, notes and deals, with owners, and what an administrator demands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cio_activation.sandbox.hubspot.account import Account, Required
from cio_activation.sandbox.hubspot.desk import TaskDesk
from cio_activation.sandbox.hubspot.errors import stamp
from cio_activation.sandbox.hubspot.links import Link, Links
from cio_activation.sandbox.hubspot.owners import FIRST_OWNER, deactivate, make_owner
from cio_activation.sandbox.hubspot.record import Record
from cio_activation.sandbox.hubspot.record_rules import complete

Change = dict[str, Any]


class ManualWork:
    """Edits by hand, by the name of their action."""

    def __init__(self, account: Account, links: Links) -> None:
        self._account, self._links = account, links
        self._desk = TaskDesk(account, links)
        self.actions: dict[str, Callable[[Change], Change]] = {
            "create_task": self._create_task,
            "set_task": self._set_task,
            "complete_task": self._complete_task,
            "delete_task": self._delete_task,
            "set_note": self._set_note,
            "delete_note": self._delete_note,
            "create_deal": self._create_deal,
            "contacted": self._contacted,
            "add_owner": self._add_owner,
            "deactivate_owner": self._deactivate_owner,
            "require_property": self._require_property,
        }

    def _made(self, type_: str, change: Change, given: dict[str, str]) -> Change:
        records = self._account.records[type_]
        changes, _ = records.check({**given, **change.get("properties", {})}, None, "2026-09")
        if type_ == "tasks":
            complete(self._account, changes, None)
        made = records.create(changes)
        kinds = (self._links.default(type_, "contacts"),)
        self._links.add(type_, made.id, [Link("contacts", int(i), kinds) for i in change.get("contacts", ())])
        return {"id": str(made.id)}

    def _create_task(self, change: Change) -> Change:
        """``properties``, ``contacts`` (ids): a task that a human makes for themselves."""
        return self._made("tasks", change, {"hs_timestamp": stamp(self._account.now)})

    def _create_deal(self, change: Change) -> Change:
        first = next(iter(self._account.pipelines["deals"].values()))
        return self._made("deals", change, {"pipeline": first["id"], "dealstage": first["stages"][0]["id"]})

    def _set_task(self, change: Change) -> Change:
        return {"id": str(change["id"]), **self._desk.write(str(change["id"]), **change["properties"])}

    def _complete_task(self, change: Change) -> Change:
        status = str(change.get("status", "COMPLETED"))
        return {"id": str(change["id"]), **self._desk.write(str(change["id"]), hs_task_status=status)}

    def _delete_task(self, change: Change) -> Change:
        tasks = self._account.records["tasks"]
        found = tasks.get(str(change["id"]))
        if found is None:
            raise ValueError(f"no task {change['id']}")
        tasks.archive(found)
        return {"id": str(found.id)}

    def _set_note(self, change: Change) -> Change:
        """``properties`` of note ``id``: what a human writes into it."""
        notes = self._account.records["notes"]
        found = self._note(change)
        checked, _ = notes.check(change["properties"], found, "2026-09")
        notes.update(found, checked)
        return {"id": str(found.id), **checked}

    def _delete_note(self, change: Change) -> Change:
        found = self._note(change)
        self._account.records["notes"].archive(found)
        return {"id": str(found.id)}

    def _note(self, change: Change) -> Record:
        found = self._account.records["notes"].get(str(change["id"]))
        if found is None:
            raise ValueError(f"no note {change['id']}")
        return found

    def _contacted(self, change: Change) -> Change:
        """A call or mail of a human with contact ``id``; ``enrolled``: into a sequence, or out of it."""
        contacts = self._account.records["contacts"]
        record, at = contacts.get(str(change["id"])), stamp(self._account.now)
        if record is None:
            raise ValueError(f"no contact {change['id']}")
        names = ("notes_last_contacted", "notes_last_updated", "hs_last_sales_activity_timestamp")
        changes = dict.fromkeys(names, at)
        if "enrolled" in change:
            changes = {"hs_sequences_is_enrolled": "true" if change["enrolled"] else "false"}
        contacts.update(record, changes)
        return {"id": str(record.id), **changes}

    def _add_owner(self, change: Change) -> Change:
        owners = self._account.owners
        made = make_owner(
            FIRST_OWNER + len(owners),
            change["email"],
            change.get("first_name", "New"),
            change.get("last_name", "Owner"),
            self._account.now,
        )
        owners.append(made)
        return dict(made)

    def _deactivate_owner(self, change: Change) -> Change:
        found = self._account.owner(str(change["id"]))
        if found is None:
            raise ValueError(f"no owner {change['id']}")
        deactivate(found, self._account.now)
        return dict(found)

    def _require_property(self, change: Change) -> Change:
        """``name`` of ``object``, at creation or ``when`` ([property, value]) holds; ``on`` false ends it."""
        type_ = change.get("object", "contacts")
        when = (str(change["when"][0]), str(change["when"][1])) if change.get("when") else None
        rules = [r for r in self._account.required.get(type_, []) if (r.name, r.when) != (change["name"], when)]
        self._account.required[type_] = rules + ([Required(change["name"], when)] if change.get("on", True) else [])
        return {"rules": len(self._account.required[type_])}
