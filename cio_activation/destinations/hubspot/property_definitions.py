"""The contact properties an activation asks for, as HubSpot defines properties, and how one there may differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cio_activation.activation.models import Activation, Property, PropertyType
from cio_activation.destinations.common.outcome_fields import human_fields
from cio_activation.destinations.hubspot.api import CONTACT_TYPE, KEY
from cio_activation.destinations.hubspot.described import description
from cio_activation.errors import ConfigError

UNIQUE_MAX = 10
"""Contact properties with unique values that an account may have (fact sheet, section 5)."""
GROUP = "customerio"
GROUP_LABEL = "Customer.io"

KINDS: Mapping[PropertyType, tuple[str, str]] = {
    PropertyType.ENUM: ("enumeration", "select"),
    PropertyType.FLAG: ("bool", "booleancheckbox"),
    PropertyType.TEXT: ("string", "text"),
    PropertyType.DATE: ("date", "date"),
    PropertyType.NUMBER: ("number", "number"),
}
"""Our type -> HubSpot's type and field type."""

Row = dict[str, Any]


def delivered(activation: Activation) -> dict[str, Property]:
    """Return HubSpot name -> property for all that is delivered to HubSpot, in file order, then what humans write."""
    prefix = activation.workspace.prefix
    found = {f"{prefix}{p.name}": p for p in activation.properties.values() if "hubspot" in p.deliver}
    found |= {f"{prefix}{p.name}": p for p in human_fields(activation)}
    if KEY in found:
        raise ConfigError(
            f"properties.{found[KEY].name}: HubSpot already calls our key {KEY}; give the property another name"
        )
    return found


def key_definition() -> Row:
    """Return the definition of our unique key. ``hasUniqueValue`` cannot be set later."""
    return {
        "name": KEY, "label": "Customer.io id", "groupName": GROUP, "type": "string", "fieldType": "text",
        "hasUniqueValue": True, "formField": False,
        "description": "Key of this contact's Customer.io profile. Written by cio_activation; do not edit.",
    }  # fmt: skip


def definition(name: str, prop: Property) -> Row:
    """Return the definition HubSpot is given for one property."""
    kind, field_type = KINDS[prop.type]
    made: Row = {
        "name": name, "label": prop.label, "groupName": GROUP, "type": kind, "fieldType": field_type,
        "description": description(prop), "formField": False,
    }  # fmt: skip
    options = wanted_options(prop)
    return made | ({"options": options} if options else {})


def wanted_options(prop: Property) -> list[Row]:
    """Return the options an enumeration needs, in order; a bool needs exactly true and false."""
    if prop.type is PropertyType.FLAG:
        return [_option("true", "Yes", 0), _option("false", "No", 1)]
    return [_option(value, value, i) for i, value in enumerate(_labels(prop))]


def merged_options(present: Sequence[Mapping[str, Any]], prop: Property) -> list[Row] | None:
    """Return all options to write so that every wanted one is there; None if nothing is missing.

    HubSpot replaces the whole list, so those that are there are written back as they are, also others' own.
    """
    if prop.type is not PropertyType.ENUM:
        return None
    known = {str(o.get("value")) for o in present}
    missing = [value for value in _labels(prop) if value not in known]
    if not missing:
        return None
    there = [
        _option(str(o.get("value")), str(o.get("label")), int(o.get("displayOrder", i)))
        | {"hidden": bool(o.get("hidden", False))}
        | ({"description": o["description"]} if o.get("description") else {})
        for i, o in enumerate(present)
    ]
    start = max((o["displayOrder"] for o in there), default=-1) + 1
    return there + [_option(value, value, start + i) for i, value in enumerate(missing)]


def drift(name: str, prop: Property, found: Mapping[str, Any]) -> str | None:
    """Return why the property of this name in HubSpot cannot take our values, with the mend; None if it can."""
    kind, _ = KINDS[prop.type]
    if found.get("type") != kind and not _is_checkbox(prop, found):
        return (
            f"HubSpot's contact property {name} has the type {found.get('type')}, the activation needs {kind}; "
            f"archive it in HubSpot, or {_otherwise(prop)}"
        )
    if not is_writable(found):
        return (
            f"HubSpot's contact property {name} is calculated or read-only; "
            f"archive it in HubSpot, or {_otherwise(prop)}"
        )
    return _option_clash(name, prop, found.get("options") or ())


