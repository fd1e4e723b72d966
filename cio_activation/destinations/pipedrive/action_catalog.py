"""What actions need to know of the company: its activity types by key; and what of that, and of its users, is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cio_activation.activation.actions import AUDIENCE_OWNER, NOBODY, RECORD_OWNER, Queue, Rotation
from cio_activation.activation.models import Activation, Audience
from cio_activation.destinations.pipedrive.activity_sending import TYPE, activity_options
from cio_activation.destinations.pipedrive.api import PipedriveApi
from cio_activation.destinations.pipedrive.config import ActivityOptions


def asking(activation: Activation) -> list[tuple[Audience, ActivityOptions]]:
    """Return the audiences that ask for an activity, and how."""
    return [(a, o) for a in activation.audiences.values() if (o := activity_options(a)) is not None]


async def entries(api: PipedriveApi, activation: Activation) -> dict[str, Any]:
    """Return the catalog's entries of actions; asks nothing where no audience has any."""
    if not asking(activation):
        return {}
    return {TYPE + str(t["key_string"]): t["name"] for t in await api.activity_types() if t.get("active_flag")}


async def problems(api: PipedriveApi, activation: Activation) -> list[str]:
    """Return what no activity can be made with, each with its mend; at most 40 tokens."""
    asked = asking(activation)
    if not asked:
        return []
    types = sorted(str(t["key_string"]) for t in await api.activity_types() if t.get("active_flag"))
    told = [
        f"audience {audience.name}: Pipedrive has no activity type {options.type!r} in use; take one of "
        f"{', '.join(types)}, or add it under Company settings"
        for audience, options in asked
        if options.type not in types
    ]
    users = await api.users()
    for audience, options in asked:
        told += _owner_problems(audience, options, users)
    return told


def _owner_problems(audience: Audience, options: ActivityOptions, users: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return who of a chain cannot be given work; the audience's owner only where nobody else is named."""
    active = {str(u.get("email") or "").lower(): bool(u.get("active_flag")) for u in users}
    where, told = f"audience {audience.name}: deliver.pipedrive.activity.owner", []
    named: list[str] = []
    for one in options.owner:
        if isinstance(one, Queue):
            told.append(f"{where}: Pipedrive has no queues; name people, or {{rotate: [...]}}")
        elif isinstance(one, Rotation):
            named += one.rotate
        elif one not in (RECORD_OWNER, AUDIENCE_OWNER, NOBODY):
            named.append(one)
    if AUDIENCE_OWNER in options.owner and len(options.owner) == 1:
        named.append(audience.owner)
    for email in dict.fromkeys(named):
        if email.lower() not in active:
            told.append(f"{where}: {email} is no user of the company; invite them, or name somebody else")
        elif not active[email.lower()]:
            told.append(f"{where}: {email} is deactivated in Pipedrive and is passed over; name somebody else")
    return told
