"""How long an action may wait untouched, and what follows then: ``sla: {after: 8 working hours, then: [...]}``."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from cio_activation.activation.base import Model
from cio_activation.activation.due import DueTime

RAISE_PRIORITY, REASSIGN, TELL = "raise_priority", "reassign", "tell"
_WORDS = (RAISE_PRIORITY, REASSIGN, TELL)
_EMAIL = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s]+$")


class ReassignTo(Model):
    """A person who takes over what nobody touched."""

    reassign: str
    """E-mail address of a user of the CRM."""


def parse_steps(value: Any) -> Any:
    """Return one step as a list of one, and check the words; ValueError names the mend."""
    steps = list(value) if isinstance(value, list | tuple) else [value]
    for one in steps:
        named = one.get(REASSIGN) if isinstance(one, dict) else one.reassign if isinstance(one, ReassignTo) else None
        if isinstance(one, str) and one in _WORDS:
            continue
        if not (isinstance(named, str) and _EMAIL.match(named)):
            raise ValueError(f"{one!r} is no step; write {', '.join(_WORDS)}, or {{{REASSIGN}: lead@example.com}}")
    if not 1 <= len(steps) <= 2:
        raise ValueError("has one step, or two: whoever is told a third time has stopped to look")
    return tuple(steps)


Steps = Annotated[
    tuple[str | ReassignTo, ...],
    BeforeValidator(parse_steps),
    WithJsonSchema(
        {
            "type": "array", "minItems": 1, "maxItems": 2,
            "items": {"anyOf": [{"enum": list(_WORDS)}, {"type": "object"}]},
        }
    ),
]  # fmt: skip


class Sla(Model):
    """What follows when nobody touches an action in time; nothing once anything happened on it or its record."""

    after: DueTime
    """Working time of whoever has it, from when it was asked for; the second step comes as long after the first."""
    then: Steps = (RAISE_PRIORITY, REASSIGN)
    """At most two steps: raise_priority, reassign (to the next of ``owner`` who can act, or ``{reassign: email}``),
    tell (a warning, as all others are told). Where nobody is left to reassign to, that is told."""

    def named(self) -> tuple[str, ...]:
        """Return the e-mail addresses of those whom something is reassigned to by name."""
        return tuple(step.reassign for step in self.then if isinstance(step, ReassignTo))
