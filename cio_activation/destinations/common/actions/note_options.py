"""How an audience asks for a note, in every CRM that has notes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cio_activation.activation.actions import ActionOptions, OnEnd
from cio_activation.activation.base import Model
from cio_activation.activation.models import Audience


class NoteOptions(Model):
    """A note about every person who enters: it asks nobody by itself, and whoever reads it acts."""

    body: Annotated[str, Field(min_length=1, max_length=4_000)] | None = None
    """What people should know, in a sentence or two; the reason and the values it rests on are written below it. By
    default the audience's description."""
    on_end: OnEnd = OnEnd.COMPLETE
    """When the reason ends a line says so (complete), or the note is deleted; not where somebody wrote into it."""

    def as_text(self, audience: Audience) -> ActionOptions:
        """Return it as what texts are made of."""
        return ActionOptions(subject=audience.label[:200], body=self.body)
