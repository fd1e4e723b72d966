"""What an activation says about an action: what a human is asked to do, by whom, and due when.

A destination's own options of an action (``task``, ``activity``) are :class:`ActionOptions` with its own keys beside
them. The deciding rooms know an :class:`Ask` only: who may act, and how long they have.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Protocol, Self, runtime_checkable

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from cio_activation.activation.base import Model
from cio_activation.activation.due import Due, DueTime, parse_due
from cio_activation.activation.sla import Sla

RECORD_OWNER, AUDIENCE_OWNER, NOBODY = "record_owner", "audience_owner", "nobody"
_EMAIL = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
_PLACE = re.compile(r"\{([^{}]*)\}")


class ActionPriority(StrEnum):
    """How urgent an action is shown as."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class OnEnd(StrEnum):
    """What becomes of an action nobody took up when its reason ends."""

    COMPLETE = "complete"
    DELETE = "delete"


def as_tuple(value: Any) -> Any:
    """Return a list as a tuple, which strict models take; anything else as it is, for the model to judge."""
    return tuple(value) if isinstance(value, list) else value


class Rotation(Model):
    """People who take turns."""

    # A list is none of JSON's own any more once the chain around it was read.
    rotate: Annotated[tuple[str, ...], BeforeValidator(as_tuple), Field(min_length=1)]
    """E-mail addresses of users of the CRM."""


class Queue(Model):
    """A queue of the CRM, out of which a team takes its work."""

    queue: Annotated[str, Field(pattern=r"^[0-9]+$")]
    """Its id, as the CRM's address bar shows it."""


def parse_owners(value: Any) -> Any:
    """Return one owner as a list of one, and check the words; ValueError names the mend."""
    chain = list(value) if isinstance(value, list | tuple) else [value]
    for one in chain:
        if isinstance(one, str) and one not in (RECORD_OWNER, AUDIENCE_OWNER, NOBODY) and not _EMAIL.match(one):
            raise ValueError(
                f"{one!r} is neither {RECORD_OWNER}, {AUDIENCE_OWNER}, {NOBODY} nor an e-mail address; a team takes "
                "turns by {rotate: [...]}, or has a {queue: id}"
            )
    return tuple(chain)


OwnerChain = Annotated[
    tuple[str | Rotation | Queue, ...],
    BeforeValidator(parse_owners),
    Field(min_length=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "object"},
                {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "object"}]}, "minItems": 1},
            ]
        }
    ),
]
"""Who acts, the first that can: record_owner, audience_owner, an e-mail address, a rotation, a queue, nobody."""


class ActionOptions(Model):
    """What a human is asked to do for every person who enters, and by whom."""

    subject: Annotated[str, Field(min_length=1, max_length=200)]
    """An instruction. {cart_value} stands for the person's value of that attribute or property."""
    body: Annotated[str, Field(min_length=1, max_length=4_000)] | None = None
    """What to do, in a sentence or two; the reason and the values it rests on are written below it. By default the
    audience's description."""
    due: DueTime = parse_due("4 working hours")
    """From the decision on: 4 working hours, 2 working days, or 2h by the clock."""
    owner: OwnerChain = (RECORD_OWNER, AUDIENCE_OWNER)
    """Who acts: the first of these who can. Without anybody the person is withheld (no_owner)."""
    priority: ActionPriority = ActionPriority.MEDIUM
    on_end: OnEnd = OnEnd.COMPLETE
    """What becomes of it when its reason ends and nobody has taken it up."""
    wait_for_opening: bool = False
    """Nobody enters outside working time; by default they do, and it is due in the next opening."""
    follow_owner: bool = False
    """When the record gets another owner, the open action goes to that one, or to the next of ``owner`` who can act.
    Not where somebody has taken it up, or given it to somebody."""

    sla: Sla | None = None
    """What follows when nobody touches it for so long: a higher priority, somebody else, or a person is told."""

    @model_validator(mode="after")
    def _follows_whom_it_names(self) -> Self:
        if self.follow_owner and self.owner[0] != RECORD_OWNER:
            raise ValueError(
                f"follow_owner goes after the record's owner, whom `owner` does not ask first; let it begin with "
                f"{RECORD_OWNER}, or leave follow_owner out"
            )
        return self

    def placeholders(self) -> tuple[str, ...]:
        """Return the names that the texts put values in for, each once, in order."""
        return named_in(self.subject, self.body)


@dataclass(frozen=True)
class Ask:
    """What deciding has to know of an action: who may act, and how long they have."""

    owners: tuple[str | Rotation | Queue, ...]
    due: Due
    wait_for_opening: bool
    placeholders: tuple[str, ...] = ()
    bears: tuple[str, ...] = ()
    """What somebody may be on (``feedback.contexts.handled_by``) without keeping the person out: it is worked with."""
    follow_owner: bool = False
    """Whether an open one goes where the record goes."""
    sla: Sla | None = None
    """What follows when nobody touches it."""

    @classmethod
    def of(cls, options: ActionOptions, bears: tuple[str, ...] = ()) -> Ask:
        """Return what deciding needs of ``options``."""
        waits, shown = options.wait_for_opening, options.placeholders()
        return cls(options.owner, options.due, waits, shown, bears, options.follow_owner, options.sla)


@runtime_checkable
class AsksSomebody(Protocol):
    """Options of a destination that may ask a human to act: that makes their audience a touch audience."""

    @property
    def asks_somebody(self) -> bool:
        """Whether they do."""


@runtime_checkable
class HasAsk(Protocol):
    """Options of a destination that say who acts."""

    @property
    def ask(self) -> Ask | None:
        """Return it; None where no human is asked."""


@runtime_checkable
class ShowsValues(Protocol):
    """Options of a destination whose texts put in values of the person."""

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Return the attributes and properties they show, each once."""


def named_in(*texts: str | None) -> tuple[str, ...]:
    """Return the names that ``texts`` put values in for, each once, in order."""
    return tuple(dict.fromkeys(name.strip() for text in texts for name in _PLACE.findall(text or "")))


def filled(template: str, values: dict[str, Any]) -> str:
    """Return ``template`` with each ``{name}`` replaced by its value as people read it; an unknown one by a dash."""
    return _PLACE.sub(lambda match: shown(values.get(match[1].strip())), template)


def shown(value: Any) -> str:
    """Return a value as people read it: no trailing zeros, yes and no, a dash for none."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.2f}".removesuffix(".00")
    return str(value)
