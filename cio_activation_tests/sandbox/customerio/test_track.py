"""The Track API: updates that create nobody, late writes that lose, batches that are refused in part."""

from __future__ import annotations

from typing import Any

import httpx

from cio_activation_tests.drivers.stand_ins.customerio import NOON, CustomerioStandIn


def identify(cio_id: str, attributes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "person", "action": "identify", "identifiers": {"cio_id": cio_id}, "attributes": attributes, **more}


def shown(rig: CustomerioStandIn, cio_id: str) -> dict[str, str]:
    attributes: dict[str, str] = rig.get(f"/v1/customers/{cio_id}/attributes", id_type="cio_id")["customer"][
        "attributes"
    ]
    return attributes


def test_an_update_by_cio_id_is_stored_as_text_and_an_empty_value_removes_it(
    rig: CustomerioStandIn, person: str
) -> None:
    body = identify(person, {"_update": True, "cio_outreach": True, "cio_score": 3, "cio_notes": {"a": 1}})
    assert rig.track.post("/api/v2/entity", json=body).json() == {}
    found = shown(rig, person)
    assert (found["cio_outreach"], found["cio_score"], found["cio_notes"]) == ("true", "3", '{"a":1}')
    assert "_update" not in found
    rig.track.post("/api/v2/entity", json=identify(person, {"cio_outreach": "", "cio_score": None}))
    assert not {"cio_outreach", "cio_score"} & shown(rig, person).keys()


def test_with_update_a_missing_person_is_left_alone_and_without_it_is_made(rig: CustomerioStandIn) -> None:
    for update in (True, False):
        rig.track.put("/api/v1/customers/fresh-1", json={"_update": update, "plan": "x"})
        status = rig.app.get("/v1/customers/fresh-1/attributes").status_code
        assert status == (404 if update else 200)
    unknown = identify("00" * 13, {"plan": "x"})
    assert rig.track.post("/api/v2/entity", json=unknown).status_code == 200
    assert rig.world.find("cio_id", "00" * 13, NOON) == []


def test_a_late_retry_loses_against_a_newer_timestamp(rig: CustomerioStandIn, person: str) -> None:
    for stamp, value in ((200, "new"), (100, "old")):
        rig.track.post("/api/v2/entity", json=identify(person, {"flag": value}, timestamp=stamp))
        rig.track.put(f"/api/v1/customers/cio_{person}", json={"flag_v1": value, "_timestamp": stamp})
    assert (shown(rig, person)["flag"], shown(rig, person)["flag_v1"]) == ("new", "new")


def test_an_identifier_of_somebody_else_is_accepted_and_then_dropped(rig: CustomerioStandIn) -> None:
    rig.edit("add_person", id="one", email="one@example.com")
    rig.edit("add_person", id="two", email="two@example.com")
    answer = rig.track.put("/api/v1/customers/one", json={"email": "TWO@example.com", "note": "kept"})
    assert answer.status_code == 200
    found = rig.get("/v1/customers/one/attributes")["customer"]["attributes"]
    assert (found["email"], found["note"]) == ("one@example.com", "kept")
    (failed,) = rig.vendor.state()["track"]["failed_changes"]
    assert failed["attribute"] == "email"


def test_a_new_id_with_a_known_email_relabels_that_person(rig: CustomerioStandIn) -> None:
    added = rig.edit("add_person", id="old-id", email="known@example.com")["cio_id"]
    rig.track.put("/api/v1/customers/new-id", json={"email": "known@example.com"})
    assert shown(rig, added)["id"] == "new-id"
    rig.refused(404, "GET", "/v1/customers/old-id/attributes")


def test_a_batch_is_taken_in_part_and_says_which_items_were_refused(rig: CustomerioStandIn, person: str) -> None:
    items = [
        identify(person, {"a": "1"}),
        identify(person, {"b": "x" * 1001}),
        {"type": "person", "action": "dance", "identifiers": {"id": "1"}},
        {"type": "person", "action": "identify", "identifiers": {"id": "1", "email": "x@example.com"}},
        identify(person, {f"n{k}": "y" * 900 for k in range(40)}),
        identify(person, {"c": "3"}),
    ]
    answer = rig.track.post("/api/v2/batch", json={"batch": items})
    assert answer.status_code == 207
    errors = answer.json()["errors"]
    assert [e["batch_index"] for e in errors] == [1, 2, 3, 4]
    assert all({"reason", "field", "message"} <= e.keys() for e in errors)
    found = shown(rig, person)
    assert (found["a"], found["c"]) == ("1", "3")
    assert "b" not in found
    assert rig.track.post("/api/v2/batch", json={"batch": items[:1]}).json() == {}


