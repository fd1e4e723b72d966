"""A condition on people, in SQL: what a snapshot is asked with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Condition:
    """``sql`` is true or false, never NULL.

    ``fields``: the attributes it looks at, each by the name of the column that holds its text (:func:`column_of`).
    ``values``: its parameters by name.
    """

    sql: str
    fields: frozenset[str] = frozenset()
    values: dict[str, Any] = field(default_factory=dict)


EVERYONE = Condition("TRUE")


def column_of(attribute: str) -> str:
    """Return the column of an attribute; names may be anything, and DuckDB's own differ by more than case."""
    return f"a_{hashlib.md5(attribute.encode(errors='surrogatepass')).hexdigest()}"


def parameter_of(value: str) -> str:
    """Return the name of the parameter that holds ``value``."""
    return f"v_{hashlib.md5(value.encode(errors='surrogatepass')).hexdigest()}"


def joined(word: str, parts: list[Condition]) -> Condition:
    """Return ``parts`` joined by AND or OR."""
    return Condition(
        f" {word} ".join(f"({part.sql})" for part in parts),
        frozenset().union(*(part.fields for part in parts)),
        {name: value for part in parts for name, value in part.values.items()},
    )
