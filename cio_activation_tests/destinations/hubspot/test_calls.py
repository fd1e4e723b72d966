"""What a thousand people cost, counted in the vendor's own log."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cio_activation_tests.drivers.hubspot import HubSpotBench, person

pytestmark = pytest.mark.slow

Build = Callable[..., HubSpotBench]
PEOPLE = 1_000


def test_calls_per_thousand_people(build: Build) -> None:
    everyone = [person(n) for n in range(1, PEOPLE + 1)]
    world = build([{"email": p["email"].upper()} for p in everyone[::3]])
    world.schema()
    world.persons(everyone)
    world.state({p["cio_id"]: {"lapse_bucket": "0-30", "ltv": i} for i, p in enumerate(everyone)})
    world.members("winback", [p["cio_id"] for p in everyone])
    mark = world.mark()
    world.run()
    first = world.calls(mark)
    assert len(world.contacts()) == PEOPLE
    assert sum(first.values()) <= 22, first

    world.sql("UPDATE state.daily_properties SET lapse_bucket = '91+', hash_hubspot = hash_hubspot + 1")
    world.members("winback", [])
    mark = world.mark()
    world.run()
    again = world.calls(mark)
    assert {c["cio_lapse_bucket"] for c in world.contacts().values()} == {"91+"}
    assert sum(again.values()) <= 12, again
    assert world.shared.log.throttled("hubspot") == 0
