"""Generates the one SELECT that derives a lane's state, from the activation and an as-of.

Layers, inside out: *inputs* (a person's attributes, the gap each ``expect_next`` goes by, a hash of it all),
*values* (every property and the earliest future instant the clock may change one), *row* (the hashes a
destination's diff compares). ``as_of`` is a constant of the statement: the same raw rows and window always give
the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from cio_activation.activation.models import Activation, Cases, ExpectNext, Flag, Lane, Property
from cio_activation.state import dwell
from cio_activation.state.columns import source, table
from cio_activation.state.rules import derive_property, gap_column, own_gap
from cio_activation.warehouse import stale
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier, literal, scalar, timestamp
from cio_activation.warehouse.tables import MEDIAN_GAPS, SQL_TYPE

_LAYOUT = 2
"""Raised when the generator itself changes what the same definitions give."""


_UNREAD = identifier("unread:")
"""Column of attributes that the person has, as far as is known, and that were never read."""


@dataclass(frozen=True)
class StateSql:
    """The statements of one lane as of one instant, over ``people`` (a relation with the columns of raw.people)."""

    activation: Activation
    lane: Lane
    as_of: datetime
    people: str
    gaps: str = MEDIAN_GAPS

    @classmethod
    def of(cls, activation: Activation, lane: Lane, as_of: datetime) -> StateSql:
        """Return the statements over the lane's own source."""
        return cls(activation, lane, as_of, source(lane))

    @property
    def properties(self) -> tuple[Property, ...]:
        """The lane's properties in file order, which is the order of the columns."""
        return self.activation.lane_properties(self.lane)

    def columns(self) -> dict[str, str]:
        """Return the columns of the state table and their SQL types, in order."""
        return (
            {"cio_id": "VARCHAR"}
            | {p.name: SQL_TYPE[p.type] for p in self.properties}
            | {"row_hash": "UBIGINT"}
            | {hash_column(destination): "UBIGINT" for destination in self.activation.destinations}
            | {"next_transition_at": "TIMESTAMP", "source_hash": "UBIGINT", "as_of": "TIMESTAMP"}
            | dwell.columns(self.properties)
        )

    def select(self, only: str | None = None, before: dwell.Before = dwell.NEVER) -> str:
        """Return the SELECT of the state rows; ``only`` names a relation of ``cio_id`` that it is limited to.

        ``before`` is what values with a ``min_dwell`` are kept from.
        """
        names = [p.name for p in self.properties]
        hashes = [f"{sql} AS {identifier(name)}" for name, sql in self.hashes().items()]
        listed = ["cio_id", *map(identifier, names), *hashes, "next_transition_at", "source_hash", "as_of"]
        listed += map(identifier, dwell.columns(self.properties))
        values = dwell.steadied(self._values(only), self.properties, self.as_of, before)
        return f"SELECT {', '.join(listed)} FROM ({values}) AS v"

    def hashes(self) -> dict[str, str]:
        """Return the columns of hashes that diffs compare, and the SQL of each over a row of properties."""
        found = {"row_hash": _hash([p.name for p in self.properties])}
        for destination in self.activation.destinations:
            delivered = [p.name for p in self.activation.lane_properties(self.lane, destination)]
            found[hash_column(destination)] = _hash(delivered)
        return found

    def inputs(self, *, attributes: tuple[str, ...] = (), only: str | None = None) -> str:
        """Return the SELECT of ``cio_id``, ``source_hash``, the gaps, ``as_of`` and the given attributes.

        ``source_hash`` covers all a row is derived from besides the clock: the raw content, and the fallback gap
        if the person has no own one. So a moved fallback touches exactly the people who depend on it.
        """
        rules = {p.name: p.rule for p in self.properties if isinstance(p.rule, ExpectNext)}
        fallbacks = {name: self._fallback(name, rule) for name, rule in rules.items()}
        hashed = [f"CASE WHEN {own_gap(rules[name], 'p')} IS NULL THEN {sql} END" for name, sql in fallbacks.items()]
        columns = ["p.cio_id", *(f"p.{identifier(a)}" for a in attributes)]
        columns += [f"coalesce({own_gap(rules[n], 'p')}, {sql}) AS {gap_column(n)}" for n, sql in fallbacks.items()]
        source_hash = f"hash({', '.join(['p.content_hash', *hashed])})" if hashed else "p.content_hash"
        if any(_is_judged(p) for p in self.properties):
            # Of few people only: a person without such a value and one with a bad one have the same content.
            source_hash = f"CASE WHEN u.names IS NULL THEN {source_hash} ELSE hash({source_hash}, u.names) END"
            columns.append(f"u.names AS {_UNREAD}")
        columns.append(f"{source_hash} AS source_hash")
        columns.append(f"{timestamp(self.as_of)} AS as_of")
        joins = [
            f"LEFT JOIN {self.gaps} AS {identifier(f'by:{name}')} "
            f"ON {identifier(f'by:{name}')}.property = {literal(name)} "
            f"AND {identifier(f'by:{name}')}.group_value = CAST(p.{identifier(rule.fallback_by)} AS VARCHAR)"
            for name, rule in rules.items()
            if rule.fallback_by is not None
        ]
        if any(_is_judged(p) for p in self.properties):
            joins.append(f"LEFT JOIN ({stale.never_read(self.people)}) AS u ON u.cio_id = p.cio_id")
        # Not IN: a row without an id has to come along, to be refused.
        semi = f"SEMI JOIN {only} AS c ON c.cio_id IS NOT DISTINCT FROM p.cio_id" if only else ""
        return f"SELECT {', '.join(columns)} FROM {self.people} AS p {semi} {' '.join(joins)}"

    def version(self, con: Connection) -> str:
        """Return a hash of all that decides a stored row's meaning: columns, types, rules, zone, DuckDB major.

        DuckDB promises no stable ``hash()`` between major versions.
        """
        used = {a for p in self.properties for a in self.derived(p)[2]}
        definition = {
            "layout": _LAYOUT,
            "duckdb": str(scalar(con, "SELECT version()")).lstrip("v").split(".")[0],
            "timezone": self.activation.workspace.timezone,
            "columns": self.columns(),
            "rules": [
                p.model_dump(mode="json", include={"name", "rule", "type", "labels", "deliver"})
                for p in self.properties
            ],
            "attributes": [
                self.activation.attributes[a].model_dump(mode="json", include={"name", "type"}) for a in sorted(used)
            ],
        }
        if dwells := dwell.definition(self.properties):
            definition["min_dwell"] = dwells
        return hashlib.sha256(json.dumps(definition, sort_keys=False).encode()).hexdigest()[:16]

    def table(self) -> str:
        """Return the state table's name."""
        return table(self.lane)

    def _values(self, only: str | None) -> str:
        values: list[str] = []
        instants: list[str] = []
        attributes: list[str] = []
        for prop in self.properties:
            value, when, reads = self.derived(prop)
            values.append(f"{value} AS {identifier(prop.name)}")
            instants += when
            attributes += reads
        inputs = self.inputs(attributes=tuple(dict.fromkeys(attributes)), only=only)
        least = f"least({', '.join(instants)})" if instants else "NULL"
        listed = ["cio_id", *values, f"CAST({least} AS TIMESTAMP) AS next_transition_at", "source_hash", "as_of"]
        return f"SELECT {', '.join(listed)} FROM ({inputs}) AS i"

    def derived(self, prop: Property) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """Return a property's value, its instants and the attributes it reads, over a row of :meth:`inputs`."""
        derived = derive_property(self.activation, prop, self.as_of)
        value, reads = derived.value, derived.attributes
        if _is_judged(prop) and reads:
            unread = " OR ".join(f"array_contains({_UNREAD}, {literal(name)})" for name in reads)
            value = f"CASE WHEN {unread} THEN NULL ELSE {value} END"
        return value, derived.instants, reads

    def _fallback(self, name: str, rule: ExpectNext) -> str:
        everyone = f"(SELECT days FROM {self.gaps} WHERE property = {literal(name)} AND group_value IS NULL)"
        return everyone if rule.fallback_by is None else f"coalesce({identifier(f'by:{name}')}.days, {everyone})"


def _is_judged(prop: Property) -> bool:
    """Whether a property says something of a missing value too: then that it is missing has to be known."""
    return isinstance(prop.rule, Flag | Cases)


def hash_column(destination: str) -> str:
    """Return the name of the column with the hash of what ``destination`` is given."""
    return f"hash_{destination}"


def _hash(names: list[str]) -> str:
    return f"hash({', '.join(map(identifier, names))})" if names else "CAST(0 AS UBIGINT)"
