"""What a destination in which people act can be asked: who they are, what they did, who is being looked after.

Read before anything is decided, with the warehouse closed; the room ``feedback`` lands the answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable

from cio_activation.activation.models import Activation
from cio_activation.delivery.destination import Context
from cio_activation.delivery.outcomes import OutcomeFields
from cio_activation.transport.http import VendorClient


class Status(StrEnum):
    """Where an action is."""

    OPEN = "open"
    TAKEN_UP = "taken_up"  # a human has begun: in progress, waiting, deferred, or wrote into it
    DONE = "done"
    WITHDRAWN = "withdrawn"  # by us, because its reason ended
    EXPIRED = "expired"  # by us, because its time was over
    DELETED = "deleted"  # by a human: handled, never repaired


class HandledBy(StrEnum):
    """What a human or another tool is on already."""

    OPEN_TASK = "open_task"
    OPEN_ACTIVITY = "open_activity"
    OPEN_DEAL = "open_deal"
    CONTACTED = "contacted"  # a call, a mail or a meeting a short while ago
    ENROLLED = "enrolled"  # in a sequence


@dataclass(frozen=True)
class Owner:
    """A user of the CRM who can be given work."""

    owner_id: str
    email: str | None
    active: bool
    timezone: str | None = None
    """IANA, where the CRM tells one."""


@dataclass(frozen=True)
class OpenAction:
    """An action of ours that was open when it was last heard of."""

    kind: str
    record_id: str
    entry_id: str
    about: str
    """The person's record."""
    owner_id: str | None
    due_at: datetime | None
    """Naive UTC, as the destination acknowledged it."""
    shown: str | None
    """``shown_hash`` of what the destination showed after our last write."""
    status: Status = Status.OPEN


@dataclass(frozen=True)
class SeenAction:
    """What the destination says of one now."""

    record_id: str
    status: Status
    """OPEN, TAKEN_UP, DONE or DELETED."""
    happened_at: datetime | None = None
    """Naive UTC, when the destination says it was done; None: it does not say."""
    owner_id: str | None = None
    due_at: datetime | None = None


@dataclass(frozen=True)
class PersonContext:
    """What the destination says of a person who is about to be asked for."""

    record_id: str
    owner_id: str | None
    """Of the record; None: it has none."""
    handled_by: HandledBy | None = None
    handled_at: datetime | None = None
    """Naive UTC, where what ``handled_by`` names has an instant."""
    said: OutcomeFields | None = None
    """What humans wrote into the fields of outcomes, where these are read."""


@runtime_checkable
class HearsBack(Protocol):
    """A destination in which people act, and that can be asked about it. All three only read."""

    def asks(self, activation: Activation) -> bool:
        """Return whether ``activation`` has an action here."""

    async def owners(self, client: VendorClient, context: Context) -> list[Owner]:
        """Return every user who owns or owned something, deactivated ones too."""

    async def actions(self, client: VendorClient, context: Context, open: Sequence[OpenAction]) -> list[SeenAction]:
        """Return what became of each of ``open``, in the vendor's largest batches and never by search.

        An action that is not there any more is DELETED; one that the vendor said nothing about is left out.
        """

    async def contexts(
        self, client: VendorClient, context: Context, records: Sequence[str], ours: Sequence[OpenAction]
    ) -> list[PersonContext]:
        """Return who has each of the person records ``records``, and whether somebody is on them.

        ``ours`` are the actions of ours that are open with them: they, and our own completions, never count. A record
        that is not there any more is left out. Costs a bounded number of calls for 100 records.
        """
