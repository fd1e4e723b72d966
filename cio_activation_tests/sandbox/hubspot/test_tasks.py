"""Tasks, their links to contacts, owners, and hand edits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cio_activation_tests.drivers.stand_ins.hubspot import OBJECTS, HubSpotStandIn, portal

TASKS = "/crm/objects/2026-09/tasks"
LINK = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 204}]


@pytest.fixture
def world() -> Iterator[HubSpotStandIn]:
    with portal(limited=False) as running:
        yield running


def _task(contact: str, **more: str) -> dict:
    properties = {"hs_timestamp": "2026-11-23T09:00:00Z", "hs_task_subject": "Call", **more}
    return {"properties": properties, "associations": [{"to": {"id": contact}, "types": LINK}]}


def test_tasks_are_made_in_batches_with_their_contact(world: HubSpotStandIn) -> None:
    ann = world.id_of("ann@example.com")
    body = world.call("POST", f"{TASKS}/batch/create", {"inputs": [_task(ann), _task(ann)]}, 201)
    ids = sorted(row["id"] for row in body["results"])
    assert len(set(ids)) == 2
    assert body["results"][0]["properties"]["hs_task_status"] == "NOT_STARTED"
    path = "/crm/associations/2026-09/tasks/contacts/batch/read"
    read = world.call("POST", path, {"inputs": [{"id": i} for i in ids]})
    assert [row["to"][0]["toObjectId"] for row in read["results"]] == [ann, ann]
    assert read["results"][0]["to"][0]["associationTypes"][0]["typeId"] == 204
    assert {task["contacts"][0] for task in world.state()["tasks"]} == {ann}


def test_a_task_needs_a_due_time_a_known_status_and_an_existing_contact(world: HubSpotStandIn) -> None:
    ann = world.id_of("ann@example.com")
    error = world.call("POST", TASKS, {"properties": {"hs_task_subject": "x"}}, 400)
    assert error["context"]["properties"] == ["hs_timestamp"]
    world.call("POST", TASKS, _task(ann, hs_task_status="DONE"), 400)
    world.call("POST", TASKS, _task(ann, hs_task_priority="URGENT"), 400)
    world.call("POST", TASKS, _task("77"), 400)
    wrong = _task(ann)
    wrong["associations"][0]["types"] = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 203}]
    world.call("POST", TASKS, wrong, 400)
    assert world.state()["tasks"] == []


def test_a_single_record_names_what_it_is_linked_with_when_asked(world: HubSpotStandIn) -> None:
    ann = world.id_of("ann@example.com")
    task = world.call("POST", TASKS, _task(ann), 201)["id"]
    found = world.call("GET", f"{OBJECTS}/{ann}?associations=tasks")
    assert found["associations"] == {"tasks": {"results": [{"id": task, "type": "contact_to_task"}]}}
    found = world.call("GET", f"{TASKS}/{task}?associations=contacts")
    assert found["associations"] == {"contacts": {"results": [{"id": ann, "type": "task_to_contact"}]}}
    page = world.call("GET", f"{OBJECTS}?associations=tasks")["results"]
    assert [row["id"] for row in page if "associations" in row] == [ann]
    assert "associations" not in world.call("GET", f"{OBJECTS}/{ann}")
    world.call("GET", f"{OBJECTS}/{ann}?associations=planets", status=400)


def test_completion_is_read_in_batches_and_deleted_tasks_are_missing(world: HubSpotStandIn) -> None:
    ann = world.id_of("ann@example.com")
    done, gone = (world.call("POST", TASKS, _task(ann), 201)["id"] for _ in range(2))
    world.edit("complete_task", id=done)
    world.call("DELETE", f"{TASKS}/{gone}", status=204)
    names = ["hs_task_status", "hs_task_completion_date"]
    asked = {"inputs": [{"id": done}, {"id": gone}], "properties": names, "propertiesWithHistory": []}
    body = world.call("POST", f"{TASKS}/batch/read", asked, 207)
    assert body["results"][0]["properties"]["hs_task_status"] == "COMPLETED"
    assert body["results"][0]["properties"]["hs_task_completion_date"]
    assert body["errors"][0]["context"]["ids"] == [gone]
    update = {"inputs": [{"id": done, "properties": {"hs_task_status": "WAITING"}}]}
    row = world.call("POST", f"{TASKS}/batch/update", update)["results"][0]
    assert row["properties"]["hs_task_status"] == "WAITING"


def test_deleting_a_contact_unlinks_its_tasks_and_merging_hands_them_on(world: HubSpotStandIn) -> None:
    ann, bob, cara = (world.id_of(f"{n}@example.com") for n in ("ann", "bob", "cara"))
    first, second = (world.call("POST", TASKS, _task(c), 201)["id"] for c in (ann, bob))
    world.edit("delete", id=ann)
    heir = world.edit("merge", id=cara, other_id=bob)["id"]
    assert {t["id"]: t["contacts"] for t in world.state()["tasks"]} == {first: [], second: [heir]}


def test_links_can_be_made_later_read_and_removed(world: HubSpotStandIn) -> None:
    ann = world.id_of("ann@example.com")
    task = world.call("POST", TASKS, {"properties": {"hs_timestamp": "1795305600000"}}, 201)["id"]
    base = "/crm/associations/2026-09/tasks/contacts/batch"
    pairs = [{"from": {"id": task}, "to": {"id": ann}}, {"from": {"id": task}, "to": {"id": "77"}}]
    body = world.call("POST", f"{base}/associate/default", {"inputs": pairs}, 207)
    assert len(body["results"]) == body["numErrors"] == 1
    near = world.call("GET", f"/crm/v4/objects/contacts/{ann}/associations/tasks")["results"]
    assert [row["toObjectId"] for row in near] == [task]
    world.call("POST", f"{base}/archive", {"inputs": [{"from": {"id": task}, "to": [{"id": ann}]}]}, 204)
    body = world.call("POST", f"{base}/read", {"inputs": [{"id": task}]}, 207)
    assert body["errors"][0]["subCategory"] == "crm.associations.NO_ASSOCIATIONS_FOUND"
    world.call("PUT", f"{TASKS}/{task}/associations/default/contacts/{ann}")
    assert world.state()["tasks"][0]["contacts"] == [ann]


def test_a_unique_marker_on_tasks_makes_their_upsert_repeatable(world: HubSpotStandIn) -> None:
    marker = {"name": "cio_op", "label": "op", "type": "string", "fieldType": "text", "hasUniqueValue": True}
    world.call("POST", "/crm/properties/2026-09/tasks", {**marker, "groupName": "taskinformation"}, 201)
    row = {"id": "op-1", "idProperty": "cio_op", "properties": {"hs_timestamp": "2026-11-23"}}
    first, second = (world.call("POST", f"{TASKS}/batch/upsert", {"inputs": [row]})["results"][0] for _ in range(2))
    assert (first["new"], second["new"], second["id"]) == (True, False, first["id"])


def test_owners_are_found_by_email(world: HubSpotStandIn) -> None:
    assert len(world.call("GET", "/crm/owners/2026-09")["results"]) == 2
    found = world.call("GET", "/crm/owners/2026-09?email=ADA@example.com")["results"]
    assert [owner["firstName"] for owner in found] == ["Ada"]
    assert world.call("GET", f"/crm/v3/owners/{found[0]['id']}")["email"] == "ada@example.com"
    assert found[0]["userId"] != int(found[0]["id"])


def test_hand_edits_say_what_is_wrong_with_them(world: HubSpotStandIn) -> None:
    def error(**change: object) -> str:
        return world.call("POST", "/_sandbox/edit", {"vendor": "hubspot", **change}, 400)["error"]

    assert "unknown action" in error(action="explode")
    assert "no contact" in error(action="set", email="nobody@example.com", properties={})
    assert "PROPERTY_DOESNT_EXIST" in error(action="set", email="ann@example.com", properties={"x": 1})
    assert "no list" in error(action="delete_list", name="none")


def test_hand_edits_change_contacts_and_lists(world: HubSpotStandIn) -> None:
    world.edit("set", email="ann@example.com", properties={"firstname": "Anna"})
    world.edit("add_additional_email", email="ann@example.com", additional_email="A2@example.com")
    assert world.call("GET", f"{OBJECTS}/a2@example.com?idProperty=email")["properties"]["firstname"] == "Anna"
    body = {"name": "mine", "objectTypeId": "0-1", "processingType": "MANUAL"}
    made = world.call("POST", "/crm/lists/2026-09", body)["list"]["listId"]
    world.edit("rename_list", list_id=made, new_name="theirs")
    world.edit("delete_list", name="THEIRS")
    row = world.state()["lists"][0]
    assert (row["name"], row["deleted"], row["members"]) == ("theirs", True, [])
    assert world.state()["contacts_count"] == 3
