"""The real-time sensor: a run for news, one at a time, the same one for the same look."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cio_activation.activation.loader import load_activation
from cio_activation.activation.settings import DEFAULT_ACTIVATION
from cio_activation.automation import sensors
from cio_activation.automation.sensors import AGAIN_SECONDS, Seen, realtime_sensor, reason
from cio_activation.automation.trigger import NEWS_TAG
from cio_activation.customerio.inbox import Event, Inbox, News, Source
from cio_activation.customerio.segment_probe import Fingerprint
from cio_activation.destinations import DESTINATIONS
from cio_activation.errors import CioActivationError
from cio_activation.journal.attempts import Journal
from cio_activation.lanes.partitions import Lanes
from cio_activation.lanes.runs import DEFERRED_TAG, FINGERPRINTS_TAG


@dg.op
def works() -> None:
    """Stand in for the lane's assets."""


@dg.job(name="realtime")
def lane_job() -> None:
    works()


class Bench:
    """The sensor of the default activation, an inbox, and segments whose counts the test sets."""

    def __init__(self, home: Path) -> None:
        self.inbox = Inbox(Journal(f"sqlite:///{home / 'journal.sqlite'}"))
        self.members = "ann bob"
        self.asked_vendor = 0
        self.down = False
        self.cursor: str | None = None
        activation = load_activation(DEFAULT_ACTIVATION, DESTINATIONS)
        self.sensor = realtime_sensor(lane_job, activation, Lanes.of(activation))
        self.instance = dg.DagsterInstance.ephemeral()

    def look(self, _runtime: Any, segments: list[int], _before: Any, _now: float) -> dict[str, Fingerprint]:
        self.asked_vendor += 1
        if self.down:
            raise CioActivationError("no answer")
        return {str(s): Fingerprint(self.members) for s in segments}

    def tick(self, *, keep: bool = True) -> list[str]:
        """Return the keys of the runs that a tick asks for; without ``keep`` the daemon died before noting it."""
        found = self.sensor(dg.build_sensor_context(instance=self.instance, cursor=self.cursor))
        if not isinstance(found, dg.SensorResult):
            return [f"skipped: {found.skip_message}"]
        if keep:
            self.cursor = found.cursor
        return [str(r.run_key) for r in found.run_requests or []]

    def arrive(self, *numbers: int) -> None:
        self.inbox.add([Event(Source.JOURNEY, f"e{n}", "cart_updated", b"{}", 1.0) for n in numbers])

    def land(self) -> None:
        self.inbox.landed([w.number for w in self.inbox.new()])


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACTIVATION_HOME", str(tmp_path))
    made = Bench(tmp_path)
    monkeypatch.setattr(sensors, "fingerprint_segments", made.look)
    # A window of the test's own length would begin in the middle of it now and then.
    monkeypatch.setattr(Lanes, "window_at", lambda self, lane, moment: self.window(lane, "2026-11-22T12:00"))
    yield made
    made.instance.dispose()


def test_a_window_gets_one_run_and_no_more_without_news(bench: Bench) -> None:
    assert bench.tick() == ["2026-11-22T12:00 1 0-0"]
    assert bench.tick() == []


def test_a_webhook_is_enough_for_a_run_without_asking_the_vendor_again(bench: Bench) -> None:
    bench.tick()
    asked = bench.asked_vendor
    bench.arrive(1, 2)
    (key,) = bench.tick()
    assert key.endswith(bench.inbox.news().mark)
    assert bench.tick() == []  # the run that was asked for will land them
    bench.land()
    assert bench.tick() == []
    bench.arrive(3)
    (later,) = bench.tick()
    assert later != key
    assert bench.asked_vendor == asked


def test_the_same_look_repeated_after_a_crash_asks_for_the_same_run(bench: Bench) -> None:
    bench.tick()
    bench.arrive(1)
    assert bench.tick(keep=False) == bench.tick() != []


def test_a_segment_that_moves_back_and_forth_gets_a_run_each_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "POLL_SECONDS", 0)
    keys = []
    for members in ("ann", "bob", "ann", "bob", "bob"):
        bench.members = members
        keys += bench.tick()
    assert len(keys) == len(set(keys)) == 4


def test_while_a_run_waits_no_other_is_asked_for(bench: Bench) -> None:
    bench.arrive(1)
    bench.instance.create_run_for_job(lane_job, status=dg.DagsterRunStatus.STARTING)
    assert bench.tick() == ["skipped: a run of this lane is already waiting; it will see everything that is new"]


