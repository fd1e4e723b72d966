"""One rule of the activation as SQL: the value it gives, and the instants at which the clock alone may change it.

The SQL is written over a row that has the declared attributes as columns, ``as_of``, and for each ``expect_next``
property the gap to use (:func:`gap_column`). Instants are compared with constants computed here (``as_of`` less the
offset), so a time far out of range never enters date arithmetic, which would abort the whole statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cio_activation.activation.expressions import Expression, rule_expressions
from cio_activation.activation.models import (
    Activation,
    AttributeType,
    Cases,
    DaysSince,
    ExpectNext,
    Flag,
    Property,
    PropertyType,
    Tiers,
    Value,
)
from cio_activation.activation.terms import Clock
from cio_activation.state.timezone_sql import local_time
from cio_activation.warehouse.sql import identifier, literal, timestamp
from cio_activation.warehouse.tables import SQL_TYPE

LONGEST_GAP_DAYS = 36_500
"""A gap above a century is taken for a mistake, as is one of zero or less: both count as missing."""
_FIRST, _LAST = datetime(1, 1, 1), datetime(9000, 1, 1)
_UNITS = {"days": timedelta(days=1), "hours": timedelta(hours=1)}


@dataclass(frozen=True)
class Derived:
    """A property's SQL: ``value``, and ``instants``, each NULL or the next future time the value may change at."""

    value: str
    instants: tuple[str, ...]
    attributes: tuple[str, ...]


def gap_column(name: str) -> str:
    """Return the (quoted) column that holds the gap in days the ``expect_next`` property ``name`` goes by."""
    return identifier(f"gap:{name}")


def own_gap(rule: ExpectNext, people: str) -> str:
    """Return SQL for the own gap in days of a row of ``people`` (an alias); NULL if there is none to believe."""
    every = f"CAST({people}.{identifier(rule.every)} AS DOUBLE)"
    return f"CASE WHEN {every} > 0 AND {every} <= {LONGEST_GAP_DAYS} THEN {every} END"


def derive_property(activation: Activation, prop: Property, as_of: datetime) -> Derived:
    """Return the SQL of ``prop`` as of ``as_of`` (naive UTC)."""
    match prop.rule:
        case DaysSince() as rule:
            return _days_since(activation, rule, as_of)
        case Tiers() as rule:
            return _tiers(activation, rule)
        case ExpectNext() as rule:
            return _expect_next(activation, prop.name, rule)
        case Flag():
            expressions = rule_expressions(activation, prop)
            return _expressed(activation, f"coalesce({expressions[0].sql}, FALSE)", expressions, as_of)
        case Cases() as rule:
            expressions = rule_expressions(activation, prop)
            return _expressed(activation, _cases(rule, expressions), expressions, as_of)
        case Value() as rule:
            return _value(activation, prop, rule, as_of)


def as_timestamp(activation: Activation, attribute: str) -> str:
    """Return SQL for the attribute as TIMESTAMP; a date counts from its midnight, UTC."""
    column = identifier(attribute)
    is_date = activation.attributes[attribute].type is AttributeType.DATE
    return f"CAST({column} AS TIMESTAMP)" if is_date else column


def next_instant(activation: Activation, clock: Clock, as_of: datetime) -> str:
    """Return SQL for when an expression may change by ``clock``, NULL if it does not after ``as_of`` (naive UTC)."""
    return _next_of(as_timestamp(activation, clock.attribute), [_UNITS[clock.unit] * clock.n], as_of)


def _days_since(activation: Activation, rule: DaysSince, as_of: datetime) -> Derived:
    column = as_timestamp(activation, rule.attribute)
    offsets = [timedelta(days=edge + 1) for edge in rule.edges]
    branches = [
        f"WHEN {column} > {timestamp(as_of - offset)} THEN {literal(label)}"
        for offset, label in zip(offsets, rule.labels, strict=False)
    ]
    value = f"CASE WHEN {column} IS NULL THEN NULL {' '.join(branches)} ELSE {literal(rule.labels[-1])} END"
    return Derived(value, (_next_of(column, offsets, as_of),), (rule.attribute,))


