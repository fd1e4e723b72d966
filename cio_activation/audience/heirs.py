"""Who is next: the first of an action's owners who can act, for actions that are open already; in one SELECT."""

from __future__ import annotations

from collections.abc import Sequence

from cio_activation.activation.actions import AUDIENCE_OWNER, NOBODY, RECORD_OWNER, Queue, Rotation
from cio_activation.activation.models import Audience
from cio_activation.audience.desks import rotations_given
from cio_activation.warehouse.sql import literal

Owners = Sequence[str | Rotation | Queue]


def heirs(audience: Audience, place: str, owners: Owners, about: str, but: str = "FALSE") -> str:
    """Return the SELECT of ``entry_id``, ``owner_id``, ``owner_email`` and ``owner_from`` of who takes each entry over.

    ``about`` is a relation of ``entry_id`` and ``owner_now`` (of the record); entries nobody can take are left out.
    ``but`` is SQL over it (``f``) and ``feedback.owners`` (``o``): who is not asked. A queue cannot be handed anything
    (HubSpot may take one at creation only), nor can nobody. Of people who take turns each gets one after the other.
    """
    given = rotations_given(audience.name, place)
    turn = f"((v.turn - ({given} + f.nth - 1)) % v.turns + v.turns) % v.turns"
    return f"""
        SELECT f.entry_id, o.owner_id, o.email AS owner_email, v.source AS owner_from
        FROM (SELECT *, row_number() OVER (ORDER BY entry_id) AS nth FROM ({about})) AS f
        CROSS JOIN (VALUES {", ".join(_rows(audience, owners))}) AS v (place, source, email, turn, turns)
        JOIN feedback.owners AS o ON o.destination = {literal(place)} AND o.active
            AND CASE v.source WHEN 'record_owner' THEN o.owner_id = f.owner_now ELSE o.email = v.email END
        WHERE NOT coalesce({but}, FALSE)
        QUALIFY row_number() OVER (PARTITION BY f.entry_id ORDER BY v.place, {turn}, o.owner_id DESC) = 1"""


def _rows(audience: Audience, owners: Owners) -> list[str]:
    rows = []
    for place, one in enumerate(owners):
        if isinstance(one, Rotation):
            members = [(email, turn, len(one.rotate)) for turn, email in enumerate(one.rotate)]
            rows += [f"({place}, 'rotation', {literal(e.lower())}, {turn}, {turns})" for e, turn, turns in members]
        elif one == RECORD_OWNER:
            rows.append(f"({place}, 'record_owner', NULL, 0, 1)")
        elif not isinstance(one, Queue) and one != NOBODY:
            email = audience.owner if one == AUDIENCE_OWNER else one
            rows.append(f"({place}, 'named', {literal(email.lower())}, 0, 1)")
    return rows or ["(0, 'nobody', NULL, 0, 1)"]
