"""Checks of request bodies against the vendor's strict schemas."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Container, Mapping
from datetime import date
from typing import Any

from cio_activation.sandbox.pipedrive.envelope import Call, bad_schema, instant_of

Check = Callable[[Any], str | None]
"""Takes a value, returns what is wrong with it, or None."""

_TIME = re.compile(r"^([01]\d|2[0-3]):[0-5]\d:[0-5]\d$")


def is_int(value: Any) -> bool:
    """Tell whether ``value`` is a JSON integer (a JSON boolean is not)."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Tell whether ``value`` is a finite JSON number."""
    return is_int(value) or (isinstance(value, float) and math.isfinite(value))


def is_date(value: Any) -> bool:
    """Tell whether ``value`` is ``YYYY-MM-DD`` and exists in the calendar."""
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def is_time(value: Any) -> bool:
    """Tell whether ``value`` is ``HH:MM:SS`` (the shorter form is not confirmed, so it is refused)."""
    return isinstance(value, str) and _TIME.match(value) is not None


def received(value: Any) -> str:
    """Name the JSON type of ``value`` for an error text; never the value itself."""
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return "null" if value is None else names[type(value)]


def expected(what: str, value: Any) -> str:
    """Return the complaint about a value of the wrong type."""
    return f"expected {what}, received {received(value)}"


def text(most: int, least: int = 0) -> Check:
    """Accept a string of ``least`` to ``most`` characters."""

    def check(value: Any) -> str | None:
        if not isinstance(value, str):
            return expected("string", value)
        return None if least <= len(value) <= most else f"length must be {least} to {most}"

    return check


def integer(known: Container[int] | None = None, name: str = "record") -> Check:
    """Accept an integer; with ``known``, only the id of an existing record."""

    def check(value: Any) -> str | None:
        if not is_int(value):
            return expected("number", value)
        return f"{name} does not exist" if known is not None and value not in known else None

    return check


def number(value: Any) -> str | None:
    """Accept a finite number."""
    return None if is_number(value) else expected("number", value)


def boolean(value: Any) -> str | None:
    """Accept true or false."""
    return None if isinstance(value, bool) else expected("boolean", value)


def calendar_date(value: Any) -> str | None:
    """Accept ``YYYY-MM-DD``."""
    return None if is_date(value) else "expected a date as YYYY-MM-DD"


def clock_time(value: Any) -> str | None:
    """Accept ``HH:MM:SS``."""
    return None if is_time(value) else "expected a time as HH:MM:SS"


def instant(value: Any) -> str | None:
    """Accept an RFC 3339 time."""
    return None if instant_of(value) is not None else "expected an RFC 3339 time"


def one_of(*allowed: Any) -> Check:
    """Accept one of the values."""
    return lambda value: (
        None
        if any(type(value) is type(a) and value == a for a in allowed)
        else f"must be one of {', '.join(map(str, allowed))}"
    )


def nullable(check: Check) -> Check:
    """Accept null beside what ``check`` accepts."""
    return lambda value: None if value is None else check(value)


def array(item: Check) -> Check:
    """Accept a list whose entries pass ``item``."""

    def check(value: Any) -> str | None:
        if not isinstance(value, list):
            return expected("array", value)
        wrong = [f"[{i}] {bad}" for i, v in enumerate(value) if (bad := item(v))]
        return ", ".join(wrong) or None

    return check


def record(fields: Mapping[str, Check], required: tuple[str, ...] = ()) -> Check:
    """Accept an object with these keys only."""

    def check(value: Any) -> str | None:
        if not isinstance(value, dict):
            return expected("object", value)
        return "; ".join(_problems(value, fields, required)) or None

    return check


def address(value: Any) -> str | None:
    """Accept an address: ``value`` and its subfields, all text."""
    parts = ("value", "country", "admin_area_level_1", "admin_area_level_2", "locality", "sublocality")
    more = ("route", "street_number", "subpremise", "postal_code")
    return record(dict.fromkeys(parts + more, nullable(text(255))), ("value",))(value)


def contact_points(value: Any) -> str | None:
    """Accept an array of e-mails or phones: ``{value, primary, label}``, at most one of them primary."""
    entry = record({"value": text(255, 1), "primary": boolean, "label": text(255)}, ("value",))
    if wrong := array(entry)(value):
        return wrong
    return "only one entry may be primary" if sum(bool(v.get("primary")) for v in value) > 1 else None


def _problems(given: dict[str, Any], fields: Mapping[str, Check], required: tuple[str, ...]) -> list[str]:
    wrong = [f"{name}: is required" for name in required if name not in given]
    for name, value in given.items():
        if name not in fields:
            wrong.append(f"{name}: is not allowed")
        elif bad := fields[name](value):
            wrong.append(f"{name}: {bad}")
    return wrong


def body_of(
    call: Call,
    fields: Mapping[str, Check],
    required: tuple[str, ...] = (),
    extra: Callable[[dict[str, Any]], list[str]] | None = None,
) -> dict[str, Any]:
    """Return the body, refused with one text naming every bad key. ``extra`` adds problems of its own."""
    given = call.json()
    if not isinstance(given, dict):
        raise bad_schema([f"body: {expected('object', given)}"])
    wrong = _problems(given, fields, required)
    if extra is not None:
        wrong += extra(given)
    if wrong:
        raise bad_schema(wrong)
    return given
