"""HubSpot's property definitions: the built-in ones, the custom ones, and the rules for making them."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Any

from cio_activation.sandbox.hubspot.errors import VALIDATION, Refusal, invalid_input, missing_fields, stamp
from cio_activation.sandbox.hubspot.values import Rules

UNIQUE_MAX = 10
_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
_FIELD_TYPES: dict[str, frozenset[str]] = {
    "string": frozenset({"text", "textarea", "html", "file", "phonenumber", "calculation_equation"}),
    "number": frozenset({"number", "calculation_equation"}),
    "date": frozenset({"date"}),
    "datetime": frozenset({"date"}),
    "enumeration": frozenset({"select", "radio", "checkbox", "booleancheckbox", "calculation_equation"}),
    "bool": frozenset({"booleancheckbox", "select", "radio", "calculation_equation"}),
    "phone_number": frozenset({"phonenumber"}),
}


@dataclass
class Property:
    """One definition. ``readable_from`` is monotonic real time: a new one cannot be read at once."""

    name: str
    label: str
    type: str
    field_type: str
    group: str
    description: str = ""
    options: list[dict[str, Any]] = field(default_factory=list)
    display_order: int = -1
    hidden: bool = False
    form_field: bool = False
    unique: bool = False
    built_in: bool = False
    read_only: bool = False
    archived_at: float | None = None
    created_at: float = 0.0
    updated_at: float = 0.0
    readable_from: float = 0.0

    @property
    def readable(self) -> bool:
        """Tell whether reads see the definition already."""
        return time.monotonic() >= self.readable_from

    def rules(self) -> Rules:
        """Return what the check of a value needs."""
        options = frozenset(option["value"] for option in self.options)
        return Rules(self.name, self.type, self.field_type == "checkbox", options)

    def as_body(self) -> dict[str, Any]:
        """Return the definition as HubSpot answers it."""
        body: dict[str, Any] = {
            "updatedAt": stamp(self.updated_at),
            "createdAt": stamp(self.created_at),
            "name": self.name,
            "label": self.label,
            "type": self.type,
            "fieldType": self.field_type,
            "description": self.description,
            "groupName": self.group,
            "options": self.options,
            "displayOrder": self.display_order,
            "calculated": False,
            "externalOptions": False,
            "archived": self.archived_at is not None,
            "hasUniqueValue": self.unique,
            "hidden": self.hidden,
            "modificationMetadata": {
                "archivable": not self.built_in,
                "readOnlyDefinition": self.built_in,
                "readOnlyValue": self.read_only,
            },
            "formField": self.form_field,
        }
        if self.built_in:
            body["hubspotDefined"] = True
        if self.archived_at is not None:
            body["archivedAt"] = stamp(self.archived_at)
        return body


@dataclass
class PropertySet:
    """The properties and groups of one object type."""

    group: str
    limit: int
    read_delay_s: float
    properties: dict[str, Property] = field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    rules: dict[str, Rules] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.add_group({"name": self.group, "label": self.group.replace("information", " information").title()})

    def live(self, name: str) -> Property | None:
        """Return a definition that is not archived."""
        found = self.properties.get(name)
        return found if found is not None and found.archived_at is None else None

    @property
    def custom(self) -> list[Property]:
        """The live definitions that HubSpot did not make."""
        return [p for p in self.properties.values() if not p.built_in and p.archived_at is None]

    def unique_names(self) -> list[str]:
        """Return the custom properties whose values are keys."""
        return [p.name for p in self.custom if p.unique]

    def add_group(self, body: dict[str, Any]) -> dict[str, Any]:
        """Create a group."""
        lacking = [key for key in ("name", "label") if not body.get(key)]
        if lacking:
            raise missing_fields(*lacking)
        if body["name"] in self.groups:
            raise Refusal(409, "OBJECT_ALREADY_EXISTS", f"Property group '{body['name']}' already exists")
        made = {
            "name": body["name"],
            "label": body["label"],
            "displayOrder": int(body.get("displayOrder", -1)),
            "archived": False,
        }
        self.groups[body["name"]] = made
        return made

    def built_in(self, name: str, type_: str, field_type: str, *options: str, read_only: bool = False) -> None:
        """Add one of HubSpot's own properties."""
        choices = [_option(value, order) for order, value in enumerate(options)]
        label = name.removeprefix("hs_").replace("_", " ").capitalize()
        made = Property(name, label, type_, field_type, self.group, options=choices, built_in=True, read_only=read_only)
        self._keep(made)

    def create(self, body: dict[str, Any], now: float) -> Property:
        """Create a custom property; an archived one of that name comes back as it was, whatever ``body`` wants."""
        _check_new(body)
        name = body["name"]
        if self.live(name):
            raise Refusal(
                409,
                "OBJECT_ALREADY_EXISTS",
                f"A property named '{name}' already exists.",
                sub_category="Properties.PROPERTY_WITH_NAME_EXISTS",
            )
        self._check_group(body["groupName"])
        if len(self.custom) >= self.limit:
            raise Refusal(400, VALIDATION, f"You have reached the limit of {self.limit} custom properties.")
        options = _options(body.get("options") or [], body["type"], body["fieldType"])
        archived = self.properties.get(name)
        unique = archived.unique if archived else bool(body.get("hasUniqueValue"))
        if unique and len(self.unique_names()) >= UNIQUE_MAX:
            raise invalid_input(f"At most {UNIQUE_MAX} properties of an object type can have unique values.")
        if unique and body["type"] not in ("string", "number"):
            raise invalid_input("Only text and number properties can have unique values.")
        if archived:
            archived.archived_at, archived.updated_at = None, now
            archived.readable_from = time.monotonic() + self.read_delay_s
            return self._keep(archived)
        made = Property(
            name, body["label"], body["type"], body["fieldType"], body["groupName"],
            description=body.get("description") or "",
            options=options,
            display_order=int(body.get("displayOrder", -1)),
            hidden=bool(body.get("hidden")),
            form_field=bool(body.get("formField")),
            unique=unique,
            created_at=now,
            updated_at=now,
            readable_from=time.monotonic() + self.read_delay_s,
        )  # fmt: skip
        return self._keep(made)

    def update(self, found: Property, body: dict[str, Any], now: float) -> Property:
        """Change a custom property; ``options`` replaces the whole list, name and uniqueness are ignored."""
        if found.built_in:
            raise invalid_input(f"The definition of property '{found.name}' is read-only.")
        type_, field_type = body.get("type", found.type), body.get("fieldType", found.field_type)
        _check_types(type_, field_type)
        if "groupName" in body:
            self._check_group(body["groupName"])
        if "options" in body:
            found.options = _options(body["options"] or [], type_, field_type)
        found.type, found.field_type = type_, field_type
        found.group = body.get("groupName", found.group)
        found.label = body.get("label", found.label)
        found.description = body.get("description", found.description)
        found.hidden = bool(body.get("hidden", found.hidden))
        found.form_field = bool(body.get("formField", found.form_field))
        found.display_order = int(body.get("displayOrder", found.display_order))
        found.updated_at = now
        return self._keep(found)

    def archive(self, name: str, now: float) -> None:
        """Archive a custom property; its values stay and come back with it."""
        found = self.live(name)
        if found is None:
            return
        if found.built_in:
            raise invalid_input(f"Property '{name}' is defined by HubSpot and cannot be archived.")
        found.archived_at = found.updated_at = now
        del self.rules[name]

    def archive_group(self, name: str) -> None:
        """Remove an empty group."""
        if any(p.group == name and p.archived_at is None for p in self.properties.values()):
            raise invalid_input(f"Property group '{name}' has active properties and cannot be archived.")
        self.groups.pop(name, None)

    def _keep(self, made: Property) -> Property:
        self.properties[made.name] = made
        self.rules[made.name] = made.rules()
        return made

    def _check_group(self, name: str) -> None:
        if name not in self.groups:
            raise invalid_input(f"Property group '{name}' does not exist.")


