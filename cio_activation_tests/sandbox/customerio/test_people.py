"""Search, look-ups and profiles; credentials, region and rate of the App API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from cio_activation_tests.drivers.stand_ins.customerio import EVERYONE, NOON, CustomerioStandIn, running, small_world


@pytest.fixture(scope="module")
def shared() -> Iterator[CustomerioStandIn]:
    with running() as made:
        yield made


@pytest.fixture
def rig() -> Iterator[CustomerioStandIn]:
    with running() as made:
        yield made


def someone(rig: CustomerioStandIn, *, with_id: bool) -> tuple[str, str | None, str]:
    return next(
        (c, i, e)
        for c, i, e in rig.world.at(NOON).identifiers.values()
        if e and e == e.strip() and (i is None) != with_id
    )


def test_up_to_100_people_come_by_id_and_unknown_ones_are_missing(shared: CustomerioStandIn) -> None:
    known = [i for _, i, _ in shared.world.at(NOON).identifiers.values() if i]
    answer = shared.app.post("/v1/customers/attributes", json={"ids": [known[3], "nobody", known[1], known[3]]})
    customers = [row["customer"] for row in answer.json()["customers"]]
    assert [c["id"] for c in customers] == [known[3], known[1]]
    assert all(isinstance(c["attributes"][name], str) for c in customers for name in ("id", "cio_id"))
    assert {type(c["attributes"]["orders_count"]) for c in customers} == {int}
    for ids in ([], [*known, *known][:101], "x", [1], None):
        shared.refused(400, "POST", "/v1/customers/attributes", json={"ids": ids})


def test_people_without_an_id_are_reached_by_cio_id_only(shared: CustomerioStandIn) -> None:
    cio_id, _, email = someone(shared, with_id=False)
    batch = "/v1/customers/attributes"
    assert shared.app.post(batch, json={"ids": [cio_id, f"cio_{cio_id}"]}).json() == {"customers": []}
    by_cio = shared.app.post(batch, params={"id_type": "cio_id"}, json={"ids": [cio_id]}).json()["customers"]
    assert by_cio[0]["customer"]["identifiers"] == {"id": None, "email": email, "cio_id": cio_id}
    alone = shared.get(f"/v1/customers/{cio_id}/attributes", id_type="cio_id")
    assert alone == shared.get(f"/v1/customers/cio_{cio_id}/attributes", id_type="cio_id")
    assert alone["customer"]["identifiers"] == by_cio[0]["customer"]["identifiers"]
    assert alone["customer"]["attributes"]["id"] is None
    assert alone["customer"]["id"] == ""


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/customers/attributes", {"ids": ["1"]}),
        ("/v1/customers", {"filter": EVERYONE}),
        ("/v1/exports/customers", {"filters": EVERYONE}),
        ("/v1/segments", {"segment": {"name": "S"}}),
    ],
)
def test_a_key_that_no_document_has_is_refused(shared: CustomerioStandIn, path: str, body: dict[str, Any]) -> None:
    assert "surprise" in shared.refused(400, "POST", path, json={**body, "surprise": 1})


def test_the_id_type_decides_and_a_wrong_one_finds_nobody(shared: CustomerioStandIn) -> None:
    cio_id, external_id, email = someone(shared, with_id=True)
    assert external_id is not None
    path = "/v1/customers/{}/attributes"
    found = shared.get(path.format(external_id))["customer"]
    assert found["identifiers"]["cio_id"] == cio_id
    assert shared.get(path.format(quote(email, safe="")), id_type="email")["customer"] == found
    shared.refused(404, "GET", path.format(cio_id))
    shared.refused(404, "GET", path.format(external_id), params={"id_type": "cio_id"})
    shared.refused(400, "GET", path.format("x"), params={"id_type": "phone"})
    shared.refused(400, "GET", path.format("x"), params={"id_type": "uuid"})


def test_ids_that_differ_by_case_are_two_people(shared: CustomerioStandIn) -> None:
    twin = shared.world.at(NOON).attributes([shared.somebody(dirty_kind="twin_id")]).popitem()[1]["id"]
    first = shared.get(f"/v1/customers/{twin}/attributes")["customer"]["identifiers"]["cio_id"]
    second = shared.get(f"/v1/customers/{twin.upper()}/attributes")["customer"]["identifiers"]["cio_id"]
    assert first != second


def test_an_email_finds_everyone_who_has_it_in_any_case(shared: CustomerioStandIn) -> None:
    emails = Counter(e.lower() for _, _, e in shared.world.at(NOON).identifiers.values() if e)
    doubled = next(email for email, count in emails.items() if count == 2)
    assert len(shared.get("/v1/customers", email=doubled.upper())["results"]) == 2
    assert shared.get("/v1/customers", email="nobody@example.com")["results"] == []
    shared.refused(400, "GET", "/v1/customers")


def test_an_email_that_was_not_encoded_finds_nobody_with_200(rig: CustomerioStandIn) -> None:
    rig.edit("add_person", id="plus", email="a+b@example.com")
    assert len(rig.get("/v1/customers", email="a+b@example.com")["results"]) == 1
    for raw in ("a+b%40example.com", "a%2Bb@example.com"):
        answer = httpx.get(
            f"{rig.app.base_url}/v1/customers?email={raw}".replace("//v1", "/v1"), headers=rig.app.headers
        )
        assert (answer.status_code, answer.json()) == (200, {"results": []})


def test_search_pages_through_everyone_with_50_by_default_and_1000_at_most(shared: CustomerioStandIn) -> None:
    first = shared.app.post("/v1/customers", json={"filter": EVERYONE}).json()
    assert len(first["identifiers"]) == len(first["ids"]) == 50
    rest = shared.app.post("/v1/customers", params={"start": first["next"]}, json={"filter": EVERYONE}).json()
    assert len({row["cio_id"] for page in (first, rest) for row in page["identifiers"]}) == 80
    assert rest["next"] == ""
    shared.refused(400, "POST", "/v1/customers", params={"limit": "1001"}, json={"filter": EVERYONE})
    shared.refused(400, "POST", "/v1/customers", json={"filters": EVERYONE})


def test_wrong_keys_unknown_paths_and_methods_are_answered_in_the_vendors_shape(shared: CustomerioStandIn) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic c2FuZGJveA=="}):
        answer = httpx.get(f"{shared.url}/v1/segments", headers=headers)
        assert answer.status_code == 401
        assert answer.json()["errors"][0]["status"] == "401"
    shared.refused(404, "GET", "/v1/campaigns/3")
    shared.refused(404, "PUT", "/v1/segments")


def test_a_key_of_another_region_is_refused_and_the_track_api_tells_where_the_account_is() -> None:
    with running(region="us", account_region="eu") as rig:
        rig.refused(301, "GET", "/v1/segments")
        answer = rig.app.get("/v1/segments", follow_redirects=False)
        assert answer.headers["location"] == "https://api-eu.customer.io/v1/segments"
        region = rig.track.get("/api/v1/accounts/region").json()
    assert (region["region"], region["url"]) == ("eu", "https://track-eu.customer.io")


def test_the_eleventh_call_within_a_second_is_told_to_wait() -> None:
    with running(limited=True, requests_per_second=10) as rig:
        answers = [rig.app.get("/v1/segments") for _ in range(11)]
        assert [a.status_code for a in answers] == [200] * 10 + [429]
        assert answers[-1].headers["Retry-After"] == "1"
        assert answers[-1].json()["errors"][0]["status"] == "429"
        assert rig.track.get("/api/v1/accounts/region").status_code == 200


def test_a_used_up_quota_is_told_without_retry_after(rig: CustomerioStandIn) -> None:
    rig.edit("quota", left=False)
    answer = rig.app.get("/v1/segments")
    assert answer.status_code == 429
    assert "Retry-After" not in answer.headers
    rig.edit("quota", left=True)
    assert rig.app.get("/v1/segments").status_code == 200


def test_the_workspace_moves_with_the_clock_unless_frozen() -> None:
    with running(small_world(20)) as rig:
        rig.edit("thaw")
        person = rig.somebody(dirty_kind=None)
        rig.edit("fill_cart", cio_id=person, value=99)
        path = f"/v1/customers/cio_{person}/attributes"
        assert rig.get(path)["customer"]["attributes"]["cart_value"] == "99.00"
        rig.shared.clock.advance(73 * 3600)
        assert rig.get(path)["customer"]["attributes"]["cart_stage_raw"] == "empty"
        rig.edit("freeze", at=NOON - 86_400)
        assert (
            rig.app.get("/_sandbox/state", params={"vendor": "customerio"}).json()["customerio"]["at"] == NOON - 86_400
        )


def test_a_wrong_edit_says_what_is_wrong(shared: CustomerioStandIn) -> None:
    for change in (
        {"action": "explode"},
        {"action": "click", "cio_id": "nobody"},
        {"action": "set_segment_state", "segment": 3, "state": "ready"},
        {"action": "add_to_segment", "segment": 3, "cio_id": shared.somebody(dirty_kind=None)},
    ):
        answer = shared.app.post("/_sandbox/edit", json={"vendor": "customerio", **change})
        assert answer.status_code == 400
        assert answer.json()["error"]


def test_several_people_s_attributes_are_typed_json_and_one_person_s_are_text(rig: CustomerioStandIn) -> None:
    person = rig.somebody(dirty_kind=None)
    sent = {"a": "3", "b": "2.50", "c": "true", "d": '{"x":[1]}', "e": "007", "f": "yes", "g": "1e3", "h": "[broken]"}
    for name, value in sent.items():
        rig.edit("set_attribute", cio_id=person, name=name, value=value)
    for cio_id in (person, f"cio_{person}"):
        answer = rig.app.post("/v1/customers/attributes", params={"id_type": "cio_id"}, json={"ids": [cio_id]}).json()
        found = answer["customers"][0]["customer"]["attributes"]
        assert [found[name] for name in sent] == [3, 2.5, True, {"x": [1]}, "007", "yes", "1e3", "[broken]"]
    alone = rig.get(f"/v1/customers/{person}/attributes", id_type="cio_id")["customer"]["attributes"]
    assert {name: alone[name] for name in sent} == sent


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/exports/customers", {"filters": EVERYONE, "attribute": ["a"]}),
        ("/v1/exports/customers", {"filters": EVERYONE, "attributes": "a"}),
        ("/v1/exports/customers", {"filters": EVERYONE, "attributes": [1]}),
        ("/v1/exports/customers", {"filters": {"attribute": {**EVERYONE["attribute"], "type": "text"}}}),
        ("/v1/exports/customers", {"filters": {"and": []}}),
        ("/v1/exports/customers", {"filters": {"segment": {"id": "1"}}}),
        ("/v1/exports/customers", []),
        ("/v1/customers/attributes", {"ids": ["1"], "id_type": "id"}),
        ("/v1/customers/attributes", {"ids": [1]}),
        ("/v1/customers/attributes", {"ids": "1"}),
        ("/v1/customers/attributes", {"ids": []}),
    ],
)
def test_keys_and_types_that_no_document_has_are_refused(rig: CustomerioStandIn, path: str, body: Any) -> None:
    rig.refused(400, "POST", path, json=body)
