"""Whether anybody uses something: who reads a property here, who is in an audience, who has a value.

What a workflow in a CRM reads is not told by any of them, so a field that is delivered counts as read.
"""

from __future__ import annotations

from datetime import datetime

from cio_activation.activation.expressions import gate_expression, hold_expression, scope_expression, vocabulary
from cio_activation.activation.models import Activation, Audience, DestinationLimits, Lane, PropertyType
from cio_activation.activation.ordering import read_order
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import exists, identifier
from cio_activation.warehouse.tables import AUDIENCE_MEMBERSHIPS, DECISION_COUNTS, DERIVATIONS, VALUE_CHANGES


def read_by_nobody(activation: Activation) -> list[str]:
    """Return the properties that no destination is given and no rule here reads."""
    read = {name for audience in activation.audiences.values() for name in _read(activation, audience)}
    for model in activation.destinations.values():
        if isinstance(model, DestinationLimits) and model.priority is not None:
            read |= {rank.name for rank in read_order(model.priority, *vocabulary(activation))}
    return [p.name for p in activation.properties.values() if not p.deliver and p.name not in read]


def empty_audiences(con: Connection, activation: Activation) -> dict[str, datetime]:
    """Return the audiences with nobody in them, each with since when (naive UTC); none that was never decided."""
    rows = con.execute(
        f"""SELECT audience, coalesce(max(exited_at), min(began)) FROM (
            SELECT audience, min(as_of) AS began FROM {DECISION_COUNTS} GROUP BY audience)
        LEFT JOIN {AUDIENCE_MEMBERSHIPS} USING (audience)
        WHERE list_contains(?, audience)
        GROUP BY audience HAVING count(cio_id) FILTER (exited_at IS NULL) = 0 ORDER BY audience""",
        [list(activation.audiences)],
    ).fetchall()
    return {str(name): since for name, since in rows}


def empty_properties(con: Connection, activation: Activation) -> dict[str, datetime]:
    """Return the properties that nobody has a value of, or that are yes for nobody, each with since when (naive UTC).

    By the history of values: without one (``workspace.history_retention: 0d``) that is not known.
    """
    found: dict[str, datetime] = {}
    for lane in Lane:
        table = f"state.{lane}_properties"
        properties = [p for p in activation.lane_properties(lane) if p.deliver]
        if not properties or not exists(con, table):
            continue
        there = {str(row[0]) for row in con.execute(f"DESCRIBE {table}").fetchall()}
        flags = {p.name for p in properties if p.type is PropertyType.FLAG}
        names = [p.name for p in properties if p.name in there]
        counted = ", ".join(f"count_if({identifier(n)})" if n in flags else f"count({identifier(n)})" for n in names)
        counts = con.execute(f"SELECT {counted} FROM {table}").fetchall()[0] if names else ()
        for name, count in zip(names, counts, strict=True):
            if not count and (since := _empty_since(con, name, lane)) is not None:
                found[name] = since
    return found


def _empty_since(con: Connection, name: str, lane: Lane) -> datetime | None:
    """Return when the last value went, or when the property began if nobody ever had one."""
    last = con.execute(
        f"""SELECT max(d.as_of) FROM {VALUE_CHANGES} AS v JOIN {DERIVATIONS} AS d USING (derivation)
        WHERE d.lane = ? AND v.property = ? AND v.before IS NOT NULL AND v.before <> 'false'""",
        [lane.value, name],
    ).fetchall()[0][0]
    if last is not None:
        return datetime.fromisoformat(str(last))
    began = con.execute(
        f"SELECT min(as_of) FROM {DERIVATIONS} WHERE lane = ? AND list_contains(begins, ?)", [lane.value, name]
    ).fetchall()[0][0]
    return None if began is None else datetime.fromisoformat(str(began))


def _read(activation: Activation, audience: Audience) -> set[str]:
    """Return what an audience's rules and texts read."""
    parts = [part(activation, audience) for part in (gate_expression, hold_expression, scope_expression)]
    read = {name for part in parts if part is not None for name in part.columns} | set(audience.placeholders)
    if audience.rank is not None:
        read |= {rank.name for rank in read_order(audience.rank, *vocabulary(activation))}
    return read
