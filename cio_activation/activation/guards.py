"""Limits that stop a run before anything is published or sent, as an activation declares them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cio_activation.activation.base import Model


class Guards(Model):
    """Limits that stop a run before anything is published or sent.

    A tripped guard holds the whole plan of its step: nothing is sent until ``cio-activation release PLAN`` lets it go,
    or the limit is raised, or the world moved back. Shares are of the people a destination has acknowledged for an
    audience (on its list, or carrying its flag). Half, because audiences that move with the calendar (a reorder
    window of ten days) lose and gain 30 % of their people in one ordinary day: a limit that trips on ordinary days
    is soon ignored.
    """

    min_snapshot_share: Annotated[float, Field(ge=0, le=1)] = 0.8
    """A new people snapshot with fewer rows than this share of the last one is not believed."""
    max_refused_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    """A people snapshot in which more than this share of people have something that cannot be read is not believed."""
    refused_floor: Annotated[int, Field(ge=0)] = 50
    """So many people with something that cannot be read never stop a snapshot, whatever share they are."""
    max_exit_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """More than this share of an audience's acknowledged people leaving in one plan hold the step; 1 never does."""
    max_entry_share: Annotated[float, Field(gt=0)] = 0.5
    """More people entering in one plan than this share of those acknowledged hold the step (2: it may triple).

    An audience with nobody acknowledged yet, or in its first day, may grow freely: that it fills is not a surprise.
    """
    share_floor: Annotated[int, Field(ge=1)] = 20
    """Fewer people than this entering or leaving an audience never hold a step, whatever share they are.

    Also the size from which on an audience that loses everybody holds the step, whatever max_exit_share says.
    """
    max_operations: Annotated[int, Field(ge=1)] = 200_000
    """More operations than this in one step and window hold the step."""
