"""Lists: entries and exits, lists that vanish, members that vanish."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cio_activation.destinations.common.records import GONE
from cio_activation_tests.drivers.hubspot import LABEL, HubSpotBench, audience, make_activation, person

Build = Callable[..., HubSpotBench]
NAME = f"{LABEL} [v1]"


def listed(build: Build, inside: list[str], **vendor: object) -> HubSpotBench:
    world = build([{"email": f"person{n}@example.com"} for n in range(1, 5)], **vendor)
    world.schema()
    world.persons([person(n) for n in range(1, 5)])
    world.state({f"p{n:05d}": {"ltv": n} for n in range(1, 5)})
    world.members("winback", inside)
    world.run()
    assert world.on_list(NAME) == set(inside)
    return world


@pytest.mark.parametrize("omit", [False, True])
def test_entries_and_exits_go_in_one_call(build: Build, omit: bool) -> None:
    world = listed(build, ["p00001", "p00002"], omit_empty_ids=omit)
    world.members("winback", ["p00002", "p00003", "p00004"])
    mark = world.mark()
    report = world.run()["list/winback"]
    [call] = world.entries(mark)
    assert call.method == "PUT"
    assert report.by_kind == {"add": 2, "remove": 1}
    assert world.on_list(NAME) == {"p00002", "p00003", "p00004"}


def test_members_added_by_hand_stay_and_present_ones_are_no_error(build: Build) -> None:
    world = listed(build, ["p00001"])
    ids = [world.id_of("person1@example.com"), world.id_of("person3@example.com")]
    world.edit("set_members", name=NAME, ids=ids)
    world.members("winback", ["p00001", "p00003"])
    report = world.run()["list/winback"]
    assert (report.delivered, report.rejected) == (1, 0)
    assert world.on_list(NAME) == {"p00001", "p00003"}


def test_a_deleted_list_is_made_again_and_filled_again(build: Build) -> None:
    world = listed(build, ["p00001", "p00002"])
    world.edit("delete_list", name=NAME)
    world.members("winback", ["p00002", "p00003"])
    report = world.run()["list/winback"]
    assert (report.held, report.rejected) == (2, 0)
    world.schema()
    world.run()
    assert world.on_list(NAME) == {"p00002", "p00003"}
    mark = world.mark()
    world.run()
    assert world.entries(mark) == []


def test_a_new_version_goes_on_with_all_members(build: Build) -> None:
    world = listed(build, ["p00001", "p00002"])
    changed = audience("winback", world.activation.audiences["winback"].lane, LABEL, version=2)
    world.use(make_activation(audiences=(changed,)))
    world.schema()
    world.run()
    assert world.on_list(f"{LABEL} [v2]") == {"p00001", "p00002"}


def test_a_member_whose_contact_is_gone_is_made_again_and_listed(build: Build) -> None:
    world = listed(build, ["p00001"], activation=make_activation(on_deleted="recreate"))
    world.edit("delete", email="person2@example.com")
    world.members("winback", ["p00001", "p00002"])
    assert world.run()["list/winback"].reasons == {GONE: 1}
    world.run()
    assert world.on_list(NAME) == {"p00001", "p00002"}
    assert world.contacts()["p00002"]["cio_ltv"] == "2"


def test_leaving_works_for_a_contact_that_is_gone(build: Build) -> None:
    world = listed(build, ["p00001", "p00002"])
    world.edit("delete", email="person2@example.com")
    world.members("winback", ["p00001"])
    report = world.run()["list/winback"]
    assert (report.delivered, report.rejected) == (2, 0)  # the removal, and a look for who has taken its place
    assert world.on_list(NAME) == {"p00001"}
    assert world.sql("SELECT cio_id FROM delivery.members") == [("p00001",)]


def test_a_step_before_the_schema_waits(build: Build) -> None:
    world = build([{"email": "person1@example.com"}])
    world.schema()
    world.sql("DELETE FROM delivery.catalog")
    world.persons([person(1)])
    world.state({"p00001": {"ltv": 1}})
    world.members("winback", ["p00001"])
    assert world.run()["list/winback"].held == 1
    world.schema()
    world.run()
    assert world.on_list(NAME) == {"p00001"}
