"""Bodies: what no document has is refused, everywhere, and nothing of such a request is applied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cio_activation_tests.drivers.stand_ins.hubspot import LISTS, OBJECTS, PROPERTIES, HubSpotStandIn, portal

ASSOCIATIONS = "/crm/associations/2026-09/tasks/contacts/batch"
EMAIL = {"email": "new@example.com"}
ONE = {"id": "1"}
PROPERTY = {"name": "p", "label": "P", "type": "string", "fieldType": "text", "groupName": "contactinformation"}
LIST = {"name": "l", "objectTypeId": "0-1", "processingType": "MANUAL"}
STAGE = {"label": "S", "displayOrder": 0, "metadata": {"probability": "0.5"}}
PIPELINE = {"label": "P", "displayOrder": 0, "stages": [STAGE]}
TASK_TYPE = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 203}


@pytest.fixture(scope="module")
def world() -> Iterator[HubSpotStandIn]:
    with portal(limited=False) as running:
        yield running


def _refused(world: HubSpotStandIn, method: str, path: str, body: Any) -> str:
    error = world.call(method, path, body, 400)
    assert error["category"] == "VALIDATION_ERROR"
    return str(error["message"])


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", OBJECTS, {"properties": EMAIL, "x": 1}),
        ("POST", f"{OBJECTS}/merge", {"primaryObjectId": "1", "objectIdToMerge": "2", "x": 1}),
        ("POST", f"{OBJECTS}/gdpr-delete", {"objectId": "1", "x": 1}),
        ("POST", f"{OBJECTS}/search", {"x": 1}),
        ("POST", f"{OBJECTS}/search", {"filterGroups": [{"filters": [], "x": 1}]}),
        ("POST", f"{OBJECTS}/batch/create", {"inputs": [{"properties": EMAIL, "x": 1}]}),
        ("POST", f"{OBJECTS}/batch/create", {"inputs": [{"properties": EMAIL}], "x": 1}),
        ("POST", f"{OBJECTS}/batch/update", {"inputs": [{"id": "1", "properties": {}, "x": 1}]}),
        ("POST", f"{OBJECTS}/batch/upsert", {"inputs": [{"id": "1", "idProperty": "email", "properties": {}, "x": 1}]}),
        ("POST", f"{OBJECTS}/batch/read", {"inputs": [ONE], "propertiesWithHistory": [], "x": 1}),
        ("POST", f"{OBJECTS}/batch/read", {"inputs": [{**ONE, "x": 1}], "propertiesWithHistory": []}),
        ("POST", f"{OBJECTS}/batch/archive", {"inputs": [{**ONE, "x": 1}]}),
        ("POST", PROPERTIES, {**PROPERTY, "x": 1}),
        ("POST", f"{PROPERTIES}/batch/create", {"inputs": [{**PROPERTY, "x": 1}]}),
        ("POST", f"{PROPERTIES}/groups", {"name": "g", "label": "G", "x": 1}),
        ("PATCH", f"{PROPERTIES}/groups/contactinformation", {"name": "g"}),
        ("POST", LISTS, {**LIST, "x": 1}),
        ("POST", f"{LISTS}/search", {"x": 1}),
        ("POST", f"{LISTS}/all", {"x": 1}),
        ("POST", f"{LISTS}/folders", {"name": "f", "x": 1}),
        ("PUT", f"{LISTS}/folders/move-list", {"listId": "1", "newFolderId": "0", "x": 1}),
        ("POST", f"{ASSOCIATIONS}/read", {"inputs": [{**ONE, "x": 1}]}),
        ("POST", f"{ASSOCIATIONS}/associate/default", {"inputs": [{"from": ONE, "to": ONE, "x": 1}]}),
        ("POST", f"{ASSOCIATIONS}/create", {"inputs": [{"from": ONE, "to": ONE, "types": [TASK_TYPE], "x": 1}]}),
        ("POST", f"{ASSOCIATIONS}/create", {"inputs": [{"from": ONE, "to": ONE, "types": [{**TASK_TYPE, "x": 1}]}]}),
        ("POST", f"{ASSOCIATIONS.removesuffix('/batch')}/labels", {"name": "a", "label": "A", "x": 1}),
        ("POST", "/crm/pipelines/2026-09/deals", {**PIPELINE, "x": 1}),
        ("PATCH", "/crm/pipelines/2026-09/deals/default", {"label": "P", "name": "x"}),
    ],
)
def test_a_key_that_no_document_has_is_refused_and_named(
    world: HubSpotStandIn, method: str, path: str, body: Any
) -> None:
    text = _refused(world, method, path, body)
    assert "Unrecognized field" in text
    assert text.endswith(('x"', 'name"'))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", OBJECTS, {"properties": {"email": 7}}),
        ("POST", f"{OBJECTS}/batch/update", {"inputs": [{"id": 1, "properties": {}}]}),
        ("POST", f"{OBJECTS}/batch/create", {"inputs": [{"properties": EMAIL, "objectWriteTraceId": 1}]}),
        (
            "POST",
            OBJECTS,
            {"properties": EMAIL, "associations": [{"to": {"id": 1}, "types": [TASK_TYPE]}]},
        ),
        ("POST", f"{OBJECTS}/search", {"limit": "5"}),
        ("POST", f"{OBJECTS}/search", {"after": 5}),
        ("POST", f"{OBJECTS}/search", {"sorts": [{"propertyName": "email", "direction": 1}]}),
        ("POST", PROPERTIES, {**PROPERTY, "label": 7}),
        ("POST", PROPERTIES, {**PROPERTY, "hidden": "false"}),
        ("POST", LISTS, {**LIST, "listFolderId": "0"}),
        ("POST", "/crm/pipelines/2026-09/deals", {**PIPELINE, "stages": [{**STAGE, "metadata": {"probability": 0.5}}]}),
        (
            "POST",
            f"{ASSOCIATIONS}/create",
            {"inputs": [{"from": ONE, "to": ONE, "types": [{**TASK_TYPE, "associationTypeId": "204"}]}]},
        ),
        ("POST", f"{LISTS}/folders", {"name": "f", "parentFolderId": 0}),
        ("PUT", f"{LISTS}/folders/move-list", {"listId": 1, "newFolderId": "0"}),
    ],
)
def test_a_value_of_another_json_type_is_refused(world: HubSpotStandIn, method: str, path: str, body: Any) -> None:
    assert "Cannot deserialize" in _refused(world, method, path, body)


@pytest.mark.parametrize("verb", ["create", "read", "update", "upsert", "archive"])
def test_a_batch_without_inputs_is_refused(world: HubSpotStandIn, verb: str) -> None:
    body = {"inputs": [], **({"propertiesWithHistory": []} if verb == "read" else {})}
    assert "at least 1" in _refused(world, "POST", f"{OBJECTS}/batch/{verb}", body)


def test_a_batch_read_says_of_which_properties_it_wants_the_history(world: HubSpotStandIn) -> None:
    body = {"inputs": [{"id": world.id_of("ann@example.com")}], "properties": ["email"]}
    assert "propertiesWithHistory" in _refused(world, "POST", f"{OBJECTS}/batch/read", body)
    assert world.call("POST", f"{OBJECTS}/batch/read", {**body, "propertiesWithHistory": []})["results"]


def test_nothing_of_the_refused_requests_was_applied(world: HubSpotStandIn) -> None:
    for inputs in ([{"properties": EMAIL, "x": 1}], [{"properties": EMAIL}, {"properties": {"email": 7}}]):
        world.batch("create", inputs, 400)
    state = world.state()
    assert (state["contacts_count"], state["lists"], state["properties"]) == (3, [], [])
