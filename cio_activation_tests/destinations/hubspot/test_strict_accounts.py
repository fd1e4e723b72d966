"""What accounts do that documents leave open, or that administrators demand: the client lives with all of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cio_activation_tests.drivers.hubspot import HubSpotBench, person

Build = Callable[..., HubSpotBench]


@pytest.mark.parametrize("status", [200, 201])
def test_new_properties_are_taken_by_either_status(build: Build, status: int) -> None:
    bench = build()
    bench.edit("settings", properties_created_status=status)
    bench.schema()
    bench.persons([person(1)])
    bench.state({"p00001": {"ltv": 12.5}})
    bench.run()
    assert bench.contacts()["p00001"]["cio_ltv"] == "12.5"


def test_a_rule_of_the_administrator_stops_new_contacts_only_and_is_named(build: Build) -> None:
    bench = build([{"email": "person2@example.com", "first_name": "Two", "last_name": "P", "phone": None}])
    bench.schema()
    bench.edit("require_property", name="company")
    bench.persons([person(1), person(2)])
    bench.state({"p00001": {"ltv": 1}, "p00002": {"ltv": 2}})
    bench.run()
    assert set(bench.contacts()) == {"p00002"}
    assert "company" in bench.rejected()["p00001"]
