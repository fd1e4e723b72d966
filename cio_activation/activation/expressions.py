"""Boolean expressions of the activation (``gate``, ``flag``, ``when``): checked, and turned into DuckDB SQL.

An expression reads declared names only. Nothing of its text reaches the database: it is parsed, every part is
looked up in an allowlist (``grammar.py``), and new SQL is written from the parts that were understood.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from cio_activation.activation.grammar import Reader
from cio_activation.activation.models import Activation, AttributeType, Audience, Cases, Flag, Property, PropertyType
from cio_activation.activation.moment_terms import MomentCount, spans_told, with_spans
from cio_activation.activation.terms import Clock, Kind
from cio_activation.errors import ConfigError

MAXIMUM_LENGTH = 2_000
"""Characters; keeps the parser's recursion far from its limit."""

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Expression:
    """A checked boolean expression.

    ``sql`` stands in a query that has the ``columns`` (unqualified) and, if there are ``clocks``, a TIMESTAMP
    column ``as_of`` in scope. It fails at run time for no values of the declared types (an instant outside the
    years 1 to 9999 counts as missing), and is NULL where a missing value leaves the answer open. What it asks about
    ``moments`` stands in scope too, see :class:`MomentCount`.
    """

    text: str
    sql: str
    columns: frozenset[str]
    clocks: tuple[Clock, ...]
    moments: tuple[MomentCount, ...] = ()


def parse_expression(
    text: str,
    types: Mapping[str, AttributeType | PropertyType],
    labels: Mapping[str, Sequence[str]] | None = None,
    unchecked: Collection[str] = (),
    *,
    moments: bool = False,
) -> Expression:
    """Return ``text`` as a checked expression over the names of ``types``; ConfigError lists all it breaks.

    ``labels`` gives the closed set of values of enum properties: comparing with another value is an error.
    ``unchecked`` names may stand anywhere (their own declaration is broken and already reported). With ``moments`` it
    may ask for them (``happened``, ``times``).
    """

    text = text.strip()
    reader = Reader(types, labels or {}, frozenset(unchecked), moments=moments)
    try:
        term = reader.value(syntax_tree(text))
    except RecursionError as error:
        raise ConfigError("the expression is nested too deeply; split it up") from error
    if not reader.problems and term.kind not in {Kind.BOOLEAN, Kind.ANY}:
        reader.problems.append(f"the expression gives a {term.kind}, not true or false; compare it with something")
    if not reader.problems and not reader.columns and not reader.moments:
        reader.problems.append("the expression reads no attribute or property; leave it out")
    if reader.problems:
        raise ConfigError(*dict.fromkeys(reader.problems))
    clocks = tuple(sorted(set(reader.clocks)))
    return Expression(text, term.sql, frozenset(reader.columns), clocks, tuple(sorted(reader.moments)))


def vocabulary(
    activation: Activation,
) -> tuple[dict[str, AttributeType | PropertyType], dict[str, tuple[str, ...]]]:
    """Return the types of every name a gate may read, and the labels of those that have a closed set."""
    types: dict[str, AttributeType | PropertyType] = {a.name: a.type for a in activation.attributes.values()}
    types |= {p.name: p.type for p in activation.properties.values()}
    return types, {p.name: p.labels for p in activation.properties.values() if p.labels}


def gate_expression(activation: Activation, audience: Audience) -> Expression | None:
    """Return the audience's gate, or None if membership of its segment is all it takes."""
    return _of_audience(activation, audience.gate)


def gate_conditions(activation: Activation, audience: Audience) -> tuple[Expression, ...]:
    """Return what an audience's gate asks, one by one: the parts that AND joins, in their order."""
    if audience.gate is None:
        return ()
    types, labels = vocabulary(activation)
    found = []
    for part in _joined_by_and(syntax_tree(audience.gate.strip())):
        reader = Reader(types, labels, frozenset(), moments=True)
        term = reader.value(part)
        written = part.sql(dialect="duckdb", normalize_functions=False, comments=False)
        columns, clocks = frozenset(reader.columns), tuple(sorted(set(reader.clocks)))
        found.append(Expression(spans_told(written), term.sql, columns, clocks, tuple(sorted(reader.moments))))
    return tuple(found)


def _joined_by_and(node: exp.Expr) -> list[exp.Expr]:
    inner = node.unnest()
    if not isinstance(inner, exp.And):
        return [inner]
    return [part for side in (inner.this, inner.expression) for part in _joined_by_and(side)]


def hold_expression(activation: Activation, audience: Audience) -> Expression | None:
    """Return what holds people back from a touch audience while it is true; None if nothing does."""
    return _of_audience(activation, audience.hold_while)


def scope_expression(activation: Activation, audience: Audience) -> Expression | None:
    """Return whom alone a touch audience starts with; None if it starts with everybody."""
    return _of_audience(activation, audience.launch.only)


def moments_read(activation: Activation, audience: Audience) -> tuple[MomentCount, ...]:
    """Return what the audience's expressions ask about moments, each name and span once, sorted."""
    texts = (audience.gate, audience.hold_while, audience.launch.only)
    read = (_of_audience(activation, text) for text in texts)
    return tuple(sorted({count for expression in read if expression is not None for count in expression.moments}))


def _of_audience(activation: Activation, text: str | None) -> Expression | None:
    return parse_expression(text, *vocabulary(activation), moments=True) if text is not None else None


def rule_expressions(activation: Activation, prop: Property) -> tuple[Expression, ...]:
    """Return the expressions of a property's rule: one of a flag, one per case in order, none of others."""
    types = {a.name: a.type for a in activation.attributes.values()}
    if isinstance(prop.rule, Flag):
        return (parse_expression(prop.rule.when, types),)
    if isinstance(prop.rule, Cases):
        return tuple(parse_expression(case.when, types) for case in prop.rule.cases)
    return ()


def syntax_tree(text: str) -> exp.Expr:
    """Return the syntax tree of one expression; ConfigError if there is none, or more than one."""
    if not text:
        raise ConfigError("the expression is empty; leave the key out")
    if len(text) > MAXIMUM_LENGTH:
        raise ConfigError(f"the expression has {len(text)} characters, more than {MAXIMUM_LENGTH}; split it up")
    try:
        tokens = sqlglot.tokenize(text, dialect="duckdb")
        _refuse_asides(tokens)
        # Read as a condition, never as a statement: SELECT, ATTACH, COPY and their like are not even parsed.
        return sqlglot.parse_one(with_spans(text, tokens), dialect="duckdb", into=exp.Condition)
    except ParseError as error:
        found = error.errors[0] if error.errors else {}
        near = _ANSI.sub("", str(found.get("highlight") or "")).strip()
        place = f" near {near!r} (character {found.get('col')})" if near else ""
        raise ConfigError(f"cannot be read as one expression{place}; write for example: cart_value >= 200") from error
    except SqlglotError as error:
        raise ConfigError("cannot be read as one expression; check its quotes and brackets") from error


def _refuse_asides(tokens: Sequence[Token]) -> None:
    if any(token.comments for token in tokens):
        raise ConfigError("comments are not allowed in an expression; write a YAML comment (#) above it")
    if any(token.token_type is TokenType.SEMICOLON for token in tokens):
        raise ConfigError("';' is not allowed; write exactly one expression")
