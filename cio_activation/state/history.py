"""What people's properties were: a row for each change, with why, written by the differences a derivation finds.

A derivation replaces rows; before it does, whoever comes out different is compared with the row that goes. Nobody else
is looked at, and who has no change has no row: the value before somebody's first change stands in that change, and the
value of everybody else is the present one.

Why a value changed is told apart by deriving it once more, of these people only, from what is known now as of the
window before: if that gives the old value, the clock alone changed it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from cio_activation.activation.models import Property
from cio_activation.activation.windows import Window
from cio_activation.state.sql import StateSql
from cio_activation.warehouse import activations, published
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier, literal, scalar, timestamp
from cio_activation.warehouse.tables import DERIVATIONS, SQL_TYPE, STALE_CELLS, STATE_VERSIONS, VALUE_CHANGES, split

_CHANGED, _EARLIER, _STALE = "history_changed", "history_earlier", "history_stale"


class History:
    """The history that one derivation writes."""

    def __init__(self, con: Connection, statements: StateSql, window: Window, run_id: str) -> None:
        self.con, self.sql, self.window, self.run_id = con, statements, window, run_id
        self.activation = activations.note(con, statements.activation, window)
        self.last = published.newest(con, statements.table(), window.lane.value)
        self.retention = statements.activation.workspace.history_retention
        con.execute(
            f"""CREATE OR REPLACE TEMP TABLE {_STALE} AS
            SELECT cio_id, "column" FROM {STALE_CELLS} WHERE relation = {literal(statements.table())}"""
        )

    def begin(self) -> None:
        """Note that the lane has its first table: what its values are for whom is not listed."""
        if self.retention > timedelta(0):
            self._enter([p.name for p in self.sql.properties])

    def note(self, new: str, old: str, *, rebuilt: bool) -> int:
        """Note how the rows of ``new`` differ from those of ``old``, both relations; return how many of ``new`` do.

        People that only ``old`` has have departed. ``rebuilt``: the definitions changed, and so may have the columns.
        """
        had = self._columns() if rebuilt else {p.name: SQL_TYPE[p.type] for p in self.sql.properties}
        both = [p for p in self.sql.properties if p.name in had]
        # A property that became of another type is compared, and told, as text.
        old_values = {p.name: _as_now(p, had[p.name]) for p in both}
        pairs = "".join(f", n.{identifier(p.name)}, {old_values[p.name]} AS {_was(p)}" for p in both)
        differ = "n.row_hash IS DISTINCT FROM o.row_hash"
        if rebuilt:
            compared = (f"{_now(p, had[p.name])} IS DISTINCT FROM {old_values[p.name]}" for p in both)
            differ = " OR ".join(["n.cio_id IS NULL", "o.cio_id IS NULL", *compared])
        self.con.execute(
            f"""CREATE OR REPLACE TEMP TABLE {_CHANGED} AS
            SELECT coalesce(n.cio_id, o.cio_id) AS cio_id, o.cio_id IS NULL AS arrived,
                n.cio_id IS NULL AS departed{pairs}
            FROM {new} AS n FULL JOIN {old} AS o ON o.cio_id = n.cio_id WHERE {differ}"""
        )
        if self.retention > timedelta(0):
            self._write(both, rebuilt=rebuilt)
        return int(str(scalar(self.con, f"SELECT count(*) FROM {_CHANGED} WHERE NOT departed")))

    def forget(self) -> None:
        """Drop what is older than the retention, by whole days, so that only a day's first derivation has to."""
        old = f"lane = ? AND as_of < date_trunc('day', {timestamp(self.window.as_of)}) - to_seconds(?)"
        given: list[object] = [self.window.lane.value, self.retention.total_seconds()]
        if scalar(self.con, f"SELECT count(*) FROM {DERIVATIONS} WHERE {old}", given):
            gone = f"SELECT derivation FROM {DERIVATIONS} WHERE {old}"
            self.con.execute(f"DELETE FROM {VALUE_CHANGES} WHERE derivation IN ({gone})", given)
            self.con.execute(f"DELETE FROM {DERIVATIONS} WHERE {old}", given)

    def _write(self, both: list[Property], *, rebuilt: bool) -> None:
        ruled = self._ruled() if rebuilt else frozenset()
        parts = []
        if scalar(self.con, f"SELECT count(*) FROM {_CHANGED}") and both:
            self._derive_earlier(both)
            parts = [self._changes(p, by_rule=p.name in ruled) for p in both]
        old = self._columns().keys() - {p.name for p in self.sql.properties} if rebuilt else set()
        parts += [_ended(self.sql.table(), name) for name in sorted(old & self._properties_before())]
        begins = [p.name for p in self.sql.properties if p not in both]
        number = self._next()
        written = 0
        if parts:
            self.con.execute(
                f"""INSERT INTO {VALUE_CHANGES} BY NAME
                SELECT {number} AS derivation, * FROM ({" UNION ALL ".join(parts)})
                ORDER BY property, why, before, after, cio_id"""
            )
            written = int(str(scalar(self.con, f"SELECT count(*) FROM {VALUE_CHANGES} WHERE derivation = {number}")))
        if written or begins:
            self._enter(begins, number)

    def _derive_earlier(self, both: list[Property]) -> None:
        """Derive the values that those who changed would have had as of the window before, from what is known now."""
        before = self.last if self.last is not None else self.window.as_of
        earlier = StateSql(self.sql.activation, self.sql.lane, before, self.sql.people, self.sql.gaps)
        listed: list[str] = ["cio_id"]
        attributes: list[str] = []
        for prop in both:
            value, _, read = earlier.derived(prop)
            attributes += read
            pairs = ", ".join(f"{literal(name)}, {self._shown(name)}" for name in read)
            listed += [f"{value} AS {_then(prop)}", f"CAST(json_object({pairs}) AS VARCHAR) AS {_inputs(prop)}"]
        source = earlier.inputs(attributes=tuple(dict.fromkeys(attributes)), only=_CHANGED)
        self.con.execute(f"CREATE OR REPLACE TEMP TABLE {_EARLIER} AS SELECT {', '.join(listed)} FROM ({source}) AS i")

    def _changes(self, prop: Property, *, by_rule: bool) -> str:
        """Return the SELECT of whose value of ``prop`` changed, and why."""
        now, was = f"CAST(m.{identifier(prop.name)} AS VARCHAR)", f"CAST(m.{_was(prop)} AS VARCHAR)"
        ticked = self.last is not None and self.last < self.window.as_of
        same = f"CAST(e.{_then(prop)} AS VARCHAR) IS NOT DISTINCT FROM {was}" if ticked else "FALSE"
        stale = f"""SELECT cio_id FROM {_STALE} WHERE "column" IS NULL OR "column" = {literal(prop.name)}"""
        return f"""SELECT m.cio_id, {literal(prop.name)} AS property, {was} AS before, {now} AS after,
                CASE WHEN m.departed THEN 'departed' WHEN m.arrived THEN 'arrived' WHEN {by_rule} THEN 'rule'
                    WHEN m.cio_id IN ({stale}) THEN 'last_good' WHEN {same} THEN 'clock' ELSE 'attribute' END AS why,
                e.{_inputs(prop)} AS inputs
            FROM {_CHANGED} AS m LEFT JOIN {_EARLIER} AS e ON e.cio_id = m.cio_id
            WHERE {now} IS DISTINCT FROM {was}"""

    def _enter(self, begins: list[str], number: int | None = None) -> None:
        self.con.execute(
            f"INSERT INTO {DERIVATIONS} VALUES (?, ?, ?, ?, ?, ?, ?)",
            [number or self._next(), self.window.lane.value, self.window.key, self.window.as_of, self.run_id,
             self.activation, begins],
        )  # fmt: skip

    def _next(self) -> int:
        return int(str(scalar(self.con, f"SELECT coalesce(max(derivation), 0) + 1 FROM {DERIVATIONS}")))

    def _before(self) -> Mapping[str, Any]:
        """Return the rules by which the present table was derived; nothing of a home that did not retain them."""
        name = self.con.execute(
            f"SELECT activation FROM {STATE_VERSIONS} WHERE lane = ?", [self.window.lane.value]
        ).fetchall()
        return (activations.rules(self.con, name[0][0]) if name else None) or {}

    def _properties_before(self) -> set[str]:
        return set(self._before().get("properties", {}))

    def _ruled(self) -> frozenset[str]:
        """Return the properties whose definition, or one of whose attributes', is another one than before."""
        before, now = self._before(), json.loads(self.sql.activation.model_dump_json())
        if not before or before["workspace"]["timezone"] != now["workspace"]["timezone"]:
            return frozenset(p.name for p in self.sql.properties)
        return frozenset(
            p.name
            for p in self.sql.properties
            if _definition(before["properties"].get(p.name)) != _definition(now["properties"][p.name])
            or any(
                before["attributes"].get(a, {}).get("type") != now["attributes"][a]["type"]
                for a in self.sql.derived(p)[2]
            )
        )

    def _columns(self) -> dict[str, str]:
        """Return the columns that the present table has, with their types."""
        rows = self.con.execute(
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_catalog = current_database() AND table_schema = ? AND table_name = ?",
            [*split(self.sql.table())],
        ).fetchall()
        return {str(name): str(kind) for name, kind in rows}

    def _shown(self, name: str) -> str:
        """Return SQL of an attribute as JSON may hold it; contact data never goes in."""
        activation = self.sql.activation
        profile, attribute = activation.profile, activation.attributes[name]
        if attribute.source in {"email", profile.phone, profile.first_name, profile.last_name}:
            return "'(personal, not kept)'"
        value = f"i.{identifier(name)}"
        return f"CASE WHEN isfinite({value}) THEN {value} END" if SQL_TYPE[attribute.type] == "DOUBLE" else value


