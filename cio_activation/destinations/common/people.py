"""Whom a lane delivers to a destination, who gets a record there, and what that needs of the deciding rooms."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from cio_activation.activation.models import Activation, Audience, Lane
from cio_activation.warehouse.scope import Scope
from cio_activation.warehouse.sql import literal


class CreatePeople(StrEnum):
    """For whom a record is made when the destination has none; those it has are always linked."""

    EVERYONE = "everyone"
    AUDIENCE_MEMBERS = "audience_members"
    NEVER = "never"


class OnDeleted(StrEnum):
    """What becomes of a person whose record was deleted at the destination."""

    LEAVE = "leave"
    RECREATE = "recreate"


def lane_is_delivered(activation: Activation, destination: str, lane: Lane, audiences: Sequence[Audience]) -> bool:
    """Return whether the lane has a property for the destination, or one of ``audiences``."""
    return bool(activation.lane_properties(lane, destination) or [a for a in audiences if a.lane is lane])


def population(
    activation: Activation, destination: str, lane: Lane, audiences: Sequence[Audience], scope: Scope
) -> str:
    """Return a SELECT of the ``cio_id`` of everybody the lane delivers: all with state, else its audiences' members.

    Of those in ``scope`` only.
    """
    if activation.lane_properties(lane, destination):
        return f"SELECT cio_id FROM {scope.rows(state_table(lane))}"
    return members([a for a in audiences if a.lane is lane], scope)


def population_tables(activation: Activation, destination: str, lane: Lane) -> tuple[str, ...]:
    """Return the tables :func:`population` reads."""
    return (state_table(lane) if activation.lane_properties(lane, destination) else "audience.memberships",)


def members(audiences: Sequence[Audience], scope: Scope) -> str:
    """Return a SELECT of the ``cio_id`` of everybody who is in one of ``audiences`` now."""
    names = [literal(a.name) for a in audiences]
    inside = f"audience IN ({', '.join(names)})" if names else "false"
    now = f"{inside} AND exited_at IS NULL AND NOT ghost"
    return f"SELECT DISTINCT cio_id FROM {scope.rows('audience.memberships')} WHERE {now}"


def may_create(wanted: CreatePeople, cio_id: str, members: str) -> str:
    """Return SQL for: a record may be made for ``cio_id``; ``members`` is a SELECT of who is in an audience now."""
    if wanted is CreatePeople.AUDIENCE_MEMBERS:
        return f"{cio_id} IN ({members})"
    return "true" if wanted is CreatePeople.EVERYONE else "false"


def lane_needs(activation: Activation, destination: str, lane: Lane, audiences: Sequence[Audience]) -> tuple[str, ...]:
    """Return the asset keys of the deciding rooms that the lane's people and values come from."""
    persons = "identity/persons" if lane is Lane.DAILY else "identity/persons_live"
    if activation.lane_properties(lane, destination):
        return (f"state/{lane.value}_properties", persons)
    return (*(f"audience/{a.name}" for a in audiences if a.lane is lane), persons)


def state_table(lane: Lane) -> str:
    """Return the name of the lane's state table."""
    return f"state.{lane.value}_properties"
