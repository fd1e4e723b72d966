"""Two profiles on one contact: who owns its primary address has it, the other is listed, and a change decides anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cio_activation.activation.models import Lane
from cio_activation.delivery.unmatched import OWNS_PRIMARY, Unmatched, summary
from cio_activation_tests.drivers.hubspot import LABEL, HubSpotBench, person

Build = Callable[..., HubSpotBench]
LANES = pytest.mark.parametrize("lane", list(Lane))
SHARED = [{"email": "person2@example.com", "additional_emails": ["person1@example.com"]}]


def state_of(lane: Lane, n: int) -> dict[str, Any]:
    return {"ltv": n} if lane is Lane.DAILY else {"cart_tier": ("low", "mid", "high")[n]}


def decide(world: HubSpotBench, lane: Lane, *numbers: int, **emails: str) -> None:
    """Have these people, each with a value of its own."""
    world.persons([person(n, **({"email": emails[f"p{n}"]} if f"p{n}" in emails else {})) for n in numbers])
    world.state({f"p{n:05d}": state_of(lane, n) for n in numbers}, lane)


def shown(world: HubSpotBench, lane: Lane) -> dict[str, str]:
    """Return cio_id -> the lane's value on their contact."""
    name = "cio_ltv" if lane is Lane.DAILY else "cio_cart_tier"
    return {cio_id: held.get(name, "") for cio_id, held in world.contacts().items()}


def value(lane: Lane, n: int) -> str:
    return str(next(iter(state_of(lane, n).values())))


def clashes(world: HubSpotBench) -> list[tuple[str, str, str]]:
    return world.query("SELECT cio_id, owner_cio_id, reason FROM delivery.key_clashes ORDER BY cio_id")


def listed(world: HubSpotBench) -> list[Unmatched]:
    with world.runtime.warehouse.read() as con:
        return summary(con)


@LANES
def test_the_owner_of_the_primary_address_has_the_contact(build: Build, lane: Lane) -> None:
    world = build(SHARED)
    world.schema()
    decide(world, lane, 1, 2)
    world.run(lane)
    assert shown(world, lane) == {"p00002": value(lane, 2)}
    assert clashes(world) == [("p00001", "p00002", OWNS_PRIMARY)]
    [one] = listed(world)
    assert (one.destination, one.reason, one.people, one.in_audiences) == ("hubspot", OWNS_PRIMARY, 1, 0)
    assert "split the record" in one.mend
    assert set(world.rejected()) == {"p00001"}


@LANES
def test_whoever_came_first_by_an_additional_address_gives_way(build: Build, lane: Lane) -> None:
    world = build(SHARED)
    world.schema()
    decide(world, lane, 1)
    world.members("winback" if lane is Lane.DAILY else "hot_cart", ["p00001"])
    world.run(lane)
    assert shown(world, lane) == {"p00001": value(lane, 1)}
    decide(world, lane, 1, 2)
    world.run(lane)
    assert shown(world, lane) == {"p00002": value(lane, 2)}
    assert clashes(world) == [("p00001", "p00002", OWNS_PRIMARY)]
    assert world.on_list(f"{LABEL} [v1]" if lane is Lane.DAILY else "RET - Hot Cart - Help Now [v1]") == set()
    world.run(lane)
    assert set(world.rejected()) == {"p00001"}
    assert shown(world, lane) == {"p00002": value(lane, 2)}


@pytest.mark.parametrize(
    ("how", "lane"),
    [
        ("split", Lane.DAILY),
        ("split", Lane.REALTIME),
        ("moved", Lane.DAILY),
        ("swapped", Lane.REALTIME),
        ("winner deleted", Lane.REALTIME),
    ],
)
def test_a_changed_situation_is_decided_anew_in_the_next_window(build: Build, lane: Lane, how: str) -> None:
    world = build(SHARED)
    world.schema()
    decide(world, lane, 1, 2)
    world.run(lane)
    contacts = world.portal.account.records["contacts"]
    record = contacts.get(world.id_of("person2@example.com"))
    assert record is not None
    if how == "split":
        record.emails = ()
        del contacts.by_email["person1@example.com"]
        world.edit("create", properties={"email": "person1@example.com"})
    elif how == "moved":
        world.edit("set", id=str(record.id), properties={"email": "other@example.com"})
        world.edit("create", properties={"email": "person2@example.com"})
    elif how == "swapped":
        world.edit("set", id=str(record.id), properties={"email": "person1@example.com"})
    else:
        decide(world, lane, 1)
    world.run(lane)
    world.run(lane)
    if how == "swapped":
        assert shown(world, lane) == {"p00001": value(lane, 1)}
        assert clashes(world) == [("p00002", "p00001", OWNS_PRIMARY)]
    else:
        both = {"p00001": value(lane, 1), "p00002": value(lane, 2)}
        assert shown(world, lane) == ({"p00001": both["p00001"]} if how == "winner deleted" else both)
        if how == "moved":
            assert world.contacts()["p00001"]["email"] == "other@example.com"
        assert clashes(world) == []
        assert world.rejected() == {}
        assert listed(world) == []


def test_a_loser_is_looked_up_once_a_window(build: Build) -> None:
    world = build(SHARED)
    world.schema()
    decide(world, Lane.DAILY, 1, 2)
    world.run()
    mark = world.mark()
    assert sum(r.planned for r in world.run().values()) == 1
    assert [e.path.rsplit("/", 1)[-1] for e in world.entries(mark)] == ["read"]
    mark, world.day = world.mark(), world.day - 1
    world.run()
    assert world.entries(mark) == []


def test_a_key_that_no_address_led_to_is_certain(build: Build) -> None:
    world = build([{"email": "person1@example.com"}])
    world.schema()
    world.edit("set", email="person1@example.com", properties={"cio_id": "p00002"})
    decide(world, Lane.DAILY, 1, 2)
    world.run(only="contact_links_daily")
    [(cio_id, owner, _)] = clashes(world)
    assert (cio_id, owner) == ("p00001", "p00002")
