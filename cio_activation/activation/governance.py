"""Who answers for what is delivered where nothing else is said, and from when on something is told to be looked at."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

from pydantic import Field

from cio_activation.activation.base import Duration, Model


class Governance(Model):
    """Defaults for every property and audience (a list is its audience's), and what counts as stale and unused."""

    owner: Annotated[str, Field(min_length=1)] | None = None
    """Who answers for every property and audience that names nobody, and for what belongs to the whole workspace, such
    as the field of our id: an e-mail address or team:name."""
    reviewed: date | None = None
    """When somebody last looked at all of it; a property or an audience may name a later day."""
    stale_after: Duration = timedelta(days=180)
    """What nobody reviewed for so long is told to be stale."""
    unused_after: Duration = timedelta(days=28)
    """An audience with nobody in it, or a property that nobody has a value of, for so long is told to be unused."""
    retire_after: Duration = timedelta(days=56)
    """An audience of which no effect is seen so long after its first entry is proposed to be retired."""
