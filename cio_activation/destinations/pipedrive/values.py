"""Turns a plan's logical values into what Pipedrive takes, and its answers into what the mirror keeps.

v2 takes option ids only, numbers as numbers, dates as ``YYYY-MM-DD``, and ``null`` to clear; ``[]`` for a set is
refused (the vendor's migration guide and OpenAPI).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from cio_activation.activation.models import Activation, PropertyType
from cio_activation.activation.outcomes import ACTIVE_FIELD
from cio_activation.destinations.pipedrive.config import NAME
from cio_activation.destinations.pipedrive.schema_names import AUDIENCES, ID
from cio_activation.destinations.pipedrive.wanted import TEXTS
from cio_activation.journal.operations import Operation
from cio_activation.warehouse.addresses import email
from cio_activation.warehouse.phone_numbers import phone


class NotInCatalog(Exception):
    """A value has no field or option in Pipedrive; ``str()`` says so without a personal value."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def custom_fields(payload: Mapping[str, Any], activation: Activation, catalog: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``custom_fields`` of a write: field code -> value. Raises NotInCatalog."""
    fields: dict[str, Any] = {}
    for name, value in payload.items():
        code = catalog.get(f"field:{name}")
        if code is None:
            raise NotInCatalog(name, f"there is no Pipedrive field for {name}; run the schema step")
        fields[code] = None if value is None else _value(name, str(value), activation, catalog)
    return fields


def _value(name: str, text: str, activation: Activation, catalog: Mapping[str, Any]) -> Any:
    if name == ID:
        return text
    if name == AUDIENCES:
        return orjson.loads(text)["set"] or None
    kind = activation.properties[name].type
    if kind in (PropertyType.ENUM, PropertyType.FLAG):
        made_by_hand = catalog.get(f"type:{name}")
        if made_by_hand in TEXTS:
            return text
        option = catalog.get(f"option:{name}:{text}")
        if option is None:
            raise NotInCatalog(name, f"{name} has no option for a value; run the schema step")
        return [option] if made_by_hand == "set" else option
    return float(text) if kind is PropertyType.NUMBER else text


def new_person(operation: Operation, activation: Activation, catalog: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body that creates a person: name, e-mail, phone, our fields. Visibility and owner are the vendor's."""
    keys = operation.keys
    body: dict[str, Any] = {
        "name": keys.get("name") or operation.cio_id,
        "custom_fields": custom_fields(operation.payload, activation, catalog),
    }
    if address := keys.get("email"):
        body["emails"] = [{"value": address, "primary": True, "label": "work"}]
    if phone := keys.get("phone"):
        body["phones"] = [{"value": phone, "primary": True, "label": "work"}]
    return body


def held(person: Mapping[str, Any], activation: Activation, catalog: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the mirror keeps of a person as the vendor showed it, besides name and e-mails.

    ``fields`` holds the logical values of the properties that stay as a human changed them, and whether outreach is
    marked as active; an empty text is none.
    """
    values = person.get("custom_fields") or {}
    fields = logical_values(person, activation.kept_properties(NAME), activation, catalog)
    marked = catalog.get(f"field:{ACTIVE_FIELD}")
    if activation.outreach_outcomes is not None and marked in values:
        fields[ACTIVE_FIELD] = held_text(ACTIVE_FIELD, values[marked], catalog)
    return {
        "external_id": values.get(catalog[f"field:{ID}"]) or None,
        "audiences": [int(i) for i in values.get(catalog.get(f"field:{AUDIENCES}")) or ()],
        "update_time": person.get("update_time") or person.get("add_time"),
        "fields": fields,
    }


def held_text(name: str, value: Any, catalog: Mapping[str, Any]) -> str:
    """Return a value of a field of any type as the shadow would hold it; '' where there is none."""
    if value is None:
        return ""
    if (label := _label(name, value, catalog)) is not None:
        return label
    return repr(float(value)) if isinstance(value, int | float) else str(value)


def _label(name: str, value: Any, catalog: Mapping[str, Any]) -> str | None:
    """Return the label of ours whose option ``value`` is, or holds alone; None if it is none."""
    start, one = f"option:{name}:", value[0] if isinstance(value, list) and len(value) == 1 else value
    return next((k[len(start) :] for k, option in catalog.items() if k.startswith(start) and option == one), None)


def _logical(name: str, value: Any, activation: Activation, catalog: Mapping[str, Any]) -> str:
    """Return a value of a field as the shadow would hold it; the way back of ``_value``."""
    if value is None:
        return ""
    kind = activation.properties[name].type
    if kind in (PropertyType.ENUM, PropertyType.FLAG):
        if catalog.get(f"type:{name}") in TEXTS:
            return str(value)
        return _label(name, value, catalog) or f"option {value}"  # one of a colleague's own
    return repr(float(value)) if kind is PropertyType.NUMBER else str(value)


def logical_values(
    person: Mapping[str, Any], names: Sequence[str], activation: Activation, catalog: Mapping[str, Any]
) -> dict[str, str]:
    """Return logical name -> value of those of the properties ``names`` that a person was read with."""
    values, codes = person.get("custom_fields") or {}, {n: str(catalog.get(f"field:{n}")) for n in names}
    return {n: _logical(n, values[code], activation, catalog) for n, code in codes.items() if code in values}


def mirror_row(person: Mapping[str, Any], activation: Activation, catalog: Mapping[str, Any]) -> dict[str, Any]:
    """Return one line of a mirror file."""
    listed = [e for e in person.get("emails") or () if isinstance(e, Mapping)]
    first = next((e for e in listed if e.get("primary")), listed[0] if listed else {})
    return {
        "person_id": str(person["id"]),
        "primary_email": email(str(first.get("value") or "")) or "",
        "name": person.get("name"),
        "phones": phones_of(person, activation),
        "emails": [known for e in person.get("emails") or () if (known := email(str(e.get("value") or "")))],
        "is_deleted": bool(person.get("is_deleted")),
        **held(person, activation, catalog),
    }


def phones_of(person: Mapping[str, Any], activation: Activation) -> list[str] | None:
    """Return a person's phones as ours are compared; None where they are no match key."""
    if not activation.match.phone:
        return None
    shown = [str(p.get("value") or "") for p in person.get("phones") or ()]
    return [known for text in shown if (known := phone(text, activation.workspace.default_region))]


def named_fields(error: Any, catalog: Mapping[str, Any]) -> list[str]:
    """Return logical names of the fields an error body speaks of; never the vendor's text, it may quote values."""
    text = orjson.dumps(error).decode() if isinstance(error, dict) else ""
    return sorted(key[6:] for key, code in catalog.items() if key.startswith("field:") and str(code) in text)
