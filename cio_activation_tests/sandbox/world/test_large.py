"""A large world: snapshots that are mended, not made again, and that time moves only every so many seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from cio_activation.sandbox.customerio.exports import write_csv
from cio_activation.sandbox.world import snapshot, snapshot_cache
from cio_activation.sandbox.world.condition import EVERYONE
from cio_activation.sandbox.world.world import World
from cio_activation_tests.drivers.stand_ins.customerio import NOON, running, small_world

PEOPLE = 80
SERVES_S = 10


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(snapshot_cache, "PEOPLE_PER_SECOND", PEOPLE // SERVES_S)
    return small_world(PEOPLE, dirty_share=0)


def buyer(world: World) -> str:
    """Return somebody without a cart who has bought twice."""
    rows = world.at(NOON).facts.to_pylist()
    return next(str(r["cio_id"]) for r in rows if r["orders_count"] >= 2 and r["cart_stage_raw"] == "empty")


def act(world: World, ids: list[str]) -> None:
    """Do one of everything, each to another person."""
    actions: list[Callable[[str], object]] = [
        lambda c: world.place_order(c, NOON, 20, "tea"),
        lambda c: world.place_order(c, NOON, -3),
        lambda c: world.fill_cart(c, NOON, 99, "checkout"),
        lambda c: world.clear_cart(c, NOON),
        lambda c: world.click(c, NOON, "winback"),
        lambda c: world.click(c, NOON, "wismo"),
        lambda c: world.delete_person(c),
        lambda c: world.set_attribute(c, "total_spent", "7.5"),
        lambda c: world.set_attribute(c, "last_order_at", ""),
        lambda c: world.set_attribute(c, "email", "New@example.com"),
        lambda c: world.set_attribute(c, "note", 'says "hi", twice'),
        lambda c: world.pick(11, c),
    ]
    for cio_id, action in zip(ids, actions, strict=False):
        action(cio_id)
    world.add_person(NOON, external_id="added", email="added@example.com")


def test_a_mended_picture_is_the_one_that_would_be_made_anew() -> None:
    mended, anew = small_world(), small_world()
    ids = sorted(mended.at(NOON).identifiers)
    act(mended, ids)
    act(anew, ids)
    assert mended.at(NOON).everyone() == anew.at(NOON).everyone()
    assert mended.at(NOON).facts.to_pylist() == anew.at(NOON).facts.to_pylist()
    for segment in mended.segments:
        assert mended.at(NOON).members(segment) == anew.at(NOON).members(segment)
    assert write_csv(mended.at(NOON), EVERYONE, None) == write_csv(anew.at(NOON), EVERYONE, None)


def test_a_picture_outlives_what_happens_next() -> None:
    world = small_world()
    before, ids = world.at(NOON), sorted(world.at(NOON).identifiers)
    shown = before.facts.to_pylist()
    act(world, ids)
    after = world.at(NOON)
    act(world, ids[20:])
    world.at(NOON + 99)
    assert before.page(EVERYONE) == [(r["cio_id"], r["id"], r["email"]) for r in shown]
    assert ids[6] in before.identifiers
    assert ids[6] not in after.identifiers
    assert ids[26] in after.identifiers
    assert ids[26] not in world.at(NOON + 99).identifiers


def test_what_people_do_shows_at_once_and_what_time_does_some_seconds_later(large: World) -> None:
    who = buyer(large)
    large.fill_cart(who, NOON, 120)
    assert who in large.at(NOON + 1).members(2)
    base = large.at(NOON + SERVES_S).base
    assert base is large.at(NOON).base
    other = next(r["cio_id"] for r in large.at(NOON).facts.to_pylist() if r["last_order_at"] and r["cio_id"] != who)
    large.place_order(other, NOON + 3, 10)
    assert large.at(NOON + 4).fact(other)["last_order_at"] == NOON + 3
    # The cart is too old after two days: long after any base has served its time.
    assert who not in large.at(NOON + 2 * 86_400).members(2)


def test_the_next_base_is_worked_out_beside_the_calls(large: World) -> None:
    first = large.at(NOON).base
    who = buyer(large)
    late = NOON + SERVES_S + 1
    assert large.at(late).base is first
    large.fill_cart(who, late, 120)
    for thread in [t for t in threading.enumerate() if t.name == "base"]:
        thread.join(30)
    assert large.at(late).base.at == late
    assert who in large.at(late).members(2)


def test_a_small_world_is_exact_to_the_second() -> None:
    world = small_world()
    assert [world.at(NOON + s).base.at - NOON for s in (0, 1, 2)] == [0, 1, 2]


def test_a_file_written_in_slices_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    world = small_world()
    whole = write_csv(world.at(NOON), EVERYONE, None)
    monkeypatch.setattr(snapshot, "AT_ONCE", 10)
    assert write_csv(world.at(NOON), EVERYONE, None) == whole
    assert whole[1] == len(world.at(NOON)) >= PEOPLE


def test_filters_see_what_was_set_by_hand_and_cells_are_quoted() -> None:
    with running() as rig:
        ids = sorted(rig.world.at(NOON).identifiers)
        for cio_id, value in ((ids[0], 'a "b", c'), (ids[1], "two\nlines"), (ids[2], "")):
            rig.edit("set_attribute", cio_id=cio_id, name="note", value=value)
        rig.edit("set_attribute", cio_id=ids[3], name="last_category", value=None)
        has = {"attribute": {"field": "note", "operator": "exists"}}
        assert {r["cio_id"]: r["note"] for r in rig.export(has)} == {ids[0]: 'a "b", c', ids[1]: "two\nlines"}
        one = {"attribute": {"field": "note", "operator": "eq", "value": "two\nlines"}}
        found = rig.app.post("/v1/customers", json={"filter": one}).json()
        assert [p["cio_id"] for p in found["identifiers"]] == [ids[1]]
        category = {"not": {"attribute": {"field": "last_category", "operator": "exists"}}}
        assert ids[3] in {r["cio_id"] for r in rig.export(category)}
        assert ids[0] not in {r["cio_id"] for r in rig.export({"not": has})}


def test_the_log_keeps_long_bodies_as_they_came() -> None:
    with running() as rig:
        asked = {"ids": [f"nobody-{n}-{'ü' * 50}" for n in range(100)]}
        rig.app.post("/v1/customers/attributes", json=asked)
        (entry,) = rig.app.get("/_sandbox/log", params={"limit": 1}).json()["entries"]
        assert (entry["request"], entry["response"]) == (asked, {"customers": []})
        rig.get("/v1/segments")
        log = rig.app.get("/_sandbox/log", params={"since": entry["number"]}).json()
        assert [e["path"] for e in log["entries"]] == ["/v1/segments"]
        assert log["last"] == log["entries"][-1]["number"]
