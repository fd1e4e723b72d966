"""I10, the day's part: the budget is spent by priority, what does not fit is held and first tomorrow, nothing is lost."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cio_activation.activation.models import Lane
from cio_activation.delivery.destination import EXIT
from cio_activation.delivery.order import BUDGET
from cio_activation.journal.attempts import Journal
from cio_activation.journal.days import EXIT_SHARE
from cio_activation_tests.drivers.pipedrive import Make, PipedriveBench, make, model
from cio_activation_tests.forms import form

__all__ = ["make"]

pytestmark = pytest.mark.slow

WRITE, LOOK = 5, 20
"""Tokens of a write, and at most of what a lane reads before it writes (the mirror)."""
MORNING = datetime(2026, 11, 23, 0, 1, tzinfo=UTC).timestamp()
DAY = 86_400

person = st.fixed_dictionaries(
    {"leaves": st.booleans(), "changes": st.booleans(), "spent": st.sampled_from([None, 10.0, 200.0, 900.0])}
)


def at(bench: PipedriveBench, moment: float) -> None:
    bench.shared.clock.set(moment)


def settled(
    make: Make, people: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, **options: Any
) -> PipedriveBench:
    """Return an account where everybody is a member and has state, delivered without a budget, on the day before."""
    bench = make([{"email": f"p{n}@example.com"} for n in range(len(people))])
    clock = bench.shared.clock
    at(bench, MORNING - DAY)
    monkeypatch.setattr(Journal, "now", lambda self, con: clock.now())
    bench.schema()
    for number, one in enumerate(people):
        bench.person(f"p{number}", f"p{number}@example.com", bucket="low", spent=one["spent"])
    bench.inside["vip"] = set(bench.people)
    for lane in Lane:
        bench.lane(lane)
    at(bench, MORNING)
    bench.use(model(priority="spent DESC", **options))
    return bench


def ends(bench: PipedriveBench, plan_id: str) -> list[tuple[str, int, bool]]:
    """Return person, priority and whether it was delivered of every operation of a plan."""
    path = next(bench.home.glob(f"plans/*/*/{plan_id}.parquet"))
    return bench.query(
        f"""SELECT f.cio_id, f.priority, l.operation_id IS NOT NULL
        FROM read_parquet('{path}') AS f LEFT JOIN (
            SELECT DISTINCT operation_id FROM delivery.ledger WHERE plan_id = '{plan_id}' AND "end" = 'delivered'
        ) AS l USING (operation_id)"""
    )


@given(st.lists(person, min_size=4, max_size=12), st.integers(LOOK + WRITE + 1, 70))
@settings(
    max_examples=form(2, 40), deadline=None, derandomize=True, database=None, phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
def test_a_budget_is_spent_by_priority_and_everybody_has_a_turn(
    make: Make, monkeypatch: pytest.MonkeyPatch, people: list[dict[str, Any]], budget: int
) -> None:
    bench = settled(make, people, monkeypatch, daily_tokens=budget, realtime_reserve=0.0)
    for number, one in enumerate(people):
        if one["leaves"]:
            bench.inside["vip"].discard(f"p{number}")
        elif one["changes"]:
            bench.people[f"p{number}"]["values"]["bucket"] = "high"
    wanted = sum(one["leaves"] or one["changes"] for one in people)
    done, deferred, day = 0, set[str](), 0
    while done < wanted:
        before = bench.vendor.limits.used_today
        report = bench.lane()
        assert bench.vendor.limits.used_today <= budget
        assert report.planned == report.delivered + report.held == wanted - done
        assert bench.shared.log.throttled("pipedrive") == 0
        assert not report.stopped
        found = ends(bench, report.plan_id)
        went, waits = ({row[0]: row for row in found if row[2] is end} for end in (True, False))
        # Exits before everything else; then who was left over; then the most valuable.
        if any(priority >= EXIT for _, priority, _ in waits.values()):
            assert all(priority >= EXIT for _, priority, _ in went.values())
        ordinary = [{p for p, row in rows.items() if row[1] < EXIT} for rows in (went, waits)]
        fresh = [names - deferred for names in ordinary]
        if ordinary[1] & deferred:
            assert not fresh[0]
        worth = [[people[int(p[1:])]["spent"] or 0.0 for p in names] for names in fresh]
        assert min(worth[0], default=1e9) >= max(worth[1], default=0.0)
        if report.held:
            assert report.reasons[BUDGET] == report.held == report.over_budget
            # As much as fits: one more write would not have, beside what is kept for exits.
            assert bench.vendor.limits.used_today + WRITE > budget * (1 - EXIT_SHARE) - 1
        assert report.delivered or before
        deferred |= set(waits)
        done += report.delivered
        day += 1
        at(bench, MORNING + day * DAY)
    assert day <= 1 + wanted
    assert bench.lane().planned == 0
    for number, one in enumerate(people):
        fields = bench.fields(f"p{number}@example.com")
        assert bool(fields.get("cio_audiences")) is not one["leaves"]


def test_the_daily_lane_leaves_the_real_time_lane_its_reserve(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    people = [{"leaves": False, "changes": True, "spent": None} for _ in range(20)]
    bench = settled(make, people, monkeypatch, daily_tokens=100, realtime_reserve=0.4)
    for one in bench.people.values():
        one["values"] |= {"bucket": "high"}
    daily = bench.lane()
    assert 0 < daily.delivered <= 60 // WRITE
    assert daily.held == 20 - daily.delivered
    used = bench.vendor.limits.used_today
    assert used <= 60
    for number in range(3):
        bench.people[f"p{number}"]["values"]["cart_tier"] = "low"
    live = bench.lane(Lane.REALTIME)
    assert live.delivered == 3
    assert bench.vendor.limits.used_today <= 100


def test_exits_of_the_daily_lane_may_use_the_reserve(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    people = [{"leaves": True, "changes": False, "spent": None} for _ in range(12)]
    bench = settled(make, people, monkeypatch, daily_tokens=100, realtime_reserve=0.8)
    bench.inside["vip"] = set()
    report = bench.lane()
    assert (report.delivered, report.held) == (12, 0)


def test_what_other_apps_use_is_heeded_before_the_vendor_refuses(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    people = [{"leaves": False, "changes": True, "spent": None} for _ in range(20)]
    bench = settled(make, people, monkeypatch, realtime_reserve=0.0)
    limits = bench.vendor.limits
    limits.limited = True
    bench.edit("burn_tokens", tokens=int(limits.remaining_today - EXIT_SHARE * 0.8 * limits.daily_tokens - 60))
    for one in bench.people.values():
        one["values"] |= {"bucket": "high"}
    report = bench.lane()
    assert 0 < report.delivered < 20
    assert report.held == 20 - report.delivered
    assert bench.shared.log.throttled("pipedrive") == 0
    at(bench, MORNING + DAY)
    assert bench.lane().delivered == report.held


def test_a_spent_day_is_no_fault(make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bench = settled(make, [{"leaves": False, "changes": True, "spent": None}] * 3, monkeypatch, daily_tokens=6)
    calls = len(bench.shared.log.entries)
    for one in bench.people.values():
        one["values"] |= {"bucket": "high"}
    report = bench.lane()
    assert (report.planned, report.held, report.stopped) == (3, 3, False)
    assert "3 operations do not fit today's budget: held, and first tomorrow" in (report.note or "")
    assert len(bench.shared.log.entries) == calls  # not even the mirror's page was affordable
