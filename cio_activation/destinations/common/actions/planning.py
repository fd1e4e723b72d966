"""The plan of actions: one SELECT a step, from entries, assignments and what the destination acknowledged."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

from cio_activation.activation.models import Audience
from cio_activation.delivery.destination import EXIT
from cio_activation.destinations.common.actions.attempts import attempts_of
from cio_activation.destinations.common.actions.declared import ActionType, Declared, action_claim_sql
from cio_activation.destinations.common.actions.handing import is_raised, may_be_handed, plan_handing
from cio_activation.warehouse.scope import Scope
from cio_activation.warehouse.sql import literal

READS = (
    "audience.memberships", "audience.assignments", "audience.current_evidence", "delivery.links", "delivery.actions",
    "feedback.acts",
)  # fmt: skip
"""The tables with ``cio_id`` that a plan of actions is made from."""
MOMENTS_SHOWN = 2
"""So many of a person's newest moments are told with an action."""
_NOTHING = "CAST(NULL AS VARCHAR)"


def plan_audience(kind: ActionType, audience: Audience, scope: Scope) -> str:
    """Return the plan SELECT of the actions of ``audience``: what ended first, then new ones, then texts."""
    options = kind.options_of(audience)
    if options is None:
        raise AssertionError(f"{audience.name} asks for no {kind.word}")
    exclude = {"follow_owner", "sla"}  # these change nothing of what it says
    texts = options.model_dump_json(exclude=exclude)
    said = literal(f"{crc32(texts.encode() + audience.label.encode()):08x}")
    assigned = attempts_of(kind, audience, scope)
    entries = f"""
        SELECT m.* REPLACE (
                coalesce(m.exited_at, w.withdrawn_at) AS exited_at,
                coalesce(m.exit_reason, CASE WHEN w.withdrawn_at IS NOT NULL THEN 'withdrawn' END) AS exit_reason
            ), coalesce(v.evidence, m.evidence) AS newest,
            md5(concat_ws(chr(31), {said}, coalesce(v.evidence, m.evidence))) AS content
        FROM (SELECT * FROM {scope.rows("audience.memberships")} WHERE audience = {literal(audience.name)}) AS m
        LEFT JOIN (
            SELECT entry_id, arg_max(evidence, as_of) AS evidence FROM {scope.rows("audience.current_evidence")}
            WHERE audience = {literal(audience.name)} GROUP BY entry_id
        ) AS v ON v.entry_id = m.entry_id
        LEFT JOIN (
            SELECT entry_id, min(happened_at) AS withdrawn_at FROM {scope.rows("feedback.acts")}
            WHERE audience = {literal(audience.name)} AND act = 'withdrawn' GROUP BY entry_id
        ) AS w ON w.entry_id = m.entry_id"""
    raised = f", 'raised', {is_raised(scope)}" if may_be_handed(options) else ""
    return f"""
        WITH entries AS ({entries}), acts AS ({_acts(kind, scope)} AND audience = {literal(audience.name)}),
        asked AS (
            SELECT e.*, {assigned.open} FROM entries AS e LEFT JOIN {assigned.acts} AS x ON x.entry_id = e.entry_id
            WHERE e.exited_at IS NULL AND e.touch AND NOT e.ghost AND NOT e.baseline
                AND (x.entry_id IS NULL{assigned.again} OR x.status = 'open' AND x.content IS DISTINCT FROM e.content)
        ), moments AS ({_newest_moments("asked")})
        {_ended(kind, str(options.on_end), "entries", audience.name)}
        UNION ALL
        SELECT {literal(kind.opens.name)} AS kind, e.cio_id, {_NOTHING} AS record_id, l.record_id AS target,
            CAST(json_object({_told(audience)}, 'owner_id', a.owner_id, 'owner_from', a.owner_from,
                'queue', a.queue, 'due_at', a.due_at{assigned.told_new}) AS VARCHAR) AS payload,
            '{{}}' AS keys, CAST(NULL AS UBIGINT) AS row_hash, 0 AS priority,
            {literal(f"{audience.name}/{kind.opens.name}")} AS batch_group,
            {action_claim_sql(kind.word, "e.entry_id", assigned.attempt)} AS claim
        FROM asked AS e
        {"" if kind.assigned else "LEFT "}JOIN {assigned.rows} AS a ON a.entry_id = e.entry_id
        JOIN {scope.rows("delivery.links")} AS l
            ON l.destination = {literal(kind.destination)} AND l.cio_id = e.cio_id AND l.record_id IS NOT NULL
        LEFT JOIN moments AS o ON o.entry_id = e.entry_id
        WHERE e.record_id IS NULL AND coalesce(a.destination = {literal(kind.destination)}, TRUE)
        UNION ALL
        SELECT {literal(kind.changes.name)}, e.cio_id, e.record_id, e.about,
            CAST(json_object({_told(audience)}, 'shown', e.shown{assigned.told_open}{raised}) AS VARCHAR), '{{}}',
            CAST(NULL AS UBIGINT), 0, {literal(f"{audience.name}/{kind.changes.name}")}, {_NOTHING}
        FROM asked AS e LEFT JOIN moments AS o ON o.entry_id = e.entry_id
        WHERE e.record_id IS NOT NULL{_handing(kind, options, audience, scope)}"""


