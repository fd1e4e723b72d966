"""A refusal is tried again as soon as what caused it is gone, however long its turn in the queue is off."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from cio_activation.destinations.hubspot.contact_links import TAKEN
from cio_activation_tests.drivers.builders import window
from cio_activation_tests.drivers.hubspot import HubSpotBench, person

Build = Callable[..., HubSpotBench]
VALUE = "cio_lapse_bucket"


def again_today(world: HubSpotBench) -> dict[str, int]:
    """Run the same window again; return what each step planned."""
    world.day -= 1
    return {name: report.planned for name, report in world.run().items()}


def test_a_value_is_due_as_soon_as_the_schema_step_made_its_property_anew(build: Build) -> None:
    world = build([{"email": "person1@example.com"}])
    before = world.schema()
    world.persons([person(1)])
    world.state({"p00001": {"ltv": 1}})
    world.run()
    world.edit("archive_property", name=VALUE)
    world.state({"p00001": {"ltv": 1, "lapse_bucket": "91+"}})
    world.run()
    assert again_today(world)["properties_daily"] == 0
    assert world.schema() == before  # the catalog looks the same
    assert again_today(world)["properties_daily"] == 1
    assert world.contacts()["p00001"][VALUE] == "91+"
    assert world.sql("FROM delivery.rejected") == []


def clash(build: Build) -> HubSpotBench:
    """Return a portal where two of our people are one contact; the first of them has it."""
    world = build([{"email": "person1@example.com"}])
    world.edit("add_additional_email", email="person1@example.com", additional_email="person2@example.com")
    world.schema()
    world.persons([person(1), person(2)])
    world.state({"p00001": {"ltv": 1}, "p00002": {"ltv": 2}})
    world.run()
    assert world.rejected() == {"p00002": TAKEN}
    assert again_today(world)["contact_links_daily"] == 0
    return world


def test_a_link_that_somebody_else_has_waits_until_either_person_changed(build: Build) -> None:
    for changed in (1, 2):
        world = clash(build)
        later = (window(world.day).as_of + timedelta(hours=1)).isoformat()
        world.persons([person(n, **({"changed_at": later} if n == changed else {})) for n in (1, 2)])
        assert again_today(world)["contact_links_daily"] == 1
        assert world.rejected() == {"p00002": TAKEN}


def test_a_link_is_due_when_the_other_person_is_no_more(build: Build) -> None:
    world = clash(build)
    world.persons([person(2)])
    world.state({"p00002": {"ltv": 2}})
    world.run()
    world.run()
    assert world.rejected() == {}
    assert world.contacts()["p00002"]["cio_ltv"] == "2"
