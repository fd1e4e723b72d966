"""Another attempt for the same entry, where an outcome asks for one: who acts again, and due when.

Only after the outcome, only once its action was done, and only while the entry lives: one assignment more, which the
action's step then carries. It takes a place on somebody's desk like any other, and waits where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping

from cio_activation.activation.outcomes import Outcomes
from cio_activation.audience import outcomes as said
from cio_activation.audience.desks import TABLE, Chain, Desks
from cio_activation.audience.inputs import Inputs
from cio_activation.warehouse import change_log
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import filled, literal, timestamp

ASSIGNMENTS = "audience.assignments"
AGAIN = "retry"
"""``owner_from`` of a further attempt: whoever had the last one."""


def assign(con: Connection, inputs: Inputs) -> int:
    """Give every attempt that is due to somebody; return how many there were."""
    outcomes, desks = inputs.audience.outcomes, inputs.desks
    if outcomes is None or desks is None or not outcomes.retries:
        return 0
    given = 0
    if filled(con, "attempts_due", _due(inputs, outcomes)) and (given := filled(con, "attempts", _given(desks.chains))):
        _keep(con, inputs, desks)
    return given


def _keep(con: Connection, inputs: Inputs, desks: Desks) -> None:
    con.execute(
        f"""INSERT INTO {ASSIGNMENTS} BY NAME
        SELECT entry_id, {literal(inputs.audience.name)} AS audience, cio_id, destination, owner_id, owner_email,
            owner_from, queue, due_at, {timestamp(desks.planned_at)} AS planned_at,
            {timestamp(inputs.as_of)} AS as_of, attempt
        FROM attempts"""
    )
    change_log.note(con, ASSIGNMENTS, "SELECT cio_id FROM attempts")


def _due(inputs: Inputs, outcomes: Outcomes) -> str:
    """Return the SELECT of the entries of which another attempt is due: its number, and who had the last one."""
    name = literal(inputs.audience.name)
    over = " ".join(
        f"WHEN {literal(str(one))} THEN s.said_at <= {timestamp(inputs.as_of - retry.after)}"
        for one, retry in outcomes.retries.items()
    )
    unread = ", ".join(map(literal, inputs.unread)) or "NULL"
    return f"""
        SELECT m.entry_id, m.cio_id, x.destination, x.attempt + 1 AS attempt, s.said_at,
            coalesce(x.owner_id, a.owner_id) AS owner_id, a.owner_from, a.queue
        FROM (
            SELECT entry_id, cio_id FROM audience.memberships
            WHERE audience = {name} AND exited_at IS NULL AND touch AND NOT ghost
        ) AS m
        JOIN (
            SELECT * FROM delivery.actions WHERE audience = {name} AND kind IN ('task', 'activity')
            QUALIFY row_number() OVER (PARTITION BY entry_id ORDER BY attempt DESC) = 1
        ) AS x ON x.entry_id = m.entry_id AND x.status = 'done'
        JOIN ({said.said_of_actions(inputs.audience.name, outcomes)}) AS s
            ON (s.destination, s.kind, s.record_id) = (x.destination, x.kind, x.record_id) AND s.again
        JOIN (
            SELECT * FROM {ASSIGNMENTS} WHERE audience = {name}
            QUALIFY row_number() OVER (PARTITION BY entry_id ORDER BY attempt DESC) = 1
        ) AS a ON a.entry_id = m.entry_id AND a.attempt = x.attempt
        WHERE CASE s.outcome {over} ELSE FALSE END AND coalesce(x.destination NOT IN ({unread}), TRUE)"""


def _given(chains: Mapping[str, Chain]) -> str:
    """Return the SELECT of those that find somebody: who had it last, else the next of the audience's chain."""
    instead = " ".join(f"WHEN {literal(place)} THEN {_next(chain)}" for place, chain in chains.items())
    queues = " ".join(f"WHEN {literal(p)} THEN {literal(c.queue)}" for p, c in chains.items() if c.queue)
    sources = " ".join(f"WHEN {literal(p)} THEN {literal(c.source)}" for p, c in chains.items() if c.source)
    waits = ", ".join(literal(p) for p, chain in chains.items() if chain.wait_for_opening) or "NULL"
    queue = f"CASE r.destination {queues} END" if queues else "NULL"
    source = f"CASE r.destination {sources} END" if sources else "CAST(NULL AS VARCHAR)"
    there = f"EXISTS (SELECT 1 FROM {TABLE} AS k WHERE k.destination = r.destination AND k.owner_id = r.owner_id)"
    return f"""
        SELECT * FROM (
            SELECT g.*, d.due_at, d.email AS owner_email, d.free,
                row_number() OVER (PARTITION BY coalesce(d.desk, g.entry_id) ORDER BY g.said_at, g.entry_id) AS place
            FROM (
                SELECT r.entry_id, r.cio_id, r.destination, r.attempt, r.said_at,
                    CASE WHEN same THEN r.owner_id ELSE CASE r.destination {instead} END END AS owner_id,
                    CASE WHEN same THEN {literal(AGAIN)} ELSE {source} END AS owner_from,
                    CASE WHEN NOT same THEN {queue} END AS queue
                FROM (SELECT r.*, {there} AS same FROM attempts_due AS r) AS r
            ) AS g
            JOIN {TABLE} AS d ON d.destination = g.destination AND d.owner_id IS NOT DISTINCT FROM g.owner_id
            WHERE g.owner_from IS NOT NULL AND (d.is_open OR coalesce(g.destination NOT IN ({waits}), TRUE))
        ) WHERE free IS NULL OR place <= free"""


def _next(chain: Chain) -> str:
    return literal(chain.owners[0]) if chain.owners else "CAST(NULL AS VARCHAR)"
