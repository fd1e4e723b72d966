"""What an audience brings: intervals against published and hand-made values, verdicts, and who is compared at all."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cio_activation.activation.life_cycle import Measure
from cio_activation.outcome import inference, revenue
from cio_activation.outcome.comparing import compared
from cio_activation.outcome.inference import Rates
from cio_activation.outcome.lift import Compared, Lift, Verdict, judge
from cio_activation.outcome.revenue import Sums
from cio_activation_tests.drivers import builders

AS_OF, DAY = datetime(2026, 11, 1), timedelta(days=1)


def one(treated: int, buyers: int, ghosts: int, ghost_buyers: int, *, share: float = 0.1, **more: Any) -> Compared:
    rates = Rates(treated, buyers, ghosts, ghost_buyers, share) if treated and ghosts else None
    people = treated + ghosts
    told = {"entries": people, "first_entry": AS_OF - 100 * DAY, "as_of": AS_OF} | more
    return Compared("vip", 1, rates, ((share, people),) if people else (), **told)


def judged(*found: Compared) -> list[Lift]:
    return judge(list(found))


def test_the_interval_of_one_look_is_that_of_newcombes_paper() -> None:
    """Statistics in Medicine 17 (1998), table II: 56/70 against 48/80, method 10; and none of either."""
    found = inference.fixed_interval(Rates(70, 56, 80, 48, 0.5))
    assert (found.low, found.high) == (pytest.approx(0.0524, abs=5e-5), pytest.approx(0.3339, abs=5e-5))
    none = inference.fixed_interval(Rates(180, 0, 20, 0, 0.1))
    assert none.low < 0 < none.high


def test_the_sequence_is_the_papers_boundary_and_its_p_is_where_it_touches_zero() -> None:
    rates = Rates(9_000, 900, 1_000, 50, 0.1)
    everybody = 951 / 10_002 * (1 - 951 / 10_002)
    deviation = math.sqrt(max(901 / 9_002 * (1 - 901 / 9_002), everybody) / 0.9 + everybody / 0.1)
    rho = math.sqrt((2 * math.log(20) + math.log(2 * math.log(20) + 1)) / 2_000)
    t = 10_000
    width = deviation * math.sqrt(
        2 * (t * rho**2 + 1) / (t**2 * rho**2) * math.log(math.sqrt(t * rho**2 + 1) / 0.05)
    )  # fmt: skip
    found = inference.live_interval(rates)
    assert (found.low, found.high) == (pytest.approx(0.05 - width), pytest.approx(0.05 + width))
    for buyers in range(600, 1_000):
        some = Rates(9_000, buyers, 1_000, 50, 0.1)
        live = inference.live_interval(some)
        assert (live.low > 0 or live.high < 0) == (inference.live_p(some) < 0.05), buyers


def test_what_is_needed_is_what_would_be_seen() -> None:
    rates = Rates(180, 9, 20, 1, 0.1)
    needed = inference.people_needed(rates, 0.05)
    assert inference.smallest_seen(rates, needed) <= 0.05 < inference.smallest_seen(rates, needed - 1)
    assert inference.people_needed(rates, 0.05, 0.5) < needed


def test_the_proportion_of_the_arms_is_that_of_the_draws() -> None:
    exactly = sum(math.comb(200, k) * 0.1**k * 0.9 ** (200 - k) for k in range(9))
    low = inference.ratio_p(8, [(0.1, 200)])
    assert exactly < low < 2 * exactly + 0.01
    assert inference.ratio_p(20, [(0.1, 200)]) == pytest.approx(1.0)
    assert inference.ratio_p(1_000, [(0.1, 5_000), (0.2, 2_500)]) > 0.9
    assert inference.ratio_p(800, [(0.1, 5_000), (0.2, 2_500)]) < 1e-9


def test_of_many_audiences_the_least_likely_are_told_as_benjamini_and_hochberg_say() -> None:
    """The example of their paper (JRSS B 57, 1995): of 15 p-values the four smallest are."""
    told = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.324, 0.4262, 0.5719, 0.6528,
            0.759, 1.0]  # fmt: skip
    assert [p <= 0.05 for p in inference.adjusted(told)] == [True] * 4 + [False] * 11
    assert inference.adjusted([]) == []


@pytest.mark.parametrize(
    ("found", "verdict", "sentence"),
    [
        (one(9_000, 900, 1_000, 50), Verdict.WORKS, "works: 5.0 points more buy ("),
        (one(9_000, 450, 1_000, 100), Verdict.NO_EFFECT, "no gain seen: 5.0 points fewer buy ("),
        (one(9_000, 450, 1_000, 50), Verdict.NO_EFFECT, "no effect seen: would have seen 2.9 points or more ("),
        (one(180, 9, 20, 1), Verdict.TOO_EARLY, "too early: answers about 20"),
        (one(7_200, 720, 1_000, 50), Verdict.BLOCKED, "no verdict: 1,000 of 8,200 people are held out where 820 were"),
        (one(9, 1, 0, 0), Verdict.TOO_EARLY, "too early: of 9 entries too few are over"),
        (one(0, 0, 0, 0), Verdict.NOT_COMPARED, "nobody is held out: say holdout"),
    ],
)
def test_a_verdict_and_how_it_reads(found: Compared, verdict: Verdict, sentence: str) -> None:
    [lift] = judged(found)
    assert lift.verdict is verdict
    assert lift.sentence.startswith(sentence), lift.sentence


def test_too_early_says_when_it_is_not_and_when_with_more_held_out() -> None:
    [lift] = judged(one(180, 9, 20, 1))
    now, sooner = (datetime.fromisoformat(part[:10]) for part in lift.sentence.split("about ")[1:])
    assert AS_OF < sooner < now
    assert "with a holdout of 20%" in lift.sentence
    rates = Rates(180, 9, 20, 1, 0.1)
    days = (inference.people_needed(rates, 0.05) - 200) / 2  # two people a day so far
    assert now - AS_OF == timedelta(days=math.ceil(days) + 30)
    [slow] = judged(one(9, 1, 1, 0, first_entry=AS_OF - 1000 * DAY))
    assert "in no less than ten years" in slow.sentence


def test_the_same_difference_tells_less_beside_many_that_are_none() -> None:
    close = one(9_000, 747, 1_000, 50)
    assert judged(close)[0].verdict is Verdict.WORKS
    many = judged(close, *[one(9_000, 450, 1_000, 50)] * 9)
    assert many[0].verdict is not Verdict.WORKS
    alone, beside = judged(close)[0].p, many[0].p
    assert alone is not None
    assert beside == pytest.approx(10 * alone)


def test_arms_and_money_are_those_of_the_rows(tmp_path: Path) -> None:
    """By numpy over the same rows: capped revenue, CUPED with the spend before, the order's value by the delta method."""
    vip = builders.audience("vip", touch=True, measure=Measure(revenue_cap=150.0), version=2)
    run = builders.runtime(tmp_path, builders.activation(audiences=[vip, builders.audience("list")]))
    random = np.random.default_rng(5)
    ghost = random.random(3_000) < 0.2
    before = random.gamma(2, 100, 3_000).round(2)
    orders = random.poisson(np.where(ghost, 0.1, 0.2))
    spent = (orders * (20 + before / 4 + random.gamma(2, 10, 3_000))).round(2)
    rows = pa.table({
        "audience": ["vip"] * 3_000, "version": [2] * 3_000, "cio_id": [f"p{i}" for i in range(3_000)],
        "ghost": ghost, "holdout": [0.2] * 3_000, "entered_at": [AS_OF - 60 * DAY] * 3_000, "orders": orders,
        "revenue": spent, "spent_before": before, "closed_at": [AS_OF - 30 * DAY] * 3_000,
    })  # fmt: skip
    with run.warehouse.write() as con:
        con.register("given", rows)
        con.execute("INSERT INTO outcome.entries BY NAME FROM given")
        for change in ("0 AS holdout", "1 AS version", "NULL AS closed_at", "TIMESTAMP '2026-11-02' AS closed_at"):
            con.execute(f"INSERT INTO outcome.entries BY NAME SELECT * REPLACE ({change}) FROM given LIMIT 50")
        con.execute(
            """INSERT INTO outcome.entries BY NAME SELECT * REPLACE (
                NULL AS spent_before, NULL AS revenue, 1 AS orders), TIMESTAMP '2026-01-01' AS bought_before
            FROM given WHERE NOT ghost LIMIT 7"""
        )
        con.unregister("given")
        [found] = compared(con, run.activation, AS_OF)
    assert found.rates == Rates(
        int((~ghost).sum()) + 7, int((orders[~ghost] > 0).sum()) + 7, int(ghost.sum()), int((orders[ghost] > 0).sum()),
        pytest.approx(0.2),
    )  # fmt: skip
    assert (found.entries, found.shares) == (3_107, ((0.2, 3_007),))
    [lift] = judge([found])
    capped = np.minimum(spent, 150.0)
    slope = np.cov(capped, before)[0, 1] / before.var(ddof=1)
    rest = capped - slope * (before - before.mean())
    error = math.sqrt(rest[~ghost].var(ddof=1) / (~ghost).sum() + rest[ghost].var(ddof=1) / ghost.sum())
    effect = rest[~ghost].mean() - rest[ghost].mean()
    assert lift.revenue is not None
    assert lift.revenue.estimate == pytest.approx(effect, rel=1e-3)
    assert lift.revenue.high - lift.revenue.low == pytest.approx(2 * 1.96 * error, rel=0.02)

    def value(arm: Any) -> tuple[float, float]:
        ratio = capped[arm].sum() / orders[arm].sum()
        return ratio, ((capped[arm] - ratio * orders[arm]).var(ddof=1) / arm.sum()) / orders[arm].mean() ** 2

    (treated, noise), (held, more) = value(~ghost), value(ghost)
    assert lift.order_value is not None
    assert lift.order_value.estimate == pytest.approx(treated - held)
    assert lift.order_value.high - lift.order_value.low == pytest.approx(2 * 1.96 * math.sqrt(noise + more), rel=0.02)


@pytest.mark.parametrize("before", [5.0, 0.0])
def test_orders_of_one_price_have_no_value_to_compare_and_few_buyers_none_at_all(before: float) -> None:
    def sums(people: int, buyers: int) -> Sums:
        orders = np.zeros(people)
        orders[:buyers] = 1
        spent, variance = orders * 19.9, float(np.var(orders, ddof=1))
        earlier = np.arange(people) % 50 * before
        return Sums(
            people, buyers, float(spent.mean()), 19.9**2 * variance, buyers / people, variance, float(earlier.mean()),
            float(earlier.var(ddof=1)), 19.9 * variance, float(np.cov(spent, earlier)[0, 1]),
            float(np.cov(orders, earlier)[0, 1]),
        )  # fmt: skip

    assert revenue.per_order(sums(1_800, 257), sums(200, 29)) is None
    gain = revenue.per_person(sums(1_800, 257), sums(200, 29))
    assert gain is not None
    assert gain.low < 0 < gain.high
    assert revenue.per_person(sums(1_800, 257), sums(200, 9)) is None
