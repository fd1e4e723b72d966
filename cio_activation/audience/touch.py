"""What a touch audience asks before a human does: the relations that its codes rest on.

Suppression and media lists wait for none of it: their statement has no such part.
"""

from __future__ import annotations

from cio_activation.audience import outcomes
from cio_activation.audience.inputs import Inputs
from cio_activation.audience.opening import day_of
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, scalar, timestamp

_PARTS = 1_000_000
"""Into how many parts people are drawn; a holdout is so many of them."""


def acts(inputs: Inputs) -> str:
    """Return the SELECT of ``entry_id``, ``cio_id``, when a human handled it, and until when one put it off."""
    if inputs.audience.outcomes is not None:
        return outcomes.acts(inputs, inputs.audience.outcomes)
    return f"""
        SELECT entry_id, any_value(cio_id) AS cio_id,
            min(happened_at) FILTER (act IN ('done', 'deleted')) AS handled_at,
            min(happened_at) FILTER (act = 'withdrawn') AS withdrawn_at,
            arg_max(until, happened_at) FILTER (act = 'snoozed') AS snoozed_until
        FROM feedback.acts WHERE audience = {literal(inputs.audience.name)} GROUP BY entry_id"""


def past(inputs: Inputs) -> str:
    """Return the SELECT of ``cio_id``, when the last entry ended for the cooldown, and until when it was put off."""
    if inputs.audience.outcomes is not None:
        return outcomes.past(inputs)
    return f"""
        SELECT m.cio_id, max(CASE WHEN m.exited_at IS NOT NULL THEN coalesce(a.handled_at, m.exited_at) END) AS ended,
            max(a.snoozed_until) AS snoozed_until
        FROM (
            SELECT cio_id, entry_id, exited_at FROM audience.memberships
            WHERE audience = {literal(inputs.audience.name)}{inputs.scope.condition()}
        ) AS m
        LEFT JOIN acts AS a ON a.entry_id = m.entry_id
        GROUP BY m.cio_id"""


def touches(inputs: Inputs) -> str:
    """Return the SELECT of ``cio_id``, how often a human was asked to act within the cap's span, and for what last.

    Held-out people count as if they had been asked: else their arm would meet other audiences more often.
    """
    since = timestamp(inputs.as_of - inputs.activation.limits.human_touches_per_person.per)
    return f"""
        SELECT cio_id, count(*) AS touches, arg_max(audience, entered_at) AS touched_by, max(entered_at) AS touched_at
        FROM audience.memberships WHERE touch AND entered_at > {since}{inputs.scope.condition()} GROUP BY cio_id"""


def above(inputs: Inputs) -> str:
    """Return the SELECT of ``cio_id`` and the audience of the same group with a higher priority that has the person."""
    mine = inputs.audience.exclusive
    names = [
        literal(other.name)
        for other in inputs.activation.audiences.values()
        if mine is not None
        and other.exclusive is not None
        and other.exclusive.group == mine.group
        and other.exclusive.priority > mine.priority
    ]
    return f"""
        SELECT cio_id, min(audience) AS had_by FROM audience.memberships
        WHERE exited_at IS NULL AND audience IN ({", ".join(names) or "NULL"}){inputs.scope.condition()}
        GROUP BY cio_id"""


def held_out(inputs: Inputs) -> str:
    """Return SQL for: ``cio_id`` is held out, of this audience or of all. The same person always draws the same."""
    audience = inputs.audience
    everywhere = _drawn("'*'", inputs.activation.workspace.holdout)
    drawn = f"{literal(audience.name)}{f', {audience.version}' if audience.redraw else ''}"
    return f"({everywhere} OR {_drawn(drawn, audience.holdout)})"


def entered_today(con: Connection, inputs: Inputs) -> int:
    """Return how many people, held-out ones aside, were let in on the workspace's day that the window ends in.

    Nobody, where nothing limits them.
    """
    if inputs.audience.launch.max_entries_per_day is None:
        return 0
    start, end = day_of(inputs.activation.workspace.timezone, inputs.as_of)
    found = scalar(
        con,
        f"SELECT count(*) FROM audience.memberships WHERE audience = ? AND touch AND NOT ghost "
        f"AND entered_at > {timestamp(start)} AND entered_at <= {timestamp(end)}",
        [inputs.audience.name],
    )
    return int(str(found))


def _drawn(of: str, share: float) -> str:
    if not share:
        return "FALSE"
    # md5, because DuckDB's own hash may be another one in another release, and would draw everybody anew.
    return f"md5_number_lower(concat_ws(chr(31), 'holdout', {of}, cio_id)) % {_PARTS} < {round(share * _PARTS)}"
