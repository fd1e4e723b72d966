"""HubSpot's owners.

A deactivated owner shows with ``archived=true`` only; ``userId`` is null then and ``userIdIncludingInactive`` is set
(reported for the official client).
"""

from __future__ import annotations

from typing import Any

from cio_activation.sandbox.hubspot.errors import stamp

FIRST_OWNER = 70_000_001
_USERS = 20_000_000
"""Owner ids are not user ids: this far apart here."""


def first_owners() -> list[dict[str, Any]]:
    """Return the owners of a new account."""
    return [
        make_owner(FIRST_OWNER + i, f"{name}@example.com", name.capitalize()) for i, name in enumerate(("ada", "grace"))
    ]


def make_owner(
    number: int, email: str, first_name: str, last_name: str = "Owner", created: float = 1_700_000_000
) -> dict[str, Any]:
    """Return an active owner."""
    at = stamp(created)
    return {
        "id": str(number),
        "email": email,
        "type": "PERSON",
        "firstName": first_name,
        "lastName": last_name,
        "userId": number - _USERS,
        "userIdIncludingInactive": number - _USERS,
        "createdAt": at,
        "updatedAt": at,
        "archived": False,
    }


def deactivate(owner: dict[str, Any], now: float) -> None:
    """Deactivate an owner; what they own keeps their id."""
    owner |= {"archived": True, "userId": None, "updatedAt": stamp(now)}
