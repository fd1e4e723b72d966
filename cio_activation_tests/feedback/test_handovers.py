"""Open actions follow the owner of the record, by both lanes' own functions and in both CRMs. One story for all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cio_activation.activation.models import Lane
from cio_activation.errors import ConfigError
from cio_activation_tests.drivers import builders, lanes
from cio_activation_tests.drivers.town import Town, town
from cio_activation_tests.feedback.crms import CRMS, Crm
from cio_activation_tests.feedback.test_follow_through import CX, activation

Story = dict[str, Any]
OWNERS = "owner: [record_owner, audience_owner], follow_owner: true"
QUARTER = timedelta(minutes=15)


@pytest.fixture(scope="module", params=sorted(CRMS))
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Return what was seen in each window, by its name."""
    vendor = str(request.param)
    with town(tmp_path_factory.mktemp(vendor) / "home", people=30) as here:
        crm = CRMS[vendor](here)
        text = activation(vendor).replace("owner: audience_owner", OWNERS)
        here.activation = lanes.small_activation(here.home, text)
        here.runtime = lanes.build_runtime(here.home, here.sandbox.environment(), here.activation)
        yield _story(here, crm)


def _story(here: Town, crm: Crm) -> Story:
    seen = Story()
    cx, bea, dan, gone = (crm.hire(email) for email in (CX, "bea@example.com", "dan@example.com", "gone@example.com"))
    for who in here.people()[:6]:
        here.act("fill_cart", cio_id=who, value=150.0)
    here.wait(timedelta(hours=3))
    here.run(Lane.DAILY)
    here.run(Lane.REALTIME)
    asked = here.query("SELECT cio_id FROM delivery.actions ORDER BY cio_id")
    moves, given, taken, left, lost = [str(cio_id) for (cio_id,) in asked][:5]
    seen["names"] = {"cx": cx, "bea": bea, "dan": dan, "first": crm.owner(moves)}
    here.wait(QUARTER)
    here.run(Lane.REALTIME)
    seen["known by now"] = here.query("SELECT count(*) FROM audience.handovers")

    def next_window(name: str) -> None:
        here.wait(QUARTER)
        here.run(Lane.REALTIME, schema=False)
        people = {"moves": moves, "given": given, "taken": taken, "left": left, "lost": lost}
        seen[name] = {label: crm.owner(who) for label, who in people.items()}

    crm.give(given, dan)
    crm.take_up(taken)
    crm.dismiss(gone)
    for who, owner in ((moves, bea), (given, bea), (taken, bea), (left, gone)):
        crm.own(who, owner)
    due = crm.state(moves)["due"]
    next_window("moved")
    seen["due stays"] = crm.state(moves)["due"] == due
    seen["assigned"] = here.query(f"SELECT owner_email FROM audience.assignments WHERE cio_id = '{moves}'")
    since = here.mark()
    here.run(Lane.REALTIME)
    seen["again"] = here.writes(since)
    crm.own(lost, bea)
    path = "*/tasks/batch/update" if crm.name == "hubspot" else "/api/v2/activities/*"
    method = "POST" if crm.name == "hubspot" else "PATCH"
    here.fault(vendor=crm.name, kind="reset", when="after", method=method, path=path, times=10)
    next_window("lost")
    here.clear_faults()
    crm.own(moves, cx)
    crm.own(given, cx)
    next_window("back")
    seen["acts"] = sorted(here.query("SELECT act, coalesce(detail, '') FROM feedback.acts"))
    seen["handovers"] = here.query(
        f"SELECT had_by, owner_id, reason FROM audience.handovers WHERE cio_id = '{moves}' ORDER BY as_of"
    )
    return seen


def test_who_owns_a_record_that_we_made_is_no_change(told: Story) -> None:
    assert told["known by now"] == [(0,)]


def test_the_action_goes_where_the_record_goes_and_is_due_as_it_was(told: Story) -> None:
    assert told["moved"]["moves"] == told["names"]["bea"]
    assert told["due stays"]
    assert told["assigned"] == [("bea@example.com",)]


def test_what_a_human_gave_to_somebody_or_took_up_stays(told: Story) -> None:
    names = told["names"]
    for when in ("moved", "lost", "back"):
        assert (told[when]["given"], told[when]["taken"]) == (names["dan"], names["first"])


def test_who_cannot_act_is_passed_over_for_the_next_of_the_chain(told: Story) -> None:
    assert told["moved"]["left"] == told["names"]["cx"]


def test_it_is_written_once_and_a_lost_answer_is_no_humans_act(told: Story) -> None:
    assert told["again"] == []
    assert told["lost"]["lost"] == told["back"]["lost"] == told["names"]["bea"]
    names = told["names"]
    assert ("reassigned", names["bea"]) not in told["acts"]
    assert ("reassigned", names["dan"]) in told["acts"]


def test_the_record_may_come_back(told: Story) -> None:
    names = told["names"]
    assert told["back"]["moves"] == names["cx"]
    assert told["handovers"] == [
        (names["first"], names["bea"], "record_owner"), (names["bea"], names["cx"], "record_owner"),
    ]  # fmt: skip


def test_only_an_action_that_begins_with_the_records_owner_can_follow(tmp_path: Path) -> None:
    text = activation("hubspot").replace("owner: audience_owner", "owner: audience_owner, follow_owner: true")
    with pytest.raises(ConfigError, match="follow_owner goes after the record's owner"):
        builders.load(tmp_path, text)
