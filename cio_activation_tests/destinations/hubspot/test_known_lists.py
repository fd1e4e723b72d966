"""Lists are known by HubSpot's id: renamed there or here they are followed, and what left the activation is let go."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from cio_activation.activation.models import Lane
from cio_activation_tests.drivers.hubspot import (
    AUDIENCES,
    LABEL,
    HubSpotBench,
    audience,
    make_activation,
    person,
)  # fmt: skip

Build = Callable[..., HubSpotBench]
PEOPLE = [person(n) for n in range(1, 5)]
OTHERS = tuple(a for a in AUDIENCES if a.name != "winback")


def delivered(build: Build, **settings: Any) -> HubSpotBench:
    """A portal whose winback list has three people on it."""
    world = build([], make_activation(**settings))
    world.persons(PEOPLE)
    world.state({p["cio_id"]: {"ltv": 1.0} for p in PEOPLE})
    world.state({}, Lane.REALTIME)
    world.members("winback", ["p00001", "p00002", "p00003"])
    world.schema()
    world.run()
    assert world.on_list(f"{LABEL} [v1]") == {"p00001", "p00002", "p00003"}
    return world


def lists(world: HubSpotBench) -> dict[str, tuple[str, int]]:
    """Living lists: id -> name and number of members."""
    found = world.portal.state()["lists"]
    return {x["id"]: (x["name"], len(x["members"])) for x in found if not x["deleted"]}


def winback_id(world: HubSpotBench) -> str:
    return str(world.sql("SELECT list_id FROM delivery.hubspot_lists WHERE audience = 'winback'")[0][0])


def use(world: HubSpotBench, *audiences: Any, **settings: Any) -> None:
    world.use(make_activation(audiences=audiences, **settings))
    world.schema()


def test_a_list_that_a_colleague_renamed_is_still_the_audiences_list(build: Build) -> None:
    world = delivered(build)
    world.edit("rename_list", name=f"{LABEL} [v1]", new_name="Carla's favourites")
    catalog = world.schema()
    world.members("winback", ["p00002", "p00004"])
    world.run()
    assert world.on_list("Carla's favourites") == {"p00002", "p00004"}
    assert len(lists(world)) == 2
    [told] = catalog["advice"]
    assert "Carla's favourites" in told
    assert "audiences.winback.label" in told


def test_a_label_or_version_changed_in_the_activation_renames_the_same_list(build: Build) -> None:
    world = delivered(build)
    before = winback_id(world)
    use(world, audience("winback", Lane.DAILY, "RET - Call them", 2), *OTHERS)
    assert lists(world)[before] == ("RET - Call them [v2]", 3)
    world.members("winback", ["p00001"])
    mark = world.mark()
    world.run()
    assert lists(world)[before] == ("RET - Call them [v2]", 1)
    world.schema()
    assert not [e for e in world.entries(mark) if e.path.endswith("update-list-name")]


def test_a_label_changed_here_after_a_rename_there_wins(build: Build) -> None:
    world = delivered(build)
    before = winback_id(world)
    world.edit("rename_list", name=f"{LABEL} [v1]", new_name="Carla's favourites")
    world.schema()
    use(world, audience("winback", Lane.DAILY, "RET - Call them"), *OTHERS)
    assert lists(world)[before] == ("RET - Call them [v1]", 3)


def test_two_audiences_that_change_names_in_a_row_keep_their_lists(build: Build) -> None:
    world = delivered(build)
    ids = {name: i for i, (name, _) in lists(world).items()}
    hot = OTHERS[0]
    use(world, audience("winback", Lane.DAILY, hot.label), audience(hot.name, Lane.REALTIME, "RET - Something else"))
    assert {i: name for i, (name, _) in lists(world).items()} == {
        ids[f"{LABEL} [v1]"]: f"{hot.label} [v1]",
        ids[f"{hot.label} [v1]"]: "RET - Something else [v1]",
    }


def test_a_name_that_is_taken_keeps_the_list_and_its_exits_going(build: Build) -> None:
    world = delivered(build)
    before = winback_id(world)
    world.edit("rename_list", name="RET - Hot Cart - Help Now [v1]", new_name="RET - Taken [v1]")
    world.schema()
    use(world, audience("winback", Lane.DAILY, "RET - Taken"), *OTHERS)
    world.members("winback", [])
    world.run()
    assert lists(world)[before] == (f"{LABEL} [v1]", 0)


def test_a_new_list_for_a_new_version_is_explicit_and_empties_the_old_one(build: Build) -> None:
    world = delivered(build)
    before = winback_id(world)
    use(world, audience("winback", Lane.DAILY, LABEL, 2, new_list=True), *OTHERS)
    world.members("winback", ["p00001", "p00004"])
    world.run()
    assert world.on_list(f"{LABEL} [v2]") == {"p00001", "p00004"}
    assert lists(world)[before] == (f"{LABEL} [v1]", 0)
    world.schema()
    assert len(lists(world)) == 3


@pytest.mark.parametrize("how", ["the audience is removed", "its list is switched off"])
def test_the_list_of_an_audience_that_left_is_emptied_at_once_and_deleted_after_the_delay(
    build: Build, how: str
) -> None:
    world = delivered(build, retire_lists_after=timedelta(days=2))
    before = winback_id(world)
    world.persons(PEOPLE[1:])  # who left Customer.io meanwhile is taken off too
    left = [] if how == "the audience is removed" else [audience("winback", Lane.DAILY, LABEL, list=False)]
    use(world, *left, *OTHERS, retire_lists_after=timedelta(days=2))
    report = world.run()["retired_lists"]
    assert (report.delivered, lists(world)[before]) == (3, (f"{LABEL} [v1]", 0))
    assert world.sql("SELECT list_id, audience, name, ended_at FROM delivery.retired_lists") == [
        (before, "winback", f"{LABEL} [v1]", None)
    ]
    mark = world.mark()
    assert world.run()["retired_lists"].planned == 0
    assert not world.writes(mark)
    world.schema()
    assert world.run()["retired_lists"].delivered == 1
    assert before not in lists(world)
    world.schema()
    assert world.run()["retired_lists"].planned == 0
    assert world.sql("SELECT count(*) FROM delivery.retired_lists WHERE ended_at IS NULL") == [(0,)]


def test_a_list_that_a_colleague_put_people_on_is_emptied_of_ours_and_not_deleted(build: Build) -> None:
    world = delivered(build, retire_lists_after=timedelta(0))
    before = winback_id(world)
    world.edit("set_members", list_id=before, ids=[world.id_of(p["email"]) for p in PEOPLE])
    use(world, *OTHERS, retire_lists_after=timedelta(0))
    world.run()
    report = world.run()["retired_lists"]
    assert report.rejected == 1
    assert "members we did not put there" in str(report.reasons)
    assert world.on_list(f"{LABEL} [v1]") == {"p00004"}


def test_an_audience_that_comes_back_finds_its_list_again(build: Build) -> None:
    world = delivered(build)
    before = winback_id(world)
    use(world, *OTHERS)
    world.run()
    world.edit("rename_list", list_id=before, new_name="Was winback")
    world.schema()
    use(world, *AUDIENCES)
    world.members("winback", ["p00001", "p00004"])
    world.run()
    assert world.on_list("Was winback") == {"p00001", "p00004"}
    assert world.run()["retired_lists"].planned == 0
    assert len(lists(world)) == 2


def test_an_audience_under_another_key_takes_the_list_of_its_name_over_with_its_leavers(build: Build) -> None:
    world = delivered(build)
    use(world, audience("call_today", Lane.DAILY, LABEL), *OTHERS)
    world.members("call_today", ["p00001", "p00004"])
    world.run()
    assert world.on_list(f"{LABEL} [v1]") == {"p00001", "p00004"}
    assert len(lists(world)) == 2


def test_whoever_was_put_on_a_list_by_a_call_that_was_never_answered_is_taken_off_too(build: Build) -> None:
    world = delivered(build)
    before = winback_id(world)
    world.members("winback", ["p00001", "p00002", "p00003", "p00004"])
    world.fault(kind="reset", when="after", path="*/memberships/add-and-remove", times=50)
    world.run(only="list/winback")
    world.shared.faults.clear()
    assert lists(world)[before][1] == 4
    use(world, *OTHERS)
    world.run()
    assert lists(world)[before][1] == 0
    assert world.run()["retired_lists"].planned == 0
