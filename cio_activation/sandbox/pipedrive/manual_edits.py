"""What a person does by hand in Pipedrive's own UI, and the snapshot of the whole company for tests."""

from __future__ import annotations

from typing import Any

from cio_activation.sandbox.pipedrive.company import Company
from cio_activation.sandbox.pipedrive.envelope import utc
from cio_activation.sandbox.pipedrive.manual_work import ManualWork
from cio_activation.sandbox.pipedrive.persons import Person
from cio_activation.sandbox.pipedrive.values import CREATABLE, Field, complaint


class ManualEdits(ManualWork):
    """Edits by hand. ``action`` names the method; persons are given by id or e-mail, fields by name or code."""

    def __init__(self, company: Company) -> None:
        super().__init__(company)
        self._company = company

    def apply(self, change: dict[str, Any]) -> dict[str, Any]:
        """Apply ``{"action": ..., ...}`` and return what it touched."""
        given = dict(change)
        action = str(given.pop("action"))
        method = getattr(self, f"do_{action}", None)
        if method is None:
            raise ValueError(f"unknown action {action!r}; known: {', '.join(self.actions())}")
        try:
            result: dict[str, Any] = method(**given)
        except TypeError as error:
            raise ValueError(str(error)) from error
        return result

    def actions(self) -> list[str]:
        """Return the names of the edits."""
        return sorted(n.removeprefix("do_") for n in dir(self) if n.startswith("do_"))

    def do_set_field(self, person: int | str, field: str, value: Any) -> dict[str, Any]:
        """Write a custom field; options by label or id."""
        persons = self._company.persons
        target, definition = self._person(person), self._company.fields.named(field)
        new = _by_label(definition, value)
        if not definition.is_custom or (bad := complaint(definition, new)):
            raise ValueError(bad if definition.is_custom else f"{field} is not a custom field")
        persons.change(target, {"custom_fields": {definition.code: new}})
        return persons.view(target)

    def do_set_person(self, person: int | str, **values: Any) -> dict[str, Any]:
        """Write ``name``, ``emails``, ``phones`` (texts or objects), ``label_ids``, ``owner_id``, ``org_id``."""
        if unknown := set(values) - {"name", "emails", "phones", "label_ids", "owner_id", "org_id"}:
            raise ValueError(f"cannot set {', '.join(sorted(unknown))}")
        target = self._person(person)
        self._company.persons.change(target, _points_of(values))
        return self._company.persons.view(target)

    def do_create_person(self, name: str, **values: Any) -> dict[str, Any]:
        """Make a person, as a salesperson would."""
        return self._company.persons.view(self._company.persons.make(_points_of({"name": name, **values})))

    def do_delete_person(self, person: int | str) -> dict[str, Any]:
        """Delete a person."""
        target = self._person(person)
        self._company.persons.remove(target)
        return {"id": target.id}

    def do_merge(self, person: int | str, into: int | str) -> dict[str, Any]:
        """Merge ``person`` into ``into``; the first id disappears."""
        target, survivor = self._person(person), self._person(into)
        if target is survivor:
            raise ValueError("a person cannot be merged with itself")
        self._company.persons.merge_into(target, survivor)
        return self._company.persons.view(survivor)

    def do_merge_sets(self, unite: bool) -> dict[str, Any]:
        """Have merges unite the options that both persons hold in a field of several, or keep the survivor's only."""
        self._company.persons.merge_unites_sets = bool(unite)
        return {"unite": bool(unite)}

    def do_rename_field(self, field: str, name: str) -> dict[str, Any]:
        """Give a field another display name; its code stays."""
        definition = self._company.fields.named(field)
        definition.name = name
        return definition.v2()

    def do_delete_field(self, field: str) -> dict[str, Any]:
        """Delete a custom field with its values."""
        definition = self._custom(field)
        self._company.fields.drop(definition)
        return definition.v2()

    def do_create_field(self, name: str, type: str, options: list[str] | None = None) -> dict[str, Any]:
        """Make a custom field, possibly with the name of one that exists."""
        if type not in CREATABLE:
            raise ValueError(f"unknown field type {type!r}")
        return self._company.fields.define(name, type, [{"label": o} for o in options or ()]).v2()

    def do_refuse(self, field: str, text: str, named: bool = True) -> dict[str, Any]:
        """Refuse values of a field that contain ``text`` from now on, in answers that do or do not name the field."""
        definition = self._custom(field)
        self._company.fields.refused[definition.code] = (text, named)
        return definition.v2()

    def do_add_option(self, field: str, label: str) -> dict[str, Any]:
        """Give a field one more option."""
        definition = self._custom(field)
        self._company.fields.extend(definition, [label])
        return definition.v2()

    def do_delete_option(self, field: str, option: str | int) -> dict[str, Any]:
        """Delete an option by label or id."""
        definition = self._custom(field)
        self._company.fields.drop_options(definition, {_option_id(definition, option)})
        return definition.v2()

    def do_rename_option(self, field: str, option: str | int, label: str) -> dict[str, Any]:
        """Give an option another label; its id stays."""
        definition = self._custom(field)
        wanted = _option_id(definition, option)
        for known in definition.options:
            if known.id == wanted:
                known.label = label
        return definition.v2()

    def do_burn_tokens(self, tokens: int) -> dict[str, Any]:
        """Spend tokens as another integration of the same company does."""
        self._company.limits.burn(int(tokens))
        return {"remaining": self._company.limits.remaining_today}

    def do_set_admin(self, admin: bool) -> dict[str, Any]:
        """Make the token's user an admin, or an ordinary user."""
        self._company.account.admin = bool(admin)
        return {"admin": bool(admin)}

    def do_settings(self, **change: Any) -> dict[str, Any]:
        """Turn the behaviours that the documents leave open."""
        return self._company.settings.turn(change)

    def do_unblock(self) -> dict[str, Any]:
        """Lift the firewall's block of the token."""
        self._company.limits.forgive()
        return {}

    def _person(self, given: int | str) -> Person:
        table = self._company.persons.table
        if isinstance(given, int) or given.isdigit():
            found = table.get(int(given))
        else:
            wanted = given.lower()
            found = next((p for p in table.living() if any(e["value"].lower() == wanted for e in p.emails)), None)
        if found is None:
            raise ValueError(f"no person {given!r}")
        return found

    def _custom(self, field: str) -> Field:
        definition = self._company.fields.named(field)
        if not definition.is_custom:
            raise ValueError(f"{field} is not a custom field")
        return definition


