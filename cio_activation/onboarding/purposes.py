"""What a segment is probably for, by its name, and what somebody would do about the people in it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cio_activation.activation.models import Lane


@dataclass(frozen=True, kw_only=True)
class Purpose:
    """One kind of audience."""

    name: str
    """Of the audience in the activation."""
    pattern: str
    label: str
    """How it reads in the CRM: an instruction."""
    description: str
    lane: Lane
    asks: bool
    """Whether a human is asked to act; the rest are lists and flags."""
    urgent: bool = False
    expires_after: str | None = None


PURPOSES: tuple[Purpose, ...] = (
    Purpose(
        name="cart_rescue",
        pattern=r"cart|checkout|basket",
        label="RET - Cart Left - Concierge Outreach",
        description="Left a cart that is worth a person's time. Offer help by phone.",
        lane=Lane.REALTIME,
        asks=True,
        urgent=True,
        expires_after="48h",
    ),
    Purpose(
        name="churn_risk_outreach",
        pattern=r"churn|at[ _-]?risk|slipping|(?:vip|best|high[ _-]value|loyal).*(?:laps|inactive|away|lost)",
        label="RET - Churn Risk - Needs Outreach",
        description="A good customer who has not ordered for long. Call and ask.",
        lane=Lane.DAILY,
        asks=True,
        expires_after="30d",
    ),
    Purpose(
        name="winback_clicked",
        pattern=r"win[ _-]?back.*click|click.*win[ _-]?back",
        label="RET - Winback Clicked - Personal Offer",
        description="Clicked the win-back message and has not ordered since.",
        lane=Lane.DAILY,
        asks=True,
        expires_after="7d",
    ),
    Purpose(
        name="recent_refund",
        pattern=r"refund|\breturn(?:s|ed)?\b|charge[ _-]?back",
        label="RET - Recent Refund - Suppress Promotions",
        description="Had money back lately. Keep out of promotions and of paid audiences.",
        lane=Lane.DAILY,
        asks=False,
    ),
    Purpose(
        name="lapsed",
        pattern=r"laps|inactive|dormant|win[ _-]?back|re-?activat|sleeping",
        label="RET - Lapsed - Winback Offer",
        description="No order for a while. Coordinate the win-back offer here.",
        lane=Lane.DAILY,
        asks=False,
    ),
    Purpose(
        name="second_purchase_due",
        pattern=r"second (?:purchase|order)|one[ _-]time|first[ _-]time (?:buyer|customer)|repeat due",
        label="RET - Second Purchase Due - Nudge",
        description="Ordered once and not again yet.",
        lane=Lane.DAILY,
        asks=False,
    ),
    Purpose(
        name="reorder_due",
        pattern=r"re-?order|replenish|refill|restock",
        label="RET - Reorder Due - Follow Up",
        description="The next order is due about now.",
        lane=Lane.DAILY,
        asks=False,
    ),
    Purpose(
        name="asked_for_help",
        pattern=r"where is my order|wismo|support|ticket|help|complaint",
        label="RET - Asked For Help - Reach Out First",
        description="Looked for an order or for help. Tell them before they write.",
        lane=Lane.DAILY,
        asks=False,
    ),
)
"""In the order in which they are begun with: what is worth most, soonest, comes first."""


def purpose_of(name: str) -> Purpose | None:
    """Return what a segment of this name is probably for; None if the name says nothing of what is known here."""
    return next((p for p in PURPOSES if re.search(p.pattern, name.lower())), None)
