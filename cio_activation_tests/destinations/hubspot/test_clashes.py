"""Options and properties that stand in our way: check names them first, the run's error too; what fits is used."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from cio_activation.activation.models import Activation, PropertyType
from cio_activation.delivery.destination import Context
from cio_activation.destinations.hubspot import DESTINATION
from cio_activation.destinations.hubspot.property_definitions import UNIQUE_MAX
from cio_activation.errors import ConfigError
from cio_activation.transport.http import Unpaced
from cio_activation_tests.drivers.hubspot import HubSpotBench, make_activation, person, prop

Build = Callable[..., HubSpotBench]
BUCKET = prop("lapse_bucket", PropertyType.ENUM, labels=("0-30", "31-90"))
FLAG = prop("returning", PropertyType.FLAG)


def check(world: HubSpotBench) -> list[str]:
    async def work() -> list[str]:
        async with DESTINATION.connect(world.runtime.settings, Unpaced()) as client:
            return await DESTINATION.check(client, Context(world.runtime.settings, world.activation, None))

    return asyncio.run(work())


def make_by_hand(
    world: HubSpotBench, name: str, kind: str, field: str, options: list[tuple[str, str]], **more: Any
) -> None:
    """Make a contact property as a colleague would, options as (label, value)."""
    listed = [
        {"label": label, "value": value, "displayOrder": i, "hidden": False} for i, (label, value) in enumerate(options)
    ]
    definition = {"name": name, "label": name, "type": kind, "fieldType": field, "groupName": "contactinformation"}
    world.portal.account.properties["contacts"].create({**definition, "options": listed, **more}, 0.0)
    time.sleep(0.4)  # until new definitions show


def refused_alike(world: HubSpotBench, *words: str) -> None:
    """Both check and the schema step say all of ``words`` in one sentence, and nothing is made."""
    before = world.portal.state()["properties"]
    told = [p for p in check(world) if all(word in p for word in words)]
    assert len(told) == 1, check(world)
    with pytest.raises(ConfigError) as error:
        world.schema()
    assert told[0] in str(error.value)
    assert world.portal.state()["properties"] == before


def small(*properties: Any) -> Activation:
    return make_activation(properties, ())


def test_a_label_that_is_there_under_another_value_is_named_with_its_mend(build: Build) -> None:
    world = build([], small(BUCKET))
    make_by_hand(world, "cio_lapse_bucket", "enumeration", "select", [("0-30", "recent"), ("Else", "31-90")])
    refused_alike(
        world, "cio_lapse_bucket", "'0-30' (value 'recent')", "another label in HubSpot", "lapse_bucket.labels"
    )


def test_ten_unique_properties_are_named_when_our_key_is_the_eleventh(build: Build) -> None:
    world = build([], small(FLAG))
    for number in range(UNIQUE_MAX):
        make_by_hand(world, f"erp_key_{number}", "string", "text", [], hasUniqueValue=True)
    refused_alike(world, "10 contact properties with unique values", "erp_key_0", "our key cio_id", "archive one")


def test_the_property_cap_is_named_with_what_is_lacking(build: Build) -> None:
    world = build([], small(BUCKET, FLAG), property_limit=2)
    refused_alike(world, "allows 2 custom properties for contacts", "cio_lapse_bucket", "deliver fewer properties")


def test_a_checkbox_made_by_hand_is_used_for_a_flag(build: Build) -> None:
    world = build([], small(FLAG))
    make_by_hand(world, "cio_returning", "enumeration", "booleancheckbox", [("Ja", "true"), ("Nein", "false")])
    assert check(world) == []
    world.schema()
    world.persons([person(1)])
    world.state({"p00001": {"returning": True}})
    world.run()
    assert world.contacts()["p00001"]["cio_returning"] == "true"
    assert world.rejected() == {}


def test_checkboxes_made_by_hand_hold_one_of_a_closed_set(build: Build) -> None:
    world = build([], small(BUCKET))
    make_by_hand(world, "cio_lapse_bucket", "enumeration", "checkbox", [("Recent", "0-30")])
    assert check(world) == []
    world.schema()
    world.persons([person(1)])
    world.state({"p00001": {"lapse_bucket": "31-90"}})
    world.run()
    assert world.contacts()["p00001"]["cio_lapse_bucket"] == "31-90"


def test_a_checkbox_without_our_two_values_is_named(build: Build) -> None:
    world = build([], small(FLAG))
    make_by_hand(world, "cio_returning", "enumeration", "checkbox", [("Ja", "ja"), ("Nein", "nein")])
    refused_alike(world, "cio_returning has the type enumeration", "archive it in HubSpot")
