"""What an expression's parts are, and how the refusal of one reads; shared by ``grammar.py``'s reader."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from sqlglot import exp

from cio_activation.activation.models import AttributeType, PropertyType
from cio_activation.activation.problems import meant

Unit = Literal["days", "hours"]


@dataclass(frozen=True, order=True)
class Clock:
    """An instant at which an expression's value may change though no data does.

    It may change when the whole ``unit`` periods from ``attribute`` to the as-of reach ``n``, that is at
    ``attribute + n units``. ``days_since(x) > 30`` gives n = 31, ``days_since(x) = 30`` gives 30 and 31.
    """

    attribute: str
    unit: Unit
    n: int


class Kind(StrEnum):
    """What a part of an expression gives; only like is compared with like."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TIME = "time"
    NULL = "missing value"
    ANY = "unknown"  # after a problem, so that one mistake is told once


@dataclass(frozen=True)
class Term:
    """One part of an expression: its SQL, what it gives, and what the parts around it need to know."""

    sql: str
    kind: Kind
    column: str | None = None
    literal: str | float | None = None
    clock: tuple[str, Unit] | None = None
    """Attribute and unit of a bare ``days_since``/``hours_since``."""


KINDS: dict[str, Kind] = {
    **dict.fromkeys([AttributeType.NUMBER, AttributeType.INTEGER, AttributeType.MONEY], Kind.NUMBER),
    **dict.fromkeys([AttributeType.TEXT, PropertyType.ENUM], Kind.TEXT),
    **dict.fromkeys([AttributeType.TIMESTAMP, AttributeType.DATE], Kind.TIME),
    **dict.fromkeys([AttributeType.BOOLEAN, PropertyType.FLAG], Kind.BOOLEAN),
}
"""By value: types of the same value in both enums (text, date, number) are one entry."""

UNIT_US = {"days": 86_400_000_000, "hours": 3_600_000_000}
LONGEST = {"days": 36_500, "hours": 876_000}
"""A hundred years: above it, adding the span to a moment could leave what a TIMESTAMP holds."""
CLOCK_FUNCTIONS: dict[str, Unit] = {"days_since": "days", "hours_since": "hours"}
NOW = frozenset({"now", "today", "get_current_timestamp", "transaction_timestamp", "as_of", "age"})
_FUNCTIONS = "abs, coalesce, days_since, greatest, happened, hours_since, least, length, lower, round, times, upper"
BROKEN = Term("NULL", Kind.ANY)


def is_instant(declared: AttributeType | PropertyType | None) -> bool:
    """Tell whether a name declared so is an attribute that a clock can run from."""
    return isinstance(declared, AttributeType) and declared in {AttributeType.TIMESTAMP, AttributeType.DATE}


def refusal(node: exp.Expr) -> str:
    """Return why ``node`` is not let through, and what to write."""
    if isinstance(node, exp.Column) and node.args.get("table") is not None:
        return f"{shown(node)}: names stand alone, without a table"
    if isinstance(node, (exp.CurrentDate, exp.CurrentTime, exp.CurrentTimestamp, exp.Localtimestamp)):
        return no_now(shown(node).lower())
    if isinstance(node, exp.Cast):
        return f"{shown(node)}: casts are not allowed; declare the attribute with the type you need"
    if isinstance(node, exp.Func):
        return no_function(node.sql_name().lower())
    return f"{shown(node)} is not allowed; use comparisons, AND, OR, NOT, IN, BETWEEN, LIKE, CASE and {_FUNCTIONS}"


def no_now(name: str) -> str:
    """Return why no function may ask for the present."""
    return f"{name} is not allowed: the as-of is the only now; write days_since(attribute) or hours_since(attribute)"


def no_function(name: str) -> str:
    """Return that ``name`` is no function of ours, and which are."""
    return f"the function {name} is not allowed{meant(name, _FUNCTIONS.split(', '))} (allowed: {_FUNCTIONS})"


def shown(node: exp.Expr | None) -> str:
    """Return ``node`` as SQL for a message, cut to a readable length."""
    if node is None:
        return "nothing"
    text = node.sql(dialect="duckdb", normalize_functions=False, comments=False)
    return text if len(text) <= 80 else f"{text[:77]}..."


def quoted(name: str) -> str:
    """Return ``name`` as one quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
