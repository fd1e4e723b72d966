"""Humans of the stand-ins: who does what, when, and that it is always the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cio_activation.sandbox.server.working_time import WorkingTime
from cio_activation_tests.drivers.stand_ins import hubspot, pipedrive
from cio_activation_tests.drivers.stand_ins.hubspot import HubSpotStandIn
from cio_activation_tests.drivers.stand_ins.pipedrive import NOON, PipedriveStandIn

DAY = 86_400.0
TASKS = "/crm/objects/2026-09/tasks"
HABITS = {"complete": 0.4, "snooze": 0.2, "reassign": 0.1, "delete": 0.1, "take_up": 0.1, "ignore": 0.1}
OUTCOMES = {"converted": 0.5, "no_answer": 0.5}


def _agents(*owners: Any, **more: Any) -> list[dict[str, Any]]:
    zones = ("America/New_York", "Europe/Berlin", "Asia/Tokyo")
    base = {"holidays": ["2026-11-26"], "does": HABITS, "outcomes": OUTCOMES, **more}
    return [{"owner": str(o), "zone": zones[i % 3], **base} for i, o in enumerate(owners)]


@pytest.fixture
def portal() -> Iterator[HubSpotStandIn]:
    with hubspot.portal(limited=False) as running:
        running.shared.clock.set(NOON)
        running.property("cio_outreach_outcome")
        running.property("cio_outreach_outcome_at", "date", "date")
        yield running


@pytest.fixture
def company() -> Iterator[PipedriveStandIn]:
    made = pipedrive.begin(pipedrive.SEED, at=NOON)
    made.field("cio_outreach_outcome", "enum", *OUTCOMES)
    yield made
    made.stop()


def _tasks(world: HubSpotStandIn, number: int) -> list[str]:
    types = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 204}]
    linked = [{"to": {"id": world.id_of("ann@example.com")}, "types": types}]
    owners = ("70000001", "70000002")
    inputs = [
        {
            "properties": {"hs_timestamp": "2026-11-23T15:00:00Z", "hubspot_owner_id": owners[i % 2]},
            "associations": linked,
        }
        for i in range(number)
    ]
    made = world.call("POST", f"{TASKS}/batch/create", {"inputs": inputs}, 201)["results"]
    return [row["id"] for row in made]


def test_tasks_end_as_their_owners_do_in_working_hours_and_the_same_each_time() -> None:
    told: list[list[dict[str, Any]]] = []
    for steps in ([10.0], [1.0, 2.5, 4.0, 10.0]):
        with hubspot.portal(limited=False) as world:
            world.shared.clock.set(NOON)
            ids = _tasks(world, 60)
            world.hire(_agents("70000001", "70000002"))
            told.append([deed for days in steps for deed in world.work(NOON + days * DAY)])
            tasks = {t["id"]: t for t in world.state()["tasks"]}
    assert [(d["item"], d["did"]) for d in sorted(told[0], key=lambda d: (d["at"], d["item"]))] == [
        (d["item"], d["did"]) for d in sorted(told[1], key=lambda d: (d["at"], d["item"]))
    ]
    zones = {"70000001": ZoneInfo("America/New_York"), "70000002": ZoneInfo("Europe/Berlin")}
    for deed in told[0]:
        at = datetime.fromtimestamp(deed["at"], zones[deed["agent"]])
        assert (at.weekday() < 5, 9 <= at.hour < 18, at.date().isoformat() != "2026-11-26") == (True, True, True)
    did = Counter(deed["did"] for deed in told[1])
    assert set(did) == set(HABITS) - {"ignore"}
    assert sum(t["archived"] for t in tasks.values()) == did["delete"]
    done = [t for t in tasks.values() if t["properties"]["hs_task_status"] == "COMPLETED"]
    assert len(done) == did["complete"]
    assert set(tasks) == set(ids)


def test_a_completed_task_has_its_outcome_on_the_contact(portal: HubSpotStandIn) -> None:
    (task,) = _tasks(portal, 1)
    portal.hire(
        _agents("70000001", does={"complete": 1}),
        outcome="cio_outreach_outcome",
        outcome_at="cio_outreach_outcome_at",
    )
    (deed,) = portal.work(NOON + 3 * DAY)
    assert (deed["did"], deed["item"]) == ("complete", task)
    ann = next(c for c in portal.state()["contacts"].values() if c["email"] == "ann@example.com")
    assert ann["cio_outreach_outcome"] == deed["detail"]
    assert ann["cio_outreach_outcome_at"] == datetime.fromtimestamp(deed["at"], UTC).date().isoformat()
    names = ["hs_task_completion_date", "hs_lastmodifieddate"]
    asked = {"inputs": [{"id": task}], "properties": names, "propertiesWithHistory": []}
    row = portal.call("POST", f"{TASKS}/batch/read", asked)["results"][0]["properties"]
    stamp = datetime.fromtimestamp(deed["at"], UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
    assert row["hs_task_completion_date"] == row["hs_lastmodifieddate"] == stamp
    assert portal.work(NOON + 9 * DAY) == []
    assert portal.http.get("/_sandbox/agents", params={"vendor": "hubspot"}).json()["deeds"] == [deed]


def test_activities_end_as_their_owners_do(company: PipedriveStandIn) -> None:
    call = {"subject": "Call", "type": "call", "participants": [{"person_id": 1}]}
    for owner in [2, 3] * 30:
        company.data("POST", "/activities", json=call | {"owner_id": owner, "due_date": "2026-11-23"})
    company.hire(_agents(2, 3), outcome="cio_outreach_outcome")
    deeds = company.work(NOON + 10 * DAY)
    did = Counter(deed["did"] for deed in deeds)
    assert set(did) == set(HABITS) - {"ignore"}
    state = company.state()
    assert sum(a["done"] for a in state["activities"]) == did["complete"]
    assert len(state["activities"]) == 60 - did["delete"]
    last = [d for d in deeds if d["did"] == "complete"][-1]
    assert state["persons"]["1"]["custom_fields"]["cio_outreach_outcome"] == last["detail"]
    snoozed = {int(d["item"]): d for d in deeds if d["did"] == "snooze"}
    assert any(a["due_date"] > "2026-11-24" for a in state["activities"] if a["id"] in snoozed)


def test_what_belongs_to_nobody_hired_stays(company: PipedriveStandIn) -> None:
    company.data("POST", "/activities", json={"subject": "Call", "owner_id": 1})
    company.hire(_agents(2))
    assert company.work(NOON + 10 * DAY) == []


def test_wrong_agents_are_refused(company: PipedriveStandIn) -> None:
    for agents in ([{"owner": "2", "does": {"dance": 1}}], [{"owner": "2", "mood": "good"}], [{}]):
        answer = company.http.post("/_sandbox/agents", json={"vendor": "pipedrive", "agents": agents})
        assert answer.status_code == 400
    answer = company.http.post("/_sandbox/agents", json={"vendor": "customerio", "agents": []})
    assert answer.status_code == 400


def test_working_time_passes_only_while_it_is_open_also_when_clocks_change() -> None:
    hours = WorkingTime(zone="America/New_York")
    zone = ZoneInfo(hours.zone)

    def after(year: int, month: int, day: int, hour: int, working: float) -> datetime:
        found = hours.after(datetime(year, month, day, hour, tzinfo=zone).timestamp(), working)
        assert found is not None
        return datetime.fromtimestamp(found, zone)

    assert after(2026, 11, 23, 16, 2) == datetime(2026, 11, 24, 10, tzinfo=zone)
    assert after(2026, 10, 30, 16, 2) == datetime(2026, 11, 2, 10, tzinfo=zone)  # clocks go back on Sunday
    assert after(2026, 3, 6, 16, 2) == datetime(2026, 3, 9, 10, tzinfo=zone)  # and forward
    assert not hours.at_work(datetime(2026, 11, 22, 12, tzinfo=zone).timestamp())
    assert WorkingTime(days=()).after(NOON, 1) is None