def test_news_that_the_receiver_launched_a_run_for_is_not_asked_for_again(bench: Bench) -> None:
    bench.tick()
    bench.arrive(1)
    mark = bench.inbox.news().mark
    bench.instance.create_run_for_job(lane_job, status=dg.DagsterRunStatus.STARTED, tags={NEWS_TAG: mark})
    assert bench.tick() == []
    bench.arrive(2)
    assert len(bench.tick()) == 1


def test_what_came_of_nothing_elsewhere_is_asked_for_after_a_while(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.tick()
    bench.arrive(1)
    tags = {NEWS_TAG: bench.inbox.news().mark}
    bench.instance.create_run_for_job(lane_job, status=dg.DagsterRunStatus.FAILURE, tags=tags)
    assert bench.tick() == []
    monkeypatch.setattr(sensors, "AGAIN_SECONDS", 0)
    assert len(bench.tick()) == 1


def test_what_a_run_left_over_gets_another_run_once_it_ended_and_only_one(bench: Bench) -> None:
    bench.tick()
    run = bench.instance.create_run_for_job(lane_job, status=dg.DagsterRunStatus.STARTED)
    bench.instance.add_run_tags(run.run_id, {DEFERRED_TAG: "hubspot/properties_realtime"})
    assert bench.tick() == []
    bench.instance.report_run_canceled(run)
    assert len(bench.tick()) == 1
    assert bench.tick() == []
    bench.instance.create_run_for_job(lane_job, status=dg.DagsterRunStatus.SUCCESS)
    assert bench.tick() == []


def _run(bench: Bench, status: dg.DagsterRunStatus, members: str | None = None) -> dg.DagsterRun:
    tags = (
        {}
        if members is None
        else {FINGERPRINTS_TAG: json.dumps(dict.fromkeys(Seen.read(bench.cursor).segments, members))}
    )
    return bench.instance.create_run_for_job(lane_job, status=status, tags=tags)


def test_members_that_a_run_has_read_already_are_no_news(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensors, "POLL_SECONDS", 0)
    bench.tick()
    bench.members = "ann bob cem"
    _run(bench, dg.DagsterRunStatus.SUCCESS, "ann bob cem")
    assert bench.tick() == []
    bench.members = "ann bob"
    assert len(bench.tick()) == 1, "back as they were is news again"


def test_members_that_the_newest_run_has_not_read_are_news(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensors, "POLL_SECONDS", 0)
    bench.tick()
    bench.members = "cem"
    _run(bench, dg.DagsterRunStatus.SUCCESS, "cem")
    _run(bench, dg.DagsterRunStatus.SUCCESS, "ann bob")
    assert len(bench.tick()) == 1


def test_members_are_not_asked_for_while_a_run_has_yet_to_read_them(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "POLL_SECONDS", 0)
    bench.tick()
    bench.members, asked = "cem", bench.asked_vendor
    run = _run(bench, dg.DagsterRunStatus.STARTED)
    assert (bench.tick(), bench.asked_vendor) == ([], asked)
    bench.instance.report_run_canceled(run)
    assert len(bench.tick()) == 1


def test_what_a_run_read_that_failed_later_is_news_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensors, "POLL_SECONDS", 0)
    bench.tick()
    bench.members = "cem"
    run = _run(bench, dg.DagsterRunStatus.STARTED, "cem")
    assert bench.tick() == bench.tick() == []
    bench.instance.report_run_failed(run)
    assert len(bench.tick()) == 1
    assert bench.tick() == []


def test_an_unreachable_vendor_asks_for_nothing_unless_a_webhook_came(bench: Bench) -> None:
    bench.down = True
    assert bench.tick() == []
    bench.arrive(1)
    assert len(bench.tick()) == 1
    bench.land()
    bench.down = False
    bench.members = "cem"
    assert len(bench.tick()) == 1


def test_a_cursor_of_an_earlier_release_is_read_as_far_as_it_goes(bench: Bench) -> None:
    look = {"members": "41000", "big": True, "due_at": 0.0, "wait_s": 30.0}
    bench.cursor = json.dumps({"window": "2026-11-22T12:00", "counts": {"1": 10}, "segments": {"1": look}})
    assert len(bench.tick()) == 1  # how the other segments looked it does not tell
    assert bench.tick() == []


def test_events_that_no_run_landed_are_asked_for_again() -> None:
    seen = Seen(window="w", mark="7-2", asked_at=1_000.0)
    news = News(events=2, highest=7, oldest_at=900.0)
    assert reason(seen, seen, news, "w", 1_000.0 + AGAIN_SECONDS - 1) is None
    assert reason(seen, seen, news, "w", 1_000.0 + AGAIN_SECONDS) == "2 events are still in the inbox"
    assert reason(seen, seen, replace(news, events=0), "w", 9_000.0) is None
    assert reason(seen, seen, replace(news, events=0), "x", 9_000.0) == "a new window began"
