"""Customer.io's filter language, as the App API's document defines it for exports and people search.

One key per object: ``and`` and ``or`` hold lists, ``not`` one object, ``segment`` is ``{id}``, ``attribute`` is
``{field, operator, value}`` with the operators ``eq`` and ``exists`` only. Everything else is refused, because a
client that invents an operator must not be answered with everyone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

Person = dict[str, str]
Test = Callable[[Person], bool]
Members = Callable[[int], Collection[str]]
"""Gives the ``cio_id``s in a segment; KeyError for an unknown one."""


class BadFilter(ValueError):
    """The filter breaks the language; the message says where."""


def compile_filter(given: Any, members: Members, path: str = "filters") -> Test:
    """Return a test over a person's attributes. Raises BadFilter."""
    if not isinstance(given, dict) or len(given) != 1:
        raise BadFilter(f"{path}: exactly one of and, or, not, segment, attribute is needed")
    ((key, value),) = given.items()
    if key in ("and", "or"):
        if not isinstance(value, list) or not value:
            raise BadFilter(f"{path}.{key}: a list of conditions is needed")
        tests = [compile_filter(part, members, f"{path}.{key}[{n}]") for n, part in enumerate(value)]
        joined = all if key == "and" else any
        return lambda person: joined(test(person) for test in tests)
    if key == "not":
        inner = compile_filter(value, members, f"{path}.not")
        return lambda person: not inner(person)
    if key == "segment":
        return _segment(value, members, f"{path}.segment")
    if key == "attribute":
        return _attribute(value, f"{path}.attribute")
    raise BadFilter(f"{path}: unknown condition {key!r}")


def _segment(given: Any, members: Members, path: str) -> Test:
    number = given.get("id") if isinstance(given, dict) and set(given) == {"id"} else None
    if not isinstance(number, int) or isinstance(number, bool):
        raise BadFilter(f"{path}: an object with an integer id is needed")
    try:
        inside = frozenset(members(number))
    except KeyError:
        raise BadFilter(f"{path}: no segment {number}") from None
    return lambda person: person["cio_id"] in inside


def _attribute(given: Any, path: str) -> Test:
    if not isinstance(given, dict) or not set(given) <= {"field", "operator", "value"}:
        raise BadFilter(f"{path}: an object with field, operator and value is needed")
    field, operator, value = given.get("field"), given.get("operator"), given.get("value")
    if not isinstance(field, str) or not field:
        raise BadFilter(f"{path}.field: a name is needed")
    if operator == "exists":
        return lambda person: field in person
    if operator == "eq":
        if not isinstance(value, str):
            raise BadFilter(f"{path}.value: text is needed with eq")
        return lambda person: person.get(field) == value
    raise BadFilter(f"{path}.operator: must be eq or exists")