def _check_new(body: dict[str, Any]) -> None:
    lacking = [key for key in ("name", "label", "type", "fieldType", "groupName") if not body.get(key)]
    if lacking:
        raise missing_fields(*lacking)
    if not _NAME.fullmatch(str(body["name"])):
        raise invalid_input(
            f"Property name '{body['name']}' is invalid: it must start with a lowercase letter, hold only lowercase "
            "letters, digits and underscores, and have at most 100 characters."
        )
    _check_types(body["type"], body["fieldType"])


def _check_types(type_: str, field_type: str) -> None:
    if type_ not in _FIELD_TYPES:
        raise invalid_input(f"Cannot deserialize property type '{type_}': not one of {sorted(_FIELD_TYPES)}.")
    if field_type not in _FIELD_TYPES[type_]:
        raise invalid_input(f"Field type '{field_type}' cannot be used with property type '{type_}'.")


def _option(value: str, order: int) -> dict[str, Any]:
    label = value.replace("_", " ").capitalize()
    return {"label": label, "value": value, "description": "", "displayOrder": order, "hidden": False}


def _options(given: list[dict[str, Any]], type_: str, field_type: str) -> list[dict[str, Any]]:
    """Check a list of options; returns them as they will be answered."""
    made: list[dict[str, Any]] = []
    for option in given:
        lacking = [key for key in ("label", "value", "displayOrder", "hidden") if option.get(key) in (None, "")]
        if lacking:
            raise missing_fields(*lacking)
        made.append({"description": "", **option, "label": str(option["label"]), "value": str(option["value"])})
    values = [option["value"] for option in made]
    labels = [option["label"] for option in made]
    if len(set(values)) < len(values) or len(set(labels)) < len(labels):
        raise invalid_input("Property options must have unique values and labels.")
    if type_ == "bool" and sorted(values) != ["false", "true"]:
        raise Refusal(
            400,
            VALIDATION,
            "A property of type bool must have exactly the options true and false.",
            sub_category="PropertyValidationError.INVALID_BOOLEAN_OPTION",
            details=[{"message": "Options must be true and false.", "code": "INVALID_BOOLEAN_OPTION"}],
        )
    if type_ not in ("bool", "enumeration") and made:
        raise invalid_input(f"A property of type {type_} cannot have options ({field_type}).")
    return made
