"""What the workspace looks like at one moment: attributes as text, identifiers, members of segments."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import duckdb

from cio_activation.sandbox.facts import ATTRIBUTES, FACTS, wire_sql

Identifiers = tuple[str, str | None, str | None]
"""``cio_id``, ``id``, ``email`` as stored; None where the person has none."""


class Directory:
    """Who can be found by which identifier. ``persons`` maps cio_id to the world's key and the time of creation."""

    def __init__(self, rows: list[tuple[str, str, int, str | None, str | None]]) -> None:
        self.persons = {cio_id: (person, created_at) for cio_id, person, created_at, _, _ in rows}
        self._keys: dict[tuple[str, str], list[str]] = {}
        for cio_id, _, _, external_id, email in rows:
            if external_id:
                self._keys.setdefault(("id", external_id), []).append(cio_id)
            if email:
                self._keys.setdefault(("email", email.lower()), []).append(cio_id)

    @classmethod
    def read(cls, con: duckdb.DuckDBPyConnection) -> Directory:
        """Read everyone from the world's ``people``."""
        return cls(
            con.execute("SELECT cio_id, person, created_at, external_id, email FROM people ORDER BY cio_id").fetchall()
        )

    def find(self, kind: str, value: str, at: int) -> list[str]:
        """Return the cio_ids with that identifier that exist at ``at``. Ids are case-sensitive, e-mails are not."""
        if kind == "cio_id":
            found = [bare] if (bare := value.removeprefix("cio_")) in self.persons else []
        else:
            found = self._keys.get((kind, value.lower() if kind == "email" else value), [])
        return [cio_id for cio_id in found if self.persons[cio_id][1] <= at]


class Picture:
    """Everyone at the moment ``at``. Rows are in order of ``cio_id``; all values are what the API would show."""

    def __init__(
        self,
        at: int,
        table: Any,
        con: duckdb.DuckDBPyConnection,
        custom: Mapping[str, Mapping[str, str]],
        picked: Mapping[int, frozenset[str]],
    ) -> None:
        self.at = at
        self.facts = table
        """Arrow table: one typed row per person (see :data:`cio_activation.sandbox.facts.FACTS`)."""
        self._custom = custom
        self._picked = picked
        self._lock = threading.Lock()
        # A connection of its own, and the table is never changed: the picture outlives the world's next change.
        self._con = con
        con.register("picture", table)

    def __len__(self) -> int:
        return int(self.facts.num_rows)

    @cached_property
    def identifiers(self) -> dict[str, Identifiers]:
        """Everyone's identifiers by ``cio_id``."""
        rows = self._query("SELECT cio_id, id, email FROM picture ORDER BY cio_id")
        return {row[0]: (row[0], row[1], row[2]) for row in rows}

    def members(self, segment: int) -> list[str]:
        """Return the segment's members, in order of ``cio_id``."""
        if segment in self._picked:
            return sorted(c for c in self._picked[segment] if c in self.identifiers)
        return [row[0] for row in self._query(f"SELECT cio_id FROM picture WHERE in_{int(segment)} ORDER BY cio_id")]

    def count(self, segment: int) -> int:
        """Return how many members the segment has."""
        if segment in self._picked:
            return len(self.members(segment))
        return int(self._query(f"SELECT count(*) FROM picture WHERE in_{int(segment)}")[0][0])

    def attributes(self, cio_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        """Return the attributes (absent ones left out) of those of ``cio_ids`` that exist."""
        rows = self._query(_WIRE + " WHERE list_contains($1::VARCHAR[], cio_id)", [list(cio_ids)])
        return {row[2]: self._dressed(row) for row in rows}

    def everyone(self) -> list[dict[str, str]]:
        """Return everyone's attributes, absent ones left out; what was set by hand meanwhile is in."""
        return [self._dressed(row) for row in self._rows]

    @cached_property
    def _rows(self) -> list[tuple[Any, ...]]:
        return self._query(_WIRE + " ORDER BY cio_id")

    def fact(self, cio_id: str) -> dict[str, Any]:
        """Return the typed facts of one person; KeyError if there is none."""
        names = ", ".join(FACTS)
        rows = self._query(f"SELECT {names} FROM picture WHERE cio_id = $1", [cio_id])
        if not rows:
            raise KeyError(cio_id)
        return dict(zip(FACTS, rows[0], strict=True))

    def _dressed(self, row: tuple[Any, ...]) -> dict[str, str]:
        values = {name: value for name, value in zip(ATTRIBUTES, row, strict=True) if value is not None}
        if custom := self._custom.get(row[2]):
            values.update(custom)
            for name in [name for name, value in values.items() if value == ""]:
                del values[name]
        return values

    def _query(self, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._con.execute(sql, parameters or []).fetchall()


_WIRE = "SELECT " + ", ".join(f'{wire_sql(name)} AS "{name}"' for name in ATTRIBUTES) + " FROM picture"