def _ended(table: str, name: str) -> str:
    """Return the SELECT of the values of a property that the activation has no more."""
    value = identifier(name)
    return f"""SELECT cio_id, {literal(name)} AS property, CAST({value} AS VARCHAR) AS before, NULL AS after,
            'rule' AS why, NULL AS inputs
        FROM {table} WHERE {value} IS NOT NULL"""


def _definition(prop: Mapping[str, Any] | None) -> Any:
    return None if prop is None else [prop.get(key) for key in ("rule", "type", "labels")]


def _now(prop: Property, had: str) -> str:
    """Return a value of the new row, to be compared with one that was of the type ``had``."""
    now = f"n.{identifier(prop.name)}"
    return now if had == SQL_TYPE[prop.type] else f"CAST({now} AS VARCHAR)"


def _as_now(prop: Property, had: str) -> str:
    """Return a value of the old row, which is of the type ``had``."""
    was = f"o.{identifier(prop.name)}"
    return was if had == SQL_TYPE[prop.type] else f"CAST({was} AS VARCHAR)"


def _was(prop: Property) -> str:
    return identifier(f"was:{prop.name}")


def _then(prop: Property) -> str:
    return identifier(f"then:{prop.name}")


def _inputs(prop: Property) -> str:
    return identifier(f"inputs:{prop.name}")
