"""The warning about actions that nobody touched in time, where their ``sla`` says to tell, or nobody is left to ask."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from cio_activation.activation.models import Activation
from cio_activation.activation.sla import TELL
from cio_activation.outcome.warning_kinds import FoundWarning, Kind
from cio_activation.warehouse.sessions import Connection


def late_actions(con: Connection, activation: Activation, _now: datetime) -> Iterator[FoundWarning]:
    """Yield one warning for each audience with such actions that are open still and that nobody has touched since."""
    rows = con.execute(
        """WITH untouched AS (
            SELECT x.audience, x.entry_id, coalesce(o.email, x.owner_id, '(nobody)') AS owner
            FROM delivery.actions AS x
            LEFT JOIN feedback.owners AS o ON o.destination = x.destination AND o.owner_id = x.owner_id
            WHERE x.status = 'open' AND x.ended_at IS NULL AND x.kind IN ('task', 'activity')
                AND list_contains(?, x.audience)
                AND EXISTS (
                    SELECT 1 FROM audience.escalations AS e
                    WHERE e.entry_id = x.entry_id AND e.destination = x.destination AND e.does = ?)
                AND NOT EXISTS (
                    SELECT 1 FROM feedback.acts AS f WHERE f.entry_id = x.entry_id AND f.destination = x.destination)
        ), counted AS (SELECT audience, owner, count(*) AS actions FROM untouched GROUP BY ALL)
        SELECT audience, CAST(sum(actions) AS BIGINT),
            string_agg(concat(owner, ' ', actions), ', ' ORDER BY actions DESC, owner)
        FROM counted GROUP BY audience ORDER BY audience""",
        [list(activation.audiences), TELL],
    ).fetchall()
    for audience, actions, whose in rows:
        what = "1 action that" if actions == 1 else f"{actions:,} actions that"
        yield FoundWarning(
            f"{Kind.LATE_ACTIONS}:{audience}",
            Kind.LATE_ACTIONS,
            audience,
            f"audience {audience}: {what} nobody touched in time ({whose})",
            f"`cio-activation actions --audience {audience}` lists them; what is taken up or reassigned counts no more",
        )
