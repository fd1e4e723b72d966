"""What an activation may say about the way back: ``destinations: customerio:``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from cio_activation.activation.base import Model
from cio_activation.activation.models import Activation, Lane

NAME = "customerio"


class AudienceText(StrEnum):
    """What the attribute of the audience holds."""

    NAME = "name"  # as in the activation: it stays when the label is reworded
    LABEL = "label"  # as people read it in the CRM


class CustomerioSettings(Model):
    """Settings of the destination ``customerio``. Its credentials are those by which people are read."""

    attribute_prefix: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,9}_$")] = "cx_"
    """Begins the names of the three attributes: ``cx_outreach_active``, ``cx_outreach_audience``,
    ``cx_outreach_until``. Another prefix later removes those of the old one."""
    audience: AudienceText = AudienceText.NAME
    """Whether ``cx_outreach_audience`` holds the audience's name or its label."""
    remove_attributes: bool = False
    """Mark nobody and remove the attributes from everybody who has them: a run with this, before the destination is
    taken out of the activation, leaves nothing behind."""
    requests_per_second: Annotated[int, Field(ge=1, le=1000)] = 100
    """Customer.io's fair use of the Track API; its documents disagree between 30 and 1,000."""
    rate_share: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Part of it that this project may use; the rest is left to other senders."""


def settings_of(activation: Activation) -> CustomerioSettings:
    """Return the settings in ``activation``; defaults where it has none."""
    found = activation.destinations.get(NAME)
    return found if isinstance(found, CustomerioSettings) else CustomerioSettings.model_validate(found or {})


def lanes_of(activation: Activation) -> tuple[Lane, ...]:
    """Return the lanes with a step: the daily one always, and any in which humans are asked to act."""
    asking = {audience.lane for audience in activation.audiences.values() if audience.touch}
    return tuple(lane for lane in Lane if lane is Lane.DAILY or lane in asking)
