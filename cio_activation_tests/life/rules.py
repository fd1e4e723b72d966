"""The simulation's activation, and its numbers as the judge reads them: from the YAML, without the project's loader."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cio_activation_tests.life.calendars import Hours

FILE = Path(__file__).with_name("activation.yaml")
_SPAN = re.compile(r"^(\d+)(m|h|d)$")
_UNITS = {"m": 60, "h": 3_600, "d": 86_400}
_GATE = re.compile(r"^(\w+) >= (\d+)$")
_ACTIONS = {"hubspot": "task", "pipedrive": "activity"}


def written(*, grace: bool = True, actions: bool = True) -> dict[str, Any]:
    """Return the file; without grace and dwell, or with lists and flags only, where a workflow would make a human act."""
    file: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    for prop in file["properties"].values():
        if not grace:
            prop.pop("min_dwell", None)
    for audience in file["audiences"].values():
        if not grace:
            audience.pop("grace", None)
        if actions:
            continue
        for place, word in _ACTIONS.items():
            if audience["deliver"].get(place, {}).pop(word, None):
                audience["touch"] = True
        audience.pop("route", None)
    if not actions:
        file["destinations"].pop("customerio", None)
    return file


def seconds(said: str | None) -> float:
    """Return a span such as ``48h`` in seconds."""
    match = _SPAN.match(said or "0m")
    if match is None:
        raise ValueError(f"{said!r} is no span")
    return float(match[1]) * _UNITS[match[2]]


@dataclass(frozen=True)
class Asked:
    """What an audience asks of a human in one place."""

    begins: str
    """How the subject begins, which no other audience's does."""
    due: str


@dataclass(frozen=True)
class Said:
    """What follows from an outcome, for the judge."""

    quiet: float = 0.0
    """Seconds in which nobody asks again: a cooldown, or until the person comes again."""
    again: float | None = None
    """Seconds until the next attempt; None: there is none."""
    attempts: int = 0
    """Further attempts at most."""

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Said:
        """Return what one outcome leads to as written."""
        retry = said.get("retry")
        quiet = seconds(said.get("cooldown") or said.get("snooze"))
        return cls(quiet, seconds(retry["after"]) if retry else None, retry["max"] if retry else 0)


@dataclass(frozen=True)
class AudienceRules:
    """What the file says of one audience, for the judge."""

    name: str
    label: str
    lane: str
    segment: int
    touch: bool
    gate: tuple[str, float] | None
    """An attribute, and what it is at least."""
    grace: float
    expires: float | None
    cooldown: float
    holdout: float
    purchase: bool
    shown_in: tuple[str, ...]
    """Places that have a list or a flag of it."""
    asks: Mapping[str, Asked]

    @classmethod
    def of(cls, name: str, said: Mapping[str, Any]) -> AudienceRules:
        """Return the rules of one audience as written."""
        deliver = {place: options or {} for place, options in said["deliver"].items()}
        asks = {
            place: Asked(options[word]["subject"].split("{")[0], options[word].get("due", "4 working hours"))
            for place, options in deliver.items()
            if (word := _ACTIONS.get(place, "")) in options
        }
        touch = bool(asks) or bool(said.get("touch"))
        match = _GATE.match(said["gate"]) if "gate" in said else None
        if "gate" in said and match is None:
            raise ValueError(f"the judge cannot read the gate {said['gate']!r}")
        expires = said.get("expires_after", "14d" if touch else None)
        return cls(
            name=name,
            label=said["label"],
            lane=said["lane"],
            segment=said["segment"],
            touch=touch,
            gate=(match[1], float(match[2])) if match else None,
            grace=seconds(said.get("grace")),
            expires=seconds(expires) if expires else None,
            cooldown=seconds(said.get("cooldown", "7d")) if touch else 0.0,
            holdout=float(said["holdout"].rstrip("%")) / 100 if "holdout" in said else 0.0,
            purchase="purchase" in said.get("exit_on", ()),
            shown_in=tuple(place for place in _ACTIONS if place in deliver),
            asks=asks,
        )


@dataclass(frozen=True)
class Rules:
    """The whole file, for the judge."""

    audiences: Mapping[str, AudienceRules]
    touches: int
    touches_per: float
    open_per_owner: int
    new_per_day: int
    zone: str
    hours: Mapping[str, Hours]
    """By e-mail; under ``""`` those of everybody else."""
    writes_back: bool
    outcomes: Mapping[str, Said]
    fields: Mapping[str, str]
    """The properties, and what their fields are called in both CRMs."""

    @classmethod
    def of(cls, file: Mapping[str, Any]) -> Rules:
        """Return the rules of an activation as written."""
        limits, zone = file["limits"], file["workspace"]["timezone"]
        common = limits["working_time"]
        people = {"": {}, **common["people"]}
        return cls(
            audiences={name: AudienceRules.of(name, said) for name, said in file["audiences"].items()},
            touches=limits["human_touches_per_person"]["max"],
            touches_per=seconds(limits["human_touches_per_person"]["per"]),
            open_per_owner=limits["capacity"]["open_per_owner"],
            new_per_day=limits["capacity"]["new_per_owner_per_day"],
            zone=zone,
            hours={email: Hours.of(common, own, zone) for email, own in people.items()},
            writes_back="customerio" in file["destinations"],
            outcomes={name: Said.of(said) for name, said in file["outreach_outcomes"].items()},
            fields={name: file["workspace"]["prefix"] + name for name in file["properties"]},
        )

    def audience_of(self, place: str, subject: str) -> str | None:
        """Return the audience that has an action with such a subject there."""
        found = [
            a.name for a in self.audiences.values() if place in a.asks and subject.startswith(a.asks[place].begins)
        ]
        return found[0] if len(found) == 1 else None

    def due(self, email: str | None, said: str, start: float) -> float:
        """Return when something is due that was asked of somebody at ``start``."""
        hours = self.hours.get(email or "", self.hours[""])
        count, _, unit = said.split(" ")
        if unit.startswith("day"):
            return hours.days_after(start, int(count))
        return hours.after(start, int(count) * (3_600 if unit.startswith("hour") else 60))
