"""Behaviours of the HubSpot stand-in that tests turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

CHOICES: dict[str, tuple[Any, ...]] = {
    "unknown_owners": ("refused", "taken", "dropped"),
    "archived_owners": ("taken", "refused", "dropped"),
    "queues": ("taken", "refused", "dropped"),
    "properties_created_status": (200, 201),
}
"""What the settings that are no plain switches may be."""


@dataclass
class Settings:
    """Behaviours that the fact sheet leaves open, or that tests want to turn.

    ``unknown_owners``, ``archived_owners``: what becomes of a write that names an owner who does not exist or is
    deactivated; ``queues``: of ``hs_queue_membership_ids`` ("dropped": answered as success, and not there).
    ``completion_date_is_due``: an open task's completion date holds its due date.
    ``properties_created_status``: of a batch of new property definitions.
    """

    search_lag_s: float = 3.0
    echo_trace_ids: bool = True
    omit_empty_ids: bool = False
    completion_date_is_due: bool = True
    unknown_owners: str = "refused"
    archived_owners: str = "taken"
    queues: str = "taken"
    properties_created_status: int = 200

    merge_keeps_primary: bool = False
    """A merge keeps the primary's record id, as in portals of that beta, instead of making a new one."""
    gdpr_blocklist: bool = True
    """An address that was deleted for good cannot be made anew by the API. HubSpot's specification says so, its
    knowledge base says that an API request can."""

    def turn(self, change: dict[str, Any]) -> dict[str, Any]:
        """Turn those that ``change`` names, and return all; ValueError for a value that none of them has."""
        for name in self.__dataclass_fields__:
            if name in change:
                allowed = CHOICES.get(name)
                if allowed is not None and change[name] not in allowed:
                    raise ValueError(f"{name} must be one of {', '.join(map(str, allowed))}")
                setattr(self, name, change[name])
        return {name: getattr(self, name) for name in self.__dataclass_fields__}
