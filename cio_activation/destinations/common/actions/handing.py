"""Open actions that go to somebody else or get a higher priority: planned as decided, each sent once, and its end."""

from __future__ import annotations

from cio_activation.destinations.common.actions.declared import ActionType, Declared, Handed
from cio_activation.warehouse import change_log
from cio_activation.warehouse.scope import Scope
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal

HAD_BY = "had_by"
"""In the payload of giving an action to somebody else: who had it, as far as we know."""
NO_OWNER = "given to somebody else, but the destination did not take that"


def may_be_handed(options: Declared) -> bool:
    """Return whether what is declared so may go to somebody else, or get a higher priority, while it is open."""
    return isinstance(options, Handed) and (options.follow_owner or options.sla is not None)


def is_raised(scope: Scope) -> str:
    """Return SQL for: the priority of the action of entry ``e`` was raised, or is to be."""
    return f"""EXISTS (
        SELECT 1 FROM {scope.rows("audience.assignments")} AS r
        WHERE r.entry_id = e.entry_id AND r.raised_at IS NOT NULL)"""


def plan_handing(kind: ActionType, audience: str, entries: str, acts: str, scope: Scope) -> str:
    """Return the plan SELECT of the open actions that are assigned to somebody else by now.

    ``entries`` and ``acts`` are those of the audience. What a human gave to somebody is never given to another.
    """
    told = f"'entry_id', e.entry_id, 'audience', {literal(audience)}, 'shown', x.shown"
    payload = f"json_object({told}, 'owner_id', a.owner_id, {literal(HAD_BY)}, x.owner_id)"
    open_ones = f"""FROM {entries} AS e
        JOIN {acts} AS x ON x.entry_id = e.entry_id AND x.status = 'open'
        JOIN {scope.rows("audience.assignments")} AS a
            ON a.entry_id = e.entry_id AND a.destination = {literal(kind.destination)}"""
    acted = f"""SELECT 1 FROM {scope.rows("feedback.acts")} AS f
        WHERE f.entry_id = e.entry_id AND f.destination = {literal(kind.destination)}"""
    return f"""
        SELECT {literal(kind.raises.name)} AS kind, e.cio_id, x.record_id, x.about AS target,
            CAST(json_object({told}) AS VARCHAR) AS payload, '{{}}' AS keys, CAST(NULL AS UBIGINT) AS row_hash,
            0 AS priority, {literal(f"{audience}/{kind.raises.name}")} AS batch_group, CAST(NULL AS VARCHAR) AS claim
        {open_ones}
        WHERE e.exited_at IS NULL AND a.raised_at IS NOT NULL AND NOT coalesce(x.raised, FALSE) AND NOT EXISTS ({acted})
        UNION ALL
        SELECT {literal(kind.assigns.name)} AS kind, e.cio_id, x.record_id, x.about AS target,
            CAST({payload} AS VARCHAR) AS payload, '{{}}' AS keys, CAST(NULL AS UBIGINT) AS row_hash, 0 AS priority,
            {literal(f"{audience}/{kind.assigns.name}")} AS batch_group, CAST(NULL AS VARCHAR) AS claim
        {open_ones}
        WHERE e.exited_at IS NULL AND a.given_at IS NOT NULL AND a.owner_id IS DISTINCT FROM x.owner_id
            AND a.owner_id IS DISTINCT FROM x.given_to
            AND NOT EXISTS ({acted} AND f.act = 'reassigned')"""


def fold_handing(con: Connection, kind: ActionType, finished: str) -> None:
    """Keep who has what went to somebody else.

    ``observed`` of a delivered operation may say ``owner_id``, whom the destination shows; other than asked for, and
    than it had been, a human chose that one: it is kept as their act, and stands.
    """
    place, word = literal(kind.destination), literal(kind.word)
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE handed AS
        SELECT x.destination, x.kind, x.record_id, x.entry_id, x.audience, x.cio_id,
            json_extract_string(f.payload, '$.owner_id') AS asked_for,
            coalesce(json_extract_string(f.observed, '$.owner_id'), asked_for) AS owner_id,
            coalesce(json_extract_string(f.observed, '$.chosen'), 'false') = 'true' AS chosen, f.ended_at, f.window_end
        FROM {finished} AS f JOIN delivery.actions AS x
            ON x.destination = {place} AND x.kind = {word} AND x.record_id = f.record_id
        WHERE f."end" = 'delivered' AND f.kind = {literal(kind.assigns.name)}
        QUALIFY row_number() OVER (PARTITION BY x.record_id ORDER BY f.ended_at DESC) = 1"""
    )
    con.execute(
        f"""UPDATE delivery.actions AS x SET owner_id = h.owner_id, given_to = h.asked_for FROM handed AS h
        WHERE x.destination = {place} AND x.kind = {word} AND x.record_id = h.record_id"""
    )
    con.execute(
        """INSERT INTO feedback.acts BY NAME
        SELECT destination, kind, record_id, entry_id, audience, cio_id, 'reassigned' AS act, ended_at AS happened_at,
            owner_id AS detail, window_end AS seen_at FROM handed WHERE chosen"""
    )
    con.execute(
        f"""UPDATE delivery.actions AS x SET raised = TRUE FROM {finished} AS f
        WHERE x.destination = {place} AND x.kind = {word} AND x.record_id = f.record_id
            AND f."end" = 'delivered' AND f.kind = {literal(kind.raises.name)}"""
    )
    raised = f"""SELECT cio_id FROM {finished} WHERE "end" = 'delivered' AND kind = {literal(kind.raises.name)}"""
    change_log.note(con, "delivery.actions", raised)
    for table in ("delivery.actions", "feedback.acts"):
        change_log.note(con, table, "SELECT cio_id FROM handed")
    con.execute("DROP TABLE handed")
