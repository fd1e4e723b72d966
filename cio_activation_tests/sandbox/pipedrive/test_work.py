"""Activities, notes and deals of the Pipedrive stand-in."""

from __future__ import annotations

from typing import Any

import pytest

from cio_activation_tests.drivers.stand_ins.pipedrive import NOON, PipedriveStandIn, common, rig, start_account

__all__ = ["common", "rig", "start_account"]

CALL: dict[str, Any] = {
    "subject": "RET - call",
    "type": "call",
    "due_date": "2026-11-23",
    "participants": [{"person_id": 1, "primary": True}],
}


def test_person_id_is_refused_on_activities(common: PipedriveStandIn) -> None:
    body = CALL | {"person_id": 1}
    assert common.refused(400, "POST", "/activities", json=body)["code"] == "ERR_BAD_REQUEST"
    assert common.vendor.state()["activities"] == []


@pytest.mark.parametrize(
    "change",
    [
        {"type": "ring"},
        {"type": "Call"},
        {"participants": [{"person_id": 999}]},
        {"participants": [1]},
        {"user_id": 1},
        {"owner_id": 99},
        {"due_date": "23.11.2026"},
        {"due_time": "9:00"},
        {"done": 1},
        {"custom_fields": {}},
        {"deal_id": 5},
        {"note": "x" * 102_401},
    ],
)
def test_bad_activities_are_refused(common: PipedriveStandIn, change: dict[str, Any]) -> None:
    common.refused(400, "POST", "/activities", json=CALL | change)


def test_an_activity_is_made_twice_when_sent_twice(rig: PipedriveStandIn) -> None:
    first, second = (rig.data("POST", "/activities", json=CALL) for _ in range(2))
    assert first["id"] != second["id"]
    assert first["person_id"] == 1
    assert first["done"] is False
    assert first["owner_id"] == 1


def test_the_done_listing_finds_what_was_completed_by_hand(rig: PipedriveStandIn) -> None:
    ids = [rig.data("POST", "/activities", json=CALL | {"note": f"marker {i}"})["id"] for i in range(3)]
    rig.shared.clock.set(NOON + 100)
    rig.vendor.edit({"action": "complete_activity", "activity": ids[1]})
    params = {"done": "true", "updated_since": "2026-11-22T12:01:40Z"}
    done = rig.data("GET", "/activities", params=params)
    assert [(a["id"], a["note"]) for a in done] == [(ids[1], "marker 1")]
    assert done[0]["marked_as_done_time"] == "2026-11-22T12:01:40Z"
    rig.data("PATCH", f"/activities/{ids[1]}", json={"done": False})
    assert rig.data("GET", f"/activities/{ids[1]}")["marked_as_done_time"] is None
    rig.data("DELETE", f"/activities/{ids[0]}")
    assert [a["id"] for a in rig.data("GET", "/activities", params={"done": "false"})] == ids[1:]


def test_the_person_filter_looks_at_the_primary_participant_only(rig: PipedriveStandIn) -> None:
    both = [{"person_id": 2}, {"person_id": 1, "primary": True}]
    made = rig.data("POST", "/activities", json=CALL | {"participants": both})
    assert [a["id"] for a in rig.data("GET", "/activities", params={"person_id": 1})] == [made["id"]]
    assert rig.data("GET", "/activities", params={"person_id": 2}) == []
    rig.refused(400, "GET", "/activities", params={"type": "call"})
    rig.refused(400, "GET", "/activities", params={"done": "1"})
    later = rig.data("POST", "/activities", json=CALL | {"due_date": "2026-11-20"})
    due = rig.walk("/activities", sort_by="due_date", limit=1)
    assert [a["id"] for page in due for a in page] == [later["id"], made["id"]]
    counts = {"include_fields": "activities_count,undone_activities_count"}
    assert rig.data("GET", "/persons/1", params=counts)["activities_count"] == 2


