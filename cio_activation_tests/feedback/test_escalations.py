"""What follows when nobody touches an action in time, by the lanes' own functions and in both CRMs. One story for all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from cio_activation.activation.models import Lane
from cio_activation.outcome.actions import actions
from cio_activation.outcome.warning_kinds import Kind
from cio_activation.outcome.warnings import warnings
from cio_activation_tests.drivers import lanes
from cio_activation_tests.drivers.town import Town, town
from cio_activation_tests.feedback.crms import CRMS, Crm
from cio_activation_tests.feedback.test_follow_through import activation

Story = dict[str, Any]
FIRST, LEAD = "first@example.com", "lead@example.com"
SLA = f"owner: [{FIRST}, {LEAD}], sla: {{after: 2 working hours, then: [raise_priority, reassign]}}"


@pytest.fixture(scope="module", params=sorted(CRMS))
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Return what was seen in each window, by its name."""
    vendor = str(request.param)
    with town(tmp_path_factory.mktemp(vendor) / "home", people=30) as here:
        crm = CRMS[vendor](here)
        text = (
            activation(vendor).replace("owner: audience_owner", SLA).replace("expires_after: 5h", "expires_after: 48h")
        )
        here.activation = lanes.small_activation(here.home, text)
        here.runtime = lanes.build_runtime(here.home, here.sandbox.environment(), here.activation)
        yield _story(here, crm)


def _story(here: Town, crm: Crm) -> Story:
    """It is Tuesday, three in the morning; people work from nine to five."""
    first, lead = crm.hire(FIRST), crm.hire(LEAD)
    for who in here.people()[:6]:
        here.act("fill_cart", cio_id=who, value=150.0)
    here.wait(timedelta(hours=3))
    here.run(Lane.DAILY)
    here.run(Lane.REALTIME)
    rows = here.query("SELECT cio_id FROM delivery.actions ORDER BY cio_id")
    late, begun, given, called, *_ = (str(cio_id) for (cio_id,) in rows)
    people = {"late": late, "begun": begun, "given": given, "called": called}
    seen: Story = {"first": first, "lead": lead, "high": crm.high()}

    def at(name: str, hours: float) -> None:
        here.wait(timedelta(hours=hours) - (here.now - started))
        since = here.mark()
        here.run(Lane.REALTIME, schema=False)
        seen[name] = {label: crm.state(who) for label, who in people.items()}
        seen[f"{name}, writes"] = len([e for e in here.writes(since) if "/tasks/" in e.path or "activities" in e.path])

    started = here.now
    crm.take_up(begun)
    crm.give(given, lead)
    crm.contact(called)
    at("a quarter too early", 7.75)
    at("two hours at work", 8)
    here.run(Lane.REALTIME, schema=False)
    seen["again"] = here.query("SELECT count(*) FROM audience.escalations WHERE step > 1")
    at("as long again", 10)
    at("in the evening", 14)
    seen["steps"] = here.query(
        f"SELECT step, does, had_by FROM audience.escalations WHERE cio_id = '{late}' ORDER BY step"
    )
    others = f"cio_id IN ('{begun}', '{given}', '{called}')"
    seen["others"] = here.query(f"SELECT count(*) FROM audience.escalations WHERE {others}")
    seen["acts"] = here.query(f"SELECT count(*) FROM feedback.acts WHERE cio_id = '{late}'")
    with here.runtime.warehouse.read() as con:
        now = here.now.replace(tzinfo=None)
        seen["listed"] = {a["cio_id"]: a["escalated"] for a in actions(con, now)}[late]
        seen["warned"] = warnings(con, here.activation, now, (Kind.LATE_ACTIONS,))
    return seen


def test_nothing_follows_before_its_time(told: Story) -> None:
    assert {one["owner"] for label, one in told["a quarter too early"].items() if label != "given"} == {told["first"]}
    assert told["a quarter too early"]["late"]["priority"] != told["high"]


def test_first_its_priority_is_raised_then_it_goes_to_the_next_one_and_no_more(told: Story) -> None:
    raised, handed = told["two hours at work"]["late"], told["as long again"]["late"]
    assert (raised["owner"], raised["priority"]) == (told["first"], told["high"])
    assert (handed["owner"], handed["priority"]) == (told["lead"], told["high"])
    assert told["steps"] == [(1, "raise_priority", told["first"]), (2, "reassign", told["first"])]
    assert told["in the evening"]["late"] == handed
    assert told["in the evening, writes"] == 0


def test_a_window_that_is_run_again_escalates_nothing_twice(told: Story) -> None:
    assert told["again"] == [(0,)]


def test_nothing_follows_once_anything_happened(told: Story) -> None:
    assert told["others"] == [(0,)]
    assert [told["in the evening"][one]["owner"] for one in ("begun", "given", "called")] == [
        told["first"], told["lead"], told["first"],
    ]  # fmt: skip
    assert told["acts"] == [(0,)], "what we do ourselves is no humans's act"


def test_it_is_shown_with_the_action(told: Story) -> None:
    assert told["listed"] == "raise_priority, reassign"
    assert told["warned"] == []
