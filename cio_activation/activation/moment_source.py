"""The moment that an audience starts from, where it does not start from a segment."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cio_activation.activation.base import Model


class MomentSource(Model):
    """Which moments bring people in: those called ``name`` of which ``where`` holds."""

    name: Annotated[str, Field(min_length=1)]
    """What the webhook's event is called: requested_help, or email_clicked of a reporting webhook."""
    where: Annotated[str, Field(min_length=1)] | None = None
    """Expression over the fields of the event's body that must hold: amount > 100 AND reason = 'size'."""
