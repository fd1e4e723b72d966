"""What a human reads in an action: an instruction, why now, what it rests on. Plain lines; who sends escapes them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from cio_activation.activation.actions import ActionOptions, filled, shown
from cio_activation.activation.checks import default_label
from cio_activation.activation.models import Activation, AttributeType, Audience, PropertyType
from cio_activation.activation.outcomes import OUTCOME_FIELD, OUTCOME_LABEL, Outcome
from cio_activation.destinations.common.actions.declared import marker

SUBJECT_LONGEST = 255
EVIDENCE_LINES = 5
"""So many lines of values and moments at most: a rep reads two."""
ENDED = "Nothing to do any more"
"""How the line begins that says why an action has no reason any more."""
_ENDED = {
    "purchase": "the person bought",
    "left_segment": "the person left the segment",
    "gate": "the condition does not hold any more",
    "expired": "its time is over",
    "deleted": "the person was deleted in Customer.io",
    "suppressed": "the person takes no messages any more",
    "exclusive": "another audience with a higher priority has the person",
    "audience_removed": "the audience was removed",
    "done": "the person was taken care of",
    "withdrawn": "it was taken back",
    "outcome": "an outcome was written on the record",
}


@dataclass(frozen=True)
class Text:
    """An action's words. The marker is not in them."""

    subject: str
    lines: tuple[str, ...]
    """The first says what to do, the second why now; then what it rests on."""
    marker: str
    """Goes last, and finds the action again."""


def text_of(
    activation: Activation, audience: Audience, options: ActionOptions, payload: Mapping[str, Any], claim: str
) -> Text:
    """Return the words of an action from the payload of its operation."""
    evidence = payload.get("evidence") or {}
    inputs: Mapping[str, Any] = evidence.get("inputs") or {}
    fields: Mapping[str, Any] = (evidence.get("moment") or {}).get("fields") or {}
    values = {name: _shown(activation, name, value) for name, value in inputs.items()}
    subject = filled(options.subject, values)[:SUBJECT_LONGEST]
    body = filled(options.body or audience.description, values)
    told = [f"{_label(activation, name)}: {values[name]}" for name in inputs]
    told += [f"{default_label(name)}: {shown(value)}" for name, value in fields.items() if value is not None]
    told += [f"{_moment(m['name'])}: {local(activation, m['at'])}" for m in payload.get("moments") or ()]
    owned = f"Audience: {audience.label}, owned by {audience.owner}"
    why = _why(activation, audience, payload, evidence)
    attempt = int(payload.get("attempt") or 1)
    again = [f"Attempt {attempt}: nobody was reached before."] if attempt > 1 else []
    return Text(
        subject,
        (body, why, *again, *told[: EVIDENCE_LINES - 1], *_asked_for(activation, audience), owned),
        marker(claim),
    )


def _asked_for(activation: Activation, audience: Audience) -> list[str]:
    """Return where whoever acts writes what came of it: a CRM shows a field by its label, another by its name."""
    if audience.outcomes is None:
        return []
    said = ", ".join(outcome.value for outcome in Outcome)
    field = f"{OUTCOME_LABEL} ({activation.workspace.prefix}{OUTCOME_FIELD})"
    return [f"What came of it goes into the person's field {field}, with the day beside it: {said}."]


def ended_line(reason: str) -> str:
    """Return the line that says why an action has no reason any more."""
    return f"{ENDED}: {_ENDED.get(reason, reason)}."


def shown_hash(*parts: str | None) -> str:
    """Return what two texts share if a destination shows the same of both."""
    return hashlib.md5("\x1f".join(part or "" for part in parts).encode(), usedforsecurity=False).hexdigest()


def local(activation: Activation, instant: str | datetime) -> str:
    """Return an instant (naive UTC) as people of the workspace read it: ``Mon 23 Nov 2026, 14:05 EST``."""
    at = instant if isinstance(instant, datetime) else datetime.fromisoformat(instant)
    there = at.replace(tzinfo=at.tzinfo or UTC).astimezone(ZoneInfo(activation.workspace.timezone))
    return f"{there:%a} {there.day} {there:%b %Y, %H:%M %Z}"


def _why(activation: Activation, audience: Audience, payload: Mapping[str, Any], evidence: Mapping[str, Any]) -> str:
    if moment := evidence.get("moment"):
        return f"Why now: {_moment(moment['name'])}, {local(activation, moment['occurred_at'])}."
    since = evidence.get("since") or payload["entered_at"]
    segment = payload.get("segment")
    named = f"Customer.io segment '{segment}'" if segment else f"Customer.io segment {audience.segment}"
    return f"Why now: in {named} since {local(activation, since)}."


def _label(activation: Activation, name: str) -> str:
    prop = activation.properties.get(name)
    return prop.label if prop is not None else default_label(name)


def _moment(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _shown(activation: Activation, name: str, value: Any) -> Any:
    """Return a value as people read it; an instant in the workspace's time zone, money with its currency."""
    attribute, prop = activation.attributes.get(name), activation.properties.get(name)
    if value is None:
        return None
    if attribute is not None and attribute.type is AttributeType.TIMESTAMP:
        return local(activation, str(value))
    if attribute is not None and attribute.type is AttributeType.MONEY:
        return f"{shown(float(value))} {activation.workspace.currency}"
    if prop is not None and prop.type is PropertyType.NUMBER:
        return shown(float(value))
    return shown(value)