def test_activity_types_come_from_v1_and_new_ones_can_be_used(rig: PipedriveStandIn) -> None:
    keys = [t["key_string"] for t in rig.data("GET", "/v1/activityTypes")]
    assert "call" in keys
    made = rig.data("POST", "/v1/activityTypes", json={"name": "Win back!", "icon_key": "call"})
    assert made["key_string"] == "win_back"
    assert rig.data("POST", "/activities", json=CALL | {"type": "win_back"})["type"] == "win_back"


def test_notes_are_sanitised_and_paged_by_offset(rig: PipedriveStandIn) -> None:
    content = "<p onclick='x()'>Hi</p><!-- marker --><SCRIPT>evil()</SCRIPT> op:123"
    made = rig.data("POST", "/v1/notes", json={"content": content, "person_id": 1, "pinned_to_person_flag": 1})
    assert made["content"] == "<p>Hi</p> op:123"
    assert made["pinned_to_person_flag"] is True
    for number in range(4):
        rig.data("POST", "/v1/notes", json={"content": f"n{number}", "person_id": 1})
    rig.data("POST", "/v1/notes", json={"content": "else", "person_id": 2})
    page = rig.call("GET", "/v1/notes", params={"person_id": 1, "limit": 3}).json()
    assert page["additional_data"]["pagination"]["next_start"] == 3
    rest = rig.call("GET", "/v1/notes", params={"person_id": 1, "limit": 3, "start": 3}).json()
    assert [n["content"] for n in page["data"] + rest["data"]][1:] == ["n0", "n1", "n2", "n3"]
    assert "next_start" not in rest["additional_data"]["pagination"]
    assert rig.call("GET", "/v1/notes", params={"person_id": 3}).json()["data"] is None


def test_notes_change_and_go(rig: PipedriveStandIn) -> None:
    made = rig.data("POST", "/v1/notes", json={"content": "a", "person_id": 1, "add_time": "2026-01-02 03:04:05"})
    assert made["add_time"] == "2026-01-02 03:04:05"
    rig.shared.clock.set(NOON + 60)
    assert rig.data("PUT", f"/v1/notes/{made['id']}", json={"content": "b"})["update_time"] == "2026-11-22 12:01:00"
    assert rig.data("DELETE", f"/v1/notes/{made['id']}") is True
    rig.refused(404, "GET", f"/v1/notes/{made['id']}")
    for body in (
        {"person_id": 1},
        {"content": "a"},
        {"content": "a", "person_id": 99},
        {"content": "a", "person_id": 1, "pinned_to_person_flag": True},
        {"content": "x" * 100_001, "person_id": 1},
    ):
        rig.refused(400, "POST", "/v1/notes", json=body)


def test_deals_move_through_stages_and_close(rig: PipedriveStandIn) -> None:
    stages = [s["id"] for s in rig.data("GET", "/stages", params={"pipeline_id": 2})]
    assert [p["id"] for p in rig.data("GET", "/pipelines")] == [1, 2]
    deal = rig.data("POST", "/deals", json={"title": "Win back", "person_id": 1, "pipeline_id": 2, "value": 50})
    assert deal["stage_id"] == stages[0]
    moved = rig.data("PATCH", f"/deals/{deal['id']}", json={"stage_id": stages[1]})
    assert (moved["pipeline_id"], moved["stage_id"]) == (2, stages[1])
    assert moved["stage_change_time"] == "2026-11-22T12:00:00Z"
    rig.refused(400, "PATCH", f"/deals/{deal['id']}", json={"lost_reason": "price"})
    lost = rig.data("PATCH", f"/deals/{deal['id']}", json={"status": "lost", "lost_reason": "price"})
    assert lost["lost_time"] == lost["close_time"] == "2026-11-22T12:00:00Z"
    assert [d["id"] for d in rig.data("GET", "/deals", params={"status": "lost", "person_id": 1})] == [deal["id"]]
    assert [p["id"] for p in rig.data("GET", "/persons", params={"deal_id": deal["id"]})] == [1]
    rig.refused(400, "POST", "/deals", json={"person_id": 1})
    rig.refused(400, "POST", "/deals", json={"title": "x", "stage_id": stages[0], "pipeline_id": 1})


