"""Search of the Pipedrive stand-in: lag, lossy hits, limits."""

from __future__ import annotations

from typing import Any

from cio_activation_tests.drivers.stand_ins.pipedrive import PipedriveStandIn, Start, rig, start_account

__all__ = ["rig", "start_account"]

LONG = 600.0


def found(rig: PipedriveStandIn, term: str, **params: Any) -> list[int]:
    answer = rig.data("GET", "/persons/search", params={"term": term} | params)
    return [hit["item"]["id"] for hit in answer["items"]]


def test_a_person_just_made_is_not_found_and_one_just_deleted_still_is(start_account: Start) -> None:
    rig = start_account(search_lag_s=LONG)
    rig.data("POST", "/persons", json={"name": "New One", "emails": [{"value": "new@example.com"}]})
    rig.data("DELETE", "/persons/2")
    rig.data("PATCH", "/persons/1", json={"emails": [{"value": "ann2@example.com"}]})
    exact = {"fields": "email", "exact_match": "true"}
    assert found(rig, "new@example.com", **exact) == []
    assert found(rig, "bob@example.com", **exact) == [2]
    assert found(rig, "ann@example.com", **exact) == [1]
    assert found(rig, "ann2@example.com", **exact) == []


def test_the_index_catches_up(start_account: Start) -> None:
    rig = start_account(search_lag_s=0.0)
    rig.data("POST", "/persons", json={"name": "New One", "emails": [{"value": "New@example.com"}]})
    rig.data("DELETE", "/persons/2")
    rig.data("PATCH", "/persons/1", json={"emails": [{"value": "ann2@example.com"}]})
    assert found(rig, "new@EXAMPLE.com", fields="email", exact_match="true") == [4]
    assert found(rig, "bob@example.com") == []
    assert found(rig, "ann@example.com", fields="email", exact_match="true") == []
    assert found(rig, "ann2@") == [1]


def test_hits_are_lossy_and_custom_values_have_no_keys(rig: PipedriveStandIn) -> None:
    rig.vendor.search.lag_s = 0.0
    ident, other = (rig.field(n, "varchar")["field_code"] for n in ("cio_id", "other"))
    tier = rig.field("tier", "enum", "low")
    values = {ident: "C-100", other: "C-200", tier["field_code"]: tier["options"][0]["id"]}
    rig.data("PATCH", "/persons/1", json={"custom_fields": values})
    answer = rig.data("GET", "/persons/search", params={"term": "c-100", "fields": "custom_fields"})
    item = answer["items"][0]["item"]
    assert item["emails"] == ["ann@example.com"]
    assert sorted(item["custom_fields"]) == ["C-100", "C-200"]
    # Looks at every custom field, whichever was meant.
    assert found(rig, "C-200", fields="custom_fields", exact_match="true") == [1]


def test_field_search_is_case_sensitive(rig: PipedriveStandIn) -> None:
    rig.vendor.search.lag_s = 0.0
    code = rig.field("cio_id", "varchar")["field_code"]
    rig.data("PATCH", "/persons/1", json={"custom_fields": {code: "Abc-1"}})
    base = {"entity_type": "person", "field": code}

    def ids(**params: Any) -> list[int]:
        hits = rig.data("GET", "/itemSearch/field", params=base | params)
        return [hit["item"]["id"] for hit in hits]

    assert ids(term="Abc-1") == [1]
    assert ids(term="abc-1") == []
    assert ids(term="Abc", match="beginning") == [1]
    assert ids(term="bc-", match="middle") == [1]
    rig.refused(400, "GET", "/itemSearch/field", params={"entity_type": "person", "field": "x", "term": "ab"})
    tier = rig.field("tier", "set", "a")["field_code"]
    rig.refused(400, "GET", "/itemSearch/field", params={"entity_type": "person", "field": tier, "term": "ab"})


def test_limits_of_search(start_account: Start) -> None:
    people = [{"email": f"p{i}@example.com", "first_name": "P"} for i in range(120)]
    rig = start_account(people)
    rig.refused(400, "GET", "/persons/search", params={"term": "p", "limit": 10})
    rig.refused(400, "GET", "/persons/search", params={"term": "example", "limit": 101})
    rig.refused(400, "GET", "/persons/search", params={"term": "example", "fields": "cio_id"})
    first = rig.call("GET", "/itemSearch", params={"term": "example", "item_types": "person"}).json()
    assert len(first["data"]["items"]) == 100
    cursor = first["additional_data"]["next_cursor"]
    assert len(found(rig, "example", cursor=cursor)) == 20
    none = rig.data("GET", "/itemSearch", params={"term": "example", "item_types": "deal"})
    assert none["items"] == []
