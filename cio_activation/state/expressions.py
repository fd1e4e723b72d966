"""Asks DuckDB whether every expression of the activation can run, before anything runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from cio_activation.activation.expressions import (
    Expression,
    gate_expression,
    hold_expression,
    rule_expressions,
    scope_expression,
)
from cio_activation.activation.models import Activation, Audience
from cio_activation.errors import ConfigError
from cio_activation.state.columns import attribute_types, gate_lanes, property_types
from cio_activation.warehouse.sessions import Connection, SqlError, scratch
from cio_activation.warehouse.sql import identifier

_OF_AUDIENCES: Mapping[str, Callable[[Activation, Audience], Expression | None]] = {
    "gate": gate_expression,
    "hold_while": hold_expression,
    "launch.only": scope_expression,
}
"""Key of an audience -> how its expression is read."""


def check_expressions(activation: Activation) -> None:
    """Bind every expression there is against typed, empty columns; ConfigError lists all that do not fit."""
    problems: list[str] = []
    with scratch() as con:
        for place, types, read in _expressions(activation):
            try:
                expressions = read()
            except ConfigError as error:
                problems += [f"{place}: {problem}" for problem in error.problems]
                continue
            found = (_problem(con, expression, types) for expression in expressions)
            problems += [f"{place}: {problem}" for problem in found if problem]
    problems += [
        problem for audience in activation.audiences.values() for problem in _out_of_lane(activation, audience)
    ]
    if problems:
        raise ConfigError(*dict.fromkeys(problems))


def _expressions(
    activation: Activation,
) -> Iterator[tuple[str, dict[str, str], Callable[[], tuple[Expression, ...]]]]:
    attributes = attribute_types(activation)
    everything = attributes | {n: t for lane in gate_lanes(None) for n, t in property_types(activation, lane).items()}
    for prop in activation.properties.values():
        yield f"properties.{prop.name}", attributes, lambda p=prop: rule_expressions(activation, p)  # type: ignore[misc]
    for audience in activation.audiences.values():
        for key, read in _OF_AUDIENCES.items():
            place = f"audiences.{audience.name}.{key}"
            yield place, everything, lambda a=audience, r=read: tuple(e for e in (r(activation, a),) if e is not None)  # type: ignore[misc]


def _out_of_lane(activation: Activation, audience: Audience) -> Iterator[str]:
    """Yield a problem for each property an expression reads from a lane that its audience cannot wait for."""
    for key, read in _OF_AUDIENCES.items():
        try:
            expression = read(activation, audience)
        except ConfigError:
            continue  # reported where it was bound
        yield from _foreign(activation, audience, key, expression)


def _foreign(activation: Activation, audience: Audience, key: str, expression: Expression | None) -> Iterator[str]:
    for name in sorted(expression.columns) if expression is not None else ():
        prop = activation.properties.get(name)
        if prop is not None and prop.lane not in gate_lanes(audience.lane):
            yield (
                f"audiences.{audience.name}.{key}: {name} is a {prop.lane.value} property, which a "
                f"{audience.lane.value} audience cannot read; move one of the two to the other lane"
            )


def _problem(con: Connection, expression: Expression, types: dict[str, str]) -> str | None:
    columns = "".join(f", CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in types.items())
    counts = "".join(f", CAST(0 AS BIGINT) AS {identifier(count.column)}" for count in expression.moments)
    row = f"SELECT TIMESTAMP '2026-01-01' AS as_of{columns}{counts}"
    try:
        kind = con.execute(f"DESCRIBE SELECT {expression.sql} AS answer FROM ({row})").fetchall()[0][1]
    except SqlError as error:
        return f"{expression.text!r} cannot run: {_cleaned(str(error))}"
    if kind != "BOOLEAN":
        return f"{expression.text!r} gives {kind}, not true or false; compare it with something"
    return None


def _cleaned(message: str) -> str:
    """Return the first line of DuckDB's message, without the statement it quotes (ours, not the user's)."""
    first = message.strip().split("\n", 1)[0]
    return re.sub(r"^[\w ]+ Error: ", "", first).strip()
