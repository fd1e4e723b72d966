"""HubSpot's records of one object type: dict indexes by id, e-mail and unique property; checks before writes.

Nothing here scans: a batch of 100 costs the same with 1,000 and with 1 million records.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cio_activation.sandbox.hubspot.errors import (
    Invalid,
    Refusal,
    already_exists,
    invalid_input,
    invalid_values,
    stamp,
)
from cio_activation.sandbox.hubspot.index import SearchIndex
from cio_activation.sandbox.hubspot.phones import SEARCHABLE_PHONES, searchable
from cio_activation.sandbox.hubspot.record import Record
from cio_activation.sandbox.hubspot.schema import PropertySet
from cio_activation.sandbox.hubspot.settings import Settings
from cio_activation.sandbox.hubspot.values import as_text, check, email_of, valid_email
from cio_activation.sandbox.server.core import Clock

ID_STEP = 50
STAGES = (
    "subscriber",
    "lead",
    "marketingqualifiedlead",
    "salesqualifiedlead",
    "opportunity",
    "customer",
    "evangelist",
    "other",
)
"""``lifecyclestage`` in its order; it moves forward only until it is cleared."""


class Claims:
    """Keys that earlier rows of the same batch are about to take; ``owner`` identifies the row."""

    def __init__(self) -> None:
        self.keys: dict[tuple[str, str], object] = {}


class Records:
    """All records of one object type, live and archived."""

    def __init__(
        self,
        clock: Clock,
        settings: Settings,
        properties: PropertySet,
        *,
        object_type: str,
        label: str,
        first_id: int,
        defaults: tuple[str, ...],
    ) -> None:
        self.properties, self._clock, self.settings = properties, clock, settings
        self.object_type, self.label, self.defaults = object_type, label, defaults
        self.live: dict[int, Record] = {}
        self.archived: dict[int, Record] = {}
        self.by_email: dict[str, int] = {}
        self.by_unique: dict[str, dict[str, int]] = {}
        self.merged_away: dict[int, int] = {}
        self.system = (
            "createdate" if object_type in ("contacts", "deals") else "hs_createdate",
            "lastmodifieddate" if object_type == "contacts" else "hs_lastmodifieddate",
        )
        """The names of the properties that say when a record was made and last changed."""
        self.blocked: set[str] = set()
        """Addresses of contacts that were deleted for good."""
        self.index = SearchIndex(settings)
        self.listeners: list[Callable[[list[int], int | None], None]] = []
        self.derived: dict[str, Callable[[int], str | None]] = {}
        """Properties that are computed from a record's links, by its id."""
        self._ids: list[int] = []
        self._next_id = first_id

    # -- finding

    def get(self, record_id: str) -> Record | None:
        """Return the live record with this id."""
        return self.live.get(int(record_id)) if record_id.isdecimal() and len(record_id) < 20 else None

    def lookup(self, id_property: str, value: str) -> Record | None:
        """Return the live record with this key; refuses a property that is no key."""
        if id_property == "email" and self.object_type == "contacts":
            found = self.by_email.get(email_of(value))
        else:
            self.require_key(id_property)
            found = self.by_unique[id_property].get(value.strip())
        return None if found is None else self.live[found]

    def require_key(self, id_property: str) -> None:
        """Refuse a property without unique values as ``idProperty``."""
        if id_property == "email" and self.object_type == "contacts":
            return
        found = self.properties.live(id_property)
        if found is None or not found.unique:
            raise invalid_input(f"Unable to perform operation by non-unique {self.object_type} property {id_property}")

    def page(self, after: int, limit: int) -> tuple[list[Record], bool]:
        """Return live records with ids above ``after`` in order, and whether there are more."""
        found: list[Record] = []
        for position in range(bisect_right(self._ids, after), len(self._ids)):
            record = self.live.get(self._ids[position])
            if record is None:
                continue
            if len(found) == limit:
                return found, True
            found.append(record)
        return found, False

    # -- checking

    def check(
        self, given: Mapping[str, Any], record: Record | None, version: str, *, by_email: bool = False
    ) -> tuple[dict[str, str], list[dict[str, Any]]]:
        """Return the values to store (``""`` clears) and warnings; raises for what HubSpot refuses.

        ``by_email``: the record was addressed by an e-mail, which then never replaces its primary address.
        """
        changes: dict[str, str] = {}
        warnings: list[dict[str, Any]] = []
        invalid: list[Invalid] = []
        old = record.values if record else {}
        rules_of = self.properties.rules
        for name, raw in given.items():
            rules = rules_of.get(name)
            if rules is None:
                invalid.append(Invalid(name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist'))
                continue
            if raw is None:
                continue
            text = as_text(raw) or ""
            if self.properties.properties[name].read_only:
                invalid.append(Invalid(name, "READ_ONLY_VALUE", f'"{name}" is a read only property'))
            elif name == "email" and self.object_type == "contacts":
                self._check_email(email_of(text), record, by_email, changes, invalid)
            elif not text.strip():
                changes[name] = ""
            else:
                done = check(rules, text, old.get(name), version)
                if done.invalid:
                    invalid.append(done.invalid)
                elif not (name == "lifecyclestage" and _moves_back(old.get(name), done.text)):
                    changes[name] = done.text
                if done.warning:
                    warnings.append(done.warning)
        invalid += self._taken(changes, record)
        if invalid:
            raise invalid_values(invalid)
        return changes, warnings

    def _check_email(
        self, email: str, record: Record | None, by_email: bool, changes: dict[str, str], invalid: list[Invalid]
    ) -> None:
        if email and not valid_email(email):
            invalid.append(Invalid("email", "INVALID_EMAIL", f"Email address {email} is invalid"))
        elif email in self.blocked and self.settings.gdpr_blocklist:
            # That there is such a list is documented; how a refusal by it reads is not.
            invalid.append(Invalid("email", "BLOCKLISTED_EMAIL", "The address was permanently deleted"))
        elif not (by_email and record and email in record.emails):
            changes["email"] = email

    def _taken(self, changes: dict[str, str], record: Record | None) -> Iterable[Invalid]:
        """Yield unique custom properties whose new value another record has."""
        for name, owners in self.by_unique.items():
            value = changes.get(name)
            if value:
                owner = owners.get(value)
                if owner is not None and (record is None or owner != record.id):
                    yield Invalid(name, "CONFLICTING_UNIQUE_VALUE", f"{owner} already has that value.")

    def clash(self, changes: dict[str, str], record: Record | None, claims: Claims) -> Refusal | None:
        """Return the 409 when the row's e-mail belongs to another contact, or to an earlier row of the batch."""
        owner_key: object = record.id if record else object()
        for name in ("email", *self.by_unique):
            value = changes.get(name)
            if not value:
                continue
            if name == "email" and self.object_type == "contacts":
                owner = self.by_email.get(value)
                if owner is not None and (record is None or owner != record.id):
                    return already_exists(self.label.capitalize(), str(owner))
            if claims.keys.setdefault((name, value), owner_key) != owner_key:
                return Refusal(409, "CONFLICT", f"{self.label.capitalize()} already exists. Duplicate {name} in batch")
        return None

    # -- writing

    def create(self, values: dict[str, str], *, created: float | None = None) -> Record:
        """Make a record; the values were checked before."""
        record = Record(self._take_id(), {}, self._clock.now() if created is None else created)
        self.live[record.id] = record
        self._ids.append(record.id)
        self.index.changed(record.id, None)
        self._store(record, values)
        return record

    def seed(self, rows: Iterable[tuple[dict[str, str], list[str]]]) -> None:
        """Make records that were always there, from checked values and additional e-mails; search knows them."""
        now = self._clock.now()
        for values, emails in rows:
            record = Record(self._take_id(), values, now)
            self.live[record.id] = record
            self._ids.append(record.id)
            email = values.get("email")
            if email is not None and self.by_email.setdefault(email, record.id) != record.id:
                raise already_exists(self.label.capitalize(), str(self.by_email[email]))
            if emails:
                self.add_emails(record, emails)
        self.index.clear()

    def update(self, record: Record, changes: dict[str, str]) -> Record:
        """Change a record; the changes were checked before."""
        self.index.changed(record.id, record)
        old, now = record.values, self._clock.now()
        self._store(record, changes)
        record.updated = now
        record.written |= {name: now for name in changes if record.values.get(name) != old.get(name)}
        return record

    def add_emails(self, record: Record, emails: Iterable[str]) -> None:
        """Give a contact additional addresses."""
        fresh = [email_of(e) for e in emails]
        for email in fresh:
            if self.by_email.get(email, record.id) != record.id:
                raise already_exists(self.label.capitalize(), str(self.by_email[email]))
        self.index.changed(record.id, record)
        record.emails = tuple(dict.fromkeys([*record.emails, *fresh]))
        for email in fresh:
            self.by_email[email] = record.id

    def archive(self, record: Record) -> None:
        """Move a record to the recycle bin; its keys become free."""
        self.index.changed(record.id, record)
        self.take_out(record)
        record.archived_at = self._clock.now()
        self.archived[record.id] = record
        self.tell([record.id], None)

    def restore(self, record: Record) -> None:
        """Take a record out of the recycle bin under its old id; refuse while another one has a key of it."""
        clash = self.clash(record.values, record, Claims())
        if clash is not None:
            raise clash
        del self.archived[record.id]
        record.archived_at, self.live[record.id] = None, record
        self.index.changed(record.id, None)
        values, record.values = record.values, {}
        self._store(record, values)
        self.add_emails(record, record.emails)

    def erase(self, record: Record) -> None:
        """Delete a record for good; its addresses go on the blocklist."""
        self.blocked |= {e for e in (record.values.get("email"), *record.emails) if e}
        self.archive(record)
        del self.archived[record.id]

    def index_unique(self, name: str) -> None:
        """Build the index of a unique property (new ones have no values yet, restored ones do)."""
        owners = self.by_unique.setdefault(name, {})
        owners.update({r.values[name]: r.id for r in self.live.values() if name in r.values})

    def _store(self, record: Record, changes: dict[str, str]) -> None:
        old, new = record.values, {**record.values, **changes}
        record.ever |= {name for name, value in changes.items() if value}
        for name, value in changes.items():
            if not value:
                new.pop(name, None)
            owners = self.by_email if name == "email" and self.object_type == "contacts" else self.by_unique.get(name)
            if owners is not None:
                before = old.get(name)
                if before is not None and before != value and owners.get(before) == record.id:
                    del owners[before]
                if value:
                    owners[value] = record.id
        email = new.get("email")
        if record.emails and email in record.emails:
            # An additional address written as the primary one: the two change places.
            swapped = [e for e in record.emails if e != email] + ([old["email"]] if old.get("email") else [])
            record.emails = tuple(swapped)
            self.by_email.update(dict.fromkeys(swapped, record.id))
        record.values = new

    def take_out(self, record: Record) -> None:
        """Take a record away; its keys become free."""
        del self.live[record.id]
        if self.object_type == "contacts":
            for email in (record.values.get("email"), *record.emails):
                if email and self.by_email.get(email) == record.id:
                    del self.by_email[email]
        for name, owners in self.by_unique.items():
            value = record.values.get(name)
            if value and owners.get(value) == record.id:
                del owners[value]

    def _take_id(self) -> int:
        taken, self._next_id = self._next_id, self._next_id + ID_STEP
        return taken

    def tell(self, gone: list[int], heir: int | None) -> None:
        """Let lists and links know that records are gone, and which one takes their places."""
        for listener in self.listeners:
            listener(gone, heir)

    # -- showing

    def value(self, record: Record, name: str, values: Mapping[str, str] | None = None) -> str | None:
        """Return a property as read answers it; None when it has no value."""
        if name in ("createdate", "hs_createdate"):
            return stamp(record.created)
        if name in ("lastmodifieddate", "hs_lastmodifieddate"):
            return stamp(record.updated)
        if name == "hs_object_id":
            return str(record.id)
        if name in self.derived:
            return self.derived[name](record.id)
        if name == "hs_additional_emails":
            return ";".join(record.emails) or None
        if name == "hs_merged_object_ids":
            return ";".join(map(str, record.merged)) or None
        held = record.values if values is None else values
        return searchable(held.get(SEARCHABLE_PHONES[name])) if name in SEARCHABLE_PHONES else held.get(name)

    def row(self, record: Record, names: Iterable[str] | None = None) -> dict[str, Any]:
        """Return a record as reads answer it: the asked properties (or the defaults) and the three system ones."""
        asked = list(names or self.defaults)
        rules = self.properties.rules
        shown = {name: self.value(record, name) for name in asked if name in rules}
        return self._frame(record, shown)

    def written_row(self, record: Record, changes: Mapping[str, str]) -> dict[str, Any]:
        """Return a record as writes answer it: what was written, as it was stored."""
        return self._frame(record, {name: record.values.get(name, "") for name in changes})

    def _frame(self, record: Record, shown: dict[str, str | None]) -> dict[str, Any]:
        created, updated = stamp(record.created), stamp(record.updated)
        system = self.system
        shown.update({system[0]: created, "hs_object_id": str(record.id), system[1]: updated})
        row: dict[str, Any] = {
            "id": str(record.id),
            "properties": shown,
            "createdAt": created,
            "updatedAt": updated,
            "archived": record.archived_at is not None,
        }
        if record.archived_at is not None:
            row["archivedAt"] = stamp(record.archived_at)
        return row


def _moves_back(old: str | None, new: str) -> bool:
    return old in STAGES and new in STAGES and STAGES.index(new) < STAGES.index(old)
