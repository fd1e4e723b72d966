"""The export read with pandas, typed cell by cell as landing does it: the peer's first half."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from cio_activation.activation.models import Activation, AttributeType
from cio_activation.customerio.people_table import columns, sources

Frame = pd.DataFrame
Series = pd.Series  # of whatever the column holds


def read(path: Path, activation: Activation) -> tuple[Frame, Frame]:
    """Return the people with typed columns, and the cells that could not be read as (cio_id, column)."""
    received = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""], usecols=list(sources(activation)))
    people: dict[str, Any] = {}
    bad: list[Frame] = []
    for column in columns(activation):
        cells = received[column.source]
        if column.type is AttributeType.TEXT:
            people[column.name] = cells.str.strip() if column.name == "cio_id" else cells
            continue
        text = cells.str.strip()
        values = _typed(text, column.type)
        people[column.name] = values
        unread = values.isna() & text.notna()
        if unread.any():
            bad.append(Frame({"cio_id": received["cio_id"][unread], "column": column.name}))
    empty = Frame({"cio_id": pd.Series(dtype=str), "column": pd.Series(dtype=str)})
    return Frame(people), pd.concat(bad or [empty], ignore_index=True)


def _typed(text: Any, kind: AttributeType) -> Any:
    if kind is AttributeType.BOOLEAN:
        return text.str.lower().map({"true": True, "1": True, "false": False, "0": False}).astype("boolean")
    numbers = pd.to_numeric(text, errors="coerce").astype("float64")
    if kind is AttributeType.INTEGER:
        return numbers.where(numbers == numbers.round()).astype("Int64")
    if kind is AttributeType.TIMESTAMP:
        moments = pd.to_datetime(numbers.where(numbers.abs().between(1e8, 7258118400)), unit="s").astype(
            "datetime64[us]"
        )
        written = numbers.isna() & text.notna()
        read = pd.to_datetime(text[written], format="ISO8601", utc=True, errors="coerce")
        moments[written] = read.dt.tz_localize(None).astype("datetime64[us]")
        return moments
    return numbers
