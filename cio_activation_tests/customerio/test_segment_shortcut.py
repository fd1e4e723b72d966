"""Big real-time segments: read whole once a window; in between, counts and the people of moments keep them right."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from cio_activation.activation.models import Lane
from cio_activation.automation.sensors import fingerprint_segments
from cio_activation.customerio import segment_shortcut
from cio_activation.customerio.inbox import Event, Inbox, Source
from cio_activation.customerio.live import LivePull, pull_live
from cio_activation.customerio.moments import pull_moments
from cio_activation.customerio.people import pull_people, utc_now
from cio_activation.journal.attempts import Journal
from cio_activation.runtime import Runtime
from cio_activation_tests.drivers.builders import FAST, START, window
from cio_activation_tests.drivers.customerio import CustomerioBench
from cio_activation_tests.drivers.receiver import encoded
from cio_activation_tests.drivers.tables import query

RT = Lane.REALTIME
MEMBERS, SEGMENTS_OF = "GET /v1/segments/{id}/membership", "GET /v1/customers/{id}/segments"
BIG = 5


class Town:
    """A segment that counts as big, read whole once; moments of people, and runs a minute apart."""

    def __init__(self, site: CustomerioBench) -> None:
        self.site, self.run = site, site.runtime(rt=(11,))
        self.people = sorted(site.picture().identifiers)
        self.inside = self.people[: BIG + 3]
        self.minute = 0.0
        self.at = utc_now() + timedelta(days=1)  # after the moments, which real time stamps
        self._inbox = Inbox(Journal(self.run.settings.journal))
        site.pick(*self.inside)
        pull_people(self.run, window(1), poll=FAST, clock=lambda: self.at - timedelta(days=1))
        self.pull()
        site.clear_log()

    def moment(self, *people: str) -> None:
        self._inbox.add(
            [Event(Source.JOURNEY, f"{self.minute}-{p}", "cart_updated", encoded({"cio_id": p}), START.timestamp())
             for p in people]
        )  # fmt: skip

    def pull(self, minutes: float = 1, day: int = 2) -> LivePull:
        self.minute += minutes
        now = self.at + timedelta(minutes=self.minute)
        pull_moments(self.run, window(day, RT))
        return pull_live(self.run, window(day, RT), clock=lambda: now)

    def members(self) -> list[str]:
        return [c for (c,) in query(self.run, "SELECT cio_id FROM raw.memberships WHERE lane = 'realtime' ORDER BY 1")]


@pytest.fixture
def town(site: CustomerioBench, monkeypatch: pytest.MonkeyPatch) -> Town:
    monkeypatch.setattr(segment_shortcut, "PAGE", BIG)
    return Town(site)


def test_a_cart_is_let_in_without_reading_the_segment(town: Town) -> None:
    new = town.people[-1]
    town.site.pick(new)
    town.moment(new)
    pulled = town.pull()
    assert (pulled.entered, pulled.left, pulled.rows, pulled.retained) == (1, 0, 1, {})
    assert town.members() == sorted([*town.inside, new])
    assert MEMBERS not in town.site.calls()
    assert town.site.calls()[SEGMENTS_OF] == 1


def test_one_in_and_one_out_of_whom_moments_tell_are_both_seen(town: Town) -> None:
    new, old = town.people[-1], town.inside[0]
    town.site.pick(new)
    town.site.drop(old)
    town.moment(new, old)
    pulled = town.pull()
    assert (pulled.entered, pulled.left) == (1, 1)
    assert town.members() == sorted({*town.inside, new} - {old})
    assert MEMBERS not in town.site.calls()


def test_whoever_did_something_and_stays_outside_moves_nobody(town: Town) -> None:
    town.moment(town.people[-1], town.inside[0])
    pulled = town.pull()
    assert (pulled.entered, pulled.left, pulled.rows) == (0, 0, 2)
    assert town.members() == sorted(town.inside)


def test_a_count_that_stays_unexplained_is_read_whole_within_a_minute_of_moments(town: Town) -> None:
    told, silent, *others = reversed(town.people)
    town.site.pick(told, silent)
    town.moment(told)
    assert town.pull().entered == 1
    town.moment(others[0])
    assert town.pull(minutes=0.9).entered == 0
    assert MEMBERS not in town.site.calls()
    town.moment(others[1])
    assert town.pull(minutes=0.2).entered == 1
    assert town.site.calls()[MEMBERS] == 1
    assert town.members() == sorted([*town.inside, told, silent])


def test_a_count_that_the_next_moments_explain_is_never_read(town: Town) -> None:
    """Whoever enters while a run is at it is in the count, and their webhook comes with the next run."""
    outsider, *people = reversed(town.people)
    for new in people[:4]:
        town.site.pick(new)
        town.moment(outsider)
        assert town.pull(minutes=0.4).entered == 0
        town.moment(new)
        assert town.pull(minutes=0.4).entered == 1
    assert MEMBERS not in town.site.calls()
    assert town.members() == sorted([*town.inside, *people[:4]])


def test_a_run_with_a_moment_does_not_read_again_what_was_just_read_and_the_next_without_does(town: Town) -> None:
    told, silent = town.people[-1], town.people[-2]
    town.site.pick(told, silent)
    town.moment(told)
    first = town.pull(minutes=0)
    assert (first.entered, MEMBERS in town.site.calls()) == (1, False)
    assert "11" not in first.fingerprints, "the sensor has to find it changed"
    assert town.members() == sorted([*town.inside, told])
    second = town.pull(minutes=0)
    assert (second.entered, town.site.calls()[MEMBERS]) == (1, 1)
    assert town.members() == sorted([*town.inside, told, silent])


def test_nothing_new_costs_a_count(town: Town) -> None:
    pulled = town.pull()
    assert (pulled.entered, pulled.left, pulled.retained) == (0, 0, {})
    assert set(town.site.calls()) == {"GET /v1/segments", "GET /v1/segments/{id}/customer_count"}
    assert town.members() == sorted(town.inside)


def test_what_no_count_shows_is_seen_by_the_next_windows_first_run(town: Town) -> None:
    new, old = town.people[-1], town.inside[0]
    town.site.pick(new)
    town.site.drop(old)
    assert (town.pull().entered, town.members()) == (0, sorted(town.inside))
    assert town.pull(day=3).entered == 1
    assert town.members() == sorted({*town.inside, new} - {old})


def test_many_moments_have_the_segment_read_whole(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_shortcut, "LOOKED_UP", 2)
    new = town.people[-3:]
    town.site.pick(*new)
    town.moment(*new)
    assert town.pull().entered == 3
    assert (town.site.calls()[MEMBERS], SEGMENTS_OF in town.site.calls()) == (1, False)


def test_a_person_whom_nobody_knows_any_more_is_no_member(town: Town) -> None:
    made = str(town.site.edit(action="add_person", id="soon-gone", email="soon-gone@example.com")["cio_id"])
    town.site.pick(made)
    town.moment(made)
    assert town.pull().entered == 1
    town.site.edit(action="delete_person", cio_id=made)
    town.moment(made)
    gone = town.pull()
    assert (gone.left, gone.gone) == (1, 1)
    assert town.members() == sorted(town.inside)


def test_a_key_that_may_not_look_people_up_reads_the_segment_instead(town: Town) -> None:
    new = town.people[-1]
    town.site.pick(new)
    town.moment(new)
    town.site.fault(kind="status", vendor="customerio", path=f"/v1/customers/cio_{new}/segments", status=400, times=9)
    assert town.pull().entered == 1
    assert town.site.calls()[MEMBERS] == 1


def test_a_segment_that_is_building_retains_its_snapshot(town: Town) -> None:
    new = town.people[-1]
    town.site.pick(new)
    town.moment(new)
    town.site.edit(action="set_segment_state", segment=11, state="build", progress=50)
    assert list(town.pull().retained.values()) == ["still building (state build)"]
    assert town.members() == sorted(town.inside)


@pytest.mark.parametrize("big", [True, False])
def test_a_run_tells_the_sensor_what_it_would_see(town: Town, monkeypatch: pytest.MonkeyPatch, *, big: bool) -> None:
    if big:
        monkeypatch.setattr("cio_activation.customerio.client.PAGE", BIG)
        monkeypatch.setattr("cio_activation.customerio.segment_probe.PAGE", BIG)
        monkeypatch.setattr("cio_activation.customerio.members.PAGE", BIG)
    else:
        monkeypatch.setattr(segment_shortcut, "PAGE", 30_000)
    seen: Callable[[Runtime], str] = lambda run: fingerprint_segments(run, [11], {}, 0.0)["11"].members  # noqa: E731
    assert town.pull(day=3).fingerprints["11"] == seen(town.run)
    town.site.pick(town.people[-1])
    before = seen(town.run)
    town.moment(town.people[-1])
    assert town.pull(day=3).fingerprints["11"] == before == seen(town.run)
