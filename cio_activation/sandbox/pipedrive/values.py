"""Custom field definitions and the v2 rules for their values: ids for options, null clears, no coercion."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cio_activation.sandbox.pipedrive import body_checks
from cio_activation.sandbox.pipedrive.envelope import Refusal, utc_v1

TEXTS = {"varchar": 255, "varchar_auto": 255, "phone": 255, "text": 65_535}
OPTIONED = ("enum", "set")
REFERENCES = ("user", "org", "people")
STRUCTURED = ("monetary", "date", "daterange", "time", "timerange", "address", "double")
CREATABLE = (*TEXTS, *OPTIONED, *REFERENCES, *STRUCTURED)
SEARCHABLE = ("address", "varchar", "text", "varchar_auto", "double", "monetary", "phone")
_MAX_DIGITS = 10**14
_CURRENCY = re.compile(r"^[A-Z]{3}$")


@dataclass
class Option:
    """One option of an ``enum`` or ``set`` field."""

    id: int
    label: str


@dataclass
class Field:
    """One field of an entity. ``code`` is a 40-hex hash for custom fields and a word for built-in ones."""

    id: int
    code: str
    name: str
    type: str
    add_time: float
    update_time: float
    options: list[Option] = field(default_factory=list)
    is_custom: bool = True
    settings: dict[str, Any] = field(default_factory=dict)

    def option(self, option_id: int) -> Option | None:
        """Return an option by id."""
        return next((o for o in self.options if o.id == option_id), None)

    def labels(self, value: Any) -> Any:
        """Return a value with option ids replaced by labels."""
        names = {o.id: o.label for o in self.options}
        if self.type == "enum" and value is not None:
            return names.get(value)
        if self.type == "set" and value is not None:
            return [names[v] for v in value if v in names]
        return value

    def expanded(self, value: Any) -> Any:
        """Return a value as ``include_option_labels`` shows it: ``{id, label}``."""
        if value is None or self.type not in OPTIONED:
            return value
        found = [{"id": o.id, "label": o.label} for o in self.options]
        if self.type == "enum":
            return next((o for o in found if o["id"] == value), None)
        return [o for o in found if o["id"] in value]

    def v2(self) -> dict[str, Any]:
        """Return the field as v2 shows it."""
        optioned = self.type in OPTIONED
        return {
            "field_name": self.name,
            "field_code": self.code,
            "field_type": self.type,
            "options": [{"id": o.id, "label": o.label} for o in self.options] if optioned else None,
            "subfields": None,
            "is_custom_field": self.is_custom,
            "is_optional_response_field": False,
        }

    def v1(self, position: int) -> dict[str, Any]:
        """Return the field as v1 shows it, with its numeric id."""
        return {
            "id": self.id,
            "key": self.code,
            "name": self.name,
            "order_nr": position,
            "field_type": self.type,
            "add_time": utc_v1(self.add_time),
            "update_time": utc_v1(self.update_time),
            "active_flag": True,
            "edit_flag": self.is_custom,
            "options": [{"id": o.id, "label": o.label} for o in self.options] or None,
            "mandatory_flag": self.code == "name",
        }


def complaint(definition: Field, value: Any) -> str | None:
    """Return why ``value`` cannot be written to the field, or None."""
    kind = definition.type
    if value is None:
        return None
    if kind in TEXTS:
        return body_checks.text(TEXTS[kind])(value)
    if kind == "enum":
        return _option(definition, value)
    if kind == "set":
        if not isinstance(value, list):
            return body_checks.expected("array", value)
        if not value:
            return "must contain at least 1 item (null clears the field)"
        return next((bad for v in value if (bad := _option(definition, v))), None)
    if kind == "double":
        if not body_checks.is_number(value):
            return body_checks.expected("number", value)
        return "has more than 14 digits" if abs(value) >= _MAX_DIGITS else None
    if kind in REFERENCES:
        return body_checks.integer()(value)
    return _STRUCTURES[kind](value)


def _option(definition: Field, value: Any) -> str | None:
    if not body_checks.is_int(value):
        return body_checks.expected("number", value)
    return None if definition.option(value) else f"option {value} does not exist"


def _currency(value: Any) -> str | None:
    return None if isinstance(value, str) and _CURRENCY.match(value) else "expected an ISO 4217 code"


_ZONED = {"value": body_checks.clock_time, "timezone_name": body_checks.nullable(body_checks.text(64))}
_STRUCTURES: dict[str, Callable[[Any], str | None]] = {
    "date": body_checks.calendar_date,
    "monetary": body_checks.record({"value": body_checks.number, "currency": _currency}, ("value", "currency")),
    "daterange": body_checks.record(
        {"value": body_checks.calendar_date, "until": body_checks.calendar_date}, ("value", "until")
    ),
    "time": body_checks.record(_ZONED, ("value",)),
    "timerange": body_checks.record({**_ZONED, "until": body_checks.clock_time}, ("value", "until")),
    "address": body_checks.address,
}


def stored(definition: Field, value: Any) -> Any:
    """Return a checked value as it is stored: options in id order, empty text as nothing."""
    if definition.type == "set" and value is not None:
        return sorted(set(value))
    return None if value == "" else value


def guard_nesting(values: Any) -> None:
    """Fail as the vendor does on a badly nested ``custom_fields``: 500 ERR_UNKNOWN, seen on a real account."""
    if not isinstance(values, dict) or "custom_fields" in values:
        raise Refusal(500, "Something went wrong", "ERR_UNKNOWN")
