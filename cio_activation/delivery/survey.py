"""What can be read of a destination's account before anything is declared, for whoever writes the first activation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from cio_activation.transport.http import VendorClient


@dataclass(frozen=True, kw_only=True)
class Survey:
    """One account, as a few reads show it. Nothing of it is about the people in it."""

    account: str
    """Which one it is, in words: portal 123."""
    timezone: str | None = None
    currency: str | None = None
    fields: Sequence[str] = ()
    """Names of the fields of a person's record that somebody added to those the vendor has."""
    builtin_fields: int = 0
    fields_are_scarce: bool = False
    """Whether the vendor's plans take so few that only what makes somebody act should have one."""
    owners: Sequence[str] = ()
    """E-mail addresses of those who can be asked to act, deactivated ones left out."""
    pipelines: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Pipeline of deals -> its stages, in order."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """What could not be read, and why."""


@dataclass(frozen=True, kw_only=True)
class FirstAsk:
    """What a human is asked to do, in no vendor's words."""

    subject: str
    body: str
    urgent: bool
    people: Sequence[str]
    """E-mail addresses of those who can act; at least one."""

    @property
    def as_owner(self) -> Any:
        """Them as the key ``owner`` of an action names them."""
        return self.people[0] if len(self.people) == 1 else {"rotate": list(self.people)}


@runtime_checkable
class CanBeSurveyed(Protocol):
    """A destination that an activation can be written for from what its account shows."""

    async def survey(self, client: VendorClient) -> Survey:
        """Return what is there, by a few reads that do not grow with people.

        ConfigError, with the mend, where the credential does not open the account at all.
        """

    def first_delivery(self, ask: FirstAsk | None) -> dict[str, Any]:
        """Return the options of one audience here (``deliver: <name>:``): with a list or flag, and what is asked."""
