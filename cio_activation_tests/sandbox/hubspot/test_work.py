"""Work of humans in a portal: traps of tasks and owners, labelled links, notes, deals and their pipelines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cio_activation_tests.drivers.stand_ins.hubspot import OBJECTS, HubSpotStandIn, portal

CRM = "/crm/objects/2026-09"
TASKS, NOTES, DEALS = f"{CRM}/tasks", f"{CRM}/notes", f"{CRM}/deals"
LINKS = "/crm/associations/2026-09/tasks/contacts"
PIPELINES = "/crm/pipelines/2026-09/deals"
OWNERS = "/crm/owners/2026-09"
DUE, LATER = "2026-11-23T09:00:00Z", "2026-11-25T09:00:00Z"


@pytest.fixture
def world() -> Iterator[HubSpotStandIn]:
    with portal(limited=False) as running:
        yield running


def _task(world: HubSpotStandIn, status: int = 201, **more: str) -> Any:
    return world.call("POST", TASKS, {"properties": {"hs_timestamp": DUE, **more}}, status)


def _read(world: HubSpotStandIn, task: str, *names: str) -> dict[str, str | None]:
    asked = {"inputs": [{"id": task}], "properties": list(names), "propertiesWithHistory": []}
    row: dict[str, str | None] = world.call("POST", f"{TASKS}/batch/read", asked)["results"][0]["properties"]
    return row


def test_an_open_tasks_completion_date_is_its_due_date(world: HubSpotStandIn) -> None:
    task = _task(world)["id"]
    name = "hs_task_completion_date"
    assert _read(world, task, name)[name] == DUE
    world.edit("set_task", id=task, properties={"hs_timestamp": LATER})
    assert _read(world, task, name, "hs_timestamp")[name] == LATER
    world.edit("complete_task", id=task)
    assert _read(world, task, name)[name] not in (DUE, LATER, None)
    world.edit("settings", completion_date_is_due=False)
    assert _read(world, _task(world)["id"], name)[name] is None


def test_making_a_task_twice_makes_two_and_search_sees_neither_at_once(world: HubSpotStandIn) -> None:
    first, second = (_task(world, hs_task_subject="Call")["id"] for _ in range(2))
    assert first != second
    asked = {"filterGroups": [{"filters": [{"propertyName": "hs_task_subject", "operator": "EQ", "value": "Call"}]}]}
    assert world.call("POST", f"{TASKS}/search", asked)["total"] == 0
    world.edit("settings", search_lag_s=0.0)
    assert world.call("POST", f"{TASKS}/search", asked)["total"] == 2


@pytest.mark.parametrize(
    ("queues", "status", "kept"), [("taken", 201, "7"), ("refused", 400, ""), ("dropped", 201, None)]
)
def test_queues_are_taken_refused_or_not_there(
    world: HubSpotStandIn, queues: str, status: int, kept: str | None
) -> None:
    world.edit("settings", queues=queues)
    made = _task(world, status, hs_queue_membership_ids="7")
    if status == 201:
        assert _read(world, made["id"], "hs_queue_membership_ids")["hs_queue_membership_ids"] == kept
    else:
        assert made["errors"][0]["code"] == "READ_ONLY_VALUE"


@pytest.mark.parametrize(("fate", "status"), [("refused", 400), ("taken", 201), ("dropped", 201)])
def test_an_owner_who_does_not_exist_is_refused_taken_or_dropped(world: HubSpotStandIn, fate: str, status: int) -> None:
    world.edit("settings", unknown_owners=fate)
    made = _task(world, status, hubspot_owner_id="77")
    if status == 201:
        owner = _read(world, made["id"], "hubspot_owner_id")["hubspot_owner_id"]
        assert owner == ("77" if fate == "taken" else None)
    else:
        assert made["errors"][0]["context"]["propertyName"] == ["hubspot_owner_id"]


def test_a_deactivated_owner_shows_among_the_archived_only(world: HubSpotStandIn) -> None:
    made = world.edit("add_owner", email="rep@example.com", first_name="Rep")
    task = _task(world, hubspot_owner_id=made["id"])["id"]
    world.edit("deactivate_owner", id=made["id"])
    assert made["id"] not in [o["id"] for o in world.call("GET", OWNERS)["results"]]
    world.call("GET", f"{OWNERS}/{made['id']}", status=404)
    gone = world.call("GET", f"{OWNERS}?archived=true")["results"]
    assert [(o["id"], o["userId"], o["userIdIncludingInactive"]) for o in gone] == [(made["id"], None, made["userId"])]
    assert world.call("GET", f"{OWNERS}/{made['userId']}?archived=true&idProperty=userId")["archived"] is True
    assert _read(world, task, "hubspot_owner_id")["hubspot_owner_id"] == made["id"]
    _task(world, hubspot_owner_id=made["id"])
    world.edit("settings", archived_owners="refused")
    _task(world, 400, hubspot_owner_id=made["id"])


def test_links_are_made_by_kind_and_carry_their_labels(world: HubSpotStandIn) -> None:
    ann, task = world.id_of("ann@example.com"), _task(world)["id"]
    label = world.call("POST", f"{LINKS}/labels", {"name": "cio_reason", "label": "Reason"})["results"][0]
    assert (label["category"], label["label"]) == ("USER_DEFINED", "Reason")
    ends = {"from": {"id": task}, "to": {"id": ann}}
    kinds = [
        {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 204},
        {"associationCategory": "USER_DEFINED", "associationTypeId": label["typeId"]},
    ]
    path = f"{LINKS}/batch/create"
    inputs = [{**ends, "types": kinds}, {**ends, "to": {"id": "77"}, "types": kinds}]
    body = world.call("POST", path, {"inputs": inputs}, 207)
    row = {"fromObjectTypeId": "0-27", "fromObjectId": task, "toObjectTypeId": "0-1", "toObjectId": ann}
    assert (body["results"], body["numErrors"]) == ([{**row, "labels": ["Reason"]}], 1)
    assert world.call("POST", path, {"inputs": inputs[:1]}, 201)["results"]
    read = world.call("POST", f"{LINKS}/batch/read", {"inputs": [{"id": task}]})["results"][0]["to"][0]
    assert [kind["label"] for kind in read["associationTypes"]] == [None, "Reason"]
    back = world.call("GET", f"{CRM}/contacts/{ann}/associations/tasks")["results"][0]["associationTypes"]
    assert {kind["typeId"] for kind in back} == {203, label["typeId"] + 1}
    world.call("POST", f"{LINKS}/batch/labels/archive", {"inputs": [{**ends, "types": kinds[1:]}]}, 204)
    assert [
        k["label"] for k in world.call("GET", f"{TASKS}/{task}/associations/contacts")["results"][0]["associationTypes"]
    ] == [None]
    for wrong in (
        [],
        [{**kinds[0], "associationTypeId": 203}],
        [{**kinds[1], "associationCategory": "HUBSPOT_DEFINED"}],
    ):
        world.call("POST", path, {"inputs": [{**ends, "types": wrong}]}, 400)
    world.call("POST", path, {"inputs": [ends]}, 400)
    world.call("DELETE", f"{TASKS}/{task}/associations/contacts/{ann}", status=204)
    world.call("PUT", f"{TASKS}/{task}/associations/contacts/{ann}", kinds, 201)
    assert world.state()["tasks"][0]["contacts"] == [ann]


def test_a_note_belongs_to_its_contact_and_needs_a_time(world: HubSpotStandIn) -> None:
    ann = world.id_of("ann@example.com")
    types = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 202}]
    body = {"properties": {"hs_note_body": "<p>Why</p>"}, "associations": [{"to": {"id": ann}, "types": types}]}
    assert world.call("POST", NOTES, body, 400)["context"]["properties"] == ["hs_timestamp"]
    body["properties"]["hs_timestamp"] = DUE
    made = world.call("POST", f"{NOTES}/batch/create", {"inputs": [body]}, 201)["results"][0]["id"]
    assert world.call("PATCH", f"{NOTES}/{made}", {"properties": {"hs_note_body": "x"}})["id"] == made
    assert world.call("GET", f"{OBJECTS}/{ann}?associations=notes")["associations"]["notes"]["results"][0]["id"] == made
    world.edit("delete", id=ann)
    assert [(note["id"], note["contacts"]) for note in world.state()["notes"]] == [(made, [])]


def test_deals_lie_in_a_stage_of_their_pipeline_and_count_on_contacts(world: HubSpotStandIn) -> None:
    ann = world.id_of("ann@example.com")
    made = world.edit("create_deal", contacts=[ann], properties={"dealname": "Win back"})["id"]
    row = world.call("GET", f"{DEALS}/{made}")["properties"]
    assert (row["pipeline"], row["dealstage"], row["dealname"]) == ("default", "appointmentscheduled", "Win back")
    assert (
        world.call("GET", f"{OBJECTS}/{ann}?properties=num_associated_deals")["properties"]["num_associated_deals"]
        == "1"
    )
    world.call("PATCH", f"{DEALS}/{made}", {"properties": {"dealstage": "elsewhere"}}, 400)
    world.call("PATCH", f"{DEALS}/{made}", {"properties": {"dealstage": "closedwon"}})
    world.call("DELETE", f"{PIPELINES}/default", status=400)


def test_pipelines_have_stages_with_a_probability(world: HubSpotStandIn) -> None:
    stage = {"label": "New", "displayOrder": 0, "metadata": {"probability": "0.5"}}
    made = world.call("POST", PIPELINES, {"label": "Win backs", "displayOrder": 1, "stages": [stage]}, 201)
    assert [p["label"] for p in world.call("GET", PIPELINES)["results"]] == ["Sales pipeline", "Win backs"]
    one = f"{PIPELINES}/{made['id']}"
    first = world.call("GET", one)["stages"][0]
    assert first["metadata"] == {"isClosed": "false", "probability": "0.5"}
    more = world.call("POST", f"{one}/stages", {**stage, "label": "Lost", "metadata": {"probability": "0.0"}}, 201)
    assert [s["id"] for s in world.call("GET", f"{one}/stages")["results"]] == [first["id"], more["id"]]
    assert world.call("PATCH", f"{one}/stages/{more['id']}", {"label": "Gone"})["label"] == "Gone"
    world.call("DELETE", f"{one}/stages/{more['id']}", status=204)
    world.call("GET", f"{one}/stages/{more['id']}", status=404)
    world.call("PATCH", one, {"label": "Renamed"})
    world.call("DELETE", one, status=204)
    world.call("GET", one, status=404)
    for body in ({"label": "x", "displayOrder": 0}, {"label": "x", "displayOrder": "0", "stages": [stage]}):
        world.call("POST", PIPELINES, body, 400)
    world.call("GET", "/crm/pipelines/2026-09/contacts", status=400)


def test_what_humans_did_lately_shows_on_the_contact(world: HubSpotStandIn) -> None:
    ann = world.id_of("ann@example.com")
    world.edit("contacted", id=ann)
    world.edit("contacted", id=ann, enrolled=True)
    names = "notes_last_contacted,hs_sequences_is_enrolled"
    row = world.call("GET", f"{OBJECTS}/{ann}?properties={names}")["properties"]
    assert row["notes_last_contacted"]
    assert row["hs_sequences_is_enrolled"] == "true"
    world.call("PATCH", f"{OBJECTS}/{ann}", {"properties": {"notes_last_contacted": DUE}}, 400)


def test_a_human_makes_a_task_and_a_merged_contacts_task_moves(world: HubSpotStandIn) -> None:
    ann, bob = world.id_of("ann@example.com"), world.id_of("bob@example.com")
    made = world.edit("create_task", contacts=[bob], properties={"hs_task_subject": "Mine"})["id"]
    heir = world.edit("merge", id=ann, other_id=bob)["id"]
    assert (
        world.call("GET", f"{TASKS}/{made}?associations=contacts")["associations"]["contacts"]["results"][0]["id"]
        == heir
    )


def test_an_administrators_rules_hold_on_the_newest_version_only(world: HubSpotStandIn) -> None:
    world.edit("require_property", name="company")
    world.edit("require_property", name="jobtitle", when=["company", "Acme"])
    new = {"properties": {"email": "new@example.com"}}
    error = world.call("POST", OBJECTS, new, 400)
    assert (error["category"], error["errors"][0]["code"]) == ("VALIDATION_ERROR", "MISSING_REQUIRED_PROPERTY")
    assert error["errors"][0]["context"]["propertyName"] == ["company"]
    traced = {"objectWriteTraceId": "t", **new}
    assert world.batch("create", [traced], 207)["errors"][0]["context"]["objectWriteTraceId"] == ["t"]
    acme = {"properties": {**new["properties"], "company": "Acme"}}
    error = world.call("POST", OBJECTS, acme, 400)
    assert error["errors"][0]["code"] == "MISSING_CONDITIONAL_REQUIRED_PROPERTY"
    ann = world.id_of("ann@example.com")
    world.call("PATCH", f"{OBJECTS}/{ann}", {"properties": {"firstname": "A"}})
    world.call("PATCH", f"{OBJECTS}/{ann}", {"properties": {"company": "Acme"}}, 400)
    world.call("PATCH", f"/crm/objects/2026-03/contacts/{ann}", {"properties": {"company": "Acme"}})
    world.call("POST", "/crm/objects/2026-03/contacts", new, 201)
