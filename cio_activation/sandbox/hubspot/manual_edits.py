"""What people do by hand in HubSpot's UI, and the snapshot of an account for tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cio_activation.sandbox.hubspot.account import Account
from cio_activation.sandbox.hubspot.errors import Refusal, stamp
from cio_activation.sandbox.hubspot.limits import Limits
from cio_activation.sandbox.hubspot.links import Links
from cio_activation.sandbox.hubspot.lists import ContactList, Lists
from cio_activation.sandbox.hubspot.manual_work import ManualWork
from cio_activation.sandbox.hubspot.merges import merge
from cio_activation.sandbox.hubspot.record import Record
from cio_activation.sandbox.hubspot.records import Claims


class ManualEdits:
    """Edits by hand. ``{"action": NAME, ...}`` calls the method of that name with the whole change."""

    def __init__(self, account: Account, lists: Lists, links: Links, limits: Limits) -> None:
        self._account, self._lists, self._limits = account, lists, limits
        self._contacts = account.records["contacts"]
        self._actions: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "set": self._set,
            "create": self._create,
            "merge": self._merge,
            "delete": self._delete,
            "gdpr_delete": self._erase,
            "restore": self._restore,
            "add_additional_email": self._add_email,
            "rename_list": self._rename_list,
            "delete_list": self._delete_list,
            "set_members": self._set_members,
            "archive_property": self._archive_property,
            "set_options": self._set_options,
            "other_app_calls": self._other_app_calls,
            "settings": self._settings,
            **ManualWork(account, links).actions,
        }

    def apply(self, change: dict[str, Any]) -> dict[str, Any]:
        """Apply one change; ValueError says what is wrong with it."""
        action = self._actions.get(change.get("action", ""))
        if action is None:
            raise ValueError(f"unknown action {change.get('action')!r}; there are {', '.join(self._actions)}")
        try:
            return action(change)
        except Refusal as refusal:
            raise ValueError(refusal.message) from refusal

    def _contact(self, change: dict[str, Any], id_key: str = "id", email_key: str = "email") -> Record:
        wanted, email = change.get(id_key), change.get(email_key)
        found = self._contacts.get(str(wanted)) if wanted is not None else self._contacts.lookup("email", str(email))
        if found is None:
            raise ValueError(f"no contact with {id_key} {wanted} or {email_key} {email}")
        return found

    def _list(self, change: dict[str, Any]) -> ContactList:
        if "list_id" in change:
            return self._lists.get(str(change["list_id"]))
        found = self._lists.named(str(change.get("name")))
        if found is None:
            raise ValueError(f"no list named {change.get('name')}")
        return found

    def _write(self, record: Record | None, properties: dict[str, Any]) -> Record:
        changes, _ = self._contacts.check(properties, record, "2026-09")
        clash = self._contacts.clash(changes, record, Claims())
        if clash is not None:
            raise clash
        return self._contacts.create(changes) if record is None else self._contacts.update(record, changes)

    def _set(self, change: dict[str, Any]) -> dict[str, Any]:
        return {"id": str(self._write(self._contact(change), change["properties"]).id)}

    def _create(self, change: dict[str, Any]) -> dict[str, Any]:
        return {"id": str(self._write(None, change["properties"]).id)}

    def _merge(self, change: dict[str, Any]) -> dict[str, Any]:
        """``id`` or ``email`` is the primary one; ``other_id`` or ``other_email`` is merged into it."""
        primary, other = self._contact(change), self._contact(change, "other_id", "other_email")
        if primary is other:
            raise ValueError("a contact cannot be merged with itself")
        return {"id": str(merge(self._contacts, primary, other).id)}

    def _delete(self, change: dict[str, Any]) -> dict[str, Any]:
        found = self._contact(change)
        self._contacts.archive(found)
        return {"id": str(found.id)}

    def _erase(self, change: dict[str, Any]) -> dict[str, Any]:
        """Delete a contact for good."""
        found = self._contact(change)
        self._contacts.erase(found)
        return {"id": str(found.id)}

    def _restore(self, change: dict[str, Any]) -> dict[str, Any]:
        """Take the contact ``id`` out of the recycle bin; not while another one has its address."""
        found = self._contacts.archived.get(int(change["id"]))
        if found is None:
            raise ValueError(f"no contact {change['id']} in the recycle bin")
        self._contacts.restore(found)
        return {"id": str(found.id)}

    def _add_email(self, change: dict[str, Any]) -> dict[str, Any]:
        found = self._contact(change)
        self._contacts.add_emails(found, [change["additional_email"]])
        return {"id": str(found.id), "additional_emails": list(found.emails)}

    def _rename_list(self, change: dict[str, Any]) -> dict[str, Any]:
        found = self._list(change)
        self._lists.require_free(change["new_name"], but=found)
        found.name, found.updated = change["new_name"], self._account.now
        return {"list_id": str(found.id)}

    def _delete_list(self, change: dict[str, Any]) -> dict[str, Any]:
        found = self._list(change)
        found.deleted_at = self._account.now
        return {"list_id": str(found.id)}

    def _set_members(self, change: dict[str, Any]) -> dict[str, Any]:
        """Put exactly the contacts ``ids`` on a list (also a DYNAMIC one, as its filter would)."""
        found = self._list(change)
        records = [self._contact({"id": record_id}) for record_id in change["ids"]]
        found.members = {record.id: found.members.get(record.id, self._account.now) for record in records}
        found.ordered = None
        return {"list_id": str(found.id), "size": len(found.members)}

    def _archive_property(self, change: dict[str, Any]) -> dict[str, Any]:
        self._account.properties[change.get("object", "contacts")].archive(change["name"], self._account.now)
        return {"name": change["name"]}

    def _set_options(self, change: dict[str, Any]) -> dict[str, Any]:
        definitions = self._account.properties[change.get("object", "contacts")]
        found = definitions.live(change["name"])
        if found is None:
            raise ValueError(f"no property {change['name']}")
        return definitions.update(found, {"options": change["options"]}, self._account.now).as_body()

    def _other_app_calls(self, change: dict[str, Any]) -> dict[str, Any]:
        """Use up calls: ``kind`` ``rolling`` (the same key elsewhere; default), ``search`` or ``daily``."""
        calls = int(change.get("calls", change.get("n", 1)))
        return {"taken": self._limits.spend(calls, change.get("kind", "rolling"), self._account.now)}

    def _settings(self, change: dict[str, Any]) -> dict[str, Any]:
        """Turn the behaviours that the documents leave open, or the granted ``scopes``."""
        if "scopes" in change:
            self._limits.scopes = frozenset(change["scopes"])
        return self._account.settings.turn(change)


def snapshot(account: Account, lists: Lists, links: Links) -> dict[str, Any]:
    """Return the account as JSON-able data. Grows with the number of contacts: for tests and demo worlds."""
    contacts = account.records["contacts"]
    custom = ["email", *(p.name for p in account.properties["contacts"].custom)]
    return {
        "contacts_count": len(contacts.live),
        "archived_contacts_count": len(contacts.archived),
        "contacts": {
            str(record.id): {
                **{name: record.values[name] for name in custom if name in record.values},
                **({"hs_additional_emails": ";".join(record.emails)} if record.emails else {}),
            }
            for record in contacts.live.values()
        },
        "merged": {str(old): str(new) for old, new in contacts.merged_away.items()},
        "properties": [p.as_body() for p in account.properties["contacts"].custom],
        "lists": [_list_state(lists, found) for found in lists.by_id.values()],
        **{type_: _linked_state(account, links, type_) for type_ in ("tasks", "notes", "deals")},
        "owners": account.owners,
    }


def _linked_state(account: Account, links: Links, type_: str) -> list[dict[str, Any]]:
    records = account.records[type_]
    return [
        {
            "id": str(record.id),
            "properties": record.values,
            "contacts": [str(i) for i in links.of(type_, record.id, "contacts")],
            "archived": record.archived_at is not None,
            "created": stamp(record.created),
        }
        for record in [*records.live.values(), *records.archived.values()]
    ]


def _list_state(lists: Lists, found: ContactList) -> dict[str, Any]:
    return {
        "id": str(found.id),
        "name": found.name,
        "kind": found.kind,
        "folder": lists.folders[found.folder]["name"],
        "members": [str(i) for i in found.members],
        "deleted": found.deleted_at is not None,
        "deleted_at": None if found.deleted_at is None else stamp(found.deleted_at),
    }
