"""One step of an audience's state machine: decide who enters, stays, leaves or is withheld, and carry that in.

``judging`` has the rules; here they are run and their outcome is stored, all in the transaction of the caller.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cio_activation.activation.durations import format_duration
from cio_activation.audience import measured, moments
from cio_activation.audience.inputs import Inputs
from cio_activation.audience.judging import decisions
from cio_activation.warehouse import change_log
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import filled, literal, timestamp

MEMBERSHIPS = "audience.memberships"
ELIGIBLE, KNOWN = "eligible_now", "known"
"""Temporary tables: all who are judged are in one of them."""


@dataclass(frozen=True)
class Decided:
    """Of how many something changes, how many of them enter, and how many leave, by reason."""

    people: int = 0
    entered: int = 0
    exited: dict[str, int] = field(default_factory=dict)
    judged: bool = False
    """Whether there was anybody to judge: of those in scope, eligible or known."""


def decide(con: Connection, inputs: Inputs) -> Decided:
    """Fill the temporary table ``decided`` with everyone of whom something changes; see ``judging.decisions``.

    Where nobody is in scope, or nobody of them eligible or known, nobody is judged, and the table is not filled.
    """
    if inputs.scope.size(con) == 0:
        return Decided()
    *read, judging = statements(inputs).items()
    rows = {table: filled(con, table, select) for table, select in read}
    if not rows[ELIGIBLE] and not rows[KNOWN]:  # most audiences are about few of those whom a change touched
        return Decided()
    filled(con, *judging)
    found = con.execute(
        "SELECT exit_reason, count(*), count(*) FILTER (enters) FROM decided GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    exited = {str(reason): int(people) for reason, people, _ in found if reason is not None}
    return Decided(sum(int(r[1]) for r in found), sum(int(r[2]) for r in found), exited, judged=True)


def statements(inputs: Inputs) -> dict[str, str]:
    """Return the SELECTs a decision is made of, each under the temporary table it fills, in their order."""
    read = moments.statements(inputs)
    return read | {ELIGIBLE: inputs.eligible(), KNOWN: _known(inputs), "decided": decisions(inputs)}


def apply(con: Connection, inputs: Inputs) -> None:
    """Carry ``decided`` into the entries and the spells of eligibility."""
    name, as_of = literal(inputs.audience.name), timestamp(inputs.as_of)
    con.execute(
        f"""UPDATE {MEMBERSHIPS} AS m
        SET exited_at = {as_of}, exit_window = {literal(inputs.window.key)}, exit_reason = d.exit_reason
        FROM decided AS d
        WHERE m.audience = {name} AND m.exited_at IS NULL AND m.cio_id = d.cio_id AND d.exit_reason IS NOT NULL"""
    )
    con.execute(
        f"""INSERT INTO {MEMBERSHIPS} BY NAME
        SELECT {name} AS audience, {inputs.audience.version} AS version, d.cio_id, {as_of} AS entered_at,
            {literal(inputs.window.key)} AS entry_window, {literal(entry_reason(inputs))} AS entry_reason,
            {inputs.evidence("i", "d.since")} AS evidence,
            n.number, {_entry(inputs, name)},
            {inputs.audience.touch} AS touch, d.ghost, {literal(inputs.rules)} AS activation
        FROM decided AS d JOIN ({inputs.rows("SELECT cio_id FROM decided WHERE enters")}) AS i ON i.cio_id = d.cio_id
        JOIN ({_numbers(name)}) AS n ON n.cio_id = d.cio_id
        WHERE d.enters"""
    )
    measured.begin(con, inputs)
    _assign(con, inputs)
    con.execute(f"DELETE FROM audience.eligibility WHERE audience = {name} AND cio_id IN (SELECT cio_id FROM decided)")
    con.execute(
        f"""INSERT INTO audience.eligibility (audience, cio_id, since, stage, bought_before, code, baseline, spent_at)
        SELECT {name}, cio_id, since, stage, bought_before, code, baseline, spent_at
        FROM decided WHERE stage IS NOT NULL"""
    )
    change_log.note(con, MEMBERSHIPS, "SELECT cio_id FROM decided WHERE enters OR exit_reason IS NOT NULL")


def bring_up_to_date(con: Connection, inputs: Inputs) -> None:
    """Keep what is known now of the entries that stay open: their newest moment, and what the rules read."""
    moments.keep_newest(con, inputs)
    if inputs.desks is not None:
        _keep_evidence(con, inputs)


def _assign(con: Connection, inputs: Inputs) -> None:
    """Keep who acts for each entry, in which place, and due when; of held-out people there is nothing to keep."""
    if inputs.desks is None:
        return
    name = literal(inputs.audience.name)
    con.execute(
        f"""INSERT INTO audience.assignments BY NAME
        SELECT m.entry_id, {name} AS audience, d.cio_id, d.place AS destination, d.owner_id, d.owner_email,
            d.owner_from, d.queue, d.due_at, c.record_owner, {timestamp(inputs.desks.planned_at)} AS planned_at,
            {timestamp(inputs.as_of)} AS as_of
        FROM decided AS d
        JOIN {MEMBERSHIPS} AS m ON m.audience = {name} AND m.cio_id = d.cio_id AND m.exited_at IS NULL
        LEFT JOIN (
            SELECT cio_id, destination, CASE WHEN record_id IS NOT NULL THEN coalesce(owner_id, '') END AS record_owner
            FROM feedback.contexts WHERE lane = {literal(inputs.window.lane.value)}
        ) AS c ON c.cio_id = d.cio_id AND c.destination = d.place
        WHERE d.enters AND NOT d.ghost"""
    )
    change_log.note(con, "audience.assignments", "SELECT cio_id FROM decided WHERE enters AND NOT ghost")


def _keep_evidence(con: Connection, inputs: Inputs) -> None:
    """Keep what the rules read now of those who are in, where it differs from what was kept last.

    An action that is open is brought up to date from it. The spell's begin stands: it is the entry's.
    """
    name, table = literal(inputs.audience.name), "audience.current_evidence"
    inside = f"SELECT cio_id FROM {MEMBERSHIPS} WHERE audience = {name} AND exited_at IS NULL{inputs.scope.condition()}"
    moved = f"""SELECT m.entry_id, {name} AS audience, m.cio_id,
            {inputs.evidence("i", "CAST(json_extract_string(m.evidence, '$.since') AS TIMESTAMP)")} AS now_read,
            {timestamp(inputs.as_of)} AS as_of
        FROM {MEMBERSHIPS} AS m
        JOIN ({inputs.rows(inside)}) AS i ON i.cio_id = m.cio_id
        LEFT JOIN {table} AS c ON c.entry_id = m.entry_id
        WHERE m.audience = {name} AND m.exited_at IS NULL AND m.touch AND NOT m.ghost
            AND now_read IS DISTINCT FROM coalesce(c.evidence, m.evidence)"""
    any_other = filled(con, "moved_evidence", moved)
    ended = f"SELECT entry_id FROM {MEMBERSHIPS} WHERE audience = {name} AND exit_window = {literal(inputs.window.key)}"
    con.execute(
        f"""DELETE FROM {table} WHERE audience = {name}
            AND (entry_id IN (SELECT entry_id FROM moved_evidence) OR entry_id IN ({ended}))"""
    )
    if any_other:
        con.execute(f"INSERT INTO {table} BY NAME SELECT * RENAME (now_read AS evidence) FROM moved_evidence")
        change_log.note(con, table, "SELECT cio_id FROM moved_evidence")


def entry_reason(inputs: Inputs) -> str:
    """Return why people enter, in words: ``segment 12 and gate held for 2h``."""
    audience = inputs.audience
    source = f"segment {audience.segment}" if audience.moment is None else f"moment {audience.moment.name}"
    reason = source + (" and gate" if inputs.gate is not None else "")
    return f"{reason} held for {format_duration(audience.grace)}" if audience.grace else reason


def entry_id(audience: str, cio_id: str, number: str) -> str:
    """Return SQL for the id of a person's ``number``-th stay in ``audience``: what an action for it is claimed by."""
    return f"md5(concat_ws(chr(31), {audience}, {cio_id}, {number}))"