def test_a_batch_over_500_kb_and_a_body_that_is_no_batch_are_refused_whole(rig: CustomerioStandIn, person: str) -> None:
    big = [identify(person, {"a": "x" * 900})] * 540
    for body in ({"batch": big}, {}, {"batch": []}):
        answer = rig.track.post("/api/v2/batch", json=body)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"] == "batch"
    assert "a" not in shown(rig, person)


def test_a_batch_of_400_small_items_is_quick(rig: CustomerioStandIn) -> None:
    people = list(rig.world.at(NOON).identifiers) * 5
    items = [identify(c, {"_update": True, "cio_outreach": "true"}, timestamp=5) for c in people]
    answer = rig.track.post("/api/v2/batch", json={"batch": items}, timeout=5)
    assert answer.status_code == 200
    stored = {row["cio_id"]: row["cio_outreach"] for row in rig.export(attributes=["cio_outreach"])}
    assert {stored[c] for c in people} == {"true"}


def test_credentials_are_checked_and_the_region_is_told(rig: CustomerioStandIn) -> None:
    url = rig.url
    for auth in (None, ("sandbox-site", "wrong"), ("sandbox-app-key", "")):
        assert httpx.get(f"{url}/api/v1/accounts/region", auth=auth).status_code == 401
    assert rig.app.get("/api/v1/accounts/region").status_code == 401
    assert rig.track.get("/v1/segments").status_code == 401
    assert rig.track.get("/api/v1/accounts/region").json()["region"] == "us"


def test_only_manual_segments_change_and_values_of_another_kind_are_ignored(
    rig: CustomerioStandIn, person: str
) -> None:
    path = "/api/v1/segments/11/add_customers"
    assert rig.track.post(path, json={"ids": [person, "nobody"]}).status_code == 200
    assert rig.members(11) == []
    rig.track.post(path, params={"id_type": "cio_id"}, json={"ids": [person, "nobody"]})
    assert [row["cio_id"] for row in rig.members(11)] == [person]
    assert rig.get("/v1/segments/11/customer_count")["count"] == 1
    rig.track.post("/api/v1/segments/11/remove_customers", params={"id_type": "cio_id"}, json={"ids": [person]})
    assert rig.members(11) == []
    assert rig.track.post("/api/v1/segments/3/add_customers", json={"ids": ["x"]}).status_code == 400
    assert rig.track.post("/api/v1/segments/99/add_customers", json={"ids": ["x"]}).status_code == 404
    assert rig.track.post(path, json={"ids": ["x"] * 1001}).status_code == 400


def test_suppressing_deletes_the_profile_for_good_and_bars_its_identifiers(rig: CustomerioStandIn) -> None:
    rig.edit("add_person", id="gone", email="gone@example.com")
    assert rig.track.post("/api/v1/customers/gone/suppress").status_code == 200
    rig.refused(404, "GET", "/v1/customers/gone/attributes")
    rig.track.put("/api/v1/customers/gone%40example.com", json={"plan": "x"})
    assert rig.get("/v1/customers", email="gone@example.com")["results"] == []
    rig.track.post("/api/v1/customers/gone%40example.com/unsuppress")
    rig.track.put("/api/v1/customers/gone%40example.com", json={"plan": "x"})
    assert len(rig.get("/v1/customers", email="gone@example.com")["results"]) == 1


def test_deleting_and_events_are_taken(rig: CustomerioStandIn) -> None:
    person = rig.edit("add_person", id="short", email=None)["cio_id"]
    rig.track.post("/api/v1/customers/short/events", json={"name": "seen"})
    assert {"cio_id": person, "name": "seen", "at": int(NOON)} in rig.vendor.state()["track"]["events"]
    assert rig.track.delete("/api/v1/customers/short").status_code == 200
    rig.refused(404, "GET", "/v1/customers/short/attributes")


def test_version_2_takes_a_phone_number_as_identifier(rig: CustomerioStandIn, person: str) -> None:
    def identified(phone: str, **attributes: Any) -> int:
        item = {"type": "person", "action": "identify", "identifiers": {"phone": phone}, "attributes": attributes}
        return rig.track.post("/api/v2/entity", json=item).status_code

    rig.edit("set_attribute", cio_id=person, name="phone", value="+14155552671")
    assert identified("+14155552671", plan="x") == 200
    assert shown(rig, person)["plan"] == "x"
    assert [identified(phone) for phone in ("4155552671", "+0155552671", "")] == [400, 400, 400]
    assert identified("+14155559999", _update=True) == 200, "nobody has it, and nobody is made"
