"""Manual edits and the state snapshot of the Pipedrive stand-in, through the control surface."""

from __future__ import annotations

from typing import Any

from cio_activation_tests.drivers.stand_ins.pipedrive import NOON, PipedriveStandIn, rig, start_account

__all__ = ["rig", "start_account"]


def edit(rig: PipedriveStandIn, action: str, **more: Any) -> Any:
    answer = rig.http.post("/_sandbox/edit", json={"vendor": "pipedrive", "action": action, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def state(rig: PipedriveStandIn) -> dict[str, Any]:
    snapshot: dict[str, Any] = rig.http.get("/_sandbox/state").json()["pipedrive"]
    return snapshot


def test_the_state_resolves_names_and_labels(rig: PipedriveStandIn) -> None:
    aud = rig.field("cio_audiences", "set", "VIP", "Lapsed")
    ids = [o["id"] for o in aud["options"]]
    rig.data("PATCH", "/persons/1", json={"custom_fields": {aud["field_code"]: ids}})
    person = state(rig)["persons"]["1"]
    assert person["custom_fields"] == {"cio_audiences": ["VIP", "Lapsed"]}
    assert person["raw"] == {aud["field_code"]: ids}
    assert person["emails"] == ["ann@example.com"]
    assert state(rig)["counts"] == {"persons": 3, "fields": 1, "activities": 0, "notes": 0, "deals": 0}
    assert state(rig)["tokens"]["used_today"] == 10


def test_a_field_set_by_hand_moves_the_update_time(rig: PipedriveStandIn) -> None:
    tier = rig.field("tier", "enum", "low", "high")
    rig.shared.clock.set(NOON + 5)
    edit(rig, "set_field", person="ANN@example.com", field="tier", value="high")
    rows = rig.data("GET", "/persons", params={"updated_since": "2026-11-22T12:00:05Z"})
    assert [(p["id"], p["custom_fields"]) for p in rows] == [(1, {tier["field_code"]: tier["options"][1]["id"]})]
    edit(rig, "set_field", person=1, field="tier", value=None)
    assert rig.data("GET", "/persons/1")["custom_fields"] == {tier["field_code"]: None}


def test_persons_are_changed_merged_made_and_deleted_by_hand(rig: PipedriveStandIn) -> None:
    edit(rig, "set_person", person=2, emails=["bob@home.example.com", "bob@example.com"], label_ids=[5])
    bob = rig.data("GET", "/persons/2", params={"include_labels": "true"})
    assert [e["value"] for e in bob["emails"]] == ["bob@home.example.com", "bob@example.com"]
    assert bob["labels"] == [{"id": 5, "label": "Customer"}]
    edit(rig, "create_person", name="Dup", emails=["ann@example.com"])
    edit(rig, "merge", person=1, into=4)
    rig.refused(404, "GET", "/persons/1")
    edit(rig, "delete_person", person=3)
    snapshot = state(rig)
    assert list(snapshot["persons"]) == ["2", "4"]
    assert snapshot["merged_persons"] == {"1": 4}
    assert sorted(snapshot["deleted_persons"]) == [1, 3]


def test_fields_and_options_are_renamed_and_deleted_by_hand(rig: PipedriveStandIn) -> None:
    aud, old = rig.field("aud", "set", "a", "b"), rig.field("old", "text")
    edit(rig, "rename_field", field="aud", name="Audiences")
    edit(rig, "rename_option", field="Audiences", option="a", label="A")
    edit(rig, "add_option", field="Audiences", label="c")
    edit(rig, "delete_option", field="Audiences", option="b")
    edit(rig, "delete_field", field="old")
    edit(rig, "create_field", name="Audiences", type="text")
    fields = {f["field_code"]: f for f in rig.data("GET", "/personFields") if f["is_custom_field"]}
    assert fields[aud["field_code"]]["field_name"] == "Audiences"
    assert [o["label"] for o in fields[aud["field_code"]]["options"]] == ["A", "c"]
    assert old["field_code"] not in fields
    assert len(fields) == 2


def test_a_wrong_edit_is_told(rig: PipedriveStandIn) -> None:
    for change in (
        {"action": "fly"},
        {"action": "delete_person", "person": 77},
        {"action": "set_field", "person": 1, "field": "nope", "value": 1},
        {"action": "merge", "person": 1},
        {},
    ):
        answer = rig.http.post("/_sandbox/edit", json={"vendor": "pipedrive", **change})
        assert answer.status_code == 400
        assert answer.json()["error"]


def test_a_lost_answer_after_a_write_leaves_the_write(rig: PipedriveStandIn) -> None:
    rig.http.post(
        "/_sandbox/faults",
        json={"kind": "status", "status": 502, "when": "after", "method": "POST", "path": "/api/v2/persons"},
    )
    assert rig.call("POST", "/persons", json={"name": "Twice"}).status_code == 502
    rig.data("POST", "/persons", json={"name": "Twice"})
    assert [p["name"] for p in state(rig)["persons"].values()].count("Twice") == 2


def test_a_merge_unites_options_where_that_is_set(rig: PipedriveStandIn) -> None:
    code = rig.field("tags", "set", "a", "b")["field_code"]
    for number, (unite, expected) in enumerate(((False, ["b"]), (True, ["a", "b"]))):
        one, two = (edit(rig, "create_person", name=f"{n}{number}")["id"] for n in "xy")
        edit(rig, "set_field", person=one, field="tags", value=["a"])
        edit(rig, "set_field", person=two, field="tags", value=["b"])
        edit(rig, "merge_sets", unite=unite)
        edit(rig, "merge", person=one, into=two)
        assert rig.vendor.state()["persons"][str(two)]["custom_fields"]["tags"] == expected, code