def _entry(inputs: Inputs, name: str) -> str:
    """Return SQL for what an entry is known by; by the event it came of, where it started from a moment.

    Where another audience has an entry by the same event, by a hash: an action is known by its entry alone.
    """
    if inputs.audience.moment is not None:
        taken = f"d.moment_id IN (SELECT entry_id FROM {MEMBERSHIPS} WHERE moment_id IS NOT NULL)"
        own = f"CASE WHEN {taken} THEN {entry_id(name, 'd.cio_id', 'd.moment_id')} ELSE d.moment_id END"
        return f"{own} AS entry_id, d.moment_id, d.moment_at"
    return f"{entry_id(name, 'd.cio_id', 'n.number')} AS entry_id"


def _numbers(name: str) -> str:
    """Return the SELECT of who enters, and the how-manieth stay in the audience that is."""
    return f"""SELECT d.cio_id, coalesce(max(m.number), 0) + 1 AS number
        FROM decided AS d LEFT JOIN {MEMBERSHIPS} AS m ON m.audience = {name} AND m.cio_id = d.cio_id
        WHERE d.enters GROUP BY d.cio_id"""


def _known(inputs: Inputs) -> str:
    """Return the SELECT of everyone with a spell or an open entry.

    The entry has the last word on who is in: a person who is in is never entered twice.
    """
    name, in_scope = literal(inputs.audience.name), inputs.scope.condition()
    return f"""
        SELECT coalesce(e.cio_id, o.cio_id) AS cio_id, coalesce(e.since, o.entered_at) AS since,
            CASE WHEN o.cio_id IS NOT NULL THEN 'in' WHEN e.stage = 'in' THEN 'spent' ELSE e.stage END AS stage,
            e.bought_before, e.spent_at, e.code, e.baseline, o.entered_at, o.version, o.entry_id, o.ghost
        FROM (SELECT * FROM audience.eligibility WHERE audience = {name}{in_scope}) AS e
        FULL JOIN (SELECT * FROM {MEMBERSHIPS} WHERE audience = {name} AND exited_at IS NULL{in_scope}) AS o
            ON o.cio_id = e.cio_id"""
