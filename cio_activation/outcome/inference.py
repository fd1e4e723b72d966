"""The statistics behind a verdict, as functions of counts: nothing here knows of a person, a table or a clock.

Rates have two intervals. *Newcombe's* is that of one look at a time that was fixed before; whoever looks every day and
stops when it excludes zero finds effects that are none in 24 to 43 of 100. The *confidence sequence* may be looked at
as often as one likes, so verdicts rest on it alone. ``python -m benchmarks.statistics`` verifies both by simulation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from cio_activation.outcome.extra import library

ALPHA = 0.05
"""How often an interval may miss, and a null effect be told as one."""
POWER = 0.8
"""How often an effect of the size asked for is to be seen."""
RATIO_ALARM = 0.001
"""Arms that are as far from the declared proportion in so few draws are not what was declared."""
TIGHTEST_AT = 2_000
"""People at which the confidence sequence is tightest; fixed before anything is seen, as its proof asks for."""


@dataclass(frozen=True)
class Interval:
    """An estimate between its bounds."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Rates:
    """Buyers of those let in and of those held out; ``share`` of people were to be held out."""

    treated: int
    treated_buyers: int
    ghosts: int
    ghost_buyers: int
    share: float

    @property
    def people(self) -> int:
        """Of both arms."""
        return self.treated + self.ghosts

    @property
    def effect(self) -> float:
        """The difference of the shares of buyers: what being let in brought."""
        return self.treated_buyers / self.treated - self.ghost_buyers / self.ghosts

    def spread(self, share: float | None = None) -> float:
        """Return the deviation of the difference for one person, if ``share`` of all are held out.

        No arm's variance is taken as smaller than that of all people together: where by chance hardly anybody of a
        small arm bought, it would look certain just when it is furthest off.
        """
        held_out = self.share if share is None else share
        together = _variance(self.treated_buyers + self.ghost_buyers, self.people)
        treated, ghosts = _variance(self.treated_buyers, self.treated), _variance(self.ghost_buyers, self.ghosts)
        return math.sqrt(max(treated, together) / (1 - held_out) + max(ghosts, together) / held_out)


def fixed_interval(rates: Rates) -> Interval:
    """Return Newcombe's interval for the difference of two rates; holds where somebody bought, and where nobody did."""
    low, high = library("statsmodels.stats.proportion").confint_proportions_2indep(
        rates.treated_buyers, rates.treated, rates.ghost_buyers, rates.ghosts, method="newcomb", alpha=ALPHA
    )
    return Interval(rates.effect, float(low), float(high))


def live_interval(rates: Rates) -> Interval:
    """Return the asymptotic confidence sequence for the difference at this number of people.

    Theorem 2.2 of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic
    confidence sequences" (arXiv 2103.06476), over the inverse-propensity scores of a randomised comparison (section 3).
    """
    width = _boundary(rates.people, rates.spread())
    return Interval(rates.effect, rates.effect - width, rates.effect + width)


def live_p(rates: Rates) -> float:
    """Return the smallest alpha at which the confidence sequence excludes zero: valid whenever one looks."""
    n, tuning = rates.people, _tuning()
    scaled = (rates.effect / rates.spread()) ** 2 * n * n * tuning / (2 * (n * tuning + 1))
    return min(1.0, math.exp(0.5 * math.log(n * tuning + 1) - scaled))


def smallest_seen(rates: Rates, people: int | None = None, share: float | None = None) -> float:
    """Return the smallest effect that is seen in ``POWER`` of cases, at so many people with ``share`` held out."""
    n, spread = rates.people if people is None else people, rates.spread(share)
    return _boundary(n, spread) + NormalDist().inv_cdf(POWER) * spread / math.sqrt(n)


def people_needed(rates: Rates, effect: float, share: float | None = None) -> int:
    """Return how many people it takes until ``effect`` would be seen in ``POWER`` of cases."""
    low, high = 1, 2
    while smallest_seen(rates, high, share) > effect:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if smallest_seen(rates, middle, share) > effect else (low, middle)
    return high


def ratio_p(ghosts: int, shares: Sequence[tuple[float, int]]) -> float:
    """Return how likely so few or many held-out people are, by the draws that were declared.

    ``shares``: the part that was to be held out, and how many people were drawn by it.
    """
    people = sum(count for _, count in shares)
    if len(shares) == 1:
        return float(library("scipy.stats").binomtest(ghosts, people, shares[0][0]).pvalue)
    expected = sum(share * count for share, count in shares)
    deviation = math.sqrt(sum(share * (1 - share) * count for share, count in shares))
    distance = max(abs(ghosts - expected) - 0.5, 0) / deviation
    return 2 * (1 - NormalDist().cdf(distance))


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Return the p-values after Benjamini and Hochberg: of what is told as an effect, ``ALPHA`` at most are none."""
    if not p_values:
        return []
    found = library("statsmodels.stats.multitest").multipletests(p_values, alpha=ALPHA, method="fdr_bh")
    return [float(p) for p in found[1]]


def _variance(buyers: int, people: int) -> float:
    """Return the variance of one person, with one buyer and one other added: it is never zero."""
    rate = (buyers + 1) / (people + 2)
    return rate * (1 - rate)


def _tuning() -> float:
    """Return the squared parameter of the sequence that makes it tightest at ``TIGHTEST_AT`` people."""
    return (-2 * math.log(ALPHA) + math.log(-2 * math.log(ALPHA) + 1)) / TIGHTEST_AT


def _boundary(people: int, spread: float) -> float:
    n, tuning = people, _tuning()
    return spread * math.sqrt(2 * (n * tuning + 1) / (n * n * tuning) * math.log(math.sqrt(n * tuning + 1) / ALPHA))
