"""The segments of the sandbox's workspace, each a rule over a person's facts at one instant.

Rules are SQL over the columns of :data:`cio_activation.sandbox.world.facts.FACTS`; ``$at`` is the instant, in seconds.
A rule that cannot be decided (a missing or unreadable time) keeps the person out, as in Customer.io.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

DAY = 86_400
IN_CART = "cart_stage_raw IN ('cart', 'checkout')"


@dataclass
class Segment:
    """One segment. ``rule`` is None for a manual one; ``state`` is ``finished`` once it can be read."""

    id: int
    name: str
    description: str
    rule: str | None
    state: str = "finished"
    progress: int | None = None
    updated_at: float | None = None
    """When it was last saved; None: when it was made."""
    conditions: dict[str, Any] | None = None
    """What the rule is as an answer may show it; None: not shown."""

    @property
    def type(self) -> str:
        """Customer.io's own word for it."""
        return "manual" if self.rule is None else "dynamic"


def default_segments(vip_spend: float, upper_half: float) -> dict[int, Segment]:
    """Return segments 1 to 11 by id; the two amounts are lifetime spend, fixed when the world was made.

    Churn risk starts at the upper half of spend: in the default history the top fifth never stays away for 60 days.
    """
    two_days = f"cart_updated_at > $at - {2 * DAY}"
    gap = f"last_order_at + median_days_between_orders * {DAY}"
    found = (
        Segment(
            1,
            "VIP cart abandoners (2h)",
            f"Cart of 150 or more left for two hours, lifetime spend {vip_spend:.0f} or more",
            f"{IN_CART} AND cart_updated_at <= $at - 7200 AND {two_days} AND cart_value >= 150 "
            f"AND total_spent >= {vip_spend}",
        ),
        Segment(
            2,
            "High intent cart",
            "Cart of 75 or more in the last two days, has bought twice or more",
            f"{IN_CART} AND cart_value >= 75 AND orders_count >= 2 AND {two_days}",
        ),
        Segment(
            3,
            "Lapsed 91-180 days",
            "Last order 91 to 180 days ago",
            f"last_order_at <= $at - {91 * DAY} AND last_order_at > $at - {181 * DAY}",
        ),
        Segment(
            4,
            "Second purchase due",
            "One order, placed 21 to 35 days ago",
            f"orders_count = 1 AND first_order_at <= $at - {21 * DAY} AND first_order_at > $at - {36 * DAY}",
        ),
        Segment(
            5,
            "Reorder window open",
            "Next order expected between 3 days from now and 7 days ago",
            f"$at >= {gap} - {3 * DAY} AND $at <= {gap} + {7 * DAY}",
        ),
        Segment(
            6,
            "VIP churn risk 60 days",
            f"Lifetime spend {upper_half:.0f} or more, no order for 60 days",
            f"total_spent >= {upper_half} AND last_order_at <= $at - {60 * DAY}",
        ),
        Segment(
            7,
            "Winback clicked, not converted",
            "Clicked the latest win-back mail, has not ordered since",
            "winback_clicked_at >= winback_sent_at AND last_order_at < winback_clicked_at",
        ),
        Segment(
            8,
            "Refund in last 30 days",
            "Had money back in the last 30 days",
            f"last_refund_at > $at - {30 * DAY}",
        ),
        Segment(
            9,
            "Asked where is my order repeatedly",
            "Two or more clicks on order status in the last 30 days",
            "wismo_clicks_30d >= 2",
        ),
        Segment(10, "All customers", "Everyone", "TRUE"),
        Segment(11, "Hand-picked", "People added by hand or through the API", None),
    )
    return {segment.id: segment for segment in found}
