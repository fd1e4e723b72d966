"""Behaviours of the Pipedrive stand-in that tests turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_FATES = ("refused", "taken")
CHOICES: dict[str, tuple[Any, ...]] = {
    "created_status": (200, 201),
    "unknown_users": _FATES,
    "inactive_users": _FATES,
}
"""What each setting may be."""


@dataclass
class Settings:
    """Behaviours that the documents leave open.

    ``created_status``: of what was made (the documents list 200, other pages allow 201). ``unknown_users``,
    ``inactive_users``: what becomes of an ``owner_id`` of nobody, or of a deactivated user.
    """

    created_status: int = 200
    unknown_users: str = "refused"
    inactive_users: str = "refused"

    def turn(self, change: dict[str, Any]) -> dict[str, Any]:
        """Turn those that ``change`` names, and return all; ValueError for a value that none of them has."""
        for name, value in change.items():
            if name not in CHOICES or value not in CHOICES[name]:
                raise ValueError(f"no setting {name} may be {value}; there are {CHOICES}")
            setattr(self, name, value)
        return {name: getattr(self, name) for name in CHOICES}
