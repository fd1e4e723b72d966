"""Pandera over a query, in Arrow chunks: the verdict is keys, columns and checks, never cell values.

Not the whole frame and not ``.df()``: chunks through Arrow cost a third and bound the memory (measured). Chunks
cannot see duplicates across each other, so uniqueness is asked in SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import frames

if TYPE_CHECKING:
    import pandera.pandas as pa


@dataclass(frozen=True, order=True)
class Breach:
    """One row that breaks one check. ``column`` is None for a check over the whole row."""

    key: str | None
    column: str | None
    check: str


@dataclass(frozen=True)
class Verdict:
    """What a validation found. ``rows`` is how many rows were looked at."""

    rows: int
    breaches: tuple[Breach, ...]


def validate(con: Connection, query: str, schema: pa.DataFrameSchema, key: str = "cio_id") -> Verdict:
    """Return every breach of ``schema`` in the result of ``query``, each named by the row's ``key`` column."""
    from pandera.errors import SchemaErrors

    rows = 0
    breaches: set[Breach] = set()
    for frame in frames(con, query):
        rows += len(frame)
        frame = frame.reset_index(drop=True)
        try:
            schema.validate(frame, lazy=True)
        except SchemaErrors as errors:
            keys = frame[key]
            for column, check, index, context in zip(
                errors.failure_cases["column"],
                errors.failure_cases["check"],
                errors.failure_cases["index"],
                errors.failure_cases["schema_context"],
                strict=True,
            ):
                # A failed whole-row check yields one case per column of the frame: one breach a row is meant.
                named = None if context == "DataFrameSchema" else str(column)
                at = None if index is None or index != index else keys.iloc[int(index)]
                breaches.add(Breach(None if at is None or at != at else str(at), named, str(check)))
    return Verdict(rows, tuple(sorted(breaches, key=lambda b: (b.key or "", b.column or "", b.check))))
