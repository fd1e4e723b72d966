"""Releases: exactly what was looked at goes out, once; what moved since is judged again."""

from __future__ import annotations

from pathlib import Path

import pytest

from cio_activation.delivery.release import Release, release
from cio_activation.errors import ConfigError
from cio_activation_tests.drivers.listing import ListBench


@pytest.fixture
def bench(tmp_path: Path) -> ListBench:
    """Return a bench whose first plan delivered 50 people, and whose second one, with 40 exits, is held."""
    made = ListBench(tmp_path)
    made.members(range(50))
    made.run()
    made.members(range(10))
    assert made.run(2).held == 40
    return made


def held(bench: ListBench) -> str:
    return str(bench.sql("SELECT plan_id FROM delivery.plans WHERE status = 'held' ORDER BY made_at DESC")[0][0])


def let_go(bench: ListBench, plan_id: str | None = None) -> Release:
    return release(bench.runtime, plan_id or held(bench), "ann", "the segment was split in two")


def test_a_held_plan_stays_held_until_it_is_released(bench: ListBench) -> None:
    assert bench.run(2).held == 40
    assert bench.run(3).held == 40
    let_go(bench)
    report = bench.run(3)
    assert (report.delivered, report.held, report.stopped) == (40, 0, False)
    assert bench.there == set(range(10))


def test_who_and_why_are_kept_with_the_release_and_the_plan_that_went(bench: ListBench) -> None:
    plan_id = held(bench)
    let_go(bench)
    report = bench.run(2)
    assert report.note == f"released by ann: the segment was split in two (plan {plan_id})"
    assert bench.plans("status, released_from, note")[-1] == ("done", plan_id, report.note)
    assert bench.sql("SELECT plan_id, who, why, spent_by FROM delivery.releases") == [
        (plan_id, "ann", "the segment was split in two", report.plan_id)
    ]


def test_any_plan_of_the_same_operations_may_be_the_one_that_is_released(bench: ListBench) -> None:
    first = held(bench)
    bench.run(3)
    assert held(bench) != first
    assert let_go(bench, first).moved is None
    assert bench.run(3).delivered == 40


def test_a_world_that_moved_is_judged_again_and_the_run_says_so(bench: ListBench) -> None:
    plan_id = held(bench)
    let_go(bench)
    bench.members(range(5))
    report = bench.run(3)
    assert (report.planned, report.held) == (45, 45)
    assert f"plan {plan_id} was released by ann" in (report.note or "")
    assert "5 of 45 operations are not among those released, so the guards judged again" in (report.note or "")
    let_go(bench)
    assert bench.run(3).delivered == 45


def test_a_world_that_moved_below_the_limits_goes_without_the_release(bench: ListBench) -> None:
    let_go(bench)
    bench.members([*range(40), 60])
    report = bench.run(3)
    assert (report.delivered, report.note) == (11, None)
    bench.members(range(10))
    assert bench.run(4).held == 31  # the release is spent: it was about another day


def test_the_command_says_that_the_step_was_planned_again_since(bench: ListBench) -> None:
    plan_id = held(bench)
    bench.members(range(5))
    newer = bench.run(3).plan_id
    moved = let_go(bench, plan_id).moved or ""
    assert f"planned again as {newer} (held)" in moved


def test_a_release_lasts_until_all_of_it_went_out(bench: ListBench) -> None:
    let_go(bench)
    bench.toy.vendor.answers = [200, 401]
    report = bench.run(2)
    assert (report.delivered, report.held) == (10, 30)
    assert bench.run(2).delivered == 30
    assert bench.there == set(range(10))


def test_a_release_is_good_for_one_time(bench: ListBench) -> None:
    let_go(bench)
    assert bench.run(2).delivered == 40
    for day, people in ((3, 29), (4, 40), (5, 50)):
        bench.members(range(people))
        bench.run(day)
    assert bench.there == set(range(50))
    bench.members(range(10))
    assert bench.run(6).held == 40  # the very same operations as those once released


def test_an_operation_more_than_released_is_never_let_through(bench: ListBench) -> None:
    let_go(bench)
    bench.members(range(9))
    assert bench.run(2).held == 41
    assert bench.there == set(range(50))


def test_a_plan_that_does_not_exist_names_those_that_are_held(bench: ListBench) -> None:
    with pytest.raises(ConfigError, match=f"there is no plan nonsense; held plans, newest first: {held(bench)}"):
        release(bench.runtime, "nonsense", "ann", "because")


def test_a_plan_that_went_out_cannot_be_released(bench: ListBench) -> None:
    done = bench.plans("plan_id")[0][0]
    with pytest.raises(ConfigError, match=f"plan {done} is not held, its status is 'done'"):
        release(bench.runtime, done, "ann", "because")


def test_a_plan_is_released_once_and_never_without_a_reason(bench: ListBench) -> None:
    with pytest.raises(ConfigError, match="who and why"):
        release(bench.runtime, held(bench), "ann", "  ")
    plan_id = held(bench)
    let_go(bench)
    with pytest.raises(ConfigError, match="already released by ann"):
        release(bench.runtime, plan_id, "bob", "me too")


def test_one_release_lets_everything_go_that_the_run_held(bench: ListBench) -> None:
    plan_id = held(bench)
    bench.sql(
        """INSERT INTO delivery.plans BY NAME SELECT * REPLACE (
            'other-plan' AS plan_id, 'list/other' AS step) FROM delivery.plans WHERE status = 'held'"""
    )
    bench.sql(
        """INSERT INTO delivery.plans BY NAME SELECT * REPLACE (
            'of-another-run' AS plan_id, 'list/third' AS step, 'run-9' AS run_id)
        FROM delivery.plans WHERE plan_id = 'other-plan'"""
    )
    done = let_go(bench)
    assert done.together == ("other-plan",)
    assert bench.sql("SELECT plan_id, who FROM delivery.releases ORDER BY plan_id") == sorted(
        [("other-plan", "ann"), (plan_id, "ann")]
    )
    with pytest.raises(ConfigError, match="already released by ann"):
        let_go(bench, "other-plan")
