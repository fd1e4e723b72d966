"""What assets show in the UI: tables, plots, counts, owners. Counts and names, never people."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from cio_activation.lanes.bar_images import image
from cio_activation.warehouse.sql_format import formatted


def bars(counts: Mapping[str, Mapping[str, int]], unit: str = "") -> dg.MarkdownMetadataValue:
    """Return distributions as a picture: a group for each property, a bar for each value. Counts only."""
    return dg.MetadataValue.md(image(counts, unit))


def plain(text: str) -> str:
    """Return a description whose first line reads as it is: lists show it without making bold or code of its marks."""
    first, rest, more = text.partition("\n")
    return f"{re.sub(r'[`*]+', '', first)}{rest}{more}"


def columns(rows: Sequence[tuple[str, str, str]]) -> dg.TableSchema:
    """Return a table schema from (name, type, description) rows."""
    return dg.TableSchema(columns=[dg.TableColumn(n, t, description=d) for n, t, d in rows])


def table(names: Sequence[str], rows: Sequence[Sequence[str | int]]) -> dg.TableMetadataValue:
    """Return rows as a table in the UI; numbers stay numbers."""
    records = [dg.TableRecord(dict(zip(names, row, strict=True))) for row in rows]
    kinds = ["int" if rows and isinstance(value, int) else "string" for value in (rows[0] if rows else names)]
    listed = [dg.TableColumn(name, kind) for name, kind in zip(names, kinds, strict=True)]
    return dg.MetadataValue.table(records, dg.TableSchema(columns=listed))


def sql(as_of: datetime, **statements: str) -> dict[str, Any]:
    """Return the metadata ``sql``: each statement formatted, under its name.

    ``as_of`` (naive UTC) is the instant they are shown for. Made with the definitions, so it costs a run nothing.
    """
    shown = [f"{name}:\n```sql\n{formatted(statement)}\n```" for name, statement in statements.items()]
    told = f"As of {as_of} UTC, the end of the first window; a run has the end of its own there."
    return {"sql": dg.MetadataValue.md("\n\n".join([told, *shown]))}


def counted(**values: Any) -> dict[str, Any]:
    """Return metadata without the empty entries; numbers stay numbers, so that the UI plots them, and are rounded."""
    shown = {k: v for k, v in values.items() if v not in (None, {}, [], "")}
    return {k: round(v, 3) if isinstance(v, float) else v for k, v in shown.items()}


def metadata_of(result: Any) -> dict[str, Any]:
    """Return a use case's result (a dataclass of counts) as metadata: numbers plot, mappings become JSON."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(result):
        value = getattr(result, field.name)
        if isinstance(value, Mapping):
            value = dg.MetadataValue.json(dict(value)) if value else None
        elif isinstance(value, (list, tuple, set, frozenset)):
            value = dg.MetadataValue.json([str(v) for v in value]) if value else None
        elif not isinstance(value, (bool, int, float, str, type(None))):
            value = str(value)
        values[field.name] = value
    return counted(**values)


def owners(*names: str) -> list[str]:
    """Return owners in the form Dagster takes: e-mail addresses and ``team:name``."""
    return sorted({n if "@" in n else f"team:{re.sub(r'[^a-zA-Z0-9_]', '_', n.removeprefix('team:'))}" for n in names})
