"""What the workspace looks like at one instant: attributes as text, identifiers, members of segments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import duckdb

from cio_activation.sandbox.world.condition import EVERYONE, Condition, column_of, joined
from cio_activation.sandbox.world.custom_attributes import Custom, custom_attributes_sql
from cio_activation.sandbox.world.facts import ATTRIBUTES, FACTS, wire_sql

Identifiers = tuple[str, str | None, str | None]
"""``cio_id``, ``id``, ``email`` as stored; None where the person has none."""
AT_ONCE = 50_000
"""People whose lines of a file are held at once, about."""


class Table:
    """A table of the world's database that goes with the last one who holds it."""

    def __init__(self, con: duckdb.DuckDBPyConnection, name: str) -> None:
        self._con, self.name = con, name

    def __del__(self) -> None:
        with suppress(duckdb.Error):
            self._con.cursor().execute(f"DROP TABLE {self.name}")


@dataclass(eq=False)
class Base:
    """Everyone's facts at the instant ``at``, with all actions up to number ``seen``, in order of ``cio_id``."""

    table: Table
    at: int
    seen: int


class Snapshot:
    """Everyone at the instant ``at``; all values are what the API would show, all lists in order of ``cio_id``.

    It shows two tables that never change, so that it outlives the world's next change: ``base``, and ``beside`` it
    those who were acted on since (``touched``, with no facts if they are gone). Every question takes a connection
    of its own: a long export holds up no other call.
    """

    def __init__(
        self,
        at: int,
        con: duckdb.DuckDBPyConnection,
        base: Base,
        beside: Table | None,
        custom: Custom,
        picked: Mapping[int, frozenset[str]],
    ) -> None:
        self.at = at
        self.base = base
        self._beside = beside
        self._con = con
        self._custom = custom
        self._picked = picked
        self._rows = base.table.name
        if beside:
            self._rows = (
                f"(SELECT b.* FROM {self._rows} AS b ANTI JOIN {beside.name} AS t ON t.touched = b.cio_id "
                f"UNION ALL BY NAME SELECT * EXCLUDE (touched) FROM {beside.name} WHERE cio_id IS NOT NULL)"
            )

    def __len__(self) -> int:
        return int(self._query(f"SELECT count(*) FROM {self._rows}")[0][0])

    @cached_property
    def facts(self) -> Any:
        """Arrow table: one typed row per person (see :data:`cio_activation.sandbox.world.facts.FACTS`)."""
        return self._con.cursor().sql(f"SELECT * FROM {self._rows} ORDER BY cio_id").to_arrow_table()

    @cached_property
    def identifiers(self) -> dict[str, Identifiers]:
        """Everyone's identifiers by ``cio_id``: for small worlds."""
        return {row[0]: row for row in self.page(EVERYONE)}

    def members(self, segment: int) -> list[str]:
        """Return the segment's members."""
        return [row[0] for row in self.page(self.member(segment))]

    def member(self, segment: int, shown: int | None = None) -> Condition:
        """Return the condition of being in a segment, among its first ``shown`` members if that is given."""
        if segment in self._picked:
            name = f"picked_{int(segment)}"
            among = Condition(f"cio_id IN (SELECT unnest(${name}::VARCHAR[]))", values={name: [*self._picked[segment]]})
        else:
            among = Condition(f"in_{int(segment)}")
        if shown is None:
            return among
        first = f"SELECT cio_id FROM {self._rows} WHERE {among.sql} ORDER BY cio_id LIMIT {int(shown)}"
        return Condition(f"cio_id IN ({first})", values=among.values)

    def count(self, segment: int) -> int:
        """Return how many members the segment has."""
        return self.how_many(self.member(segment))

    def how_many(self, condition: Condition) -> int:
        """Return for how many people the condition holds."""
        sql = f"SELECT count(*) FROM {self._rows} WHERE {condition.sql}"
        return int(self._query(sql, condition.values)[0][0])

    def page(self, condition: Condition, *, after: str = "", limit: int | None = None) -> list[Identifiers]:
        """Return people for whom the condition holds, the first ``limit`` of those after the cio_id ``after``."""
        con = self._con.cursor()
        top = "" if limit is None else f" LIMIT {int(limit)}"
        return con.execute(
            f"""
            SELECT cio_id, id, email FROM ({custom_attributes_sql(con, self._rows, condition.fields, self._custom)})
            WHERE ({condition.sql}) AND cio_id > $after
            ORDER BY cio_id{top}
            """,
            {**condition.values, "after": after},
        ).fetchall()

    def among(self, cio_ids: Sequence[str], condition: Condition = EVERYONE) -> dict[str, Identifiers]:
        """Return the identifiers of those of ``cio_ids`` that exist and for whom the condition holds."""
        sql = f"SELECT cio_id, id, email FROM {self._rows} WHERE ({condition.sql}) AND cio_id IN ({_list(cio_ids)})"
        return {row[0]: row for row in self._query(sql, condition.values)} if cio_ids else {}

    def attributes(self, cio_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        """Return the attributes (absent ones left out) of those of ``cio_ids`` that exist."""
        if not cio_ids:
            return {}
        rows = self._query(f"SELECT {_WIRE} FROM {self._rows} WHERE cio_id IN ({_list(cio_ids)})")
        return {row[2]: self._with_custom(row) for row in rows}

    def everyone(self) -> list[dict[str, str]]:
        """Return everyone's attributes, absent ones left out; what was set by hand meanwhile is in.

        For small worlds.
        """
        return [self._with_custom(row) for row in self._query(f"SELECT {_WIRE} FROM {self._rows} ORDER BY cio_id")]

    def custom_names(self, condition: Condition) -> list[str]:
        """Return the attributes beyond the usual ones that anybody has for whom the condition holds."""
        names = sorted({name for _, given in list(self._custom.items()) for name in list(given)} - {*ATTRIBUTES})
        return [name for name in names if self._anybody_has(name, condition)]

    def _anybody_has(self, name: str, condition: Condition) -> bool:
        con = self._con.cursor()
        held = Condition(f"{column_of(name)} IS NOT NULL", frozenset({name}))
        both = joined("AND", [held, condition])
        source = custom_attributes_sql(con, self._rows, both.fields, self._custom)
        return bool(con.execute(f"SELECT 1 FROM ({source}) WHERE {both.sql} LIMIT 1", both.values).fetchall())

    def lines(self, columns: Sequence[str], condition: Condition) -> Iterable[tuple[int, str]]:
        """Yield CSV lines of those attributes, as (people, text), of everyone for whom the condition holds."""
        con = self._con.cursor()
        source = custom_attributes_sql(con, self._rows, {*columns, *condition.fields}, self._custom)
        line = " || ',' || ".join(_cell(column_of(name)) for name in columns)
        for within in _slices(len(self)):
            (row,) = con.execute(
                f"""
                SELECT count(*), coalesce(string_agg({line} || chr(10), '' ORDER BY cio_id), '')
                FROM ({source}) WHERE {within} AND ({condition.sql})
                """,
                condition.values,
            ).fetchall()
            yield int(row[0]), str(row[1])

    def fact(self, cio_id: str) -> dict[str, Any]:
        """Return the typed facts of one person; KeyError if there is none."""
        rows = self._query(f"SELECT {', '.join(FACTS)} FROM {self._rows} WHERE cio_id = $who", {"who": cio_id})
        if not rows:
            raise KeyError(cio_id)
        return dict(zip(FACTS, rows[0], strict=True))

    def _with_custom(self, row: tuple[Any, ...]) -> dict[str, str]:
        values = {name: value for name, value in zip(ATTRIBUTES, row, strict=True) if value is not None}
        if custom := self._custom.get(row[2]):
            values.update(custom)
            for name in [name for name, value in values.items() if value == ""]:
                del values[name]
        return values

    def _query(self, sql: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        return self._con.cursor().execute(sql, parameters or {}).fetchall()


_WIRE = ", ".join(f'{wire_sql(name)} AS "{name}"' for name in ATTRIBUTES)


def _list(cio_ids: Iterable[str]) -> str:
    return ", ".join("'" + cio_id.replace("'", "''") + "'" for cio_id in cio_ids)


def _cell(column: str) -> str:
    """Return SQL for a text as a CSV cell, in quotes where it needs them."""
    quoted = f"""'"' || replace({column}, '"', '""') || '"'"""
    return f"""CASE WHEN regexp_matches({column}, '[",\\r\\n]') THEN {quoted} ELSE coalesce({column}, '') END"""


def _slices(people: int) -> list[str]:
    """Return conditions that part everyone, in order of cio_id, into lots of about :data:`AT_ONCE`."""
    if people <= AT_ONCE:
        return ["TRUE"]
    edges = ["", *"123456789abcdef", "g"]
    return [f"cio_id >= '{low}' AND cio_id < '{high}'" for low, high in pairwise(edges)]
