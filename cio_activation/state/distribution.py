"""How many people hold each value of each property: what an asset shows a person who wants to see the state."""

from __future__ import annotations

from cio_activation.activation.models import Activation, Lane, PropertyType
from cio_activation.state.columns import table
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier

MOST_VALUES = 20
MISSING, OTHER = "(no value)", "(other values)"


def distribution(con: Connection, activation: Activation, lane: Lane) -> dict[str, dict[str, int]]:
    """Return property -> value -> number of people, for the lane's state table.

    Labels come in the activation's order, with zeros; open values (text, date, number) by frequency, the
    ``MOST_VALUES`` most frequent by name and the rest as one.
    """
    found: dict[str, dict[str, int]] = {}
    for prop in activation.lane_properties(lane):
        counts = _counts(con, table(lane), prop.name)
        if prop.type is PropertyType.ENUM:
            ordered = {label: counts.pop(label, 0) for label in prop.labels}
        elif prop.type is PropertyType.FLAG:
            ordered = {value: counts.pop(value, 0) for value in ("true", "false")}
        else:
            missing = {MISSING: counts.pop(MISSING)} if MISSING in counts else {}
            ordered = dict(list(counts.items())[:MOST_VALUES])
            rest = sum(counts.values()) - sum(ordered.values())
            counts = ({OTHER: rest} if rest else {}) | missing
        found[prop.name] = ordered | counts
    return found


def _counts(con: Connection, relation: str, name: str) -> dict[str, int]:
    rows = con.execute(
        f"""SELECT CAST({identifier(name)} AS VARCHAR) AS value, count(*) AS people FROM {relation}
        GROUP BY value ORDER BY people DESC, value"""
    ).fetchall()
    return {MISSING if value is None else str(value): int(people) for value, people in rows}
