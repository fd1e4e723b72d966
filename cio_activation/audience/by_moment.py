"""How an audience is decided whose people come by a moment: what ends a stay, and what uses a moment up.

Each moment is a spell of its own. Nobody "leaves" a moment: it has its time, ``expires_after`` from when it happened,
and of several of one person the newest counts. What happened in between is told by the moments' own times.
"""

from __future__ import annotations

from datetime import timedelta

from cio_activation.audience import moments
from cio_activation.audience.inputs import Inputs
from cio_activation.audience.moments import MOMENT_AT, MOMENT_ID, over
from cio_activation.warehouse.sql import timestamp

COLUMNS = f"{MOMENT_ID} AS moment_id, {MOMENT_AT} AS moment_at"
"""What a decision carries of the newest moment."""
ANOTHER = "since IS DISTINCT FROM since_before"
"""SQL: the spell is another one, by a newer moment."""


def joined(inputs: Inputs, found: str) -> str:
    """Return the SELECT ``found`` with what each person's moments were used for."""
    return f"""
        SELECT f.*, u.used_at, u.used_id, u.acted_at FROM ({found}) AS f
        LEFT JOIN ({moments.used(inputs)}) AS u ON u.cio_id = f.cio_id"""


def ending(inputs: Inputs) -> str:
    """Return SQL for why a stay ends now; NULL where it goes on, or there is none.

    The newest moment says how long it lasts, and a purchase ends it that came after all that it was open for. It
    outlives a version: a list entered anew would need a new moment.
    """
    bought = "coalesce(bought_at > used_at, FALSE)" if inputs.ends_with_purchase else "FALSE"
    expired = over(inputs, f"coalesce(greatest(used_at, {MOMENT_AT}), entered_at)")
    if not inputs.audience.touch:
        return f"""CASE WHEN entered_at IS NULL THEN NULL WHEN NOT present THEN 'deleted'
            WHEN {bought} THEN 'purchase' WHEN NOT eligible THEN 'gate' WHEN {expired} THEN 'expired' END"""
    return f"""CASE WHEN entered_at IS NULL THEN NULL
        WHEN NOT present THEN 'deleted' WHEN {bought} THEN 'purchase' WHEN handled_at IS NOT NULL THEN 'done'
        WHEN withdrawn_at IS NOT NULL THEN 'withdrawn' WHEN muted THEN 'suppressed' WHEN NOT eligible THEN 'gate'
        WHEN had_by IS NOT NULL THEN 'exclusive'
        WHEN {expired} AND coalesce(snoozed_until <= {timestamp(inputs.as_of)}, TRUE) THEN 'expired' END"""


def no_candidate(inputs: Inputs) -> str:
    """Return SQL for: is no candidate (any more), be it that who just left has no moment that counts still."""
    return f"NOT eligible OR exit_reason IS NOT NULL AND coalesce({over(inputs, MOMENT_AT)}, TRUE)"


def used_up(inputs: Inputs) -> str:
    """Return SQL for: the newest moment let its person in already, or they bought, or were handled, after it."""
    fresh = (
        f"{MOMENT_AT} IS NOT NULL AND (used_at IS NULL OR ({MOMENT_AT}, {MOMENT_ID}) > (used_at, used_id)) "
        f"AND coalesce({MOMENT_AT} > acted_at, TRUE)"
    )
    bought = f" OR coalesce(bought_at > {MOMENT_AT}, FALSE)" if inputs.ends_with_purchase else ""
    stays = f"coalesce(before = 'spent', FALSE) AND NOT ({ANOTHER})"
    return f"eligible AND (NOT ({fresh}){bought} OR {stays})"


def told(inputs: Inputs) -> str:
    """Return the pairs of the JSON that says which moment came too late, and until when it would have counted."""
    span = (inputs.audience.expires_after or timedelta(0)) // timedelta(microseconds=1)
    until = f"{MOMENT_AT} + to_microseconds({span})"
    return f"'event_id', {MOMENT_ID}, 'occurred_at', {MOMENT_AT}, 'until', {until}"
