"""The contract of the raw layer, in Pandera: what a published row of ``raw.people`` looks like."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cio_activation.activation.models import Activation, AttributeType
from cio_activation.customerio.people_table import columns
from cio_activation.warehouse.sql import identifier
from cio_activation.warehouse.tables import PEOPLE

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

MAX_TEXT = 10_000
"""Characters. Customer.io takes values of 1,000 bytes; a cell ten times that has swallowed other lines."""
EARLIEST, LATEST = "1900-01-01", "2200-01-01"
"""Instants outside are slips of a unit or of a sign, not dates of a person's life."""


LARGEST_NUMBER = 1e15
"""Beyond it a double no longer holds cents."""
NOT_CELLS = (None, "cio_id", "changed_at")
"""Columns of a breach that is not one of an attribute's value."""


def readable(activation: Activation) -> str:
    """Return the select list that the schema reads: dates as timestamps, since Arrow dates become Python objects."""
    listed = [
        f"CAST({identifier(c.name)} AS TIMESTAMP) AS {identifier(c.name)}"
        if c.type is AttributeType.DATE
        else identifier(c.name)
        for c in columns(activation)
    ]
    return ", ".join([*listed, "changed_at"])


def people_schema(activation: Activation) -> pa.DataFrameSchema:
    """Return the schema of one chunk of people, as ``readable`` selects it.

    A breach of one of ``NOT_CELLS`` refuses the row, any other the cell.
    """
    import pandera.pandas as pa

    # Sources of each check: identifiers have no blanks and at most 150 bytes (Track API document).
    found: dict[str, pa.Column] = {
        "cio_id": pa.Column(str, pa.Check.str_matches(r"^\S{1,150}$", error="no cio_id"), nullable=False),
    }
    for column in columns(activation)[1:]:
        found[column.name] = _column(column.type)
    found["changed_at"] = pa.Column("datetime64[us]", nullable=False)
    return pa.DataFrameSchema(found, strict=False, name=PEOPLE)


def _column(kind: AttributeType) -> pa.Column:
    import pandas as pd
    import pandera.pandas as pa

    if kind is AttributeType.TEXT:
        return pa.Column(str, _check(lambda s: s.str.len() <= MAX_TEXT, "text is too long"), nullable=True)
    if kind in (AttributeType.TIMESTAMP, AttributeType.DATE):
        first, last = pd.Timestamp(EARLIEST), pd.Timestamp(LATEST)
        return pa.Column(
            "datetime64[us]",
            _check(lambda s: s.between(first, last), f"time is not between {EARLIEST} and {LATEST}"),
            nullable=True,
        )
    if kind in (AttributeType.NUMBER, AttributeType.MONEY):
        return pa.Column(
            "float64", _check(lambda s: s.abs() <= LARGEST_NUMBER, "number is out of range"), nullable=True
        )
    # Whole numbers and booleans with gaps have no one pandas type: SQL's own type is the check.
    return pa.Column(nullable=True)


def _check(holds: Callable[[pd.Series[Any]], pd.Series[bool]], reason: str) -> pa.Check:
    """Return a check that lets empty cells pass itself: Pandera would copy the column without them first."""
    import pandera.pandas as pa

    return pa.Check(lambda values: holds(values) | values.isna(), error=reason, ignore_na=False)
