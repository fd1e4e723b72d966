"""Buckets that change only once they would have changed for a while: the SQL of ``min_dwell``.

Somebody whose cart sways around 200 would be written, and moved in and out of audiences, with every look. A property
with a ``min_dwell`` keeps its value until another one has stood that long in every window that looked, beside a note
of what waits and since when. So such a value is a function of the raw rows, the window's end and the row before it; a
window that is run again finds its own note and gives the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cio_activation.activation.models import Property, PropertyType
from cio_activation.warehouse.sql import identifier, literal, timestamp
from cio_activation.warehouse.tables import SQL_TYPE

_NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True)
class Before:
    """The rows that are derived anew: their relation, and which of the wanted columns it has, by name and type."""

    relation: str = ""
    columns: frozenset[str] = field(default_factory=frozenset)

    def has(self, prop: Property) -> bool:
        """Tell whether the value of ``prop`` can be compared with one from before."""
        return {prop.name, waiting_column(prop), since_column(prop)} <= self.columns


NEVER = Before()
"""There were no rows: every value is taken at once."""


def waiting_column(prop: Property) -> str:
    """Return the name of the column with the value that waits to be taken."""
    return f"waiting:{prop.name}"


def since_column(prop: Property) -> str:
    """Return the name of the column with the window's end at which it was first seen; NULL while nothing waits."""
    return f"waiting_since:{prop.name}"


def columns(properties: Sequence[Property]) -> dict[str, str]:
    """Return the columns that ``properties`` need beside their values, and their SQL types."""
    found: dict[str, str] = {}
    for prop in _dwelling(properties):
        found |= {waiting_column(prop): SQL_TYPE[prop.type], since_column(prop): "TIMESTAMP"}
    return found


def definition(properties: Sequence[Property]) -> dict[str, float]:
    """Return what decides the meaning of stored values: property -> seconds."""
    return {prop.name: prop.min_dwell.total_seconds() for prop in _dwelling(properties)}


def steadied(values: str, properties: Sequence[Property], as_of: datetime, before: Before) -> str:
    """Return the SELECT ``values`` with each value that has not stood for its ``min_dwell`` replaced by the one before.

    ``next_transition_at`` becomes the instant at which it will have, where that is earlier.
    """
    dwelling = _dwelling(properties)
    if not dwelling:
        return values
    replaced: list[str] = []
    added: list[str] = []
    instants = ["v.next_transition_at"]
    for prop in dwelling:
        name, waiting, since = map(identifier, (prop.name, waiting_column(prop), since_column(prop)))
        if not before.has(prop):
            added += [f"CAST(NULL AS {SQL_TYPE[prop.type]}) AS {waiting}", f"CAST(NULL AS TIMESTAMP) AS {since}"]
            continue
        first_seen = _first_seen(prop, as_of)
        waits = _waits(prop, first_seen, as_of)
        replaced.append(f"CASE WHEN {waits} THEN o.{name} ELSE v.{name} END AS {name}")
        added.append(f"CASE WHEN {waits} THEN v.{name} END AS {waiting}")
        added.append(f"CASE WHEN {waits} THEN {first_seen} END AS {since}")
        instants.append(f"CASE WHEN {waits} THEN {first_seen} + {_span(prop.min_dwell)} END")
    if not replaced:
        return f"SELECT v.*, {', '.join(added)} FROM ({values}) AS v"
    replaced.append(f"least({', '.join(instants)}) AS next_transition_at")
    return (
        f"SELECT v.* REPLACE ({', '.join(replaced)}), {', '.join(added)} FROM ({values}) AS v "
        f"LEFT JOIN {before.relation} AS o ON o.cio_id = v.cio_id"
    )


def _dwelling(properties: Sequence[Property]) -> tuple[Property, ...]:
    return tuple(prop for prop in properties if prop.min_dwell)


def _first_seen(prop: Property, as_of: datetime) -> str:
    """Return SQL for the end of the first window that saw the value derived now, ever since then."""
    waiting, since = (f"o.{identifier(name)}" for name in (waiting_column(prop), since_column(prop)))
    same = f"{since} IS NOT NULL AND {waiting} IS NOT DISTINCT FROM v.{identifier(prop.name)}"
    return f"(CASE WHEN {same} THEN {since} ELSE {timestamp(as_of)} END)"


def _waits(prop: Property, first_seen: str, as_of: datetime) -> str:
    """Return the condition that the value from before is kept: a first value is taken at once, as is a lost label."""
    name = identifier(prop.name)
    known = f"o.{name} IS NOT NULL"
    if prop.type is PropertyType.ENUM:
        known = f"o.{name} IN ({', '.join(map(literal, prop.labels))})"
    # Compared with a constant: instants far out of range never enter arithmetic.
    lasted_less = f"{first_seen} > {timestamp(as_of - prop.min_dwell)}"
    return f"(coalesce({known}, FALSE) AND v.{name} IS DISTINCT FROM o.{name} AND {lasted_less})"


def _span(span: timedelta) -> str:
    return f"to_microseconds({span // timedelta(microseconds=1)})"
