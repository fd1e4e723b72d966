"""Who may be in an audience because of a moment: their attributes are looked at again, as a segment's members' are."""

from __future__ import annotations

from datetime import datetime

from cio_activation.activation.models import Activation
from cio_activation.warehouse.sql import literal, timestamp
from cio_activation.warehouse.tables import MOMENTS


def people_of_moments(activation: Activation, now: datetime) -> str:
    """Return a SELECT of ``cio_id`` of whoever had a moment that an audience starts from and that counts still.

    ``now`` is naive UTC. Which of them an audience lets in its gate says; their cart may grow until then.
    """
    spans = {
        (a.moment.name, a.expires_after)
        for a in activation.audiences.values()
        if a.moment is not None and a.expires_after is not None
    }
    counting = " OR ".join(
        f"kind = {literal(name)} AND occurred_at > {timestamp(now - span)}" for name, span in sorted(spans)
    )
    return f"SELECT cio_id FROM {MOMENTS} WHERE problem IS NULL AND NOT machine AND ({counting or 'FALSE'})"
