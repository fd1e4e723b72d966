"""What an audience brings in money: ``tea-tasting`` over the sums of both arms.

Revenue is compared by person, with the spend before the entry taken out of its noise (CUPED); the value of an order is
a ratio of two sums, its variance by the delta method. These intervals are of one look, and no verdict rests on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cio_activation.outcome.extra import library
from cio_activation.outcome.inference import ALPHA, Interval

FEWEST_BUYERS = 10
"""In each arm; of fewer buyers a mean says nothing, and its interval is too narrow."""

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Sums:
    """One arm: people and buyers; mean and variance of revenue, orders and the spend before; their covariances."""

    people: int
    buyers: int
    revenue: float
    revenue_variance: float
    orders: float
    orders_variance: float
    before: float
    before_variance: float
    revenue_orders: float
    revenue_before: float
    orders_before: float

    @property
    def one_price(self) -> bool:
        """Whether every order was worth the same: then the ratio has no variance, and rounding makes it negative."""
        ratio = self.revenue / self.orders
        rest = self.revenue_variance - 2 * ratio * self.revenue_orders + ratio**2 * self.orders_variance
        return rest <= _ROUNDING * self.revenue_variance

    @property
    def told_by_before(self) -> bool:
        """Whether the spend before says exactly what the revenue is, or is the same for all: nothing is gained."""
        both = self.revenue_variance * self.before_variance
        return self.revenue_before**2 >= (1 - _ROUNDING) * both

    def aggregates(self) -> Any:
        """Return it as ``tea-tasting`` takes it."""
        return library("tea_tasting.aggr").Aggregates(
            count_=self.people,
            mean_={"revenue": self.revenue, "orders": self.orders, "before": self.before},
            var_={"revenue": self.revenue_variance, "orders": self.orders_variance, "before": self.before_variance},
            cov_={
                ("orders", "revenue"): self.revenue_orders,
                ("before", "revenue"): self.revenue_before,
                ("before", "orders"): self.orders_before,
            },
        )


def per_person(treated: Sums, ghosts: Sums) -> Interval | None:
    """Return how much more somebody who was let in spent; None while there are too few buyers to say."""
    if _says_little(treated, ghosts) or min(treated.revenue_variance, ghosts.revenue_variance) <= 0:
        return None
    covariate = None if treated.told_by_before or ghosts.told_by_before else "before"
    mean = library("tea_tasting").Mean("revenue", covariate, confidence_level=1 - ALPHA)
    return _interval(mean, treated, ghosts)


def per_order(treated: Sums, ghosts: Sums) -> Interval | None:
    """Return how much more an order of those let in was worth; None while too few bought, or all at one price."""
    if _says_little(treated, ghosts) or treated.one_price or ghosts.one_price:
        return None
    ratio = library("tea_tasting").RatioOfMeans("revenue", "orders", confidence_level=1 - ALPHA)
    return _interval(ratio, treated, ghosts)


def _says_little(treated: Sums, ghosts: Sums) -> bool:
    return min(treated.buyers, ghosts.buyers) < FEWEST_BUYERS


def _interval(metric: Any, treated: Sums, ghosts: Sums) -> Interval:
    found = metric.analyze_aggregates(ghosts.aggregates(), treated.aggregates())
    return Interval(float(found.effect_size), float(found.effect_size_ci_lower), float(found.effect_size_ci_upper))
