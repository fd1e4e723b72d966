"""What a destination has to offer so that what lies there can be read back and compared with what it acknowledged.

A destination that is :class:`ReadsBack` is audited (the room ``audit``); one that is not is left out, and told so.
All reading is done with the warehouse closed; nothing of it changes anything at the destination.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from cio_activation.delivery.destination import Context
from cio_activation.delivery.outreach import OpenAction, SeenAction
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.sessions import Connection


class Presence(StrEnum):
    """What has become of a record."""

    THERE = "there"
    DELETED = "deleted"
    MERGED = "merged"


@dataclass(frozen=True, kw_only=True)
class Comparable:
    """What of a destination can be compared at all."""

    fields: Sequence[str]
    """Logical names of properties whose values we alone write."""
    sizes: Mapping[str, int | None]
    """Audience that is kept there -> how many the destination says are in it; None: it does not say."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Property or audience -> why it cannot be compared: a field that is calculated there, a list that is gone."""


@dataclass(frozen=True, kw_only=True)
class SeenRecord:
    """One record of a person, as the destination holds it."""

    record_id: str
    presence: Presence
    key: str | None = None
    """The ``cio_id`` it carries."""
    values: Mapping[str, str] = field(default_factory=dict)
    """Logical name -> value, as the shadow would hold it; an empty text is none."""
    audiences: Collection[str] | None = None
    """In which audiences it is there; None: that is not known."""
    shown: Mapping[str, Any] = field(default_factory=dict)
    """What the destination itself wants to know again in ``take_in``."""


@runtime_checkable
class ReadsBack(Protocol):
    """A destination whose records can be read by their ids, many a call."""

    read_at_once: int
    """Records of one call."""
    heals_memberships: bool
    """Each of its runs sees by itself what somebody did to memberships, and undoes it."""

    async def comparable(self, client: VendorClient, context: Context) -> Comparable:
        """Return what can be compared; calls do not grow with people."""

    async def records(
        self, client: VendorClient, context: Context, people: Mapping[str, str], fields: Sequence[str]
    ) -> list[SeenRecord]:
        """Return what up to ``read_at_once`` records hold; one that the vendor said nothing about is left out.

        ``people``: record id -> ``cio_id``.
        """

    async def actions_back(
        self, client: VendorClient, context: Context, open: Sequence[OpenAction]
    ) -> list[SeenAction]:
        """Return what became of each of ``open``; those that the vendor said nothing about are left out."""

    def acknowledged_members(self, context: Context) -> str:
        """Return a SELECT of ``cio_id, record_id, audience, certain``: who is acknowledged to be in.

        Not ``certain``: it will be written anew in any case, in or out.
        """

    def unsettled(self) -> str:
        """Return a SELECT of the ``cio_id`` of those whose record is known to be gone, or to have to be looked for."""

    def take_in(self, con: Connection, context: Context, repairs: str, seen: str) -> None:
        """Lay what was found over the destination's own tables, so that the next plan repairs it.

        ``repairs``: a relation of findings (``kind, subject, name, cio_id, record_id, theirs``) but for fields;
        ``seen``: of all that was read (``cio_id, record_id, shown``).
        """


@runtime_checkable
class TellsHistory(Protocol):
    """A destination that knows what a field held before."""

    async def ever_filled(
        self, client: VendorClient, context: Context, asked: Mapping[str, Sequence[str]]
    ) -> set[tuple[str, str]]:
        """Return which of the fields ``asked`` (record id -> logical names) held a value at any time."""


@runtime_checkable
class ListsMembers(Protocol):
    """A destination whose lists can be read page by page."""

    def members_of(self, client: VendorClient, context: Context, audience: str) -> AsyncIterator[Sequence[str]]:
        """Yield the record ids of the audience's list, one call a page."""