def _points_of(values: dict[str, Any]) -> dict[str, Any]:
    for key in ("emails", "phones"):
        if key in values:
            values[key] = [{"value": v} if isinstance(v, str) else v for v in values[key]]
    return values


def _option_id(definition: Field, option: str | int) -> int:
    for known in definition.options:
        if option in (known.id, known.label):
            return known.id
    raise ValueError(f"{definition.name} has no option {option!r}")


def _by_label(definition: Field, value: Any) -> Any:
    """Return a value with the UI's labels as option ids."""
    if value is None or definition.type not in ("enum", "set"):
        return value
    if definition.type == "enum":
        return _option_id(definition, value)
    return [_option_id(definition, v) for v in (value if isinstance(value, list) else [value])] or None


def snapshot(company: Company) -> dict[str, Any]:
    """Return the company for ``GET /_sandbox/state``: living persons by id, custom values by field name."""
    fields = company.fields.custom
    persons = {
        str(p.id): {
            "id": p.id,
            "name": p.name,
            "emails": [e["value"] for e in p.emails],
            "phones": [e["value"] for e in p.phones],
            "label_ids": list(p.label_ids),
            "owner_id": p.owner_id,
            "update_time": utc(p.update_time),
            "custom_fields": {f.name: f.labels(p.custom.get(c)) for c, f in fields.items()},
            "raw": dict(p.custom),
        }
        for p in company.persons.table.living()
    }
    activities, notes, deals = company.activities, company.notes, company.deals
    return {
        "persons": persons,
        "deleted_persons": [i for i, p in company.persons.table.rows.items() if p.is_deleted],
        "merged_persons": {str(old): new for old, new in company.persons.merged.items()},
        "fields": [f.v2() for f in fields.values()],
        "activities": [activities.view(a) for a in activities.table.living()],
        "notes": [notes.view(n) for n in notes.rows.values()],
        "deals": [deals.view(d) for d in deals.table.living()],
        "users": list(company.account.users.values()),
        "counts": {
            "persons": len(persons),
            "fields": len(fields),
            "activities": len(activities.table),
            "notes": len(notes.rows),
            "deals": len(deals.table),
        },
        "tokens": {
            "used_today": company.limits.used_today,
            "remaining_today": company.limits.remaining_today,
            "daily": company.limits.daily_tokens,
        },
    }
