"""From when on the project warns: what is in order on ordinary days, and what a person should be told."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from cio_activation.activation.base import Duration, Model, Share


class Alerts(Model):
    """Limits that stop nothing: beyond one of them somebody is told, once when it begins and once when it ends."""

    actions_per_day: Annotated[int, Field(ge=1)] = 100
    """More new actions than this on a day of the workspace's time zone, over all audiences and CRMs."""
    people_waiting: Annotated[int, Field(ge=1)] = 50
    """More people than this who wait in an audience because its day, or everybody's desk, is full."""
    reject_share: Share = 0.05
    """More than this share of a destination's operations of the last day rejected."""
    feedback_unread_for: Duration = timedelta(hours=26)
    """So long without asking a CRM what humans did."""
    segment_size_change: Annotated[float, Field(gt=0)] = 0.5
    """A segment that grows or shrinks by more than this share from one snapshot to the next."""
    segment_change_for: Duration = timedelta(days=1)
    """How long a change of a segment is told of."""
    segment_turnover: Annotated[float, Field(gt=0)] = 0.3
    """More than this share of a segment's members coming or going per day, over the last seven: it is soft."""
    audience_overlap: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Two audiences with more than this share of their people in common (of all who are in either)."""
    share_floor: Annotated[int, Field(ge=1)] = 20
    """Fewer people or operations than this make no share that is worth a word."""
    webhook_fair_use: Annotated[int, Field(ge=1)] = 60
    """Messages per profile and month in Customer.io's plan, journeys' webhooks among them: 60 (Essentials) or 100
    (Premium, Enterprise). At half of it somebody is told."""
