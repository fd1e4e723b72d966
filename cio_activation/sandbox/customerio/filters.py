"""Customer.io's filter language, as the App API's document defines it for exports and people search.

One key per object: ``and`` and ``or`` hold lists, ``not`` one object, ``segment`` is ``{id}``, ``attribute`` is
``{field, operator, value}`` with the operators ``eq`` and ``exists`` only. Everything else is refused, because a
client that invents an operator must not be answered with everyone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cio_activation.sandbox.world.condition import Condition, column_of, joined, parameter_of

Members = Callable[[int], Condition]
"""Gives the condition of being in a segment; KeyError for an unknown one."""


class BadFilter(ValueError):
    """The filter breaks the language; the message says where."""


def compile_filter(given: Any, members: Members, path: str = "filters") -> Condition:
    """Return the condition a filter stands for. Raises BadFilter."""
    if not isinstance(given, dict) or len(given) != 1:
        raise BadFilter(f"{path}: exactly one of and, or, not, segment, attribute is needed")
    ((key, value),) = given.items()
    if key in ("and", "or"):
        if not isinstance(value, list) or not value:
            raise BadFilter(f"{path}.{key}: a list of conditions is needed")
        return joined(
            key.upper(), [compile_filter(part, members, f"{path}.{key}[{n}]") for n, part in enumerate(value)]
        )
    if key == "not":
        inner = compile_filter(value, members, f"{path}.not")
        return Condition(f"NOT ({inner.sql})", inner.fields, inner.values)
    if key == "segment":
        return _segment(value, members, f"{path}.segment")
    if key == "attribute":
        return _attribute(value, f"{path}.attribute")
    raise BadFilter(f"{path}: unknown condition {key!r}")


def _segment(given: Any, members: Members, path: str) -> Condition:
    number = given.get("id") if isinstance(given, dict) and set(given) == {"id"} else None
    if not isinstance(number, int) or isinstance(number, bool):
        raise BadFilter(f"{path}: an object with an integer id is needed")
    try:
        return members(number)
    except KeyError:
        raise BadFilter(f"{path}: no segment {number}") from None


def _attribute(given: Any, path: str) -> Condition:
    if not isinstance(given, dict) or not set(given) <= {"field", "operator", "value"}:
        raise BadFilter(f"{path}: an object with field, operator and value is needed")
    field, operator, value = given.get("field"), given.get("operator"), given.get("value")
    if not isinstance(field, str) or not field:
        raise BadFilter(f"{path}.field: a name is needed")
    if operator == "exists":
        # Everyone has one; most exports ask with it.
        sql = "TRUE" if field == "cio_id" else f"{column_of(field)} IS NOT NULL"
        return Condition(sql, frozenset({field}))
    if operator == "eq":
        if not isinstance(value, str):
            raise BadFilter(f"{path}.value: text is needed with eq")
        name = parameter_of(value)
        return Condition(f"coalesce({column_of(field)} = ${name}, FALSE)", frozenset({field}), {name: value})
    raise BadFilter(f"{path}.operator: must be eq or exists")
