"""From nobody linked to everybody linked, created, written and listed; and then quiet."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from cio_activation.activation.models import Lane
from cio_activation_tests.drivers.hubspot import LABEL, HubSpotBench, make_activation, person

Build = Callable[..., HubSpotBench]


def three_kinds(build: Build) -> HubSpotBench:
    """1 exists in another case, 2 exists under an additional e-mail, 3 and 4 are new, 5 may not be delivered."""
    world = build(
        [
            {"email": "PERSON1@Example.com", "first_name": "Old", "last_name": "Name", "phone": "1"},
            {"email": "work2@example.com", "first_name": "W", "additional_emails": ["person2@example.com"]},
            {"email": "stranger@example.com"},
        ]
    )
    world.schema()
    world.persons([person(1), person(2), person(3), person(4), person(5, deliverable=False)])
    world.state(
        {
            "p00001": {
                "lapse_bucket": "31-90",
                "second_order_due": True,
                "last_category": "Käse & Öl 🧀",
                "ltv": 0.1 + 0.2,
            },
            "p00002": {
                "lapse_bucket": "0-30",
                "second_order_due": False,
                "last_engaged": date(2026, 10, 3),
                "ltv": 12.0,
            },
            "p00003": {"lapse_bucket": "91+", "second_order_due": True},
            "p00004": {"second_order_due": False, "ltv": 1e15},
            "p00005": {"second_order_due": False},
        }
    )
    world.members("winback", ["p00001", "p00003", "p00005"])
    return world


def test_first_contact_links_creates_writes_and_lists(build: Build) -> None:
    world = three_kinds(build)
    reports = world.run()
    assert reports["contact_links_daily"].planned == reports["contact_links_daily"].delivered == 4
    assert reports["properties_daily"].by_kind == {"create": 2, "stamp": 2}
    assert reports["properties_daily"].delivered == 4
    contacts = world.contacts()
    assert set(contacts) == {"p00001", "p00002", "p00003", "p00004"}
    assert contacts["p00001"]["cio_last_category"] == "Käse & Öl 🧀"
    assert contacts["p00001"]["cio_ltv"] == "0.3"
    assert contacts["p00001"]["cio_second_order_due"] == "true"
    assert contacts["p00002"]["cio_last_engaged"] == "2026-10-03"
    assert contacts["p00002"]["cio_ltv"] == "12"
    assert contacts["p00004"]["cio_ltv"] == "1000000000000000"
    assert contacts["p00002"]["email"] == "work2@example.com"
    assert world.on_list(f"{LABEL} [v1]") == {"p00001", "p00003"}


def test_names_and_emails_are_written_only_on_contacts_we_make(build: Build) -> None:
    world = three_kinds(build)
    world.run()
    old, new = world.contact(world.id_of("person1@example.com")), world.contact(world.id_of("person3@example.com"))
    assert (old["firstname"], old["lastname"], old["phone"]) == ("Old", "Name", "1")
    assert (new["firstname"], new["lastname"], new["phone"]) == ("Zoë 3", "Ñandú 🌱", "+12025550003")
    stranger = world.contact(world.id_of("stranger@example.com"))
    assert not [name for name in stranger if name.startswith("cio_")]


def test_second_run_is_quiet(build: Build) -> None:
    world = three_kinds(build)
    world.run()
    mark = world.mark()
    reports = world.run()
    assert world.entries(mark) == []
    assert sum(r.planned for r in reports.values()) == 0


def test_one_change_is_one_update_with_one_property(build: Build) -> None:
    world = three_kinds(build)
    world.run()
    world.edit(
        "set", id=world.id_of("person1@example.com"), properties={"jobtitle": "typed by hand", "firstname": "Ada"}
    )
    world.sql("UPDATE state.daily_properties SET lapse_bucket = '91+', hash_hubspot = 7 WHERE cio_id = 'p00001'")
    mark = world.mark()
    world.run()
    [call] = world.entries(mark)
    [sent] = call.request["inputs"]
    assert sent["properties"] == {"cio_lapse_bucket": "91+"}
    assert sent["id"] == world.id_of("person1@example.com")
    held = world.contact(sent["id"])
    assert (held["jobtitle"], held["firstname"], held["cio_lapse_bucket"]) == ("typed by hand", "Ada", "91+")


def test_a_value_that_ends_is_cleared_with_an_empty_text(build: Build) -> None:
    world = three_kinds(build)
    world.run()
    world.sql("UPDATE state.daily_properties SET last_category = NULL, hash_hubspot = 7 WHERE cio_id = 'p00001'")
    mark = world.mark()
    world.run()
    assert world.entries(mark)[0].request["inputs"][0]["properties"] == {"cio_last_category": ""}
    assert not world.contacts()["p00001"].get("cio_last_category")
    mark = world.mark()
    world.run()
    assert world.entries(mark) == []


def test_a_new_record_gets_all_fields_so_that_old_ones_do_not_linger(build: Build) -> None:
    world = build([{"email": "person1@example.com"}])
    world.schema()
    world.edit("set", email="person1@example.com", properties={"cio_last_category": "left from an earlier life"})
    world.persons([person(1)])
    world.state({"p00001": {"lapse_bucket": "0-30", "second_order_due": False}})
    world.run()
    assert not world.contacts()["p00001"].get("cio_last_category")


def test_a_deleted_person_is_cleared_and_leaves_the_list(build: Build) -> None:
    world = three_kinds(build)
    world.run()
    world.persons([person(2), person(3), person(4)])
    world.sql("DELETE FROM state.daily_properties WHERE cio_id = 'p00001'")
    world.members("winback", ["p00003"])
    reports = world.run()
    assert reports["properties_daily"].by_kind == {"clear": 1}
    held = world.contact(world.id_of("person1@example.com"))
    assert {name: held.get(name) for name in held if name.startswith("cio_") and held[name] and name != "cio_id"} == {}
    assert world.on_list(f"{LABEL} [v1]") == {"p00003"}
    mark = world.mark()
    world.run()
    assert world.entries(mark) == []


@pytest.mark.parametrize(("mode", "made"), [("never", set()), ("audience_members", {"p00003"})])
def test_create_people_decides_who_is_made(build: Build, mode: str, made: set[str]) -> None:
    world = build([{"email": "person1@example.com"}], make_activation(create_people=mode))
    world.schema()
    world.persons([person(1), person(3), person(4)])
    world.state({f"p0000{n}": {"second_order_due": True} for n in (1, 3, 4)})
    world.members("winback", ["p00003"])
    world.run()
    assert set(world.contacts()) == {"p00001"} | made
    mark = world.mark()
    world.run()
    assert world.entries(mark) == []


def test_both_lanes_write_their_own_fields_to_one_contact(build: Build) -> None:
    world = build([])
    world.schema()
    world.persons([person(1)])
    world.state({"p00001": {"lapse_bucket": "0-30", "second_order_due": True}})
    world.state({"p00001": {"cart_tier": "high"}}, Lane.REALTIME)
    world.members("hot_cart", ["p00001"])
    world.run(Lane.REALTIME)
    world.run(Lane.DAILY)
    held = world.contacts()["p00001"]
    assert (held["cio_cart_tier"], held["cio_lapse_bucket"]) == ("high", "0-30")
    assert world.on_list("RET - Hot Cart - Help Now [v1]") == {"p00001"}


def test_an_activation_with_only_lists_still_links_and_creates_their_members(build: Build) -> None:
    world = build([{"email": "person1@example.com"}], make_activation(properties=()))
    world.schema()
    world.persons([person(1), person(2), person(3)])
    world.members("winback", ["p00001", "p00002"])
    world.run()
    assert set(world.contacts()) == {"p00001", "p00002"} == world.on_list(f"{LABEL} [v1]")
    mark = world.mark()
    world.run()
    assert world.entries(mark) == []
