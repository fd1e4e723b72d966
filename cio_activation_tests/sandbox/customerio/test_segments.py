"""Segments: states, pages, and the traps in what they return."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cio_activation_tests.drivers.stand_ins.customerio import NOON, CustomerioStandIn, running


@pytest.fixture
def rig() -> Iterator[CustomerioStandIn]:
    with running() as made:
        yield made


@pytest.fixture(scope="module")
def shared() -> Iterator[CustomerioStandIn]:
    with running() as made:
        yield made


def test_all_segments_come_at_once_with_or_without_a_trailing_slash(shared: CustomerioStandIn) -> None:
    segments = {s["id"]: s for s in shared.get("/v1/segments")["segments"]}
    assert list(segments) == list(range(1, 12))
    assert {s["state"] for s in segments.values()} == {"finished"}
    assert {s["progress"] for s in segments.values()} == {None}
    assert {n for n, s in segments.items() if s["type"] == "manual"} == {11}
    assert segments[1]["name"] == "VIP cart abandoners (2h)"
    assert shared.get("/v1/segments/")["segments"] == list(segments.values())
    assert shared.get("/v1/segments/3")["segment"] == segments[3]


def test_pages_join_to_the_whole_membership(shared: CustomerioStandIn) -> None:
    whole = shared.members(10)
    assert shared.members(10, limit=7) == whole
    assert len({row["cio_id"] for row in whole}) == len(whole) == 80
    assert shared.get("/v1/segments/10/customer_count") == {"segment_id": 10, "count": 80}
    assert len(shared.get("/v1/segments/10/membership", limit=80)["identifiers"]) == 80
    assert shared.get("/v1/segments/10/membership", limit=80)["next"] == ""


def test_ids_hold_an_empty_string_for_people_without_an_id(shared: CustomerioStandIn) -> None:
    page = shared.get("/v1/segments/10/membership")
    nameless = [n for n, row in enumerate(page["identifiers"]) if row["id"] is None]
    assert nameless
    assert [n for n, value in enumerate(page["ids"]) if value == ""] == nameless
    assert all(set(row) == {"id", "email", "cio_id"} for row in page["identifiers"])


@pytest.mark.parametrize("limit", ["30001", "0", "-1", "many", ""])
def test_a_limit_outside_1_to_30000_is_refused(shared: CustomerioStandIn, limit: str) -> None:
    shared.refused(400, "GET", "/v1/segments/10/membership", params={"limit": limit})


def test_the_biggest_page_and_only_own_tokens_are_taken(shared: CustomerioStandIn) -> None:
    shared.get("/v1/segments/10/membership", limit=30_000)
    shared.refused(400, "GET", "/v1/segments/10/membership", params={"start": "no token"})
    for path in ("/v1/segments/99", "/v1/segments/99/membership", "/v1/segments/x/customer_count"):
        shared.refused(404, "GET", path)


def test_a_segment_being_built_shows_a_part_only(rig: CustomerioStandIn) -> None:
    whole = rig.members(10)
    rig.edit("set_segment_state", segment=10, state="build", progress=40)
    assert rig.get("/v1/segments/10")["segment"]["progress"] == 40
    assert rig.members(10) == whole[:32]
    rig.edit("set_segment_state", segment=10, state="finished")
    assert rig.members(10) == whole
    assert rig.get("/v1/segments/10")["segment"]["progress"] is None


def test_people_join_and_leave_with_what_they_do(rig: CustomerioStandIn) -> None:
    person = rig.somebody(cart_stage_raw="empty", dirty_kind=None, iso=False)
    rig.edit("place_order", cio_id=person, value=2_000, category="Tea", at=NOON - 9 * 86_400)
    rig.edit("place_order", cio_id=person, value=2_000, category="Tea", at=NOON - 8 * 86_400)
    rig.edit("fill_cart", cio_id=person, value=300, stage="checkout", at=NOON - 3 * 3600)
    inside = {n for n in (1, 2) if person in {row["cio_id"] for row in rig.members(n)}}
    assert inside == {1, 2}
    assert {1, 2, 10} <= {s["id"] for s in rig.get(f"/v1/customers/cio_{person}/segments")["segments"]}
    rig.edit("place_order", cio_id=person, value=300)
    assert all(person not in {row["cio_id"] for row in rig.members(n)} for n in (1, 2))


def test_manual_segments_are_made_and_dropped_through_the_api_dynamic_ones_are_not(rig: CustomerioStandIn) -> None:
    answer = rig.app.post("/v1/segments", json={"segment": {"name": "Suppressed"}})
    made = answer.json()["segment"]
    assert (made["type"], made["id"]) == ("manual", 12)
    assert rig.app.delete("/v1/segments/12").status_code == 204
    rig.refused(404, "GET", "/v1/segments/12")
    rig.refused(400, "DELETE", "/v1/segments/3")
    rig.refused(400, "POST", "/v1/segments", json={"segment": {}})
    assert set(rig.get("/v1/segments/3/used_by")["used_by"]) == {"campaigns", "sent_newsletters", "draft_newsletters"}


def test_conditions_are_shown_of_one_segment_where_they_are_shown_at_all(rig: CustomerioStandIn) -> None:
    asked = {"and": [{"attribute": {"field": "plan", "operator": "eq", "value": "x"}}]}
    rig.edit("save_segment", segment=3, conditions=asked)
    assert rig.get("/v1/segments/3")["segment"]["conditions"] == asked
    assert all("conditions" not in s for s in rig.get("/v1/segments")["segments"])
    assert "conditions" not in rig.get("/v1/segments/4")["segment"]
