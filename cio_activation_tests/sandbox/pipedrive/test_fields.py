"""Fields of the Pipedrive stand-in: definitions, options, caps."""

from __future__ import annotations

import re

from cio_activation_tests.drivers.stand_ins.pipedrive import PipedriveStandIn, Start, rig, start_account

__all__ = ["rig", "start_account"]


def test_a_field_gets_a_hash_and_numeric_option_ids(rig: PipedriveStandIn) -> None:
    made = rig.field("cio_audiences", "set", "VIP", "Lapsed")
    assert re.fullmatch(r"[0-9a-f]{40}", made["field_code"])
    assert [o["label"] for o in made["options"]] == ["VIP", "Lapsed"]
    assert all(isinstance(o["id"], int) for o in made["options"])
    listed = {f["field_code"]: f for f in rig.data("GET", "/personFields")}
    assert listed["name"]["is_custom_field"] is False
    assert listed[made["field_code"]]["field_type"] == "set"
    assert rig.data("GET", f"/personFields/{made['field_code']}") == made


def test_names_are_not_unique_and_fields_are_paged(rig: PipedriveStandIn) -> None:
    first, second = rig.field("cio_id", "varchar"), rig.field("cio_id", "varchar")
    assert first["field_code"] != second["field_code"]
    pages = rig.walk("/personFields", limit=4)
    codes = [f["field_code"] for page in pages for f in page]
    assert len(pages) > 2
    assert len(codes) == len(set(codes)) == len(rig.data("GET", "/personFields", params={"limit": 500}))


def test_a_bad_definition_names_every_mistake(rig: PipedriveStandIn) -> None:
    body = rig.refused(400, "POST", "/personFields", json={"field_type": "boolean", "colour": 1})
    assert body["code"] == "ERR_SCHEMA_VALIDATION_FAILED"
    assert all(word in body["error"] for word in ("field_name", "field_type", "colour"))
    assert (
        "options" in rig.refused(400, "POST", "/personFields", json={"field_name": "x", "field_type": "enum"})["error"]
    )
    too_long = {"field_name": "x" * 256, "field_type": "text"}
    rig.refused(400, "POST", "/personFields", json=too_long)


def test_options_are_changed_in_bulk_and_all_or_none(rig: PipedriveStandIn) -> None:
    made = rig.field("tier", "enum", "low")
    path = f"/personFields/{made['field_code']}/options"
    added = rig.data("POST", path, json=[{"label": "mid"}, {"label": "high"}])
    assert [o["label"] for o in added] == ["mid", "high"]
    renamed = rig.data("PATCH", path, json=[{"id": added[0]["id"], "label": "middle"}])
    assert renamed == [{"id": added[0]["id"], "label": "middle"}]
    rig.refused(400, "DELETE", path, json=[{"id": added[0]["id"]}, {"id": 999_999}])
    rig.refused(400, "POST", path, json=[{"label": "fine"}, {"label": 3}])
    rig.refused(400, "POST", path, json=[])
    options = rig.data("GET", f"/personFields/{made['field_code']}")["options"]
    assert [o["label"] for o in options] == ["low", "middle", "high"]


def test_a_deleted_option_leaves_the_persons_that_held_it(rig: PipedriveStandIn) -> None:
    made = rig.field("aud", "set", "a", "b")
    code, ids = made["field_code"], [o["id"] for o in made["options"]]
    rig.data("PATCH", "/persons/1", json={"custom_fields": {code: ids}})
    rig.data("PATCH", "/persons/2", json={"custom_fields": {code: [ids[0]]}})
    rig.data("DELETE", f"/personFields/{code}/options", json=[{"id": ids[0]}])
    assert rig.data("GET", "/persons/1")["custom_fields"] == {code: [ids[1]]}
    assert rig.data("GET", "/persons/2")["custom_fields"] == {code: None}


def test_a_rename_keeps_code_and_type(rig: PipedriveStandIn) -> None:
    made = rig.field("old", "double")
    path = f"/personFields/{made['field_code']}"
    assert rig.data("PATCH", path, json={"field_name": "new"})["field_name"] == "new"
    rig.refused(400, "PATCH", path, json={"field_type": "text"})
    rig.refused(403, "PATCH", "/personFields/name", json={"field_name": "x"})


def test_a_deleted_field_disappears_and_refuses_writes(rig: PipedriveStandIn) -> None:
    code = rig.field("gone", "varchar")["field_code"]
    rig.data("PATCH", "/persons/1", json={"custom_fields": {code: "x"}})
    rig.data("DELETE", f"/personFields/{code}")
    assert rig.data("GET", "/persons/1")["custom_fields"] == {}
    rig.refused(404, "GET", f"/personFields/{code}")
    body = rig.refused(400, "PATCH", "/persons/1", json={"custom_fields": {code: "x"}})
    assert code in body["error"]


def test_the_plan_caps_fields_of_all_entities_together(start_account: Start) -> None:
    rig = start_account(plan="lite", seats=1)
    for number in range(29):
        rig.field(f"f{number}", "varchar")
    rig.data("POST", "/dealFields", json={"field_name": "d", "field_type": "varchar"})
    body = rig.refused(403, "POST", "/personFields", json={"field_name": "one more", "field_type": "varchar"})
    assert body["code"] == "feature_capping_custom_fields_limit"


def test_v1_lists_fields_with_numeric_ids(rig: PipedriveStandIn) -> None:
    code = rig.field("cio_id", "varchar")["field_code"]
    answer = rig.call("GET", "/v1/personFields", params={"limit": 5}).json()
    assert answer["additional_data"]["pagination"] == {
        "start": 0,
        "limit": 5,
        "more_items_in_collection": True,
        "next_start": 5,
    }
    rows = rig.data("GET", "/api/v1/personFields")
    found = next(f for f in rows if f["key"] == code)
    assert isinstance(found["id"], int)
    assert found["name"] == "cio_id"


def test_an_ordinary_user_may_not_change_fields_nor_delete_persons(rig: PipedriveStandIn) -> None:
    rig.vendor.edit({"action": "set_admin", "admin": False})
    rig.refused(403, "POST", "/personFields", json={"field_name": "x", "field_type": "text"})
    rig.refused(403, "DELETE", "/persons/1")
    assert not any(right["admin"] for right in rig.data("GET", "/v1/users/me")["access"])
