"""What HubSpot accepts as a property value, and the text it stores for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from cio_activation.sandbox.hubspot.errors import Invalid

TEXT_MAX = 65_536
LOOSE_VERSION = "2026-09"
_EMAIL = re.compile(
    r"[^@\s,;:<>()\[\]\"]+@[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\.[a-z]{2,}"
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_MILLISECONDS = re.compile(r"-?\d{1,15}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass
class Checked:
    """A value as it will be stored; ``warning`` says that it was changed on the way in (2026-09 only)."""

    text: str = ""
    invalid: Invalid | None = None
    warning: dict[str, Any] | None = None


@dataclass
class Rules:
    """What the check of a value needs to know of its property."""

    name: str
    type: str
    multiple: bool = False
    options: frozenset[str] = field(default_factory=frozenset)


def as_text(value: Any) -> str | None:
    """Return the string HubSpot reads from a JSON scalar; None for objects and arrays."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return None


def check(rules: Rules, value: str, current: str | None, version: str) -> Checked:
    """Check a non-empty value. ``current`` is the stored one, which a leading ``;`` appends to.

    Sloppy dates pass with a warning from 2026-09 on; older versions refuse them.
    """
    done = _CHECKS.get(rules.type, _check_text)(rules, value, current)
    if done.warning and version != LOOSE_VERSION:
        return Checked(invalid=Invalid(rules.name, "INVALID_DATE", f"{value} was not a valid {rules.type}."))
    return done


def email_of(value: str) -> str:
    """Return an address as HubSpot keys it: trimmed, lowercased."""
    return value.strip().lower()


def valid_email(value: str) -> bool:
    """Tell whether HubSpot takes the (normalized) address."""
    return len(value) <= 254 and _EMAIL.fullmatch(value) is not None


def _check_text(rules: Rules, value: str, current: str | None) -> Checked:
    del current
    if len(value) > TEXT_MAX:
        text = f"Property value for {rules.name} is too long: at most {TEXT_MAX} characters"
        return Checked(invalid=Invalid(rules.name, "VALUE_TOO_LONG", text))
    return Checked(value)


def _check_number(rules: Rules, value: str, current: str | None) -> Checked:
    del current
    text = value.strip()
    if not _NUMBER.fullmatch(text):
        return Checked(invalid=Invalid(rules.name, "INVALID_NUMBER", f"{value} was not a valid number."))
    return Checked(text)


def _check_bool(rules: Rules, value: str, current: str | None) -> Checked:
    del current
    text = value.strip()
    return Checked(text) if text in ("true", "false") else _no_option(rules, value)


def _check_options(rules: Rules, value: str, current: str | None) -> Checked:
    if not rules.multiple:
        text = value.strip()
        return Checked(text) if text in rules.options else _no_option(rules, value)
    sent = [part.strip() for part in value.split(";") if part.strip()]
    for part in sent:
        if part not in rules.options:
            return _no_option(rules, part)
    before = current.split(";") if current and value.startswith(";") else []
    return Checked(";".join(dict.fromkeys([*before, *sent])))


def _no_option(rules: Rules, value: str) -> Checked:
    allowed = ", ".join(sorted(rules.options)) if rules.options else "true, false"
    text = f"{value} was not one of the allowed options: [{allowed}]"
    return Checked(invalid=Invalid(rules.name, "INVALID_OPTION", text))


def _check_date(rules: Rules, value: str, current: str | None) -> Checked:
    del current
    text = value.strip()
    instant = instant_of(text)
    if instant is None:
        return Checked(invalid=Invalid(rules.name, "INVALID_DATE", f"{value} was not a valid date."))
    day = instant.date().isoformat()
    midnight = instant == datetime.combine(instant.date(), datetime.min.time(), UTC)
    if _DAY.fullmatch(text) or (_MILLISECONDS.fullmatch(text) and midnight):
        return Checked(day)
    return _normalized(rules, value, day)


def _check_datetime(rules: Rules, value: str, current: str | None) -> Checked:
    del current
    text = value.strip()
    instant = instant_of(text)
    if instant is None:
        return Checked(invalid=Invalid(rules.name, "INVALID_DATE", f"{value} was not a valid datetime."))
    written = instant.isoformat(timespec="milliseconds" if instant.microsecond else "seconds")[:-6] + "Z"
    if _MILLISECONDS.fullmatch(text) or re.search(r"(Z|[+-]\d\d:?\d\d)$", text[10:]):
        return Checked(written)
    return _normalized(rules, value, written)


def _normalized(rules: Rules, raw: str, normalized: str) -> Checked:
    warning = {
        "category": "PROPERTY_VALUE_NORMALIZED",
        "propertyName": rules.name,
        "rawValue": raw,
        "normalizedValue": normalized,
    }
    return Checked(normalized, warning=warning)


def instant_of(text: str) -> datetime | None:
    """Return the UTC time a text means: milliseconds, a day, ISO 8601; None when it means none."""
    try:
        if _MILLISECONDS.fullmatch(text):
            return datetime.fromtimestamp(int(text) / 1000, UTC)
        if _DAY.fullmatch(text):
            return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        if len(text) < 16:
            return None
        instant = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        return None
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)


_CHECKS: dict[str, Callable[[Rules, str, str | None], Checked]] = {
    "number": _check_number,
    "bool": _check_bool,
    "enumeration": _check_options,
    "date": _check_date,
    "datetime": _check_datetime,
}