def is_writable(found: Mapping[str, Any]) -> bool:
    """Return whether a property's values can be written at all."""
    modification = found.get("modificationMetadata")
    read_only = isinstance(modification, Mapping) and modification.get("readOnlyValue")
    return not (found.get("calculated") or read_only)


def unique_clash(present: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return why our key cannot be made, with the mend: HubSpot takes ten properties with unique values; None if not.

    ``present``: the contact properties by name (fact sheet, section 5).
    """
    unique = sorted(n for n, p in present.items() if p.get("hasUniqueValue") and not p.get("hubspotDefined"))
    if KEY in present or len(unique) < UNIQUE_MAX:
        return None
    return (
        f"HubSpot allows {UNIQUE_MAX} contact properties with unique values and has {', '.join(unique)}: our key {KEY} "
        "cannot be made; archive one that nothing uses and delete it for good"
    )


def room_problems(limits: Mapping[str, Any], missing: Sequence[str]) -> list[str]:
    """Return whether the properties ``missing`` fit the account's limits, each problem with its mend."""
    contacts = [
        row
        for row in limits.get("byObjectType") or []
        if isinstance(row, dict) and row.get("objectTypeId", CONTACT_TYPE) == CONTACT_TYPE
    ]
    problems = []
    for row, where in [*((r, "contacts") for r in contacts[:1]), (limits, "all objects")]:
        limit = row.get("limit", row.get("overallLimit"))
        usage = row.get("usage", row.get("overallUsage"))
        if isinstance(limit, int) and isinstance(usage, int) and usage + len(missing) > limit:
            problems.append(
                f"HubSpot allows {limit:,} custom properties for {where} and has {usage:,}; {len(missing)} more are "
                f"needed ({', '.join(missing)}): archive some in HubSpot, or deliver fewer properties"
            )
    return problems


def _otherwise(prop: Property) -> str:
    """Return what in the activation would do without the property."""
    return f"rename properties.{prop.name}" if prop.deliver else "leave outreach_outcomes out"


def key_drift(found: Mapping[str, Any]) -> str | None:
    """Return why the property named like our key cannot be our key, with the mend; None if it can."""
    if found.get("type") == "string" and found.get("hasUniqueValue"):
        return None
    return (
        f"HubSpot's contact property {KEY} is no text property with unique values, and cannot become one; "
        "archive it in HubSpot and delete it for good, then run again: it is made anew"
    )


def _is_checkbox(prop: Property, found: Mapping[str, Any]) -> bool:
    """Return whether an enumeration, as older checkboxes are, has the two values of a flag: it holds ours as it is."""
    values = {str(o.get("value")) for o in found.get("options") or ()}
    return prop.type is PropertyType.FLAG and found.get("type") == "enumeration" and {"true", "false"} <= values


def _option_clash(name: str, prop: Property, present: Sequence[Mapping[str, Any]]) -> str | None:
    """Return why an option cannot be added: HubSpot takes a label once, and it is another value's already."""
    if prop.type is not PropertyType.ENUM:
        return None
    values = {str(o.get("value")) for o in present}
    labelled = {str(o.get("label")): str(o.get("value")) for o in present}
    clashes = [label for label in _labels(prop) if label not in values and label in labelled]
    if not clashes:
        return None
    listed = ", ".join(f"{label!r} (value {labelled[label]!r})" for label in clashes)
    return (
        f"HubSpot's contact property {name} has the option {listed}, and a label can be there once: our value of that "
        f"name cannot be added; give that option another label in HubSpot, or change properties.{prop.name}.labels"
    )


def _labels(prop: Property) -> tuple[str, ...]:
    return tuple(label.strip() for label in prop.labels)


def _option(value: str, label: str, order: int) -> Row:
    return {"value": value, "label": label, "displayOrder": order, "hidden": False}
