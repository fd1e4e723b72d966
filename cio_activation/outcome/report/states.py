"""How people are spread over the values of each property. Only closed sets of values are shown, nobody's text."""

from __future__ import annotations

from datetime import datetime

from cio_activation.activation.models import Activation, PropertyType
from cio_activation.outcome.report import charts
from cio_activation.outcome.report.page import Chart, Section
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier

NONE = "(no value)"
_NAMES = {"true": "yes", "false": "no", None: NONE}


def section(con: Connection, activation: Activation, _as_of: datetime) -> Section:
    """Return the section."""
    drawn: list[Chart] = []
    for prop in activation.properties.values():
        if prop.type not in (PropertyType.ENUM, PropertyType.FLAG):
            continue
        table, column = f"{prop.lane}_properties", identifier(prop.name)
        there = con.execute(
            "SELECT 1 FROM duckdb_columns() WHERE schema_name = 'state' AND table_name = ? AND column_name = ?",
            [table, prop.name],
        ).fetchall()
        if not there:
            continue
        found = con.execute(f"SELECT CAST({column} AS VARCHAR), count(*) FROM state.{table} GROUP BY 1").fetchall()
        counts = {_NAMES.get(value, str(value)): int(people) for value, people in found}
        order = [*(prop.labels or ("yes", "no")), NONE]
        ordered = {value: {"people": counts[value]} for value in [*order, *sorted(counts)] if value in counts}
        if ordered:
            drawn.append(charts.bars(prop.label, ordered))
    return Section("States", "People by the value of each property, as of the newest window of its lane.", drawn)
