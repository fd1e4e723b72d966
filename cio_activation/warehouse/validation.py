"""Pandera over a query, in Arrow chunks: the verdict is keys, columns and reasons, never cell values.

Not the whole frame and not ``.df()``: chunks through Arrow cost a third and bound the memory (measured). Chunks
cannot see duplicates across each other, so uniqueness is asked in SQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cio_activation.errors import ContractError
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import frames

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

MISSING = "value is missing"
"""The reason of a NULL where a contract allows none."""


@dataclass(frozen=True)
class Breach:
    """One rule that one row breaks. Never holds the value itself."""

    key: str | None
    """The row's key; None: the row has none, which is a breach of its own."""
    column: str | None
    """None: a rule over several columns."""
    reason: str
    """Short, stable, groupable."""


@dataclass(frozen=True)
class Verdict:
    """What a validation found. ``rows`` is how many rows were looked at."""

    rows: int
    breaches: tuple[Breach, ...]


def validate(
    con: Connection, query: str, schema: pa.DataFrameSchema, key: str = "cio_id", most: int | None = None
) -> Verdict:
    """Return every breach of ``schema`` in the result of ``query``, once each, named by the row's ``key`` column.

    ContractError if a column breaks the schema as a whole, or if there are more than ``most`` breaches: too many to
    be bad rows, so the rules or the source are wrong.
    """
    from pandera.errors import SchemaErrors

    rows = 0
    breaches: set[Breach] = set()
    for frame in frames(con, query):
        rows += len(frame)
        try:
            schema.validate(frame, lazy=True)
        except SchemaErrors as errors:
            breaches.update(_breaches(errors.failure_cases, frame[key], schema.name))
        if most is not None and len(breaches) > most:
            first = min(breaches, key=_order)
            raise ContractError(
                f"{schema.name}: more than {most:,} values break the contract (for example {first.column}: "
                f"{first.reason}); nothing was published"
            )
    return Verdict(rows, tuple(sorted(breaches, key=_order)))


def _breaches(cases: pd.DataFrame, keys: pd.Series[Any], name: object) -> Iterator[Breach]:
    """Yield Pandera's failure cases without the values they carry. ``keys``: those of the chunk's rows, in order."""
    for context, column, check, index in zip(
        cases["schema_context"], cases["column"], cases["check"], cases["index"], strict=True
    ):
        if index is None or index != index:
            raise ContractError(f"{name}: column {column} breaks the contract as a whole ({check})")
        key = keys.iloc[int(index)]
        # A failed whole-row check yields one case per column of the frame: one breach a row is meant.
        named = None if context == "DataFrameSchema" else str(column)
        reason = MISSING if check == "not_nullable" else str(check)
        yield Breach(None if key is None or key != key else str(key), named, reason)


def _order(breach: Breach) -> tuple[str, str, str]:
    return breach.key or "", breach.column or "", breach.reason
