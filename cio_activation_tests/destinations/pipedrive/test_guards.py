"""Guards on Pipedrive: audiences live in one set field, so entries and exits are counted from its values."""

from __future__ import annotations

from typing import Any

import pytest

from cio_activation.activation.guards import Guards
from cio_activation.activation.models import Lane, Limits
from cio_activation_tests.drivers.pipedrive import Make, PipedriveBench, audience, model

PEOPLE = 30


@pytest.fixture
def bench(make: Make) -> PipedriveBench:
    """Return an account with 30 persons, all of them ours and in the audience vip."""
    seed = [
        {"email": f"p{n}@example.com", "first_name": f"P{n}", "last_name": None, "phone": None} for n in range(PEOPLE)
    ]
    made = make(seed)
    made.schema()
    for n in range(PEOPLE):
        made.person(f"p{n}", f"p{n}@example.com", bucket="low")
    made.inside["vip"] = {f"p{n}" for n in range(PEOPLE)}
    assert made.lane().delivered == PEOPLE
    return made


def inside(bench: PipedriveBench, people: range, name: str = "vip") -> None:
    bench.inside[name] = {f"p{n}" for n in people}


def test_a_first_run_and_a_quiet_one_trip_nothing(bench: PipedriveBench) -> None:
    assert bench.lane().planned == 0


def test_an_exodus_is_held_and_nobody_loses_the_flag(bench: PipedriveBench) -> None:
    inside(bench, range(5))
    report = bench.lane()
    assert (report.planned, report.held, report.delivered) == (25, 25, 0)
    assert "25 people leave audience vip, 83% of 30" in (report.note or "")
    assert all(p["custom_fields"]["cio_audiences"] for p in bench.there.values())


def test_few_exits_pass_also_among_many_other_changes(bench: PipedriveBench) -> None:
    inside(bench, range(15))
    for n in range(PEOPLE):
        bench.person(f"p{n}", f"p{n}@example.com", bucket="high")
    assert bench.lane().delivered == PEOPLE


def test_exits_in_one_audience_are_not_hidden_by_entries_in_another(bench: PipedriveBench) -> None:
    inside(bench, range(0))
    inside(bench, range(PEOPLE), "cart")
    report = bench.lane()
    assert report.held == PEOPLE
    assert "audience vip goes from 30 people to nobody" in (report.note or "")
    assert "cart" not in (report.note or "")  # nobody was in it before


def test_a_stampede_is_held(bench: PipedriveBench) -> None:
    for n in range(PEOPLE, 2 * PEOPLE):
        bench.person(f"p{n}", f"p{n}@example.com", bucket="low")
    inside(bench, range(2 * PEOPLE))
    report = bench.lane()
    assert report.held == PEOPLE
    assert "30 people enter audience vip, 100% of 30" in (report.note or "")


def test_an_audience_that_left_the_activation_empties_without_a_question(bench: PipedriveBench) -> None:
    bench.use(model({"cart": audience("cart", Lane.REALTIME)}))
    bench.schema()
    report = bench.lane()
    assert (report.delivered, report.held) == (PEOPLE, 0)
    assert not any(p["custom_fields"].get("cio_audiences") for p in bench.there.values())


def test_a_field_the_schema_step_has_not_made_yet_holds_the_plan(make: Make) -> None:
    bench = make(names=("bucket",), audiences={})
    bench.schema()
    bench.person("p1", "ann@example.com", bucket="low", category="Tea")
    bench.use(model({}, ("bucket", "category")))
    report = bench.lane()
    assert (report.planned, report.held) == (1, 1)
    assert "field:category" in (report.note or "")
    bench.schema()
    assert bench.lane().delivered == 1
    assert bench.fields("ann@example.com")["cio_category"] == "Tea"


def test_a_limit_that_was_raised_lets_it_go(bench: PipedriveBench) -> None:
    inside(bench, range(5))
    assert bench.lane().held == 25
    limits: Any = Limits(guards=Guards(max_exit_share=0.9))
    bench.use(bench.runtime.activation.model_copy(update={"limits": limits}))
    assert bench.lane().delivered == 25
