"""Two profiles on one Pipedrive person: who owns its primary address has it, and a change decides anew."""

from __future__ import annotations

from typing import Any

import pytest

from cio_activation.activation.models import Lane
from cio_activation.delivery.unmatched import CAME_FIRST, OWNS_PRIMARY, Unmatched, summary
from cio_activation_tests.drivers.pipedrive import LABELS, Make, PipedriveBench

LANES = pytest.mark.parametrize("lane", list(Lane))
AUDIENCE = {Lane.DAILY: "vip", Lane.REALTIME: "cart"}


def values(lane: Lane, value: str) -> dict[str, Any]:
    return {"bucket": value} if lane is Lane.DAILY else {"cart_tier": value}


def shared(make: Make, lane: Lane) -> PipedriveBench:
    """Return an account whose person 1 has c2's address as its primary one and c1's as another; c1 is in an audience."""
    bench = make([{"email": "main@example.com"}])
    bench.schema()
    bench.edit("set_person", person=1, emails=["two@example.com", "one@example.com"])
    bench.person("c1", "one@example.com", **values(lane, "low"))
    bench.person("c2", "two@example.com", **values(lane, "high"))
    bench.inside[AUDIENCE[lane]] = {"c1"}
    return bench


def carried(bench: PipedriveBench) -> dict[str, str]:
    """Return cio_id -> the value on their person."""
    found = [p["custom_fields"] for p in bench.there.values()]
    return {f["cio_id"]: f.get("cio_bucket") or f.get("cio_cart_tier") for f in found if f.get("cio_id")}


def clashes(bench: PipedriveBench) -> list[tuple[Any, ...]]:
    return bench.query("SELECT cio_id, owner_cio_id, record_id, reason FROM delivery.key_clashes ORDER BY cio_id")


def listed(bench: PipedriveBench) -> list[Unmatched]:
    with bench.runtime.warehouse.read() as con:
        return summary(con)


@LANES
def test_the_owner_of_the_primary_address_has_the_person_and_the_other_is_listed(make: Make, lane: Lane) -> None:
    bench = shared(make, lane)
    bench.lane(lane)
    assert carried(bench) == {"c2": "high"}
    assert clashes(bench) == [("c1", "c2", "1", OWNS_PRIMARY)]
    [one] = listed(bench)
    assert (one.destination, one.people, one.in_audiences) == ("pipedrive", 1, 1)
    assert len(bench.there) == 1
    # Split: the address is on a person of its own.
    bench.edit("set_person", person=1, emails=["two@example.com"])
    bench.edit("create_person", name="Split", emails=["one@example.com"])
    bench.lane(lane)
    assert carried(bench) == {"c2": "high", "c1": "low"}
    assert (clashes(bench), listed(bench)) == ([], [])


@LANES
def test_whoever_came_first_by_an_additional_address_gives_way(make: Make, lane: Lane) -> None:
    bench = shared(make, lane)
    two = bench.people.pop("c2")
    bench.lane(lane)
    assert carried(bench) == {"c1": "low"}
    bench.people["c2"] = two
    bench.lane(lane)
    assert carried(bench) == {"c2": "high"}
    assert LABELS[AUDIENCE[lane]] not in (bench.fields("two@example.com").get("cio_audiences") or ())
    assert clashes(bench) == [("c1", "c2", "1", OWNS_PRIMARY)]
    assert bench.lane(lane).planned == 0
    # The two addresses change places, and then the winner goes away.
    bench.edit("set_person", person=1, emails=["one@example.com", "two@example.com"])
    bench.lane(lane)
    assert carried(bench) == {"c1": "low"}
    assert clashes(bench) == [("c2", "c1", "1", OWNS_PRIMARY)]
    bench.people.pop("c1")
    bench.inside[AUDIENCE[lane]] = set()
    bench.lane(lane)
    bench.lane(lane)
    assert carried(bench) == {"c2": "high"}
    assert (clashes(bench), listed(bench)) == ([], [])


def test_an_id_that_no_address_led_to_is_certain(make: Make) -> None:
    bench = make([{"email": "ann@example.com"}])
    bench.schema()
    bench.edit("set_field", person=1, field="cio_id", value="c2")
    bench.person("c1", "ann@example.com", bucket="low")
    bench.person("c2", "other@example.com", bucket="high", deliverable=False)
    bench.lane()
    assert carried(bench) == {"c2": "high"}
    assert clashes(bench) == [("c1", "c2", "1", CAME_FIRST)]
