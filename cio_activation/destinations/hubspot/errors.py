"""Reads HubSpot's error entries: whom they are about and why, in few words and without anybody's values.

Every field is optional. Values of ``context`` are lists. Property errors come in two shapes: entries in
``errors[]`` with a code, or a JSON array inside the message text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

NOT_FOUND = "OBJECT_NOT_FOUND"
MISSING = ("PROPERTY_DOESNT_EXIST", "INVALID_OPTION")
"""Codes of what the schema step makes: a property, an option."""
CONFLICTS = frozenset({"CONFLICT", "OBJECT_ALREADY_EXISTS"})


def missing_ids(errors: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Return the ids that ``errors`` name as not found, in lower case."""
    return frozenset(i.lower() for e in errors if e.get("category") == NOT_FOUND for i in context_values(e, "ids"))


def context_values(error: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return ``context[name]`` of an error entry as texts; a single value counts as a list of one."""
    context = error.get("context")
    found = context.get(name) if isinstance(context, Mapping) else None
    if found is None:
        return ()
    return tuple(str(v) for v in found) if isinstance(found, list) else (str(found),)


def reason(error: Mapping[str, Any]) -> str:
    """Return category, code and the properties concerned: ``VALIDATION_ERROR INVALID_OPTION cio_lapse_bucket``.

    The vendor's text itself is left out: it repeats the values.
    """
    details = _details(error)
    words = [str(error[k]) for k in ("category", "subCategory") if error.get(k)]
    words += [str(code) for d in details for code in [d.get("code") or d.get("error")] if code]
    names = property_names(error)
    if error.get("category") in CONFLICTS:
        words.insert(0, "409")
    return " ".join(dict.fromkeys([*(words or ["refused"]), *names]))


def property_names(error: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the properties that an error entry blames, each once."""
    return tuple(dict.fromkeys(n for d in (error, *_details(error)) for n in _property_names(d)))


def daily_limit_reached(_retry_after_s: float | None, body: Any) -> str | None:
    """Return what to say if a 429 is about the account's daily limit, which is shared by all its apps; else None."""
    if isinstance(body, Mapping) and body.get("policyName") == "DAILY":
        return "the account's daily API limit is reached; it starts anew at midnight of the account's time zone"
    return None


def _details(error: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    nested = error.get("errors")
    found = [e for e in nested if isinstance(e, Mapping)] if isinstance(nested, list) else []
    return found or _from_message(str(error.get("message") or ""))


def _from_message(message: str) -> list[Mapping[str, Any]]:
    start, end = message.find("["), message.rfind("]")
    if start < 0 or end < start:
        return []
    try:
        found = json.loads(message[start : end + 1])
    except ValueError:
        return []
    return [e for e in found if isinstance(e, Mapping)] if isinstance(found, list) else []


def _property_names(detail: Mapping[str, Any]) -> tuple[str, ...]:
    name = detail.get("name")
    return (*context_values(detail, "propertyName"), *([str(name)] if name else []))
