"""Persons of the Pipedrive stand-in: strict bodies, values by type, lists, deletion, merge."""

from __future__ import annotations

import time
from typing import Any

import pytest

from cio_activation_tests.drivers.stand_ins.pipedrive import NOON, PipedriveStandIn, Start, common, rig, start_account

__all__ = ["common", "rig", "start_account"]

SCHEMA = "ERR_SCHEMA_VALIDATION_FAILED"


def test_the_seed_is_there_with_every_custom_field_as_null(rig: PipedriveStandIn) -> None:
    code = rig.field("cio_id", "varchar")["field_code"]
    ann = rig.data("GET", "/persons/1")
    assert ann["name"] == "Ann Lee"
    assert ann["emails"] == [{"value": "ann@example.com", "primary": True, "label": "work"}]
    assert ann["phones"][0]["value"] == "+12025550101"
    assert ann["custom_fields"] == {code: None}
    assert ann["update_time"].endswith("Z")


def test_the_same_post_twice_makes_two_persons(rig: PipedriveStandIn) -> None:
    body = {"name": "Ann Lee", "emails": [{"value": "ann@example.com"}]}
    ids = {rig.data("POST", "/persons", json=body)["id"] for _ in range(2)}
    assert len(ids) == 2
    assert rig.vendor.state()["counts"]["persons"] == 5


def test_a_strict_body_lists_all_mistakes_at_once(rig: PipedriveStandIn) -> None:
    code = rig.field("tier", "double")["field_code"]
    body = {"email": "x@example.com", code: 1, "owner_id": "1", "custom_fields": {code: "7"}}
    error = rig.refused(400, "POST", "/persons", json=body)
    assert error["code"] == SCHEMA
    assert all(part in error["error"] for part in ("name:", "email:", f"{code}:", "owner_id:", "(tier)"))
    assert rig.vendor.state()["counts"]["persons"] == 3


@pytest.mark.parametrize(
    "body",
    [
        {"name": None},
        {"name": "  "},
        {"first_name": "A"},
        {"name": "A", "emails": "a@example.com"},
        {"name": "A", "emails": ["a@example.com"]},
        {"name": "A", "emails": [{"value": "a@example.com", "kind": "x"}]},
        {"name": "A", "emails": [{"value": "a", "primary": True}, {"value": "b", "primary": True}]},
        {"name": "A", "owner_id": 77},
        {"name": "A", "owner_id": True},
        {"name": "A", "visible_to": 7},
        {"name": "A", "label_ids": [999]},
        {"name": "A", "add_time": "2026-01-01 00:00:00"},
        ["name"],
    ],
)
def test_bad_persons_are_refused(common: PipedriveStandIn, body: Any) -> None:
    assert common.refused(400, "POST", "/persons", json=body)["code"] == SCHEMA


def test_a_body_that_is_no_json_is_refused(rig: PipedriveStandIn) -> None:
    rig.refused(400, "POST", "/persons", content=b"{", headers={"content-type": "application/json"})
    rig.refused(400, "POST", "/persons", data={"name": "A"})


def test_contact_sync_and_campaign_fields_are_closed(rig: PipedriveStandIn) -> None:
    rig.refused(403, "POST", "/persons", json={"name": "A", "job_title": "x"})
    rig.refused(403, "PATCH", "/persons/1", json={"marketing_status": "subscribed"})


def test_a_patch_changes_only_what_was_sent_and_moves_the_time(rig: PipedriveStandIn) -> None:
    before = rig.data("GET", "/persons/1")
    rig.shared.clock.set(NOON + 60)
    after = rig.data("PATCH", "/persons/1", json={"name": "Anna Lee Doe"})
    assert (after["first_name"], after["last_name"]) == ("Anna", "Lee Doe")
    assert after["emails"] == before["emails"]
    assert after["add_time"] == before["add_time"]
    assert after["update_time"] == "2026-11-22T12:01:00Z"
    rig.refused(400, "PATCH", "/persons/1", json={"add_time": "2026-01-01T00:00:00Z"})


def test_arrays_are_replaced_as_a_whole_and_the_first_is_primary(rig: PipedriveStandIn) -> None:
    two = [{"value": "a@example.com", "label": "home"}, {"value": "b@example.com"}]
    kept = rig.data("PATCH", "/persons/1", json={"emails": two, "label_ids": [5, 6]})
    assert [(e["value"], e["primary"], e["label"]) for e in kept["emails"]] == [
        ("a@example.com", True, "home"),
        ("b@example.com", False, "work"),
    ]
    shorter = rig.data("PATCH", "/persons/1", json={"emails": [two[1]], "label_ids": []})
    assert [e["value"] for e in shorter["emails"]] == ["b@example.com"]
    assert shorter["label_ids"] == []


GOOD = [
    ("varchar", "x" * 255, "x" * 255),
    ("text", "x" * 5_000, "x" * 5_000),
    ("varchar", "", None),
    ("double", 12.5, 12.5),
    ("date", "2026-02-28", "2026-02-28"),
    ("monetary", {"value": 9.5, "currency": "USD"}, {"value": 9.5, "currency": "USD"}),
    ("user", 1, 1),
    ("daterange", {"value": "2026-01-01", "until": "2026-01-02"}, {"value": "2026-01-01", "until": "2026-01-02"}),
]


