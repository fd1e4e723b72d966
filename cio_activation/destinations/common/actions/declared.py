"""What one kind of action is to its steps: its word, its kinds of operation, and how an audience declares it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from cio_activation.activation.models import Audience
from cio_activation.activation.sla import Sla
from cio_activation.journal.operations import Kind


class Declared(Protocol):
    """How an audience declares one."""

    @property
    def on_end(self) -> StrEnum:
        """What becomes of it when its reason ends and nobody has taken it up."""

    def model_dump_json(self, *, exclude: set[str]) -> str:
        """Return all of it but ``exclude``: with another text, what is open is written anew."""


@runtime_checkable
class Handed(Protocol):
    """Options of one that may go to somebody else while it is open."""

    @property
    def follow_owner(self) -> bool:
        """Whether it goes where the record goes."""

    @property
    def sla(self) -> Sla | None:
        """What follows when nobody touches it."""


OptionsOf = Callable[[Audience], Declared | None]


@dataclass(frozen=True)
class ActionType:
    """A task, an activity, a note: one of these per destination and word."""

    destination: str
    word: str
    """``task``: in names of steps and kinds, in claims and in ``delivery.actions.kind``."""
    options_of: OptionsOf = field(repr=False)
    """Return how an audience declares it; None: not at all."""
    assigned: bool = True
    """Somebody acts on it, so it waits for an assignment to its destination; else it only is not made elsewhere."""

    @property
    def opens(self) -> Kind:
        """Makes it, once per claim."""
        return Kind(name=f"open_{self.word}", creates=True, told=f"opened {_article(self.word)} {self.word}")

    @property
    def changes(self) -> Kind:
        """Brings the text of an open one up to date."""
        return Kind(name=f"change_{self.word}", told=f"brought the {self.word} up to date")

    @property
    def withdraws(self) -> Kind:
        """Completes or deletes one that nobody took up, because its reason ended."""
        return Kind(name=f"withdraw_{self.word}", told=f"took the {self.word} back")

    @property
    def tells(self) -> Kind:
        """Writes a line into one that somebody took up: its reason ended."""
        return Kind(name=f"tell_{self.word}", told=f"wrote into the {self.word} that its reason ended")

    @property
    def assigns(self) -> Kind:
        """Gives an open one to somebody else."""
        return Kind(name=f"assign_{self.word}")

    @property
    def raises(self) -> Kind:
        """Raises the priority of an open one."""
        return Kind(name=f"raise_{self.word}")

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """All of them."""
        found = (self.opens, self.changes, self.withdraws, self.tells)
        return (*found, self.assigns, self.raises) if self.assigned else found


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def action_claim_sql(word: str, entry_id: str, attempt: str) -> str:
    """Return SQL of the claim of an action's creation: ``task:<entry_id>:<attempt>``."""
    return f"concat('{word}:', {entry_id}, ':', {attempt})"


def action_claim(word: str, entry_id: str, attempt: int = 1) -> str:
    """Return that claim of one action."""
    return f"{word}:{entry_id}:{attempt}"


def claim_of(word: str, payload: Mapping[str, Any]) -> str:
    """Return the claim that an action of an operation's payload was made under, or is."""
    return action_claim(word, str(payload["entry_id"]), int(payload.get("attempt") or 1))


def marker(claim: str) -> str:
    """Return what is written into an action to find it by, should the answer to its creation get lost."""
    return f"[{claim}]"
