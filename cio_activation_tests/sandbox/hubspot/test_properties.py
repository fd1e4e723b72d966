"""Property definitions and groups."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from cio_activation_tests.drivers.stand_ins.hubspot import OBJECTS, OPTIONS, PROPERTIES, HubSpotStandIn, portal


@pytest.fixture(scope="module")
def world() -> Iterator[HubSpotStandIn]:
    """One portal for all; every test uses names of its own."""
    with portal(limited=False) as running:
        yield running


def _body(name: str, **more: object) -> dict:
    return {
        "name": name,
        "label": name,
        "type": "string",
        "fieldType": "text",
        "groupName": "contactinformation",
        **more,
    }


def test_a_created_property_reads_back_with_its_whole_definition(world: HubSpotStandIn) -> None:
    made = world.property("a_bucket", "enumeration", "select", options=OPTIONS, description="d")
    read = world.call("GET", f"{PROPERTIES}/a_bucket")
    assert read == made
    assert [o["value"] for o in read["options"]] == ["active", "lapsed", "lost"]
    assert (read["hasUniqueValue"], read["archived"], read["description"]) == (False, False, "d")
    assert "a_bucket" in [p["name"] for p in world.call("GET", PROPERTIES)["results"]]


def test_an_existing_name_is_409_and_changes_nothing(world: HubSpotStandIn) -> None:
    world.property("twice", label="first")
    error = world.call("POST", PROPERTIES, _body("twice", label="second"), 409)
    assert (error["category"], error["subCategory"]) == (
        "OBJECT_ALREADY_EXISTS",
        "Properties.PROPERTY_WITH_NAME_EXISTS",
    )
    assert world.call("GET", f"{PROPERTIES}/twice")["label"] == "first"


@pytest.mark.parametrize("name", ["Upper", "1digit", "with-dash", "with space", "x" * 101, "_under"])
def test_names_follow_the_rules(world: HubSpotStandIn, name: str) -> None:
    assert world.call("POST", PROPERTIES, _body(name), 400)["category"] == "VALIDATION_ERROR"


@pytest.mark.parametrize(
    "more",
    [
        {"groupName": "nowhere"},
        {"type": "text"},
        {"fieldType": "number"},
        {"label": ""},
        {"type": "enumeration", "fieldType": "select", "options": [{"label": "A", "value": "a"}]},
        {"type": "enumeration", "fieldType": "select", "options": [OPTIONS[0], OPTIONS[0]]},
    ],
)
def test_bad_definitions_are_400(world: HubSpotStandIn, more: dict) -> None:
    world.call("POST", PROPERTIES, _body("bad_one", **more), 400)


def test_a_bool_needs_exactly_true_and_false(world: HubSpotStandIn) -> None:
    def attempt(*values: str) -> int:
        options = [{"label": v, "value": v, "displayOrder": i, "hidden": False} for i, v in enumerate(values)]
        body = _body("a_flag", type="bool", fieldType="booleancheckbox", options=options)
        return world.http.post(PROPERTIES, json=body).status_code

    assert [attempt(), attempt("true"), attempt("yes", "no"), attempt("true", "false")] == [400, 400, 400, 201]


def test_uniqueness_is_fixed_at_creation(world: HubSpotStandIn) -> None:
    world.property("plain")
    assert world.call("PATCH", f"{PROPERTIES}/plain", {"hasUniqueValue": True})["hasUniqueValue"] is False
    world.batch("read", [{"id": "x"}], 400, idProperty="plain")


def test_at_most_ten_properties_are_unique() -> None:
    with portal(limited=False) as world:
        for i in range(10):
            world.property(f"key_{i}", hasUniqueValue=True)
        world.call("POST", PROPERTIES, _body("key_10", hasUniqueValue=True), 400)
        world.property("key_10")


def test_patching_options_replaces_the_list_and_without_options_keeps_it(world: HubSpotStandIn) -> None:
    world.property("b_bucket", "enumeration", "select", options=OPTIONS)
    kept = world.call("PATCH", f"{PROPERTIES}/b_bucket", {"label": "Bucket"})
    assert len(kept["options"]) == 3
    changed = world.call("PATCH", f"{PROPERTIES}/b_bucket", {"options": OPTIONS[:1]})
    assert [o["value"] for o in changed["options"]] == ["active"]
    world.call("POST", OBJECTS, {"properties": {"b_bucket": "lapsed"}}, 400)
    world.call("PATCH", f"{PROPERTIES}/never_made", {"label": "x"}, 404)


def test_an_archived_property_is_unknown_and_comes_back_with_its_values(world: HubSpotStandIn) -> None:
    world.property("comes_back")
    made = world.call("POST", OBJECTS, {"properties": {"comes_back": "v"}}, 201)["id"]
    world.call("DELETE", f"{PROPERTIES}/comes_back", status=204)
    world.call("GET", f"{PROPERTIES}/comes_back", status=404)
    assert world.call("GET", f"{PROPERTIES}/comes_back?archived=true")["archived"] is True
    error = world.call("POST", OBJECTS, {"properties": {"comes_back": "v"}}, 400)
    assert "PROPERTY_DOESNT_EXIST" in error["message"]
    assert "comes_back" not in world.call("GET", f"{OBJECTS}/{made}?properties=comes_back")["properties"]
    back = world.property("comes_back", "number", "number", label="Another", hasUniqueValue=True)
    assert (back["type"], back["label"], back["hasUniqueValue"]) == ("string", "comes_back", False)
    assert world.call("GET", f"{PROPERTIES}/comes_back") == back
    assert world.call("GET", f"{OBJECTS}/{made}?properties=comes_back")["properties"]["comes_back"] == "v"


def test_a_unique_property_restored_is_a_key_again(world: HubSpotStandIn) -> None:
    world.property("key_back", hasUniqueValue=True)
    made = world.call("POST", OBJECTS, {"properties": {"key_back": "k"}}, 201)["id"]
    world.edit("archive_property", name="key_back")
    world.batch("read", [{"id": "k"}], 400, idProperty="key_back")
    assert world.property("key_back")["hasUniqueValue"] is True
    assert world.batch("read", [{"id": "k"}], idProperty="key_back")["results"][0]["id"] == made


def test_batches_report_each_failure(world: HubSpotStandIn) -> None:
    body = world.call("POST", f"{PROPERTIES}/batch/create", {"inputs": [_body("bc_1"), _body("Bad")]}, 207)
    assert [p["name"] for p in body["results"]] == ["bc_1"]
    assert body["errors"][0]["category"] == "VALIDATION_ERROR"
    world.call("POST", f"{PROPERTIES}/batch/create", {"inputs": [_body("bc_2")]})
    world.edit("settings", properties_created_status=201)
    world.call("POST", f"{PROPERTIES}/batch/create", {"inputs": [_body("bc_3")]}, 201)
    asked = {"archived": False, "inputs": [{"name": "bc_1"}, {"name": "nope"}]}
    body = world.call("POST", f"{PROPERTIES}/batch/read", asked, 207)
    assert body["errors"][0]["category"] == "OBJECT_NOT_FOUND"
    world.call("POST", f"{PROPERTIES}/batch/archive", {"inputs": [{"name": "bc_1"}]}, 204)
    world.call("GET", f"{PROPERTIES}/bc_1", status=404)


def test_groups_are_made_used_and_only_removed_when_empty(world: HubSpotStandIn) -> None:
    world.call("POST", f"{PROPERTIES}/groups", {"name": "cio"}, 400)
    assert world.call("POST", f"{PROPERTIES}/groups", {"name": "cio", "label": "CIO"}, 201)["displayOrder"] == -1
    world.call("POST", f"{PROPERTIES}/groups", {"name": "cio", "label": "CIO"}, 409)
    world.property("in_group", groupName="cio")
    world.call("DELETE", f"{PROPERTIES}/groups/cio", status=400)
    world.call("DELETE", f"{PROPERTIES}/in_group", status=204)
    world.call("DELETE", f"{PROPERTIES}/groups/cio", status=204)
    assert [g["name"] for g in world.call("GET", f"{PROPERTIES}/groups")["results"]] == ["contactinformation"]


def test_hubspots_own_definitions_cannot_change(world: HubSpotStandIn) -> None:
    world.call("PATCH", f"{PROPERTIES}/email", {"label": "x"}, 400)
    world.call("DELETE", f"{PROPERTIES}/email", status=400)


def test_the_limit_of_custom_properties_is_shown_and_holds() -> None:
    with portal(limited=False, property_limit=2) as world:
        world.property("one")
        world.property("two")
        world.call("POST", PROPERTIES, _body("three"), 400)
        limits = world.call("GET", "/crm/limits/2026-09/custom-properties")
        contacts = next(row for row in limits["byObjectType"] if row["objectTypeId"] == "0-1")
        assert (contacts["limit"], contacts["usage"], limits["overallLimit"]) == (2, 2, 10_000)


def test_a_new_property_can_be_read_only_after_a_moment() -> None:
    with portal(limited=False, property_lag_s=0.3) as world:
        world.property("fresh")
        world.call("GET", f"{PROPERTIES}/fresh", status=404)
        world.call("POST", PROPERTIES, _body("fresh"), 409)
        time.sleep(0.35)
        assert world.call("GET", f"{PROPERTIES}/fresh")["name"] == "fresh"