@pytest.mark.parametrize(("kind", "value", "kept"), GOOD)
def test_values_of_each_type_are_kept_and_null_clears(
    common: PipedriveStandIn, kind: str, value: Any, kept: Any
) -> None:
    code = common.field("f", kind)["field_code"]
    assert common.data("PATCH", "/persons/1", json={"custom_fields": {code: value}})["custom_fields"][code] == kept
    assert common.data("PATCH", "/persons/1", json={"custom_fields": {code: None}})["custom_fields"][code] is None


BAD = [
    ("varchar", "x" * 256),
    ("varchar", 5),
    ("double", "5"),
    ("double", ""),
    ("double", True),
    ("double", 123_456_789_012_345),
    ("date", "2026-02-30"),
    ("date", "2026-02-03T00:00:00Z"),
    ("date", ""),
    ("monetary", 9.5),
    ("monetary", {"value": 9.5}),
    ("monetary", {"value": "9.5", "currency": "USD"}),
    ("time", {"value": "9:30"}),
]


@pytest.mark.parametrize(("kind", "value"), BAD)
def test_wrong_values_name_the_field(common: PipedriveStandIn, kind: str, value: Any) -> None:
    code = common.field("my field", kind)["field_code"]
    error = common.refused(400, "PATCH", "/persons/1", json={"custom_fields": {code: value}})
    assert code in error["error"]
    assert "my field" in error["error"]
    assert common.data("GET", "/persons/1")["custom_fields"][code] is None


def test_options_go_by_id_only(rig: PipedriveStandIn) -> None:
    tier, aud = rig.field("tier", "enum", "low", "high"), rig.field("aud", "set", "a", "b")
    low, (a, b) = tier["options"][0]["id"], (o["id"] for o in aud["options"])
    for code, value in (
        (tier["field_code"], "low"),
        (tier["field_code"], str(low)),
        (aud["field_code"], ["a"]),
        (aud["field_code"], [a, "b"]),
    ):
        error = rig.refused(400, "PATCH", "/persons/1", json={"custom_fields": {code: value}})
        assert "expected number" in error["error"]
    for code, value in ((tier["field_code"], 1), (aud["field_code"], [a, 1]), (aud["field_code"], [])):
        rig.refused(400, "PATCH", "/persons/1", json={"custom_fields": {code: value}})
    body = {"custom_fields": {tier["field_code"]: low, aud["field_code"]: [b, a, b]}}
    assert rig.data("PATCH", "/persons/1", json=body)["custom_fields"] == {
        tier["field_code"]: low,
        aud["field_code"]: [a, b],
    }
    seen = rig.data("GET", "/persons/1", params={"include_option_labels": "true"})["custom_fields"]
    assert seen[tier["field_code"]] == {"id": low, "label": "low"}
    assert seen[aud["field_code"]] == [{"id": a, "label": "a"}, {"id": b, "label": "b"}]


def test_unknown_hashes_and_bad_nesting(rig: PipedriveStandIn) -> None:
    error = rig.refused(400, "POST", "/persons", json={"name": "A", "custom_fields": {"f" * 40: 1}})
    assert "f" * 40 in error["error"]
    for nested in ({"custom_fields": {}}, [], "x", None):
        error = rig.refused(500, "POST", "/persons", json={"name": "A", "custom_fields": nested})
        assert error["code"] == "ERR_UNKNOWN"


def people(count: int) -> list[dict[str, Any]]:
    return [
        {"email": f"p{i}@example.com", "first_name": f"P{i}", "last_name": "X", "phone": None} for i in range(count)
    ]


def test_a_walk_sees_everyone_once_in_both_directions(start_account: Start) -> None:
    rig = start_account(people(1_203))
    up = rig.walk("/persons", limit=500)
    assert [len(page) for page in up] == [500, 500, 203]
    assert [p["id"] for page in up for p in page] == list(range(1, 1_204))
    assert len(rig.data("GET", "/persons")) == 100
    down = rig.walk("/persons", limit=500, sort_direction="desc", sort_by="update_time")
    assert [p["id"] for page in down for p in page] == list(range(1_203, 0, -1))
    added = rig.walk("/persons", limit=500, sort_by="add_time")
    assert [p["id"] for page in added for p in page] == list(range(1, 1_204))


def test_lists_by_time_are_inclusive_below_and_exclusive_above(rig: PipedriveStandIn) -> None:
    for second, person in ((10, 1), (20, 2), (30, 3)):
        rig.shared.clock.set(NOON + second)
        rig.data("PATCH", f"/persons/{person}", json={"name": "N"})

    def ids(**params: Any) -> list[int]:
        return [p["id"] for p in rig.data("GET", "/persons", params=params)]

    assert ids(updated_since="2026-11-22T12:00:20Z") == [2, 3]
    assert ids(updated_until="2026-11-22T12:00:20Z") == [1]
    assert ids(updated_since="2026-11-22T13:00:10+01:00", updated_until="2026-11-22T12:00:30Z") == [1, 2]
    assert ids(updated_since="2026-11-22T12:00:00Z", sort_by="update_time", sort_direction="desc") == [3, 2, 1]
    assert ids(updated_until="2026-11-22T12:00:20Z", sort_by="update_time") == [1]
    assert ids(updated_until="2026-11-22T12:00:20Z", ids="1,2") == [1]
    rig.refused(400, "GET", "/persons", params={"updated_since": "2026-11-22 12:00:00"})


