"""How people are spread over the values of each property, and how they went from one to another, week by week.

Only closed sets of values are shown, nobody's text.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from cio_activation.activation.models import Activation, PropertyType
from cio_activation.outcome.report import charts
from cio_activation.outcome.report.page import Cell, Chart, Section, Table
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier, literal, timestamp

NONE = "(no value)"
WEEKS = 6
"""Weeks of flow, the present one among them."""
FLOWS = 30
"""Ways from one value to another that are shown, those with most people first."""
_NAMES = {"true": "yes", "false": "no", None: NONE}


def section(con: Connection, activation: Activation, as_of: datetime) -> Section:
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
    about = "People by the value of each property, as of the newest window of its lane, and how many went where."
    return Section("States", about, [*drawn, _flow(con, activation, as_of)])


def _flow(con: Connection, activation: Activation, as_of: datetime) -> Table:
    """Return how many people went from which value to which other in each week (from Monday, UTC)."""
    closed = [p for p in activation.properties.values() if p.type in (PropertyType.ENUM, PropertyType.FLAG)]
    labels = {p.name: p.label for p in closed}
    monday = (as_of - timedelta(seconds=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    monday -= timedelta(days=monday.weekday())
    weeks = [monday - timedelta(weeks=number) for number in reversed(range(WEEKS))]
    found = con.execute(
        f"""SELECT c.property, c.before, c.after, date_trunc('week', d.as_of - INTERVAL 1 SECOND), count(*)
        FROM state.value_changes AS c JOIN state.derivations AS d ON d.derivation = c.derivation
        WHERE c.why NOT IN ('arrived', 'departed') AND c.property IN ({", ".join(map(literal, labels)) or "NULL"})
            AND d.as_of > {timestamp(weeks[0])} AND d.as_of <= {timestamp(as_of)}
        GROUP BY ALL"""
    ).fetchall()
    flows: dict[tuple[str, str, str], dict[str, int]] = {}
    for name, before, after, week, people in found:
        way = (labels[name], _NAMES.get(before, str(before)), _NAMES.get(after, str(after)))
        flows.setdefault(way, {})[f"{week:%Y-%m-%d}"] = int(people)
    most = sorted(flows.items(), key=lambda flow: (-sum(flow[1].values()), flow[0]))[:FLOWS]
    names = [f"{week:%Y-%m-%d}" for week in weeks]
    rows: list[list[Cell]] = [[*way, *(by_week.get(week, 0) for week in names)] for way, by_week in sorted(most)]
    title = "People who changed, by week (its Monday, UTC)"
    return Table(("property", "from", "to", *names), rows, title, "Nobody's value changed in these weeks.")
