"""One address, two spellings: a CRM's person is found whichever of them each side has, and nobody is made twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cio_activation.warehouse.addresses import email
from cio_activation_tests.drivers.hubspot import HubSpotBench, hubspot_bench, person
from cio_activation_tests.drivers.pipedrive import Make
from cio_activation_tests.drivers.pipedrive import make as make

THERE = {
    "ann\u200b@example.com": "ann@example.com",
    "\u00a0ann@example.com\u3000": "ann@example.com",
    "ann@b\u00fccher.example": "ann@xn--bcher-kva.example",
    "ann@bu\u0308cher.example": "ann@xn--bcher-kva.example",
    "ann@xn--bcher-kva.example": "ann@xn--bcher-kva.example",
    "ANN@EXAM\u00adPLE.COM": "ann@example.com",
}
"""As the CRM has it -> as ours is compared."""


@pytest.mark.parametrize("spelling", THERE)
def test_pipedrives_spelling_does_not_double_a_person(make: Make, spelling: str) -> None:
    assert email(spelling) == THERE[spelling]
    bench = make([{"email": spelling, "first_name": "Ann", "last_name": "Lee", "phone": None}])
    bench.schema()
    bench.person("c1", THERE[spelling], name="Ann Lee", bucket="low")
    bench.inside["vip"] = {"c1"}
    report = bench.lane()
    assert (dict(report.by_kind), report.delivered) == ({"stamp": 1}, 1)
    assert len(bench.vendor.state()["persons"]) == 1


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[HubSpotBench]:
    made = hubspot_bench(tmp_path / "home", [{"email": request.param}])
    made.schema()
    yield made
    made.stop()


@pytest.mark.parametrize("world", ["ann@b\u00fccher.example", "ann@xn--bcher-kva.example"], indirect=True)
def test_hubspots_spelling_does_not_double_a_contact(world: HubSpotBench) -> None:
    (there,) = world.portal.state()["contacts"].values()
    world.persons([person(1, email=email(there["email"]))])
    world.state({"p00001": {"ltv": 1}})
    world.run()
    assert [c.get("cio_id") for c in world.portal.state()["contacts"].values()] == ["p00001"]
