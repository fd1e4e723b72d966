"""Exports: asked for, waited for, fetched by a link that dies; and the filters that are refused."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from cio_activation_tests.drivers.stand_ins.customerio import (
    APP,
    EVERYONE,
    NOON,
    CustomerioStandIn,
    running,
    small_world,
)


@pytest.fixture(scope="module")
def shared() -> Iterator[CustomerioStandIn]:
    with running() as rig:
        yield rig


@pytest.fixture
def rig() -> Iterator[CustomerioStandIn]:
    with running() as made:
        yield made


def test_an_export_is_pending_with_total_0_until_it_is_done(shared: CustomerioStandIn) -> None:
    rig = shared
    rig.edit("export_seconds", seconds=0.3)
    asked = rig.request_export(attributes=["email"])
    rig.edit("export_seconds", seconds=0)
    assert (asked["status"], asked["total"], asked["failed"]) == ("pending", 0, False)
    detail = rig.refused(400, "GET", f"/v1/exports/{asked['id']}/download")
    assert "not ready" in detail
    done = rig.wait(asked["id"])
    assert (done["status"], done["total"], done["type"]) == ("done", 80, "customers")
    assert done["deduplicate_id"] == f"{done['id']}:{done['updated_at']}"
    assert rig.get("/v1/exports")["exports"][0] == done


def test_the_link_refuses_the_bearer_key_and_dies_after_15_minutes_of_the_vendors_clock(
    shared: CustomerioStandIn,
) -> None:
    rig = shared
    number = rig.request_export()["id"]
    rig.wait(number)
    link = rig.link(number)
    assert httpx.get(link, headers=APP).status_code == 400
    assert httpx.get(link[:-1] + ("0" if link[-1] != "0" else "1")).status_code == 403
    rig.shared.clock.advance(14 * 60)
    assert httpx.get(link).status_code == 200
    rig.shared.clock.advance(61)
    assert httpx.get(link).status_code == 403
    assert httpx.get(rig.link(number)).status_code == 200
    assert rig.get(f"/v1/exports/{number}")["export"]["downloads"] == 2


def test_a_planned_fault_cuts_the_file_short(shared: CustomerioStandIn) -> None:
    number = shared.request_export()["id"]
    shared.wait(number)
    fault = {"kind": "truncate", "vendor": "customerio", "path": "/export-files/*"}
    shared.app.post("/_sandbox/faults", json=fault)
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(shared.link(number))
    assert httpx.get(shared.link(number)).status_code == 200


def test_an_export_may_fail(shared: CustomerioStandIn) -> None:
    rig = shared
    rig.edit("fail_exports", times=1)
    number = rig.request_export()["id"]
    failed = rig.wait(number)
    assert (failed["status"], failed["failed"], failed["total"]) == ("failed", True, 0)
    rig.refused(400, "GET", f"/v1/exports/{number}/download")
    assert rig.wait(rig.request_export()["id"])["status"] == "done"


def test_the_file_is_a_picture_of_the_moment_it_was_asked_for(rig: CustomerioStandIn) -> None:
    person = rig.somebody(dirty_kind=None)
    number = rig.request_export(attributes=["orders_count"])["id"]
    rig.edit("delete_person", cio_id=person)
    rig.wait(number)
    rows = list(csv.DictReader(io.StringIO(httpx.get(rig.link(number)).text)))
    assert person in {row["cio_id"] for row in rows}
    assert person not in {row["cio_id"] for row in rig.export()}


def test_the_columns_are_those_asked_for_and_the_identifiers_in_a_stable_odd_order(shared: CustomerioStandIn) -> None:
    asked = ["total_spent", "no_such_attribute", "first_name"]
    first, again = shared.export(attributes=asked), shared.export(attributes=asked[::-1])
    assert set(first[0]) == {"id", "email", "cio_id", *asked}
    assert list(first[0]) == list(again[0])
    assert list(first[0]) != ["id", "email", "cio_id", *asked]
    assert first == again
    assert {row["no_such_attribute"] for row in first} == {""}


def test_cells_are_text_with_quotes_commas_json_and_letters_beyond_ascii() -> None:
    with running(small_world(400)) as rig:
        rows = rig.export()
        facts = {row["cio_id"]: row for row in rig.world.at(NOON).facts.to_pylist()}
    assert {row["cio_id"]: (row["first_name"], row["last_name"]) for row in rows} == {
        c: (f["first_name"], f["last_name"]) for c, f in facts.items()
    }
    # Without a list every attribute comes, even two that differ by letter case only.
    assert {"last_category", "Last_Category", "cart_stage_raw"} <= rows[0].keys()
    text = "".join(row["first_name"] + row["last_name"] for row in rows)
    assert all(part in text for part in (",", '"', "ü", "'"))
    assert {row["unsubscribed"] for row in rows} == {"true", "false", ""}
    assert any(row["cio_subscription_preferences"].startswith("{") for row in rows)


def test_filters_choose_people(shared: CustomerioStandIn) -> None:
    everyone = {row["cio_id"] for row in shared.export()}
    with_id = {row["cio_id"] for row in shared.export({"attribute": {"field": "id", "operator": "exists"}})}
    lapsed = {row["cio_id"] for row in shared.export({"segment": {"id": 3}})}
    assert lapsed == {row["cio_id"] for row in shared.members(3)}
    assert with_id < everyone
    rest = shared.export({"not": {"segment": {"id": 3}}})
    assert {row["cio_id"] for row in rest} == everyone - lapsed
    both = {"and": [{"segment": {"id": 3}}, {"or": [{"segment": {"id": 10}}, EVERYONE]}]}
    assert {row["cio_id"] for row in shared.export(both)} == lapsed
    one = next(iter(lapsed))
    only = shared.export({"attribute": {"field": "cio_id", "operator": "eq", "value": one}})
    assert [row["cio_id"] for row in only] == [one]


@pytest.mark.parametrize(
    "filters",
    [
        {},
        [],
        None,
        "everyone",
        {"and": []},
        {"and": {"segment": {"id": 3}}},
        {"segment": {"id": "3"}},
        {"segment": {"id": 999}},
        {"segment": 3},
        {"segment": {"id": 3}, "not": {"segment": {"id": 3}}},
        {"not": [{"segment": {"id": 3}}]},
        {"attribute": {"field": "total_spent", "operator": "gt", "value": "10"}},
        {"attribute": {"field": "email", "operator": "contains", "value": "x"}},
        {"attribute": {"field": "email", "operator": "eq"}},
        {"attribute": {"field": "orders_count", "operator": "eq", "value": 3}},
        {"attribute": {"operator": "exists"}},
        {"event": {"name": "x"}},
    ],
)
def test_a_filter_outside_the_language_is_refused(shared: CustomerioStandIn, filters: Any) -> None:
    shared.refused(400, "POST", "/v1/exports/customers", json={"filters": filters})


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"filter": EVERYONE},
        {"filters": EVERYONE, "attributes": "email"},
        {"filters": EVERYONE, "attributes": [1]},
    ],
)
def test_a_body_without_filters_or_with_bad_attributes_is_refused(shared: CustomerioStandIn, body: Any) -> None:
    shared.refused(400, "POST", "/v1/exports/customers", json=body)
    shared.refused(400, "POST", "/v1/exports/customers", content=b"{")


def test_unknown_exports_are_not_found(shared: CustomerioStandIn) -> None:
    shared.refused(404, "GET", "/v1/exports/1")
    shared.refused(404, "GET", "/v1/exports/abc/download")
