"""What a destination can be asked of the fields that humans write: what came of an outreach, and whether one is on.

They are read with the warehouse closed, before anything is decided; the room ``feedback`` lands the answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol, runtime_checkable

from cio_activation.delivery.destination import Context
from cio_activation.transport.http import VendorClient


@dataclass(frozen=True)
class OutcomeFields:
    """What the fields of one person's record hold."""

    record_id: str
    outcome: str | None = None
    """As the record has it; what is no outcome that we know counts as none."""
    outcome_on: date | None = None
    active: bool = False
    set_at: datetime | None = None
    """Naive UTC: when outcome or day was last written, where the destination tells."""


@dataclass(frozen=True)
class OutcomesAsked:
    """Whose fields are wanted."""

    records: Sequence[str]
    """Records of people about whom an outcome can come, or whose outreach was active."""
    known: Mapping[str, OutcomeFields] = field(default_factory=dict)
    """Record -> what was read last: of what stands as it stood, no instant is needed."""
    since: datetime | None = None
    """Naive UTC: when this was asked last; None: never."""


@runtime_checkable
class HearsOutcomes(Protocol):
    """A destination whose records have fields that humans write. Only reads."""

    async def outcomes(self, client: VendorClient, context: Context, asked: OutcomesAsked) -> list[OutcomeFields]:
        """Return what the fields hold, in the vendor's largest batches; a record that is not there is left out.

        Also of records that were not asked about, where the destination tells cheaply that outreach is active there.
        """
