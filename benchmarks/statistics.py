"""Whether the statistics keep their word, by simulation: coverage, false verdicts, power, arms out of proportion.

    python -m benchmarks.statistics            # 400 histories of each case: seconds
    python -m benchmarks.statistics --runs 4000

Each history is an audience with a tenth held out, whose entries close over 60 days and are looked at every day. The
table is that of ``docs/worth.md``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from cio_activation.outcome.inference import ALPHA, Rates, fixed_interval, live_interval, live_p
from cio_activation.outcome.lift import Compared, Verdict, judge

SIZES = (200, 500, 2_000, 10_000)
BASES = (0.02, 0.05)
LOOKS = 60
SHARE = 0.1
EFFECT = 0.05
START = datetime(2026, 1, 1)


@dataclass(frozen=True)
class Found:
    """What came of the histories of one case, as shares of them."""

    case: str
    people: int
    base: float
    said: str
    share: float
    wanted: str
    ok: bool


@dataclass(frozen=True)
class History:
    """Counts at each look: people and buyers of both arms."""

    treated: np.ndarray
    treated_buyers: np.ndarray
    ghosts: np.ndarray
    ghost_buyers: np.ndarray

    def rates(self, look: int) -> Rates | None:
        """Return the counts of a look; None while an arm is empty."""
        counts = (self.treated, self.treated_buyers, self.ghosts, self.ghost_buyers)
        one, one_bought, other, other_bought = (int(count[look]) for count in counts)
        return Rates(one, one_bought, other, other_bought, SHARE) if one and other else None

    def compared(self, look: int) -> Compared | None:
        """Return a look as it would be judged."""
        rates = self.rates(look)
        if rates is None:
            return None
        started = START
        return Compared(
            "audience", 1, rates, ((SHARE, rates.people),), rates.people, started, started + timedelta(days=look + 1)
        )


def histories(
    runs: int, people: int, base: float, *, effect: float = 0.0, lost: float = 0.0, seed: int = 0
) -> Iterator[History]:
    """Give ``runs`` histories; ``lost`` of those let in never reach the count."""
    random = np.random.default_rng([seed, people, round(base * 1000), round(effect * 1000), round(lost * 1000)])
    ends = np.linspace(people / LOOKS, people, LOOKS).astype(int) - 1
    for _ in range(runs):
        ghost = random.random(people) < SHARE
        bought = random.random(people) < np.where(ghost, base, base + effect)
        counted = ghost | (random.random(people) >= lost)
        arms = (~ghost & counted, ~ghost & counted & bought, ghost, ghost & bought)
        yield History(*(np.cumsum(arm)[ends] for arm in arms))


def share_of(runs: Sequence[bool]) -> float:
    """Return how many of ``runs`` are true."""
    return sum(runs) / len(runs)


def coverage(runs: int, people: int, base: float, effect: float) -> tuple[float, float]:
    """Return how often Newcombe's interval has the effect at the end, and the confidence sequence at every look."""
    once, always = [], []
    for history in histories(runs, people, base, effect=effect):
        last = history.rates(LOOKS - 1)
        if last is None:
            continue
        interval = fixed_interval(last)
        once.append(interval.low <= effect <= interval.high)
        seen = [live_interval(rates) for look in range(LOOKS) if (rates := history.rates(look)) is not None]
        always.append(all(one.low <= effect <= one.high for one in seen))
    return share_of(once), share_of(always)


def ever(runs: int, people: int, base: float, said: Callable[[Verdict], bool], **world: float) -> float:
    """Return in how many histories some daily look is told as ``said``."""
    found = []
    for history in histories(runs, people, base, **world):
        # Judging costs a thousand times as much as this p-value, without which nothing is said to work.
        near = (one for look in range(LOOKS) if (one := history.compared(look)) is not None and _is_near(one))
        found.append(any(said(judge([one])[0].verdict) for one in near))
    return share_of(found)


def _is_near(one: Compared) -> bool:
    return one.rates is not None and live_p(one.rates) < 2 * ALPHA


def at_the_end(runs: int, people: int, base: float, said: Verdict, **world: float) -> float:
    """Return in how many histories the last look is told as ``said``."""
    ends = [h.compared(LOOKS - 1) for h in histories(runs, people, base, **world)]
    return share_of([one is not None and judge([one])[0].verdict is said for one in ends])


def cases(runs: int, sizes: Sequence[int] = SIZES) -> Iterator[Found]:
    """Give what came of every case of the promise."""
    for people in sizes:
        for base in BASES:
            for effect in (0.0, EFFECT):
                once, always = coverage(runs, people, base, effect)
                told = f"effect {effect:.0%}"
                yield Found("95 % interval covers", people, base, told, once, ">= 0.93", once >= 0.93)
                yield Found("sequence covers, 60 looks", people, base, told, always, ">= 0.95", always >= 0.95)
            wrong = ever(runs, people, base, lambda verdict: verdict is Verdict.WORKS)
            yield Found("no effect, said to work, 60 looks", people, base, "works", wrong, "<= 0.05", wrong <= 0.05)
    for base in BASES:
        people = sizes[-1]
        lost = at_the_end(runs, people, base, Verdict.BLOCKED, lost=0.2)
        yield Found("a fifth of those let in lost", people, base, "no verdict", lost, ">= 0.95", lost >= 0.95)
        seen = at_the_end(runs, people, base, Verdict.WORKS, effect=EFFECT)
        yield Found("effect of 5 points", people, base, "works", seen, ">= 0.80", seen >= 0.8)


def main() -> int:
    """Print the table; 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=400, help="histories of each case")
    found = []
    print("| case | people | buyers without | told | share of histories | wanted |\n|---|---:|---:|---|---:|---|")
    for one in cases(parser.parse_args().runs):
        found.append(one)
        print(
            f"| {one.case} | {one.people:,} | {one.base:.0%} | {one.said} | {one.share:.3f} | {one.wanted} |"
            f"{'' if one.ok else ' **broken**'}",
            flush=True,
        )
    return 0 if all(one.ok for one in found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
