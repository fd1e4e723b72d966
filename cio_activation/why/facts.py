"""What is told of a person: one fact, and what is needed to tell it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from pydantic import TypeAdapter

from cio_activation.activation.durations import format_duration
from cio_activation.activation.models import Activation
from cio_activation.activation.settings import Settings
from cio_activation.delivery.destination import Destination
from cio_activation.journal.operations import Kind
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import timestamp

HIDDEN = "(hidden)"
"""Shown instead of personal data, unless that is asked for."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One thing that happened to a person, or keeps something from happening."""

    what: str
    """``entered``, ``left``, ``withheld``, ``dropped``, ``write``, ``act``, ``value`` or ``obstacle``."""
    sentence: str
    as_of: datetime | None = None
    """The end of the window it belongs to, or when a human acted (naive UTC); None: it holds now."""
    about: str | None = None
    """The audience, property or field."""
    destination: str | None = None
    window_key: str | None = None
    run_id: str | None = None
    activation: str | None = None
    """Fingerprint of the rules, under which ``audience.activations`` has them."""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Asking:
    """Who asks, as far as the answer depends on it."""

    con: Connection
    settings: Settings
    activation: Activation
    destinations: Sequence[Destination]
    as_of: datetime | None = None
    """Only windows that ended by then; None: all, and what holds now."""
    personal: bool = False
    """Whether personal data is shown."""
    _read: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    under_way: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """``cio_id`` -> what the journal has of them, once it was asked."""

    @property
    def until(self) -> str:
        """The end of a WHERE over ``as_of``: only what is asked for."""
        return "" if self.as_of is None else f" AND as_of <= {timestamp(self.as_of)}"

    def rows(self, query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[dict[str, Any]]:
        """Return the rows of ``query`` by name."""
        found = self.con.execute(query, dict(parameters) if isinstance(parameters, Mapping) else list(parameters))
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def rules(self, activation: str | None) -> Mapping[str, Any]:
        """Return the rules of the day: the activation of that fingerprint as it was kept; today's, if it was not."""
        name = activation or ""
        if name not in self._read:
            kept = self.con.execute("SELECT rules FROM audience.activations WHERE activation = ?", [name]).fetchall()
            text = kept[0][0] if kept else self.activation.model_dump_json()
            self._read[name] = json.loads(text)
        return self._read[name]

    def audience(self, name: str, activation: str | None = None) -> Mapping[str, Any]:
        """Return how the rules of the day declared an audience; nothing of one they do not have."""
        return dict(self.rules(activation)["audiences"].get(name) or {})

    def label(self, name: str, activation: str | None = None) -> str:
        """Return an audience as a CRM shows it, with the name that the file has for it."""
        label = self.audience(name, activation).get("label") or self.audience(name).get("label")
        return f"“{label}” ({name})" if label else name

    @cached_property
    def kinds(self) -> Mapping[tuple[str, str], Kind]:
        """Destination and name of a kind -> the kind, of every step there is."""
        return {
            (destination.name, kind.name): kind
            for destination in self.destinations
            if destination.name in self.activation.destinations
            for step in destination.steps(self.activation)
            for kind in step.kinds
        }

    @cached_property
    def private(self) -> frozenset[str]:
        """Attributes and properties whose values are personal data."""
        profile, attributes = self.activation.profile, self.activation.attributes
        sources = {"email", profile.phone, profile.first_name, profile.last_name}
        found = {a.name for a in attributes.values() if a.source in sources}
        found |= {p.name for p in self.activation.properties.values() if getattr(p.rule, "attribute", None) in found}
        return frozenset({"email", "phone", "first_name", "last_name", *found})

    def shown(self, name: str, value: Any) -> str:
        """Return ``name = value`` for a sentence; personal data only if that is asked for."""
        return f"{name} = {HIDDEN if name in self.private and not self.personal else told(value)}"

    def listed(self, values: Mapping[str, Any]) -> str:
        """Return all of ``values`` for a sentence."""
        return ", ".join(self.shown(name, value) for name, value in values.items())


def told(value: Any) -> str:
    """Return a value as people write it."""
    if value is None:
        return "no value"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return f"{value:,g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)


def span(value: Any) -> str:
    """Return a duration of kept rules as people write it."""
    return format_duration(TypeAdapter(timedelta).validate_python(value))


def minute(value: Any) -> str:
    """Return an instant, as a datetime or as text of JSON, to the minute."""
    return told(value) if isinstance(value, datetime) else str(value)[:16].replace("T", " ")


def parsed(text: str | None) -> dict[str, Any]:
    """Return a column of JSON; nothing, if there is none."""
    return dict(json.loads(text)) if text else {}
