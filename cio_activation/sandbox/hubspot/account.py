"""One HubSpot account: its clock, settings, property definitions, records, owners and pipelines."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from cio_activation.sandbox.hubspot.errors import Refusal
from cio_activation.sandbox.hubspot.owners import first_owners
from cio_activation.sandbox.hubspot.records import Records
from cio_activation.sandbox.hubspot.schema import PropertySet
from cio_activation.sandbox.hubspot.settings import Settings
from cio_activation.sandbox.server.core import Clock

TYPE_IDS = {"contacts": "0-1", "tasks": "0-27", "notes": "0-46", "deals": "0-3"}
_TYPES = {name: type_ for type_, number in TYPE_IDS.items() for name in (type_, type_[:-1], number)}


@dataclass(frozen=True)
class Required:
    """An administrator's rule: ``name`` has a value at creation, or whenever ``when`` (property, value) holds."""

    name: str
    when: tuple[str, str] | None = None


@dataclass
class Account:
    """One HubSpot account."""

    clock: Clock
    settings: Settings
    portal_id: int
    time_zone: str = "US/Eastern"
    rng: random.Random = field(default_factory=lambda: random.Random(20260922))
    properties: dict[str, PropertySet] = field(default_factory=dict)
    records: dict[str, Records] = field(default_factory=dict)
    owners: list[dict[str, Any]] = field(default_factory=first_owners)
    pipelines: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """Per object type, the pipelines by id, archived ones too."""
    required: dict[str, list[Required]] = field(default_factory=dict)

    @property
    def now(self) -> float:
        """The vendors' present time, seconds since the epoch."""
        return self.clock.now()

    def object_type(self, name: str) -> str:
        """Return ``contacts``, ``tasks``, ``notes`` or ``deals`` for any of a type's names."""
        found = _TYPES.get(name.lower())
        if found is None:
            raise Refusal(400, "VALIDATION_ERROR", f"Unable to infer object type from: {name}")
        return found

    def owner(self, owner_id: str) -> dict[str, Any] | None:
        """Return an owner, active or not."""
        return next((owner for owner in self.owners if owner["id"] == owner_id), None)
