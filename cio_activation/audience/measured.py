"""First entries are kept with what people had bought until then: outcomes are differences to that.

Attributes are snapshots, so this is noted with the entry or never. Held-out people have their row like all others:
they are what the others are compared with. ``outcome/entries.py`` reads on.
"""

from __future__ import annotations

from cio_activation.activation.models import Workspace
from cio_activation.audience.inputs import Inputs
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier, literal, timestamp
from cio_activation.warehouse.tables import AUDIENCE_MEMBERSHIPS, MEASURED_ENTRIES, MOMENTS


def begin(con: Connection, inputs: Inputs) -> None:
    """Note whoever of the temporary table ``decided`` enters for the first time in this version of the audience."""
    measure = inputs.audience.measure
    if measure is None:
        return
    name, version, workspace = literal(inputs.audience.name), inputs.audience.version, inputs.activation.workspace
    closes = timestamp(inputs.as_of + measure.within)
    con.execute(
        f"""INSERT INTO {MEASURED_ENTRIES} BY NAME
        SELECT {name} AS audience, {version} AS version, m.cio_id, m.entry_id, m.ghost,
            {share(inputs)} AS holdout, m.entered_at, {closes} AS closes_at,
            coalesce(p.bought_before <= {timestamp(inputs.as_of - measure.lapsed_after)}, FALSE) AS lapsed,
            p.bought_before, p.orders_before, p.spent_before
        FROM {AUDIENCE_MEMBERSHIPS} AS m
        JOIN decided AS d ON d.cio_id = m.cio_id AND d.enters
        LEFT JOIN ({_before(inputs, workspace)}) AS p ON p.cio_id = m.cio_id
        WHERE m.audience = {name} AND m.exited_at IS NULL AND NOT EXISTS (
            FROM {AUDIENCE_MEMBERSHIPS} AS e WHERE e.audience = m.audience AND e.cio_id = m.cio_id
                AND e.version = {version} AND e.number < m.number)"""
    )


def share(inputs: Inputs) -> float:
    """Return the part of people who are held out of the audience: by its own draw, or by that for all audiences."""
    everywhere, own = inputs.activation.workspace.holdout, inputs.audience.holdout
    return everywhere + own - everywhere * own if inputs.audience.touch else 0.0


def _before(inputs: Inputs, workspace: Workspace) -> str:
    """Return the SELECT of ``cio_id``, the last purchase, and orders and spend so far, of whoever enters."""
    among = "cio_id IN (SELECT cio_id FROM decided WHERE enters)"
    as_of = timestamp(inputs.as_of)
    if workspace.purchase_moment is not None:
        told = f"kind = {literal(workspace.purchase_moment.name)} AND problem IS NULL AND NOT coalesce(machine, FALSE)"
        return f"""SELECT cio_id, max(occurred_at) AS bought_before, count(*) AS orders_before,
                CAST(NULL AS DOUBLE) AS spent_before
            FROM {MOMENTS} WHERE {told} AND occurred_at <= {as_of} AND {among} GROUP BY cio_id"""
    there = inputs.purchases_so_far()
    orders, spent = (
        identifier(name) if name in there else "NULL"
        for name in (workspace.order_count_attribute, workspace.total_spent_attribute)
    )
    return f"""SELECT cio_id, {inputs.bought_at()} AS bought_before, CAST({orders} AS BIGINT) AS orders_before,
            CAST({spent} AS DOUBLE) AS spent_before
        FROM {inputs.rows_of(inputs.people)} WHERE {among}"""
