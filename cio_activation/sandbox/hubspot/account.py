"""One HubSpot account: its clock, settings, property definitions and records."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from cio_activation.sandbox.hubspot.errors import Refusal
from cio_activation.sandbox.hubspot.records import Records
from cio_activation.sandbox.hubspot.schema import PropertySet
from cio_activation.sandbox.hubspot.settings import Settings
from cio_activation.sandbox.server.core import Clock

_TYPES = {
    **dict.fromkeys(("contacts", "contact", "0-1"), "contacts"),
    **dict.fromkeys(("tasks", "task", "0-27"), "tasks"),
}


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

    @property
    def now(self) -> float:
        """The vendors' present time, seconds since the epoch."""
        return self.clock.now()

    def object_type(self, name: str) -> str:
        """Return ``contacts`` or ``tasks`` for any of a type's names."""
        found = _TYPES.get(name.lower())
        if found is None:
            raise Refusal(400, "VALIDATION_ERROR", f"Unable to infer object type from: {name}")
        return found
