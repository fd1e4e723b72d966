"""The person fields an activation asks for, as Pipedrive defines fields, and which one that is there is which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cio_activation.activation.models import Activation, Property, PropertyType
from cio_activation.destinations.common.outcome_fields import human_fields
from cio_activation.destinations.pipedrive.config import NAME, settings_of
from cio_activation.destinations.pipedrive.schema_names import AUDIENCES, ID, audience_labels, audiences_field
from cio_activation.errors import ConfigError

FLAG_LABELS = ("true", "false")
LABEL_MAX = 255
"""Longest option label and field name (OpenAPI)."""
KEPT_MAX = 13
"""Properties whose present value the mirror can hold: a list shows 15 custom fields, two are the id and audiences, and
one more is whether outreach is marked as active, where outcomes are read."""
_TYPES: Mapping[PropertyType, str] = {
    PropertyType.ENUM: "enum",
    PropertyType.FLAG: "enum",
    PropertyType.TEXT: "varchar",
    PropertyType.DATE: "date",
    PropertyType.NUMBER: "double",
}
TEXTS = ("varchar", "varchar_auto", "text")
OPTIONED = ("enum", "set")
_ALSO_FITS: Mapping[str, tuple[str, ...]] = {"varchar": TEXTS, "enum": ("set", *TEXTS)}
"""Types that can hold the same values, so that a field made by hand can be used: an option of several, or its label."""


@dataclass(frozen=True)
class WantedField:
    """One person field as it should be."""

    logical: str
    name: str
    kind: str
    labels: tuple[str, ...] = ()


def properties_of(activation: Activation) -> tuple[Property, ...]:
    """Return the properties delivered to Pipedrive, both lanes, in file order."""
    return tuple(p for p in activation.properties.values() if NAME in p.deliver)


def wanted_fields(activation: Activation) -> tuple[WantedField, ...]:
    """Return every field the activation needs. ConfigError if its names or labels cannot be fields."""
    prefix = activation.workspace.prefix
    wanted = [WantedField(ID, f"{prefix}id", "varchar")]
    labels = tuple(dict.fromkeys(audience_labels(activation).values()))
    if labels:  # a set field cannot be created without options
        wanted.append(WantedField(AUDIENCES, audiences_field(activation), "set", labels))
    for p in (*properties_of(activation), *human_fields(activation)):
        options = FLAG_LABELS if p.type is PropertyType.FLAG else p.labels
        wanted.append(WantedField(p.name, f"{prefix}{p.name}", _TYPES[p.type], options))
    problems = [
        f"property {name!r}: Pipedrive already uses {prefix}{name} for its own purpose; give the property another name"
        for name in (ID, AUDIENCES)
        if name in {p.name for p in properties_of(activation)}
    ]
    problems += _name_problems(activation)
    problems += [
        f"{field.name}: the option label {label[:40]!r}... has {len(label)} characters, Pipedrive takes {LABEL_MAX}; "
        "shorten it"
        for field in wanted
        for label in field.labels
        if len(label) > LABEL_MAX
    ]
    room = KEPT_MAX - (activation.outreach_outcomes is not None)
    if len(kept := activation.kept_properties(NAME)) > room:
        problems.append(
            f"{len(kept)} properties are kept as a human changed them in Pipedrive (on_conflict: keep), but its lists "
            f"show {room} of them at most; let {', '.join(kept[room:])} overwrite"
        )
    most = settings_of(activation).max_custom_fields
    if most is not None and len(wanted) > most:
        problems.append(
            f"Pipedrive needs {len(wanted)} custom fields but destinations.pipedrive.max_custom_fields is {most}; "
            f"raise it or stop delivering {names_of(wanted[most:])}"
        )
    if problems:
        raise ConfigError(*problems)
    return tuple(wanted)


def _name_problems(activation: Activation) -> list[str]:
    """Return why the field of audiences cannot be called as declared, with the mend."""
    name, prefix = audiences_field(activation), activation.workspace.prefix
    where = f"destinations.pipedrive.audience_field: {name!r}"
    if not name.startswith(prefix):
        return [f"{where} does not begin with {prefix}, and only such fields are ours; call it {prefix}{name}"]
    taken = {f"{prefix}id", *(f"{prefix}{p.name}" for p in properties_of(activation))}
    return [f"{where} is the name of another field of ours; give it one of its own"] if name in taken else []


def find_field(
    wanted: WantedField, fields: Iterable[Mapping[str, Any]], previous: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Return the field that is ``wanted``: by the code we know, else by its name; None if there is none.

    Names are not unique in Pipedrive: of several the one with a fitting type is taken, the first listed.
    """
    custom = [f for f in fields if f.get("is_custom_field")]
    code = previous.get(f"field:{wanted.logical}")
    known = [f for f in custom if f["field_code"] == code]
    named = [f for f in custom if f["field_name"] == wanted.name]
    named.sort(key=lambda f: (type_problem(wanted, f) is not None, f["field_type"] != wanted.kind))
    return next(iter(known or named), None)


def type_problem(wanted: WantedField, field: Mapping[str, Any]) -> str | None:
    """Return what is wrong with an existing field's type, with its mend."""
    if field["field_type"] in (wanted.kind, *_ALSO_FITS.get(wanted.kind, ())):
        return None
    return (
        f"Pipedrive's person field {field['field_name']!r} is of type {field['field_type']}, but {wanted.name} needs "
        f"{wanted.kind}, and a field's type never changes; rename or delete that field, or change workspace.prefix"
    )


def names_of(fields: Iterable[WantedField]) -> str:
    """Return the names, for a sentence."""
    return ", ".join(f.name for f in fields)
