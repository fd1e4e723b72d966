"""Which attempt of an entry's action a plan is about: the first, or where outcomes ask for another, the newest."""

from __future__ import annotations

from dataclasses import dataclass

from cio_activation.activation.models import Audience
from cio_activation.destinations.common.actions.declared import ActionType
from cio_activation.warehouse.scope import Scope


@dataclass(frozen=True)
class Attempts:
    """The parts of the plan's SELECT that know of attempts."""

    rows: str
    """The assignments, one an entry."""
    attempt: str = "1"
    """Of what is made."""
    acts: str = "acts"
    """The actions there are, one an entry."""
    open: str = "x.record_id, x.about, x.shown"
    again: str = ""
    told_new: str = ""
    told_open: str = ""


def attempts_of(kind: ActionType, audience: Audience, scope: Scope) -> Attempts:
    """Return them for the actions of ``audience``. What nobody acts on is made once, whatever came of the rest."""
    rows = scope.rows("audience.assignments")
    if audience.outcomes is None or not audience.outcomes.retries:
        return Attempts(rows)
    newest = "QUALIFY row_number() OVER (PARTITION BY entry_id ORDER BY attempt DESC) = 1"
    assigned = f"(SELECT * FROM {rows} {newest})"
    if not kind.assigned:
        return Attempts(assigned)
    # An attempt that was given to somebody and is not made yet stands for none: what is there is of the one before.
    made = "x.attempt >= coalesce(n.attempt, 1)"
    return Attempts(
        rows=assigned,
        attempt="a.attempt",
        acts=f"""(SELECT x.* REPLACE (CASE WHEN {made} THEN x.record_id END AS record_id), NOT ({made}) AS before
                FROM (SELECT * FROM acts {newest}) AS x LEFT JOIN {assigned} AS n ON n.entry_id = x.entry_id)""",
        open="x.record_id, x.about, x.shown, coalesce(x.attempt, 1) AS attempt",
        again=" OR x.before",
        told_new=", 'attempt', a.attempt",
        told_open=", 'attempt', e.attempt",
    )