def _handing(kind: ActionType, options: Declared, audience: Audience, scope: Scope) -> str:
    """Return what is added to the plan where open ones may go to somebody else."""
    if not may_be_handed(options):
        return ""
    return f"\n        UNION ALL\n{plan_handing(kind, audience.name, 'entries', 'acts', scope)}"


def plan_retired(kind: ActionType, declared: Sequence[str], scope: Scope) -> str:
    """Return the plan SELECT that takes back what is open of audiences which ask for no such action any more."""
    there = ", ".join(literal(name) for name in declared) or "NULL"
    return f"""
        WITH acts AS ({_acts(kind, scope)} AND coalesce(audience NOT IN ({there}), TRUE)),
        entries AS (
            SELECT entry_id, cio_id, coalesce(exited_at, TIMESTAMP '1970-01-01') AS exited_at,
                coalesce(exit_reason, 'audience_removed') AS exit_reason
            FROM {scope.rows("audience.memberships")} WHERE entry_id IN (SELECT entry_id FROM acts)
        )
        {_ended(kind, "complete", "entries", "retired")}"""


def _acts(kind: ActionType, scope: Scope) -> str:
    return f"""SELECT * FROM {scope.rows("delivery.actions")}
        WHERE destination = {literal(kind.destination)} AND kind = {literal(kind.word)}"""


def _ended(kind: ActionType, on_end: str, entries: str, group: str) -> str:
    """Return the SELECT of what the end of an entry does to its action: withdrawn, or told where a human is on it.

    A batch is of one kind: who sends it makes the same calls for all of it, and what is refused whole is sent again.
    """
    payload = (
        f"json_object('entry_id', x.entry_id, 'audience', x.audience, 'reason', e.exit_reason, 'on_end', '{on_end}', "
        "'shown', x.shown)"
    )
    return f"""
        SELECT CASE x.status WHEN 'open' THEN {literal(kind.withdraws.name)}
                ELSE {literal(kind.tells.name)} END AS kind,
            x.cio_id, x.record_id, x.about AS target, CAST({payload} AS VARCHAR) AS payload, '{{}}' AS keys,
            CAST(NULL AS UBIGINT) AS row_hash, {EXIT} AS priority,
            concat({literal(group)}, '/', x.status) AS batch_group, {_NOTHING} AS claim
        FROM acts AS x JOIN {entries} AS e ON e.entry_id = x.entry_id AND e.exited_at IS NOT NULL
        WHERE x.status = 'open' OR x.status = 'taken_up' AND NOT x.told_end AND e.exit_reason <> 'done'"""


def _newest_moments(entries: str) -> str:
    """Return the SELECT of an entry's person's newest moments until then, as a JSON array, newest first."""
    return f"""
        SELECT e.entry_id, CAST(to_json(list_slice(
            list(json_object('name', o.kind, 'at', o.occurred_at) ORDER BY o.occurred_at DESC, o.event_id),
            1, {MOMENTS_SHOWN})) AS JSON) AS told
        FROM {entries} AS e JOIN raw.moments AS o ON o.cio_id = e.cio_id AND o.occurred_at <= e.entered_at
        WHERE NOT coalesce(o.machine, FALSE) GROUP BY e.entry_id"""


def _told(audience: Audience) -> str:
    """Return the pairs of what an action's text is made of; nothing in it identifies the person."""
    segment = "NULL"
    if audience.segment is not None:
        segment = f"(SELECT max(name) FROM raw.segments WHERE segment_id = {audience.segment})"
    return (
        f"'entry_id', e.entry_id, 'audience', {literal(audience.name)}, 'entered_at', e.entered_at, "
        f"'segment', {segment}, 'evidence', CAST(e.newest AS JSON), 'moments', o.told, 'content', e.content"
    )
