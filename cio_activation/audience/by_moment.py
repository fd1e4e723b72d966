"""How an audience is decided whose people come by a moment: what ends a stay, and what uses a moment up.

Each moment is a spell of its own. Nobody "leaves" a moment: it has its time, ``expires_after`` from when it happened,
and of several of one person the newest counts. What happened in between is told by the moments' own times.
"""

from __future__ import annotations

from datetime import timedelta

from cio_activation.audience import moments
from cio_activation.audience.inputs import Inputs
from cio_activation.audience.moments import MOMENT_AT, MOMENT_ID, over

COLUMNS = f"{MOMENT_ID} AS moment_id, {MOMENT_AT} AS moment_at"
"""What a decision carries of the newest moment."""
ANOTHER = "since IS DISTINCT FROM since_before"
"""SQL: the spell is another one, by a newer moment."""


def joined(inputs: Inputs, found: str) -> str:
    """Return the SELECT ``found`` with what each person's moments were used for."""
    return f"""
        SELECT f.*, u.used_at, u.used_id, u.acted_at FROM ({found}) AS f
        LEFT JOIN ({moments.used(inputs)}) AS u ON u.cio_id = f.cio_id"""


def bought(moment: str) -> str:
    """Return SQL for: the last purchase came after ``moment`` (SQL)."""
    return f"coalesce(bought_at > {moment}, FALSE)"


def expired(inputs: Inputs) -> str:
    """Return SQL for: a stay has had its time, which the newest moment counts."""
    return over(inputs, f"coalesce(greatest(used_at, {MOMENT_AT}), entered_at)")


def no_candidate(inputs: Inputs) -> str:
    """Return SQL for: is no candidate (any more), be it that who just left has no moment that counts still."""
    return f"NOT eligible OR exit_reason IS NOT NULL AND coalesce({over(inputs, MOMENT_AT)}, TRUE)"


def used_up(inputs: Inputs) -> str:
    """Return SQL for: the newest moment let its person in already, or they bought, or were handled, after it."""
    fresh = (
        f"{MOMENT_AT} IS NOT NULL AND (used_at IS NULL OR ({MOMENT_AT}, {MOMENT_ID}) > (used_at, used_id)) "
        f"AND coalesce({MOMENT_AT} > acted_at, TRUE)"
    )
    late = f" OR {bought(MOMENT_AT)}" if inputs.ends_with_purchase else ""
    stays = f"coalesce(before = 'spent', FALSE) AND NOT ({ANOTHER})"
    return f"eligible AND (NOT ({fresh}){late} OR {stays})"


def told(inputs: Inputs) -> str:
    """Return the pairs of the JSON that says which moment came too late, and until when it would have counted."""
    span = (inputs.audience.expires_after or timedelta(0)) // timedelta(microseconds=1)
    until = f"{MOMENT_AT} + to_microseconds({span})"
    return f"'event_id', {MOMENT_ID}, 'occurred_at', {MOMENT_AT}, 'until', {until}"
