"""What an audience brings, against those who are held out of it: one verdict each, that may be read every day.

*works*, *no effect seen* (with what would have been seen) or *too early* (with when it is not). None where nobody is
held out, and none while the arms are not in the proportion that was declared: then something is wrong with the
counting, and every difference may be that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from cio_activation.outcome import inference, revenue
from cio_activation.outcome.inference import ALPHA, RATIO_ALARM, Interval, Rates
from cio_activation.outcome.revenue import Sums

LONGEST = timedelta(days=3650)
"""No date is told that is further away."""


class Verdict(StrEnum):
    """What is said of an audience."""

    WORKS = "works"
    NO_EFFECT = "no effect seen"
    TOO_EARLY = "too early"
    BLOCKED = "no verdict"
    NOT_COMPARED = "not compared"


@dataclass(frozen=True)
class Money:
    """What both arms spent."""

    treated: Sums
    ghosts: Sums


@dataclass(frozen=True)
class Compared:
    """All that a verdict rests on, of one audience in one version."""

    audience: str
    version: int
    rates: Rates | None
    """None while an arm is empty."""
    shares: tuple[tuple[float, int], ...]
    """The part that was to be held out, and how many people were drawn by it."""
    entries: int
    """First entries that were drawn, over or not."""
    first_entry: datetime | None
    as_of: datetime
    within: timedelta = timedelta(days=30)
    smallest_effect: float = 0.05
    money: Money | None = None


@dataclass(frozen=True)
class Lift:
    """One audience judged."""

    audience: str
    version: int
    verdict: Verdict
    sentence: str
    rates: Rates | None = None
    fixed: Interval | None = None
    """Newcombe's interval of the difference of the shares of buyers: of one look."""
    live: Interval | None = None
    """The confidence sequence of the same: of as many looks as one likes."""
    p: float | None = None
    """Of the sequence, adjusted for how many audiences are judged."""
    ratio_p: float | None = None
    revenue: Interval | None = None
    """More revenue for each person who was let in."""
    order_value: Interval | None = None


def judge(found: Sequence[Compared]) -> list[Lift]:
    """Return a verdict on each, in the same order; of those told to work, ``ALPHA`` at most do not, over all."""
    ratios = [inference.ratio_p(one.rates.ghosts, one.shares) if one.rates else None for one in found]
    readable = [
        one.rates is not None and p is not None and p >= RATIO_ALARM for one, p in zip(found, ratios, strict=True)
    ]
    raw = [inference.live_p(one.rates) for one, reads in zip(found, readable, strict=True) if reads and one.rates]
    adjusted = iter(inference.adjusted(raw))
    return [
        _judged(one, ratio, next(adjusted) if reads else None)
        for one, ratio, reads in zip(found, ratios, readable, strict=True)
    ]


def _judged(one: Compared, ratio: float | None, p: float | None) -> Lift:
    rates = one.rates
    if rates is None:
        verdict, sentence = _without_arms(one)
        return Lift(one.audience, one.version, verdict, sentence)
    live = inference.live_interval(rates)
    verdict, sentence = _verdict(one, rates, live, p)
    money = one.money
    return Lift(
        one.audience,
        one.version,
        verdict,
        sentence,
        rates,
        inference.fixed_interval(rates),
        live,
        p,
        ratio,
        revenue.per_person(money.treated, money.ghosts) if money is not None else None,
        revenue.per_order(money.treated, money.ghosts) if money is not None else None,
    )


def _without_arms(one: Compared) -> tuple[Verdict, str]:
    if not one.entries:
        return Verdict.NOT_COMPARED, "nobody is held out: say holdout, such as 10%, to learn what it brings"
    return Verdict.TOO_EARLY, f"too early: of {one.entries:,} entries too few are over to compare anything"


def _verdict(one: Compared, rates: Rates, live: Interval, p: float | None) -> tuple[Verdict, str]:
    if p is None:
        expected = sum(share * count for share, count in one.shares)
        return Verdict.BLOCKED, (
            f"no verdict: {rates.ghosts:,} of {rates.people:,} people are held out where {expected:,.0f} were to be; "
            "somebody is lost on one side, and any difference may be that"
        )
    range_ = f"{_points(live.low)} to {_points(live.high)}"
    if p <= ALPHA and rates.effect > 0:
        return Verdict.WORKS, f"works: {_points(rates.effect)} points more buy ({range_})"
    seen = inference.smallest_seen(rates)
    if p <= ALPHA:
        return Verdict.NO_EFFECT, f"no gain seen: {_points(-rates.effect)} points fewer buy ({range_})"
    if seen <= one.smallest_effect:
        return Verdict.NO_EFFECT, f"no effect seen: would have seen {_points(seen)} points or more ({range_})"
    return Verdict.TOO_EARLY, f"too early: {when_it_answers(one, rates)}"


def when_it_answers(one: Compared, rates: Rates) -> str:
    """Return when an effect of the size asked for would be seen, and when it would with more people held out."""
    now = _date(one, inference.people_needed(rates, one.smallest_effect))
    told = f"answers about {now}" if now is not None else "at this pace it answers in no less than ten years"
    more = larger_holdout(rates.share)
    sooner = _date(one, inference.people_needed(rates, one.smallest_effect, more)) if more > rates.share else None
    if sooner is not None and (now is None or sooner < now):
        told += f"; with a holdout of {more:.0%}, about {sooner}"
    return told


def larger_holdout(share: float) -> float:
    """Return the holdout that is told beside the one in force: twice as many, a fifth at least, half at most."""
    return max(share, min(0.5, max(0.2, 2 * share)))


def _date(one: Compared, needed: int) -> date | None:
    """Return when so many people will have entered and their spans be over, at the pace so far."""
    if one.first_entry is None:
        return None
    days = max(1.0, (one.as_of - one.first_entry) / timedelta(days=1))
    wait = timedelta(days=math.ceil(min(max(0, needed - one.entries) * days / one.entries, LONGEST.days)))
    return None if wait >= LONGEST else (one.as_of + wait + one.within).date()


def _points(share: float) -> str:
    return f"{100 * share:.1f}"
