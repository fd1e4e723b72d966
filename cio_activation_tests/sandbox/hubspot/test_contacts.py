"""Contacts: values, single endpoints, batch read and update."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from cio_activation_tests.drivers.stand_ins.hubspot import OBJECTS, HubSpotStandIn, portal, with_properties


@pytest.fixture
def world() -> Iterator[HubSpotStandIn]:
    with portal(limited=False) as running:
        yield with_properties(running)


@pytest.fixture(scope="module")
def kept() -> Iterator[HubSpotStandIn]:
    """One portal for tests that leave the seeded contacts as they are."""
    with portal(limited=False) as running:
        yield with_properties(running)


def _items(error: dict) -> list[dict]:
    prefix = "Property values were not valid: "
    assert error["message"].startswith(prefix)
    assert error["category"] == "VALIDATION_ERROR"
    return json.loads(error["message"].removeprefix(prefix))


def test_an_email_is_stored_lowercased_and_found_in_any_case(kept: HubSpotStandIn) -> None:
    found = kept.call("GET", f"{OBJECTS}/ANN@example.COM?idProperty=email&properties=email,phone")
    assert found["properties"]["email"] == "ann@example.com"
    assert set(found["properties"]) == {"email", "phone", "createdate", "lastmodifieddate", "hs_object_id"}


def test_batch_read_by_email_covers_additional_addresses_and_lists_what_is_missing(kept: HubSpotStandIn) -> None:
    inputs = [{"id": "CC@Example.com"}, {"id": "bob@example.com"}, {"id": "Nobody@example.com"}]
    body = kept.batch("read", inputs, 207, idProperty="email", properties=["email", "hs_additional_emails"])
    rows = {row["properties"]["email"]: row for row in body["results"]}
    assert set(rows) == {"cara@example.com", "bob@example.com"}
    assert rows["cara@example.com"]["properties"]["hs_additional_emails"] == "cc@example.com"
    assert body["numErrors"] == 1
    assert body["errors"][0]["category"] == "OBJECT_NOT_FOUND"
    assert body["errors"][0]["context"]["ids"] == ["nobody@example.com"]


def test_batch_read_needs_an_id_property_that_is_unique(kept: HubSpotStandIn) -> None:
    kept.batch("read", [{"id": "Ann"}], 400, idProperty="firstname")
    # Without idProperty an address is an unknown record id.
    assert kept.batch("read", [{"id": "ann@example.com"}], 207)["results"] == []


def test_a_batch_of_101_is_refused_in_every_verb(kept: HubSpotStandIn) -> None:
    inputs = [{"id": str(i), "idProperty": "cio_id", "properties": {}} for i in range(101)]
    for verb in ("read", "create", "update", "upsert", "archive"):
        assert kept.batch(verb, inputs, 400)["category"] == "VALIDATION_ERROR"


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("cio_bucket", "gone", "INVALID_OPTION"),
        ("cio_audiences", "active;gone", "INVALID_OPTION"),
        ("cio_flag", "yes", "INVALID_OPTION"),
        ("cio_score", "many", "INVALID_NUMBER"),
        ("cio_due", "22.11.2026", "INVALID_DATE"),
        ("cio_seen", "yesterday", "INVALID_DATE"),
        ("email", "not-an-address", "INVALID_EMAIL"),
        ("email", "a@b", "INVALID_EMAIL"),
        ("no_such", "x", "PROPERTY_DOESNT_EXIST"),
        ("hs_object_id", "5", "READ_ONLY_VALUE"),
        ("firstname", "x" * 65_537, "VALUE_TOO_LONG"),
    ],
)
def test_a_bad_value_is_named_in_the_text_and_in_errors(kept: HubSpotStandIn, name: str, value: str, code: str) -> None:
    error = kept.call("PATCH", f"{OBJECTS}/{kept.id_of('ann@example.com')}", {"properties": {name: value}}, 400)
    assert [(item["name"], item["error"], item["isValid"]) for item in _items(error)] == [(name, code, False)]
    assert error["errors"][0]["code"] == code
    assert error["errors"][0]["context"]["propertyName"] == [name]


def test_the_message_of_a_bad_option_lists_the_allowed_ones(kept: HubSpotStandIn) -> None:
    error = kept.call("POST", OBJECTS, {"properties": {"cio_bucket": "gone"}}, 400)
    assert _items(error)[0]["message"] == "gone was not one of the allowed options: [active, lapsed, lost]"


@pytest.mark.parametrize(
    ("name", "sent", "stored"),
    [
        ("cio_score", "12.5", "12.5"),
        ("cio_score", " 7", "7"),
        ("cio_flag", "true", "true"),
        ("cio_due", "2026-11-22", "2026-11-22"),
        ("cio_due", "1795305600000", "2026-11-22"),
        ("cio_seen", "2026-11-22T08:30:00+01:00", "2026-11-22T07:30:00Z"),
        ("cio_seen", "1795305600123", "2026-11-22T00:00:00.123Z"),
        ("cio_bucket", " lapsed ", "lapsed"),
        ("cio_audiences", "lost;active;lost", "lost;active"),
        ("email", " NEW@Example.com", "new@example.com"),
    ],
)
def test_values_are_coerced_and_stored_as_canonical_text(
    kept: HubSpotStandIn, name: str, sent: object, stored: str
) -> None:
    made = kept.call("POST", OBJECTS, {"properties": {name: sent}}, 201)
    read = kept.call("GET", f"{OBJECTS}/{made['id']}?properties={name}")
    assert read["properties"][name] == made["properties"][name] == stored


def test_null_changes_nothing_and_empty_text_clears(world: HubSpotStandIn) -> None:
    ann = world.id_of("ann@example.com")
    world.batch("update", [{"id": ann, "properties": {"cio_bucket": "lapsed", "cio_score": "1"}}])
    world.batch("update", [{"id": ann, "properties": {"cio_bucket": None, "cio_score": ""}}])
    read = world.batch("read", [{"id": ann}], properties=["cio_bucket", "cio_score"])["results"][0]["properties"]
    assert (read["cio_bucket"], read["cio_score"]) == ("lapsed", None)


def test_a_leading_semicolon_appends_to_a_multi_select(world: HubSpotStandIn) -> None:
    ann = world.id_of("ann@example.com")
    for value, stored in (("active", "active"), (";lost", "active;lost"), ("lapsed", "lapsed")):
        row = world.batch("update", [{"id": ann, "properties": {"cio_audiences": value}}])["results"][0]
        assert row["properties"]["cio_audiences"] == stored


def test_sloppy_dates_pass_with_a_warning_on_2026_09_and_fail_before(kept: HubSpotStandIn) -> None:
    body = {"properties": {"cio_due": "2026-11-22T10:00:00Z"}}
    made = kept.call("POST", OBJECTS, body, 201)
    assert made["properties"]["cio_due"] == "2026-11-22"
    warning = made["warnings"][0]
    assert warning["category"] == "PROPERTY_VALUE_NORMALIZED"
    assert (warning["rawValue"], warning["normalizedValue"]) == ("2026-11-22T10:00:00Z", "2026-11-22")
    kept.call("POST", "/crm/objects/2026-03/contacts", body, 400)


def test_the_life_cycle_stage_only_moves_forward_until_it_is_cleared(world: HubSpotStandIn) -> None:
    ann = world.id_of("ann@example.com")
    for sent, stored in (("customer", "customer"), ("lead", "customer"), ("", None), ("lead", "lead")):
        world.call("PATCH", f"{OBJECTS}/{ann}", {"properties": {"lifecyclestage": sent}})
        read = world.call("GET", f"{OBJECTS}/{ann}?properties=lifecyclestage")
        assert read["properties"]["lifecyclestage"] == stored


def test_creating_an_existing_address_conflicts_and_names_the_id_in_the_text_only(kept: HubSpotStandIn) -> None:
    error = kept.call("POST", OBJECTS, {"properties": {"email": "BOB@example.com"}}, 409)
    assert error["category"] == "CONFLICT"
    assert error["message"] == f"Contact already exists. Existing ID: {kept.id_of('bob@example.com')}"
    assert "errors" not in error
    kept.call("POST", OBJECTS, {"properties": {"email": "cc@example.com"}}, 409)


def test_updates_that_carry_a_foreign_address_conflict_and_write_nothing(kept: HubSpotStandIn) -> None:
    ann, cara = kept.id_of("ann@example.com"), kept.id_of("cara@example.com")
    foreign = {"properties": {"email": "bob@example.com", "cio_score": "9"}}
    kept.call("PATCH", f"{OBJECTS}/{ann}", foreign, 409)
    rows = [{"id": cara, "objectWriteTraceId": "1", "properties": {"cio_score": "9"}}]
    kept.batch("update", [*rows, {"id": ann, "objectWriteTraceId": "2", **foreign}], 409)
    for record_id in (ann, cara):
        read = kept.call("GET", f"{OBJECTS}/{record_id}?properties=cio_score")
        assert read["properties"]["cio_score"] is None


def test_an_additional_address_written_by_record_id_becomes_the_primary_one(world: HubSpotStandIn) -> None:
    cara = world.id_of("cara@example.com")
    world.batch("update", [{"id": cara, "properties": {"email": "cc@example.com"}}])
    read = world.call("GET", f"{OBJECTS}/cara@example.com?idProperty=email&properties=email,hs_additional_emails")
    assert read["id"] == cara
    assert read["properties"]["email"] == "cc@example.com"
    assert read["properties"]["hs_additional_emails"] == "cara@example.com"


def test_a_changed_address_frees_the_old_one(world: HubSpotStandIn) -> None:
    bob = world.id_of("bob@example.com")
    world.batch("update", [{"id": bob, "properties": {"email": "robert@example.com"}}])
    made = world.call("POST", OBJECTS, {"properties": {"email": "bob@example.com"}}, 201)
    assert made["id"] != bob
    assert world.id_of("robert@example.com") == bob


def test_the_state_shows_addresses_and_custom_properties_only(world: HubSpotStandIn) -> None:
    ann = world.id_of("ann@example.com")
    world.batch("update", [{"id": ann, "properties": {"cio_id": "a1", "firstname": "Anna"}}])
    state = world.state()
    assert state["contacts_count"] == 3
    assert state["contacts"][ann] == {"email": "ann@example.com", "cio_id": "a1"}
    assert all(definition["name"].startswith("cio_") for definition in state["properties"])


def test_update_reports_missing_ids_and_leaves_merged_and_non_numeric_ones_out(world: HubSpotStandIn) -> None:
    ann, bob, cara = (world.id_of(f"{n}@example.com") for n in ("ann", "bob", "cara"))
    heir = world.call("POST", f"{OBJECTS}/merge", {"primaryObjectId": ann, "objectIdToMerge": bob})["id"]
    assert heir not in (ann, bob)
    silent = [{"id": i, "properties": {"cio_score": "1"}} for i in (ann, bob, "cara@example.com")]
    body = world.batch("update", silent)
    assert body["results"] == []
    assert "errors" not in body
    mixed = [{"id": i, "objectWriteTraceId": f"t-{i}", "properties": {"cio_score": "2"}} for i in (cara, "77", ann)]
    body = world.batch("update", mixed, 207)
    assert [row["id"] for row in body["results"]] == [cara]
    assert body["errors"][0]["context"] == {"ids": ["77"], "objectWriteTraceId": ["t-77"]}


def test_update_refuses_other_ids_than_record_ids(kept: HubSpotStandIn) -> None:
    ann = kept.id_of("ann@example.com")
    for id_property in ("hs_object_id", "email", "firstname"):
        kept.batch("update", [{"id": ann, "idProperty": id_property, "properties": {}}], 400)


def test_a_merge_makes_a_new_record_with_the_other_address_as_additional_one(world: HubSpotStandIn) -> None:
    ann, bob = world.id_of("ann@example.com"), world.id_of("bob@example.com")
    world.batch("update", [{"id": bob, "properties": {"cio_id": "b1"}}])
    heir = world.edit("merge", email="ann@example.com", other_email="bob@example.com")["id"]
    read = world.call("GET", f"{OBJECTS}/bob@example.com?idProperty=email&properties=email,cio_id,hs_merged_object_ids")
    assert read["id"] == heir
    assert read["properties"]["email"] == "ann@example.com"
    assert read["properties"]["cio_id"] == "b1"
    assert read["properties"]["hs_merged_object_ids"] == f"{ann};{bob}"
    world.call("GET", f"{OBJECTS}/{ann}", status=404)


def test_a_merge_keeps_the_primary_record_where_that_is_set(world: HubSpotStandIn) -> None:
    ann, bob = world.id_of("ann@example.com"), world.id_of("bob@example.com")
    world.batch("update", [{"id": bob, "properties": {"cio_id": "b1", "cio_score": "7"}}])
    world.batch("update", [{"id": ann, "properties": {"cio_id": "a1"}}])
    world.edit("settings", merge_keeps_primary=True)
    assert world.edit("merge", email="ann@example.com", other_email="bob@example.com")["id"] == ann
    read = world.call("GET", f"{OBJECTS}/bob@example.com?idProperty=email&properties=cio_id,cio_score")
    assert (read["id"], read["properties"]["cio_id"], read["properties"]["cio_score"]) == (ann, "a1", "7")
    world.call("GET", f"{OBJECTS}/{bob}", status=404)


def test_what_was_erased_is_in_no_bin_and_its_address_on_a_blocklist(world: HubSpotStandIn) -> None:
    ann, bob = world.id_of("ann@example.com"), world.id_of("bob@example.com")
    world.call("POST", f"{OBJECTS}/gdpr-delete", {"objectId": ann}, status=204)
    world.edit("delete", email="bob@example.com")
    body = {"properties": [], "propertiesWithHistory": [], "inputs": [{"id": ann}, {"id": bob}]}
    read = world.call("POST", f"{OBJECTS}/batch/read?archived=true", body, status=207)
    assert [row["id"] for row in read["results"]] == [bob]
    again = {"properties": {"email": "ann@example.com"}}
    assert world.call("POST", OBJECTS, again, status=400)["errors"][0]["code"] == "BLOCKLISTED_EMAIL"
    world.edit("settings", gdpr_blocklist=False)
    world.call("POST", OBJECTS, again, status=201)
    assert world.edit("restore", id=bob)["id"] == bob
    assert world.id_of("bob@example.com") == bob


def test_a_deleted_contact_frees_its_address_and_leaves_reads_and_lists(world: HubSpotStandIn) -> None:
    ann = world.id_of("ann@example.com")
    world.call("DELETE", f"{OBJECTS}/{ann}", status=204)
    assert world.batch("read", [{"id": ann}], 207)["errors"][0]["context"]["ids"] == [ann]
    assert world.call("GET", f"{OBJECTS}/{ann}?archived=true")["archived"] is True
    again = world.batch("upsert", [{"id": "ann@example.com", "idProperty": "email", "properties": {}}])["results"][0]
    assert again["new"] is True
    assert again["id"] != ann


def test_pages_of_contacts_follow_after(world: HubSpotStandIn) -> None:
    seen, after = [], ""
    while True:
        page = world.call("GET", f"{OBJECTS}?limit=2{after}")
        seen += [row["properties"]["email"] for row in page["results"]]
        if "paging" not in page:
            break
        after = f"&after={page['paging']['next']['after']}"
    assert seen == ["ann@example.com", "bob@example.com", "cara@example.com"]
    world.call("GET", f"{OBJECTS}?limit=101", status=400)


def test_a_flag_of_the_query_is_read_in_any_letter_case(world: HubSpotStandIn) -> None:
    ann = world.id_of("ann@example.com")
    world.call("DELETE", f"{OBJECTS}/{ann}", status=204)
    for spelling in ("true", "True", "TRUE"):
        assert world.call("GET", f"{OBJECTS}/{ann}?archived={spelling}")["archived"] is True
    world.call("GET", f"{OBJECTS}/{ann}?archived=False", status=404)
    world.call("GET", f"{OBJECTS}/{ann}?archived=1", status=400)


def test_histories_come_when_asked_for(kept: HubSpotStandIn) -> None:
    body = kept.batch("read", [{"id": kept.id_of("ann@example.com")}], propertiesWithHistory=["firstname"])
    assert body["results"][0]["propertiesWithHistory"]["firstname"][0]["value"] == "Ann"


def test_a_history_tells_when_a_value_was_written_and_is_of_fifty_contacts_a_call(world: HubSpotStandIn) -> None:
    ann = world.id_of("ann@example.com")

    def told(name: str) -> str:
        (row,) = world.batch("read", [{"id": ann}], propertiesWithHistory=[name])["results"]
        return str(row["propertiesWithHistory"][name][0]["timestamp"])

    made, at = told("firstname"), world.shared.clock.now() + 86_400
    world.shared.clock.set(at)
    world.edit("set", id=ann, properties={"lastname": "Hathaway", "firstname": "Ann"})
    assert told("firstname") == made, "the same value again is no news"
    assert told("lastname") > made
    many = {"inputs": [{"id": str(n)} for n in range(1, 52)], "properties": [], "propertiesWithHistory": ["firstname"]}
    assert "50" in world.call("POST", f"{OBJECTS}/batch/read", many, status=400)["message"]


def test_a_batch_of_100_takes_milliseconds_beside_a_hundred_thousand_contacts() -> None:
    seed = [{"email": f"p{i}@example.com", "first_name": "P", "last_name": str(i)} for i in range(100_000)]
    with portal(seed, limited=False) as world:
        with_properties(world)
        inputs = [
            {"id": f"c{i}", "idProperty": "cio_id", "objectWriteTraceId": str(i), "properties": {"cio_score": str(i)}}
            for i in range(100)
        ]
        spent = []
        for _ in range(5):
            began = time.perf_counter()
            world.batch("upsert", inputs)
            world.batch("read", [{"id": f"p{i * 900}@example.com"} for i in range(100)], idProperty="email")
            spent.append(time.perf_counter() - began)
        # Two calls with parsing on both sides; a scan of the contacts alone would take longer.
        assert min(spent) < 0.1
