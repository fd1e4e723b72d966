"""Each kind of warning: what is in order is quiet, what is beyond its limit has the numbers, the key and the mend."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from cio_activation.activation.alerts import Alerts
from cio_activation.activation.durations import format_duration
from cio_activation.activation.models import Lane, Limits, Workspace
from cio_activation.customerio import segment_changes
from cio_activation.customerio.answers import Segment
from cio_activation.destinations.hubspot.config import HubSpotAudience, TaskOptions
from cio_activation.lanes.partitions import Lanes
from cio_activation.outcome.assets import build_assets
from cio_activation.outcome.warning_kinds import FoundWarning, Kind
from cio_activation.outcome.warnings import last_found, replace, warnings
from cio_activation.runtime import Runtime
from cio_activation_tests.docs import pages
from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers.decided import write_members, write_persons

NOW = datetime(2026, 11, 3, 12)
TASK = {"hubspot": HubSpotAudience(task=TaskOptions(subject="Call"))}
LIMITS = Alerts(actions_per_day=3, people_waiting=5, share_floor=4, webhook_fair_use=4)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    audiences = [
        builders.audience("vip", segment=1, touch=True, deliver=TASK),
        builders.audience("cart", Lane.REALTIME, segment=2, touch=True, deliver=TASK),
        builders.audience("media", segment=1),
    ]
    model = builders.activation(audiences=audiences, workspace=Workspace(timezone="America/New_York"))
    model = model.model_copy(update={"limits": Limits(alerts=LIMITS)})
    return builders.runtime(tmp_path_factory.mktemp("warnings"), model)


@pytest.fixture(autouse=True)
def _empty(home: Runtime) -> Iterator[None]:
    yield
    with home.warehouse.write() as con:
        for table in (
            "audience.counts", "audience.memberships", "delivery.actions", "delivery.ledger", "feedback.readings",
            "raw.segment_states", "raw.segment_changes", "raw.segment_turnover", "raw.moments", "identity.persons",
            "outcome.warnings", "audience.escalations", "feedback.owners", "feedback.acts",
        ):  # fmt: skip
            con.execute(f"DELETE FROM {table}")


def given(home: Runtime, table: str, *rows: dict[str, Any]) -> None:
    with home.warehouse.write() as con:
        for row in rows:
            marks = ", ".join("?" * len(row))
            names = ", ".join(f'"{name}"' for name in row)
            con.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))


def found(home: Runtime, *kinds: Kind, now: datetime = NOW) -> list[FoundWarning]:
    with home.warehouse.read() as con:
        return warnings(con, home.activation, now, kinds or tuple(Kind))


def counts(audience: str, code: str, people: int, *, ago: int = 0) -> dict[str, Any]:
    as_of = NOW - timedelta(days=ago)
    shared = {"audience": audience, "lane": "daily", "window_key": f"{as_of:%Y-%m-%d}", "as_of": as_of}
    return {**shared, "decision": "withheld", "code": code, "people": people}


def test_nothing_is_warned_of_in_an_empty_home(home: Runtime) -> None:
    assert found(home) == []


def test_people_whom_nobody_can_act_for(home: Runtime) -> None:
    given(home, "audience.counts", counts("vip", "no_owner", 9, ago=1), counts("cart", "no_owner", 7, ago=1))
    given(
        home, "audience.counts", counts("vip", "no_owner", 1), counts("cart", "grace", 3), counts("gone", "no_owner", 2)
    )
    [one] = found(home)
    assert (one.key, one.about) == ("no_owner:vip", "vip")
    assert one.sentence == "audience vip: nobody of those named can act for 1 person"


def test_too_many_new_actions_on_the_workspaces_day(home: Runtime) -> None:
    begun = datetime(2026, 11, 3, 5)  # midnight in New York
    rows = [
        {"audience": audience, "opened_at": begun + timedelta(hours=hours)}
        for audience, hours in (("vip", -1), ("vip", 0), ("vip", 1), ("cart", 2), ("vip", 8))
    ]
    given(home, "delivery.actions", *rows)
    assert found(home) == [], "the first is of yesterday, the last still to come"
    given(home, "delivery.actions", rows[3])
    [one] = found(home)
    assert one.sentence == "4 new actions on 2026-11-03, more than 3: cart 2, vip 2"


def test_people_who_wait_for_a_place(home: Runtime) -> None:
    given(
        home,
        "audience.counts",
        counts("vip", "capacity", 3),
        counts("vip", "launch_limit", 2),
        counts("cart", "capacity", 5),
    )
    assert found(home) == []
    given(home, "audience.counts", counts("vip", "capacity", 1))
    [one] = found(home)
    assert one.key == "people_waiting:vip"
    assert "6 people wait" in one.sentence


def test_actions_that_nobody_touched_in_time_until_somebody_does(home: Runtime) -> None:
    for entry, owner in (("a", "7"), ("b", "7"), ("c", "8"), ("d", "8")):
        there = {"audience": "vip", "entry_id": entry, "destination": "hubspot"}
        given(home, "delivery.actions", {**there, "kind": "task", "status": "open", "owner_id": owner})
        given(home, "audience.escalations", {**there, "step": 1, "does": "raise_priority" if entry == "c" else "tell"})
    given(home, "feedback.owners", {"destination": "hubspot", "owner_id": "7", "email": "ada@example.com"})
    given(home, "feedback.acts", {"entry_id": "d", "destination": "hubspot", "act": "snoozed"})
    [one] = found(home, Kind.LATE_ACTIONS)
    assert (one.key, one.about) == ("late_actions:vip", "vip")
    assert one.sentence == "audience vip: 2 actions that nobody touched in time (ada@example.com 2)"
    given(home, "feedback.acts", *({"entry_id": e, "destination": "hubspot", "act": "taken_up"} for e in "ab"))
    assert found(home, Kind.LATE_ACTIONS) == []


def test_the_share_that_a_destination_rejects(home: Runtime) -> None:
    def ended(end: str, *, kind: str = "update", ago: int = 1) -> dict[str, Any]:
        return {"destination": "hubspot", "kind": kind, "end": end, "ended_at": NOW - timedelta(hours=ago)}

    given(home, "delivery.ledger", ended("rejected"), ended("rejected", ago=30), ended("rejected", kind="link"))
    given(home, "delivery.ledger", ended("delivered"), ended("delivered"), ended("retry"))
    assert found(home) == [], "three operations make no share"
    given(home, "delivery.ledger", ended("delivered"))
    [one] = found(home)
    assert one.key == "reject_share:hubspot"
    assert one.sentence == "hubspot rejected 1 of 4 operations of the last day (25%), more than 5%"


def test_a_crm_that_was_not_or_could_not_be_asked(home: Runtime) -> None:
    def read(lane: str, hours: int, problem: str | None = None, destination: str = "hubspot") -> dict[str, Any]:
        at = NOW - timedelta(hours=hours)
        return {"destination": destination, "lane": lane, "read_at": at, "problem": problem}

    given(home, "feedback.readings", read("daily", 26), read("realtime", 1), read("daily", 99, destination="pipedrive"))
    assert found(home) == [], "nobody is asked to act in Pipedrive any more"
    later = found(home, now=NOW + timedelta(minutes=1))
    assert [w.key for w in later] == ["feedback_unread:hubspot:daily"]
    assert "since 2026-11-02 10:00 UTC, for more than 26h" in later[0].sentence
    given(home, "feedback.readings", read("realtime", 0, "hubspot owners.list answered 503: later"))
    assert "could not be asked what humans did (realtime lane): hubspot owners.list" in found(home)[0].sentence


def test_a_change_of_a_segment_is_one_warning_for_both_lanes_and_another_the_next_time(home: Runtime) -> None:
    def listed(name: str, hours: int, *lanes: Lane) -> None:
        with home.warehouse.write() as con:
            for lane in lanes:
                segment_changes.note(con, lane, [Segment(1, name, "finished")], NOW - timedelta(hours=hours))

    for hours, name in ((40, "A"), (20, "B"), (10, "A")):
        listed(name, hours, Lane.DAILY, Lane.REALTIME)
    first = found(home)
    assert len(first) == 2
    assert first[0].sentence == (
        'Customer.io\'s segment 1 is called "B" now, "A" before (found 2026-11-02 16:00 UTC); read by vip, media'
    )
    listed("B", 5, Lane.DAILY)
    again = found(home)
    assert [w.key for w in again[:2]] == [w.key for w in first], "what holds keeps its key"
    assert len({w.key for w in again}) == 3
    assert [w.key for w in found(home, now=NOW + timedelta(hours=18))] == [again[2].key]


def test_a_soft_segment(home: Runtime) -> None:
    def day(ago: int, entered: int, departed: int) -> dict[str, Any]:
        shared = {"lane": "daily", "segment_id": 1, "day": (NOW - timedelta(days=ago)).date(), "members": 10}
        return {**shared, "entered": entered, "departed": departed}

    given(home, "raw.segment_turnover", day(8, 90, 90), day(2, 1, 1), day(1, 2, 2))
    assert found(home) == []
    given(home, "raw.segment_turnover", day(0, 2, 2))
    [one] = found(home)
    assert one.key == "soft_segment:1"
    assert "3 come or go a day, 33% of its 10 members, more than 30%" in one.sentence


def test_two_audiences_of_nearly_the_same_people(home: Runtime) -> None:
    everybody = [f"p{number}" for number in range(20)]
    write_members(home, {"vip": everybody, "media": everybody[1:], "cart": everybody[:10]})
    [one] = found(home)
    assert one.key == "near_duplicate:media:vip"
    assert one.sentence == "audiences media and vip have 19 of 20 people in common (95%), more than 90%"
    with home.warehouse.write() as con:
        con.execute("UPDATE audience.memberships SET ghost = TRUE WHERE audience = 'vip' AND cio_id < 'p2'")
    assert found(home) == [], "who is held out is not delivered"


def test_webhooks_of_journeys_at_half_of_the_fair_use(home: Runtime) -> None:
    def came(number: int, at: datetime, source: str = "journey") -> dict[str, Any]:
        return {"event_id": str(number), "source": source, "received_at": at}

    write_persons(home, [{"cio_id": "a"}, {"cio_id": "b"}])
    given(home, "raw.moments", came(1, NOW), came(2, NOW), came(3, NOW), came(4, NOW, "reporting"))
    given(home, "raw.moments", came(5, datetime(2026, 10, 31, 23)))
    assert found(home) == []
    given(home, "raw.moments", came(6, datetime(2026, 11, 1)))
    [one] = found(home)
    assert one.sentence.startswith("4 webhooks of journeys since 2026-11-01 for 2 profiles, 2.0 each: half of the 4")


def test_the_page_has_every_kind_and_the_limits_of_the_model() -> None:
    lines = [line for line in pages.text_of("alerts.md").splitlines() if line.startswith("| `")]
    rows = [line for line in lines if re.match(r"\| `[a-z]", line)]
    assert [re.findall(r"`([^`]+)`", row)[0] for row in rows] == [kind.value for kind in Kind]
    told = dict(re.findall(r"`([a-z_]+): ([0-9.]+[a-z]?)`", pages.text_of("alerts.md")))
    model = {n: format_duration(v) if isinstance(v, timedelta) else str(v) for n, v in Alerts().model_dump().items()}
    assert told == model


def test_the_table_keeps_since_when_one_holds(home: Runtime) -> None:
    one = FoundWarning("no_owner:vip", Kind.NO_OWNER, "vip", "9 people", "name one")
    with home.warehouse.write() as con:
        replace(con, [one], NOW)
        replace(con, [one], NOW + timedelta(days=1))
        assert last_found(con, [Kind.NO_OWNER]) == [one]
        assert last_found(con, [Kind.SOFT_SEGMENT]) == []
        assert con.execute("SELECT since, as_of FROM outcome.warnings").fetchall() == [(NOW, NOW + timedelta(days=1))]


def test_the_asset_shows_a_check_per_kind_and_replaces_the_table(
    home: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIVATION_HOME", str(home.settings.activation_home))
    given(home, "audience.counts", counts("vip", "no_owner", 2))
    *_, asset = build_assets(home.activation, Lanes.of(home.activation), [])
    result = dg.materialize([asset], partition_key="2026-11-02")
    checks = {c.check_name: c for c in result.get_asset_check_evaluations()}
    assert {name for name, check in checks.items() if not check.passed} == {"no_owner"}
    assert checks.keys() == {kind.value for kind in Kind}
    assert checks["no_owner"].severity is dg.AssetCheckSeverity.WARN
    assert "can act for 2 people" in str(checks["no_owner"].description)
    [shown] = result.asset_materializations_for_node("outcome__warnings")
    assert [r.data["about"] for r in shown.metadata["warnings"].value.records] == ["vip"]
    with home.warehouse.read() as con:
        assert con.execute("SELECT key FROM outcome.warnings").fetchall() == [("no_owner:vip",)]
