"""How much of what was delivered an audit reads back, and how much of it may differ."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cio_activation.activation.base import Model, Share


class Audits(Model):
    """Limits of an audit of one destination."""

    sample: Annotated[int, Field(ge=1)] = 1000
    """So many people are drawn, the same ones for the same window, whose records are read back."""
    calls: Annotated[int, Field(ge=1)] = 500
    """An audit by schedule makes no more calls to one destination than this, give or take one batch."""
    max_deviating_share: Share = 0.05
    """More than this share of the records surely deviates (the lower end of the interval): the audit's check fails."""
