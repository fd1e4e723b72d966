"""Persons that are deleted or merged: who is left alone and listed, who is made anew, who survives with what."""

from __future__ import annotations

from typing import Any

import pytest

from cio_activation.activation.models import Lane
from cio_activation.delivery.unmatched import IS_GONE, OWNS_PRIMARY, people
from cio_activation_tests.drivers.pipedrive import LABELS, Make, PipedriveBench

SEED: list[dict[str, Any]] = [{"email": f"{name}@example.com"} for name in ("ann", "bob", "cid")]


def linked(make: Make, **options: Any) -> PipedriveBench:
    """Return an account with three people linked, two of them in an audience."""
    bench = make(SEED, **options)
    bench.schema()
    for number, name in enumerate(("ann", "bob", "cid"), 1):
        bench.person(f"c{number}", f"{name}@example.com", bucket="low", cart_tier="low")
    bench.inside["vip"] = {"c1", "c2"}
    bench.lane()
    return bench


def listed(bench: PipedriveBench) -> list[tuple[str, str, bool]]:
    with bench.runtime.warehouse.read() as con:
        return [(p["cio_id"], p["reason"], p["in_audience"]) for p in people(con)]


def test_a_deleted_member_is_listed_though_nothing_changed_and_is_not_made_anew(make: Make) -> None:
    bench = linked(make)
    bench.edit("delete_person", person="ann@example.com")
    assert bench.lane().planned == 0
    assert listed(bench) == [("c1", IS_GONE, True)]
    bench.people["c1"]["values"]["bucket"] = "high"
    assert bench.lane().planned == 0
    assert set(bench.there) == {"bob@example.com", "cid@example.com"}
    # Neither for another profile that comes with the address; but whoever a colleague makes is taken.
    bench.people["c9"] = bench.people.pop("c1")
    bench.inside["vip"] = {"c9", "c2"}
    assert bench.lane().planned == 0
    assert listed(bench) == [("c9", IS_GONE, True)]
    bench.edit("create_person", name="Ann", emails=["ann@example.com"])
    bench.lane()
    assert bench.fields("ann@example.com")["cio_bucket"] == "high"
    assert listed(bench) == []


def test_who_is_in_no_audience_is_listed_with_the_next_write(make: Make) -> None:
    bench = linked(make)
    bench.edit("delete_person", person="cid@example.com")
    assert bench.lane().planned == 0
    assert listed(bench) == []
    bench.people["c3"]["values"]["bucket"] = "high"
    assert dict(bench.lane().reasons) == {"404 record is gone": 1}
    assert listed(bench) == [("c3", IS_GONE, False)]


@pytest.mark.parametrize("purged", [False, True])
def test_recreate_makes_anew_what_can_be_restored_and_nothing_else(make: Make, purged: bool) -> None:
    bench = linked(make, on_deleted="recreate")
    for _ in range(2):
        bench.edit("delete_person", person="ann@example.com")
        if purged:
            bench.shared.clock.advance(31 * 86_400)
        bench.lane()
        assert ("ann@example.com" in bench.there) is not purged
        if purged:
            assert listed(bench) == [("c1", IS_GONE, True)]
            return
        assert bench.fields("ann@example.com")["cio_audiences"] == [LABELS["vip"]]
    assert listed(bench) == []
    assert bench.lane().planned == 0


@pytest.mark.parametrize(("lane", "unites"), [(Lane.DAILY, True), (Lane.REALTIME, False)])
def test_two_linked_persons_merged_settle_in_the_next_run(make: Make, lane: Lane, unites: bool) -> None:
    bench = linked(make)
    bench.lane(lane)
    bench.people["c1"]["values"] |= {"category": "Tea"}
    bench.inside["vip"] = {"c1"}
    bench.lane()
    bench.edit("merge_sets", unite=unites)
    bench.edit("merge", person="ann@example.com", into="bob@example.com")
    assert bench.fields("bob@example.com")["cio_category"] == "Tea"  # what bob had empty
    bench.lane(lane)
    if lane is Lane.REALTIME:
        bench.lane()  # the daily lane's own fields
    held = bench.fields("bob@example.com")
    assert (held["cio_id"], held["cio_bucket"], held.get("cio_category")) == ("c2", "low", None)
    assert not held.get("cio_audiences")
    assert listed(bench) == [("c1", OWNS_PRIMARY, True)]
    assert bench.query("SELECT record_id FROM delivery.links WHERE cio_id = 'c1'") == [(None,)]
    assert bench.lane(lane).planned == 0


def test_the_survivor_of_a_merge_goes_to_whose_primary_address_it_has(make: Make) -> None:
    bench = linked(make)
    bench.edit("create_person", name="Stranger", emails=["stranger@example.com"])
    bench.lane()
    bench.edit("merge", person="ann@example.com", into="stranger@example.com")
    bench.lane()
    held = bench.fields("stranger@example.com")
    assert (held["cio_id"], held["cio_bucket"], held["cio_audiences"]) == ("c1", "low", [LABELS["vip"]])
    assert bench.lane().planned == 0
    assert listed(bench) == []