def test_filters_and_unknown_parameters(rig: PipedriveStandIn) -> None:
    rig.data("PATCH", "/persons/2", json={"owner_id": 2})
    assert [p["id"] for p in rig.data("GET", "/persons", params={"owner_id": 2})] == [2]
    assert [p["id"] for p in rig.data("GET", "/persons", params={"ids": "3,1,999"})] == [1, 3]
    for params in (
        {"limit": 501},
        {"limit": 0},
        {"email": "a"},
        {"sort_by": "name"},
        {"cursor": "nonsense"},
        {"ids": ",".join(map(str, range(1, 102)))},
        {"ids": "1,a"},
    ):
        assert rig.refused(400, "GET", "/persons", params=params)["code"] == SCHEMA


def test_custom_fields_can_be_trimmed_to_fifteen(rig: PipedriveStandIn) -> None:
    codes = [rig.field(f"f{i}", "varchar")["field_code"] for i in range(16)]
    seen = rig.data("GET", "/persons", params={"custom_fields": ",".join(codes[:2])})
    assert set(seen[0]["custom_fields"]) == set(codes[:2])
    rig.refused(400, "GET", "/persons", params={"custom_fields": ",".join(codes)})


def test_a_deleted_person_leaves_the_lists_and_is_readable_for_thirty_days(rig: PipedriveStandIn) -> None:
    assert rig.data("DELETE", "/persons/2") == {"id": 2}
    assert [p["id"] for p in rig.data("GET", "/persons")] == [1, 3]
    assert rig.data("GET", "/persons", params={"ids": "2"}) == []
    since = {"updated_since": "2026-11-22T00:00:00Z"}
    assert rig.data("GET", "/persons", params=since) == []
    assert rig.data("GET", "/persons/2")["is_deleted"] is True
    assert rig.refused(404, "PATCH", "/persons/2", json={"name": "B"})["code"] == "ERR_NOT_FOUND"
    rig.refused(404, "DELETE", "/persons/2")
    rig.shared.clock.advance(31 * 86_400)
    rig.refused(404, "GET", "/persons/2")


def test_a_merge_lets_the_path_id_disappear_and_the_other_win(rig: PipedriveStandIn) -> None:
    one, two = (rig.field(name, "varchar")["field_code"] for name in ("one", "two"))
    rig.data("PATCH", "/persons/1", json={"custom_fields": {one: "lost", two: "filled"}})
    rig.data("PATCH", "/persons/2", json={"custom_fields": {one: "wins"}})
    task = {"subject": "Call", "type": "call", "participants": [{"person_id": 1}]}
    activity = rig.data("POST", "/activities", json=task)["id"]
    note = rig.data("POST", "/v1/notes", json={"content": "n", "person_id": 1})["id"]
    merged = rig.data("PUT", "/v1/persons/1/merge", json={"merge_with_id": 2})
    assert (merged["id"], merged["merge_what_id"]) == (2, 1)
    rig.refused(404, "GET", "/persons/1")
    survivor = rig.data("GET", "/persons/2")
    assert survivor["custom_fields"] == {one: "wins", two: "filled"}
    assert [e["value"] for e in survivor["emails"]] == ["bob@example.com", "ann@example.com"]
    assert [e["primary"] for e in survivor["emails"]] == [True, False]
    assert rig.data("GET", f"/activities/{activity}")["person_id"] == 2
    assert rig.data("GET", f"/v1/notes/{note}")["person_id"] == 2
    rig.refused(404, "PUT", "/v1/persons/1/merge", json={"merge_with_id": 2})


def test_incremental_lists_are_fast_for_a_hundred_thousand_persons(start_account: Start) -> None:
    rig = start_account(people(100_000))
    for person in (5, 70_000, 99_999):
        rig.data("PATCH", f"/persons/{person}", json={"name": "N"})

    def seconds(**params: Any) -> float:
        started = time.perf_counter()
        for _ in range(2):
            rig.data("GET", "/persons", params={"limit": 3} | params)
        return time.perf_counter() - started

    rows = rig.data("GET", "/persons", params={"updated_since": "2026-11-22T00:00:00Z"})
    assert [p["id"] for p in rows] == [5, 70_000, 99_999]
    sorting_everyone = seconds(sort_by="add_time")
    assert seconds(updated_since="2026-11-22T00:00:00Z") < sorting_everyone / 3
    assert seconds(updated_since="2020-01-01T00:00:00Z") < sorting_everyone / 3
    assert seconds(updated_since="2020-01-01T00:00:00Z", sort_by="update_time") < sorting_everyone / 3