def test_a_hash_at_top_level_of_a_deal_is_refused(rig: PipedriveStandIn) -> None:
    made = rig.data("POST", "/dealFields", json={"field_name": "x", "field_type": "varchar"})
    code = made["field_code"]
    error = rig.refused(400, "POST", "/deals", json={"title": "D", code: "v"})
    assert error["code"] == "ERR_SCHEMA_VALIDATION_FAILED"
    deal = rig.data("POST", "/deals", json={"title": "D", "custom_fields": {code: "v"}})
    assert deal["custom_fields"] == {code: "v"}


def test_archived_and_deleted_deals_leave_the_list(rig: PipedriveStandIn) -> None:
    one, two = (rig.data("POST", "/deals", json={"title": t})["id"] for t in "ab")
    rig.data("PATCH", f"/deals/{one}", json={"is_archived": True})
    rig.refused(403, "PATCH", f"/deals/{one}", json={"title": "c"})
    rig.data("DELETE", f"/deals/{two}")
    assert rig.data("GET", "/deals") == []
    assert [d["id"] for d in rig.data("GET", "/deals", params={"status": "deleted"})] == [two]


def test_a_deal_shows_what_the_query_asks_for(rig: PipedriveStandIn) -> None:
    body = {"field_name": "x", "field_type": "enum", "options": [{"label": "one"}]}
    field = rig.data("POST", "/dealFields", json=body)
    code, option = field["field_code"], field["options"][0]
    deal = rig.data("POST", "/deals", json={"title": "D", "custom_fields": {code: option["id"]}})["id"]
    asked = {"custom_fields": code, "include_option_labels": "true", "include_fields": "notes_count"}
    for found in (rig.data("GET", f"/deals/{deal}", params=asked), rig.data("GET", "/deals", params=asked)[0]):
        assert found["custom_fields"] == {code: {"id": option["id"], "label": "one"}}
        assert found["notes_count"] == 0
    assert rig.data("GET", f"/deals/{deal}", params={"include_labels": "true"})["labels"] == []
    for wrong in ({"include_fields": "no_such"}, {"custom_fields": "0" * 40}, {"include_labels": "yes"}):
        rig.refused(400, "GET", f"/deals/{deal}", params=wrong)


def test_the_time_of_winning_is_written_with_the_state_that_it_belongs_to(rig: PipedriveStandIn) -> None:
    deal = rig.data("POST", "/deals", json={"title": "D"})["id"]
    won = {"won_time": "2026-10-01 08:00:00"}
    rig.refused(400, "PATCH", f"/deals/{deal}", json=won)
    rig.refused(400, "PATCH", f"/deals/{deal}", json={"status": "won", "won_time": "yesterday"})
    assert rig.data("PATCH", f"/deals/{deal}", json={"status": "won", **won})["won_time"] == "2026-10-01T08:00:00Z"
    rig.refused(400, "PATCH", f"/deals/{deal}", json={"lost_time": "2026-10-01 08:00:00"})


def test_the_words_search_and_archived_are_no_ids_of_deals(rig: PipedriveStandIn) -> None:
    deal = rig.data("POST", "/deals", json={"title": "D"})["id"]
    assert rig.data("GET", "/deals/archived") == []
    rig.data("PATCH", f"/deals/{deal}", json={"is_archived": True, "archive_time": "2026-10-01 08:00:00"})
    assert [d["id"] for d in rig.data("GET", "/deals/archived")] == [deal]
    assert rig.data("GET", "/deals/search", params={"term": "D D"}) == {"items": []}
    rig.refused(400, "GET", "/deals/search")
