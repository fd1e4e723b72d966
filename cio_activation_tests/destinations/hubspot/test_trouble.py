"""Partial answers, collisions, lost answers, records that vanish: nothing is lost, nothing is made twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cio_activation.activation.models import PropertyType
from cio_activation.destinations.common.records import GONE
from cio_activation.destinations.hubspot.properties import PropertiesStep
from cio_activation.errors import ContractError
from cio_activation_tests.drivers.hubspot import DAILY, HubSpotBench, make_activation, person, prop

Build = Callable[..., HubSpotBench]
EMPTY = {"status": "COMPLETE", "results": [], "errors": []}


def linked(build: Build, people: int = 3, **vendor: object) -> HubSpotBench:
    """A portal where everybody is linked and written."""
    world = build([{"email": f"person{n}@example.com"} for n in range(1, people + 1)], **vendor)
    world.schema()
    world.persons([person(n) for n in range(1, people + 1)])
    world.state({f"p{n:05d}": {"lapse_bucket": "0-30", "ltv": n} for n in range(1, people + 1)})
    world.run()
    assert len(world.contacts()) == people
    return world


def change(world: HubSpotBench, **values: str) -> None:
    """Give everybody another value."""
    sets = ", ".join(f"{name} = '{value}'" for name, value in values.items())
    world.sql(f"UPDATE state.daily_properties SET {sets}, hash_hubspot = hash_hubspot + 1")


def values_of(world: HubSpotBench, name: str) -> dict[str, str | None]:
    return {cio_id: held.get(name) for cio_id, held in world.contacts().items()}


@pytest.mark.parametrize("echo", [True, False])
def test_an_unknown_option_rejects_one_record_and_queues_it(build: Build, echo: bool) -> None:
    world = linked(build, echo_trace_ids=echo)
    keep = [{"label": v, "value": v, "displayOrder": i, "hidden": False} for i, v in enumerate(["0-30", "31-90"])]
    world.edit("set_options", name="cio_lapse_bucket", options=keep)
    change(world, lapse_bucket="31-90")
    world.sql("UPDATE state.daily_properties SET lapse_bucket = '91+' WHERE cio_id = 'p00002'")
    report = world.run()["properties_daily"]
    assert (report.delivered, report.rejected) == (2, 1)
    [(cio_id, why)] = world.rejected().items()
    assert cio_id == "p00002"
    assert "INVALID_OPTION" in why
    assert "cio_lapse_bucket" in why
    assert values_of(world, "cio_lapse_bucket") == {"p00001": "31-90", "p00002": "0-30", "p00003": "31-90"}
    world.schema()  # brings the option back beside the others
    world.run()
    assert values_of(world, "cio_lapse_bucket")["p00002"] == "91+"
    assert world.rejected() == {}


def test_a_collision_that_sinks_the_batch_is_split_down_to_the_culprit(build: Build) -> None:
    world = build([{"email": "owner@example.com"}])
    world.schema()
    world.persons([person(n) for n in range(1, 9)])
    world.state({f"p{n:05d}": {"ltv": n} for n in range(1, 9)})
    world.run(only="contact_links_daily")
    world.edit("add_additional_email", email="owner@example.com", additional_email="person5@example.com")
    report = world.run(only="properties_daily")["properties_daily"]
    assert (report.delivered, report.rejected) == (7, 1)
    assert world.rejected()["p00005"].startswith("409 ")
    world.run()
    assert world.contacts()["p00005"]["email"] == "owner@example.com"
    assert len(world.portal.state()["contacts"]) == 8
    assert world.rejected() == {}


@pytest.mark.parametrize("alone", [True, False])
def test_a_merged_contact_is_followed_to_its_survivor(build: Build, alone: bool) -> None:
    world = linked(build)
    world.edit("create", properties={"email": "primary@example.com"})
    survivor = world.edit("merge", email="primary@example.com", other_email="person2@example.com")["id"]
    world.sql(
        "UPDATE state.daily_properties SET lapse_bucket = '91+', hash_hubspot = hash_hubspot + 1"
        + (" WHERE cio_id = 'p00002'" if alone else "")
    )
    report = world.run()["properties_daily"]
    assert report.reasons == {GONE: 1}
    assert world.link("p00002") is not None
    assert world.link("p00002")[0] == survivor  # type: ignore[index]
    assert world.contacts()["p00002"]["cio_lapse_bucket"] == "91+"
    assert len(world.portal.state()["contacts"]) == 3


def test_a_merge_survivor_under_another_email_is_found_by_our_key(build: Build) -> None:
    world = linked(build)
    world.edit("create", properties={"email": "primary@example.com"})
    survivor = world.edit("merge", email="primary@example.com", other_email="person2@example.com")["id"]
    assert world.contact(survivor)["cio_id"] == "p00002"
    world.persons([person(1), person(2, email="moved@example.com"), person(3)])
    change(world, lapse_bucket="91+")
    world.run()
    world.run()
    assert world.link("p00002") == (survivor, True, "cio_id")
    assert len(world.portal.state()["contacts"]) == 3


def test_an_empty_success_is_not_believed(build: Build) -> None:
    world = linked(build)
    change(world, lapse_bucket="91+")
    world.fault(kind="status", path="*/batch/update", status=200, body=EMPTY)
    report = world.run()["properties_daily"]
    assert (report.delivered, report.held) == (0, 3)
    assert set(values_of(world, "cio_lapse_bucket").values()) == {"0-30"}
    world.run()
    assert set(values_of(world, "cio_lapse_bucket").values()) == {"91+"}


def test_an_empty_success_of_a_creation_is_not_believed(build: Build) -> None:
    world = build([])
    world.schema()
    world.persons([person(1)])
    world.state({"p00001": {"ltv": 1}})
    world.fault(kind="status", path="*/batch/create", status=200, body=EMPTY)
    assert world.run()["properties_daily"].held == 1
    world.run()
    assert world.contacts()["p00001"]["cio_ltv"] == "1"


@pytest.mark.parametrize("kind", ["reset", "truncate", "status"])
def test_a_creation_without_an_answer_is_found_and_not_repeated(build: Build, kind: str) -> None:
    world = build([])
    world.schema()
    world.persons([person(1)])
    world.state({"p00001": {"ltv": 1}})
    world.fault(kind=kind, path="/crm/objects/*/contacts/batch/create", when="after", times=4, status=502)
    assert world.run()["properties_daily"].held == 1
    world.edit("set", email="person1@example.com", properties={"firstname": "By hand"})
    mark = world.mark()
    report = world.run()["properties_daily"]
    assert report.recovered == 1
    assert report.by_kind == {"update": 1}
    assert not [e for e in world.entries(mark) if e.path.endswith("batch/create")]
    held = world.contact(world.id_of("person1@example.com"))
    assert (held["cio_id"], held["cio_ltv"], held["firstname"]) == ("p00001", "1", "By hand")
    assert len(world.portal.state()["contacts"]) == 1


def test_an_error_nobody_can_be_assigned_to_leaves_the_silent_ones_unknown(build: Build) -> None:
    world = linked(build, 2)
    change(world, lapse_bucket="91+")
    row = {"id": world.id_of("person1@example.com"), "properties": {}}
    body = {"results": [row], "numErrors": 1, "errors": [{"category": "INTERNAL_ERROR", "message": "?"}]}
    world.fault(kind="status", path="*/batch/update", status=207, body=body)
    report = world.run()["properties_daily"]
    assert (report.delivered, report.held, report.rejected) == (1, 1, 0)
    assert world.link("p00002") is not None


def test_a_revoked_key_stops_the_step_and_the_next_run_goes_on(build: Build) -> None:
    world = linked(build)
    change(world, lapse_bucket="91+")
    world.fault(kind="status", path="*/batch/update", status=401)
    report = world.run()["properties_daily"]
    assert report.stopped
    assert report.held == 3
    world.run()
    assert set(values_of(world, "cio_lapse_bucket").values()) == {"91+"}


def test_a_property_that_was_not_derived_yet_stops_before_anything_is_planned(build: Build) -> None:
    world = linked(build)
    world.use(make_activation((*DAILY, prop("aov", PropertyType.NUMBER)), audiences=()))
    mark = world.mark()
    with pytest.raises(ContractError, match=r"state.daily_properties has no aov yet.*materialize state/daily_properti"):
        world.run(only="properties_daily")
    assert not world.writes(mark)


def test_what_a_killed_push_had_delivered_is_folded_under_an_activation_with_another_property(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer = make_activation([p for p in DAILY if p.name != "last_category"], audiences=())
    world = build([{"email": f"person{n}@example.com"} for n in (1, 2)], activation=fewer)
    world.schema()
    world.persons([person(n) for n in (1, 2)])
    world.state({f"p{n:05d}": {"lapse_bucket": "0-30"} for n in (1, 2)})

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    world.run(only="contact_links_daily")
    with monkeypatch.context() as patch:
        patch.setattr(PropertiesStep, "fold", killed)
        with pytest.raises(KeyboardInterrupt):
            world.run(only="properties_daily")
    world.use(make_activation(DAILY, audiences=()))
    world.schema()
    world.state({f"p{n:05d}": {"lapse_bucket": "0-30", "last_category": "TEA"} for n in (1, 2)})
    report = world.run()["properties_daily"]
    assert (report.planned, report.delivered) == (2, 2)
    assert values_of(world, "cio_lapse_bucket") == {"p00001": "0-30", "p00002": "0-30"}
    assert values_of(world, "cio_last_category") == {"p00001": "TEA", "p00002": "TEA"}
    assert world.run()["properties_daily"].planned == 0