def _tiers(activation: Activation, rule: Tiers) -> Derived:
    column = identifier(rule.attribute)
    missing = f"{column} IS NULL"
    if activation.attributes[rule.attribute].type is not AttributeType.INTEGER:
        missing += f" OR isnan({column})"
    branches = [
        f"WHEN {column} < CAST({edge!r} AS DOUBLE) THEN {literal(label)}"
        for edge, label in zip(rule.edges, rule.labels, strict=False)
    ]
    value = f"CASE WHEN {missing} THEN NULL {' '.join(branches)} ELSE {literal(rule.labels[-1])} END"
    return Derived(value, (), (rule.attribute,))


def _expect_next(activation: Activation, name: str, rule: ExpectNext) -> Derived:
    since = as_timestamp(activation, rule.since)
    gap = f"to_microseconds(CAST(round({gap_column(name)} * 86400000000) AS BIGINT))"
    believable = f"{since} > {timestamp(_FIRST)} AND {since} < {timestamp(_LAST)}"
    expected = f"CASE WHEN {believable} THEN {since} + {gap} END"
    edges = [f"({expected} + {_interval(span)})" for span in (rule.open, timedelta(0), rule.close)]
    value = (
        f"CASE WHEN {expected} IS NULL THEN NULL "
        + " ".join(
            f"WHEN as_of < {edge} THEN {literal(label)}" for edge, label in zip(edges, rule.labels, strict=False)
        )
        + f" ELSE {literal(rule.labels[-1])} END"
    )
    attributes = (rule.since, rule.every) + ((rule.fallback_by,) if rule.fallback_by else ())
    return Derived(value, tuple(f"CASE WHEN {edge} > as_of THEN {edge} END" for edge in edges), attributes)


def _cases(rule: Cases, expressions: Sequence[Expression]) -> str:
    branches = [
        f"WHEN {expression.sql} THEN {literal(case.label)}"
        for expression, case in zip(expressions, rule.cases, strict=True)
    ]
    otherwise = "NULL" if rule.otherwise is None else literal(rule.otherwise)
    return f"CASE {' '.join(branches)} ELSE {otherwise} END"


def _expressed(activation: Activation, value: str, expressions: Sequence[Expression], as_of: datetime) -> Derived:
    """Return ``value`` with the next instant for each attribute whose age ``expressions`` look at."""
    offsets: dict[str, set[timedelta]] = {}
    for clock in (clock for expression in expressions for clock in expression.clocks):
        offsets.setdefault(clock.attribute, set()).add(_UNITS[clock.unit] * clock.n)
    instants = tuple(
        _next_of(as_timestamp(activation, attribute), sorted(spans), as_of)
        for attribute, spans in sorted(offsets.items())
    )
    read = sorted({column for expression in expressions for column in expression.columns})
    return Derived(value, instants, tuple(read))


def _value(activation: Activation, prop: Property, rule: Value, as_of: datetime) -> Derived:
    column = identifier(rule.attribute)
    kind = activation.attributes[rule.attribute].type
    if prop.type is PropertyType.DATE and kind is AttributeType.TIMESTAMP:
        column = local_time(column, activation.workspace.timezone, as_of)
    elif kind in (AttributeType.NUMBER, AttributeType.MONEY):
        column = f"CASE WHEN NOT isnan({column}) THEN {column} END"
    return Derived(f"CAST({column} AS {SQL_TYPE[prop.type]})", (), (rule.attribute,))


def _next_of(column: str, offsets: Sequence[timedelta], as_of: datetime) -> str:
    """Return SQL for the earliest of ``column + offset`` (offsets ascending) that lies after ``as_of``, else NULL.

    Offsets longer than the calendar behind ``as_of`` are never reached and left out, as are times past 9000.
    """
    branches = [
        f"WHEN {column} > {timestamp(as_of - offset)} THEN {column} + {_interval(offset)}"
        for offset in offsets
        if _FIRST - as_of < -offset < _LAST - as_of
    ]
    if not branches:
        return "CAST(NULL AS TIMESTAMP)"
    return f"CASE WHEN {column} >= {timestamp(_LAST)} THEN NULL {' '.join(branches)} END"


def _interval(span: timedelta) -> str:
    return f"to_microseconds({span // timedelta(microseconds=1)})"
