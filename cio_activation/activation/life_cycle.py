"""What an activation says about the life of a person in an audience that makes a human act."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from cio_activation.activation.base import Duration, Model, Name, Share


class Exclusive(Model):
    """A group of audiences of which a person is in one at a time: that with the highest priority."""

    group: Name
    priority: int = 0
    """Higher goes first. Of two with the same priority neither displaces the other."""


class Baseline(StrEnum):
    """What happens to those who are eligible already when an audience starts to have a human act."""

    SKIP = "skip"
    INCLUDE = "include"


class Launch(Model):
    """How an audience starts to have a human act."""

    baseline: Baseline = Baseline.SKIP
    """Those eligible already are skipped until they have lost eligibility once, or are let in like all others."""
    backfill: Annotated[int, Field(ge=0)] = 0
    """So many of those eligible already are let in all the same, the first by rank."""
    only: Annotated[str, Field(min_length=1)] | None = None
    """Expression over attributes and properties: nobody else is let in. For a start on few."""
    max_entries_per_day: Annotated[int, Field(ge=1)] | None = None
    """No more are let in on a day of the workspace's time zone."""


class PersonCap(Model):
    """How often a person may be touched by a human, over all audiences and all destinations."""

    max: Annotated[int, Field(ge=1)] = 1
    per: Duration = timedelta(days=7)


class PurchaseMoment(Model):
    """The moment that says a person bought, where purchases are told so and not by attributes."""

    name: Annotated[str, Field(min_length=1)]
    """What the webhook's event is called: order_completed."""
    value: Annotated[str, Field(pattern=r"^[\w\- ]+(\.[\w\- ]+)*$")] | None = None
    """Where the event's body has what the order was worth, dots lead into objects: order.total."""


class Measure(Model):
    """How an audience is measured: what people do after their first entry, against those who are held out."""

    within: Duration = timedelta(days=30)
    """Purchases count from the entry until so long after it; nobody is counted before that is over."""
    lapsed_after: Duration = timedelta(days=90)
    """Who had not bought for so long when they entered, and buys, is reactivated."""
    revenue_cap: Annotated[float, Field(gt=0)] | None = None
    """More than this of one person counts as this in the comparison, so that one large order does not decide it."""
    smallest_effect: Annotated[Share, Field(gt=0)] = 0.05
    """The smallest difference between the shares of buyers that is worth knowing of: 5% is from 3 to 8 of 100."""


COOLDOWN = timedelta(days=7)
"""Of a touch audience that names none."""
EXPIRES_AFTER = timedelta(days=14)
"""Of a touch audience that names none: its flags and actions do not outlive that."""
