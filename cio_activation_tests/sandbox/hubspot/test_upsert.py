"""Batch create and upsert: the four ways a batch ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cio_activation_tests.drivers.stand_ins.hubspot import OBJECTS, HubSpotStandIn, portal, with_properties


@pytest.fixture
def world() -> Iterator[HubSpotStandIn]:
    with portal(limited=False) as running:
        yield with_properties(running)


@pytest.fixture(scope="module")
def kept() -> Iterator[HubSpotStandIn]:
    """One portal for tests that write nothing."""
    with portal(limited=False) as running:
        yield with_properties(running)


def _row(cio_id: str, trace: str | None = None, **properties: Any) -> dict[str, Any]:
    row = {"id": cio_id, "idProperty": "cio_id", "properties": properties}
    return {**row, "objectWriteTraceId": trace} if trace else row


def _written(world: HubSpotStandIn) -> dict[str, dict[str, str]]:
    return {p["cio_id"]: p for p in world.state()["contacts"].values() if "cio_id" in p}


def test_200_all_written_in_another_order_with_new_told(world: HubSpotStandIn) -> None:
    first = [_row(f"c{i}", f"t{i}", email=f"New{i}@Example.com", cio_score=str(i)) for i in range(40)]
    body = world.batch("upsert", first)
    assert all(row["new"] for row in body["results"])
    traces = [row["objectWriteTraceId"] for row in body["results"]]
    assert sorted(traces) == sorted(row["objectWriteTraceId"] for row in first)
    assert traces != [row["objectWriteTraceId"] for row in first]
    assert {row["properties"]["email"] for row in body["results"]} == {f"new{i}@example.com" for i in range(40)}
    again = world.batch("upsert", first)
    assert not any(row["new"] for row in again["results"])
    assert {r["id"] for r in again["results"]} == {r["id"] for r in body["results"]}


def test_207_only_when_every_input_has_its_own_trace_id(world: HubSpotStandIn) -> None:
    rows = [_row("c1", "t1", cio_score="1"), _row("c2", "t2", cio_bucket="gone"), _row("c3", "t3", email="bad")]
    body = world.batch("upsert", rows, 207)
    assert body["status"] == "COMPLETE"
    assert [row["objectWriteTraceId"] for row in body["results"]] == ["t1"]
    assert body["numErrors"] == 2
    assert {e["context"]["objectWriteTraceId"][0]: e["category"] for e in body["errors"]} == {
        "t2": "VALIDATION_ERROR",
        "t3": "VALIDATION_ERROR",
    }
    assert all(error["status"] == "error" for error in body["errors"])
    assert set(_written(world)) == {"c1"}


@pytest.mark.parametrize("traces", [(None, None), ("t1", None), ("same", "same")])
def test_400_and_nothing_written_when_trace_ids_are_absent_or_shared(kept: HubSpotStandIn, traces: tuple) -> None:
    body = kept.batch("upsert", [_row("c1", traces[0]), _row("c2", traces[1], cio_bucket="gone")], 400)
    assert "INVALID_OPTION" in body["message"]
    assert _written(kept) == {}


def test_400_for_one_id_twice_even_with_trace_ids(kept: HubSpotStandIn) -> None:
    body = kept.batch("upsert", [_row("c1", "t1"), _row("c1", "t2"), _row("c2", "t3")], 400)
    assert body["message"].startswith("Duplicate IDs found in batch input")
    assert body["context"]["ids"] == ["c1"]
    assert _written(kept) == {}


def test_400_for_two_addresses_of_one_contact(kept: HubSpotStandIn) -> None:
    pairs = [("new@example.com", "NEW@example.com"), ("cara@example.com", "cc@example.com")]
    for one, other in pairs:
        inputs = [{"id": i, "idProperty": "email", "properties": {}, "objectWriteTraceId": i} for i in (one, other)]
        assert kept.batch("upsert", inputs, 400)["category"] == "VALIDATION_ERROR"


def test_409_for_the_whole_batch_when_one_row_carries_a_foreign_address(kept: HubSpotStandIn) -> None:
    rows = [_row("c1", "t1", email="fresh@example.com"), _row("c2", "t2", email="Bob@example.com")]
    body = kept.batch("upsert", rows, 409)
    assert body["category"] == "CONFLICT"
    assert kept.id_of("bob@example.com") in body["message"]
    assert _written(kept) == {}


def test_409_when_two_rows_want_the_same_new_address(kept: HubSpotStandIn) -> None:
    rows = [_row("c1", "t1", email="x@example.com"), _row("c2", "t2", email="X@example.com")]
    kept.batch("upsert", rows, 409)
    assert _written(kept) == {}


def test_linking_first_makes_the_same_upsert_pass(world: HubSpotStandIn) -> None:
    bob = world.id_of("bob@example.com")
    rows = [_row("c1", "t1", email="fresh@example.com"), _row("c2", "t2", email="Bob@example.com")]
    world.batch("upsert", rows, 409)
    world.batch("upsert", rows[:1])
    assert set(_written(world)) == {"c1"}
    world.batch("update", [{"id": bob, "properties": {"cio_id": "c2"}}])
    row = world.batch("upsert", [_row("c2", "t2", email="bob@example.com", cio_score="4")])["results"][0]
    assert (row["id"], row["new"]) == (bob, False)


def test_an_upsert_by_an_additional_address_keeps_the_primary_one(world: HubSpotStandIn) -> None:
    row = {"id": "CC@example.com", "idProperty": "email", "properties": {"email": "cc@example.com", "cio_score": "3"}}
    body = world.batch("upsert", [row])
    assert body["results"][0]["new"] is False
    read = world.call("GET", f"{OBJECTS}/{body['results'][0]['id']}?properties=email,cio_score,hs_additional_emails")
    assert read["properties"]["email"] == "cara@example.com"
    assert read["properties"]["hs_additional_emails"] == "cc@example.com"
    assert read["properties"]["cio_score"] == "3"


def test_a_unique_value_that_another_contact_has_is_a_bad_row(world: HubSpotStandIn) -> None:
    ann, bob = world.id_of("ann@example.com"), world.id_of("bob@example.com")
    world.batch("update", [{"id": ann, "properties": {"cio_id": "c1"}}])
    body = world.batch("update", [{"id": bob, "properties": {"cio_id": "c1"}}], 400)
    assert "CONFLICTING_UNIQUE_VALUE" in body["message"]
    rows = [
        {"id": bob, "objectWriteTraceId": "b", "properties": {"cio_id": "c1"}},
        {"id": world.id_of("cara@example.com"), "objectWriteTraceId": "c", "properties": {"cio_id": "c3"}},
    ]
    body = world.batch("update", rows, 207)
    assert [row["objectWriteTraceId"] for row in body["results"]] == ["c"]
    # A value that is given up can be taken by another.
    world.batch("update", [{"id": ann, "properties": {"cio_id": ""}}])
    world.batch("update", [{"id": bob, "properties": {"cio_id": "c1"}}])
    assert _written(world)["c1"]["email"] == "bob@example.com"


@pytest.mark.parametrize("id_property", [None, "hs_object_id", "firstname", "cio_score", "no_such"])
def test_upsert_needs_a_unique_id_property(kept: HubSpotStandIn, id_property: str | None) -> None:
    row = {"id": "1", "properties": {}} | ({"idProperty": id_property} if id_property else {})
    kept.batch("upsert", [row], 400)


def test_required_fields_and_types_of_inputs_are_checked(kept: HubSpotStandIn) -> None:
    assert "[id]" in kept.batch("upsert", [{"idProperty": "cio_id", "properties": {}}], 400)["message"]
    assert "[properties]" in kept.batch("upsert", [{"idProperty": "cio_id", "id": "1"}], 400)["message"]
    kept.batch("upsert", [_row("c1", "t1", cio_score=[1])], 400)
    kept.call("POST", f"{OBJECTS}/batch/upsert", {}, 400)
    assert kept.http.post(f"{OBJECTS}/batch/upsert", content=b"{").status_code == 400


def test_batch_create_is_201_and_names_only_the_first_clash(world: HubSpotStandIn) -> None:
    body = world.batch("create", [{"properties": {"email": "n1@example.com"}}], 201)
    assert body["results"][0]["properties"]["email"] == "n1@example.com"
    clash = [{"properties": {"email": f"{n}@example.com"}} for n in ("n2", "ann", "bob")]
    error = world.batch("create", clash, 409)
    assert world.id_of("ann@example.com") in error["message"]
    assert world.id_of("bob@example.com") not in error["message"]
    traced = [
        {"properties": {"email": "n2@example.com"}, "objectWriteTraceId": "1"},
        {"properties": {"email": "broken"}, "objectWriteTraceId": "2"},
    ]
    assert len(world.batch("create", traced, 207)["results"]) == 1


def test_trace_ids_of_good_rows_can_be_withheld(world: HubSpotStandIn) -> None:
    world.edit("settings", echo_trace_ids=False)
    body = world.batch("upsert", [_row("c1", "t1"), _row("c2", "t2", cio_score="x")], 207)
    assert "objectWriteTraceId" not in body["results"][0]
    assert body["results"][0]["properties"]["cio_id"] == "c1"
    assert body["errors"][0]["context"]["objectWriteTraceId"] == ["t2"]
