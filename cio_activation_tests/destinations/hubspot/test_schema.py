"""Properties, options, lists and the check, against a portal that other people use too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import date, timedelta

import pytest

from cio_activation.activation.models import Property, PropertyType
from cio_activation.delivery.destination import Context
from cio_activation.delivery.schema import run_schema
from cio_activation.destinations.hubspot import DESTINATION
from cio_activation.errors import ConfigError
from cio_activation.transport.http import Unpaced
from cio_activation_tests.drivers.hubspot import (
    AUDIENCES,
    DAILY,
    LABEL,
    REALTIME,
    HubSpotBench,
    make_activation,
    prop,
)
from cio_activation_tests.drivers.stand_ins.hubspot import LISTS, OPTIONS, PROPERTIES

Build = Callable[..., HubSpotBench]


def properties(world: HubSpotBench) -> dict[str, dict[str, object]]:
    return {p["name"]: p for p in world.portal.state()["properties"]}


def check(world: HubSpotBench) -> list[str]:
    async def work() -> list[str]:
        async with DESTINATION.connect(world.runtime.settings, Unpaced()) as client:
            return await DESTINATION.check(client, Context(world.runtime.settings, world.activation, None))

    return asyncio.run(work())


def test_schema_makes_typed_properties_lists_and_is_idempotent(build: Build) -> None:
    world = build([])
    catalog = world.schema()
    made = properties(world)
    assert {n: (p["type"], p["fieldType"]) for n, p in made.items()} == {
        "cio_id": ("string", "text"),
        "cio_lapse_bucket": ("enumeration", "select"),
        "cio_second_order_due": ("bool", "booleancheckbox"),
        "cio_last_category": ("string", "text"),
        "cio_last_engaged": ("date", "date"),
        "cio_ltv": ("number", "number"),
        "cio_cart_tier": ("enumeration", "select"),
    }
    assert made["cio_id"]["hasUniqueValue"] is True
    assert [o["value"] for o in made["cio_lapse_bucket"]["options"]] == ["0-30", "31-90", "91+"]  # type: ignore[attr-defined]
    lists = world.portal.state()["lists"]
    assert {(x["name"], x["kind"], x["folder"]) for x in lists} == {
        (f"{LABEL} [v1]", "MANUAL", "Customer.io audiences"),
        ("RET - Hot Cart - Help Now [v1]", "MANUAL", "Customer.io audiences"),
    }
    fields = {n: v for n, v in catalog.items() if not n.startswith("list:")}
    assert fields["field:lapse_bucket"] == "cio_lapse_bucket"
    assert fields["options:lapse_bucket"] == ["0-30", "31-90", "91+"]
    assert {n for n in fields if n.startswith("field:")} == {f"field:{n[4:]}" for n in made if n != "cio_id"}
    assert {n: v for n, v in catalog.items() if n.startswith("list:")} == {
        "list:winback": next(x["id"] for x in lists if x["name"].startswith(LABEL)),
        "list:hot_cart": next(x["id"] for x in lists if not x["name"].startswith(LABEL)),
    }
    time.sleep(0.4)  # until new definitions show
    mark = world.mark()
    assert world.schema() == catalog
    assert {e.method for e in world.entries(mark)} == {"GET"}


def test_a_second_call_right_after_the_first_waits_until_definitions_show(build: Build) -> None:
    world = build([], property_lag_s=2.0)
    assert world.schema() == world.schema()
    assert len(properties(world)) == 7


def test_options_are_merged_and_others_own_ones_stay(build: Build) -> None:
    world = build([])
    world.schema()
    theirs = [
        {"label": "By hand", "value": "by_hand", "displayOrder": 4, "hidden": True, "description": "theirs"},
        {"label": "Recent", "value": "0-30", "displayOrder": 7, "hidden": False},
    ]
    world.edit("set_options", name="cio_lapse_bucket", options=theirs)
    time.sleep(0.4)
    world.schema()
    options = properties(world)["cio_lapse_bucket"]["options"]
    assert [o["value"] for o in options] == ["by_hand", "0-30", "31-90", "91+"]  # type: ignore[attr-defined]
    assert (options[0]["hidden"], options[1]["label"]) == (True, "Recent")  # type: ignore[index]


def test_who_answers_for_a_property_stands_in_its_description_and_follows_the_activation(build: Build) -> None:
    world = build([], make_activation((prop("ltv", PropertyType.NUMBER),), ()))
    world.schema()
    there = properties(world)["cio_ltv"]
    assert there["description"] == (
        "What ltv says. Owner: retention@example.com. Version 1. Written by cio_activation."
    )
    time.sleep(0.4)
    reviewed = {"label": "Lifetime value", "version": 2, "reviewed": date(2026, 11, 1), "owner": "team:crm"}
    world.use(make_activation((prop("ltv", PropertyType.NUMBER, **reviewed),), ()))
    world.schema()
    there = properties(world)["cio_ltv"]
    assert there["label"] == "Lifetime value"
    assert there["description"] == (
        "What ltv says. Owner: team:crm. Version 2. Last reviewed 2026-11-01. Written by cio_activation."
    )
    mark = world.mark()
    world.schema()
    assert [e for e in world.entries(mark) if e.method == "PATCH"] == []


def test_what_people_there_wrote_about_a_property_stays_until_it_changes_here(build: Build) -> None:
    world = build([], make_activation((prop("ltv", PropertyType.NUMBER),), ()))
    world.schema()
    theirs = {"label": "Worth", "description": "Ask Carla"}
    world.stand_in.call("PATCH", f"{PROPERTIES}/cio_ltv", theirs)
    time.sleep(0.4)
    world.schema()
    there = properties(world)["cio_ltv"]
    assert {key: there[key] for key in theirs} == theirs
    [found] = world.query("SELECT differences FROM delivery.definitions WHERE declared = 'properties.ltv'")
    assert "labels cio_ltv 'Worth', and it is 'Ltv' here" in found[0]
    assert "change properties.ltv.label" in found[0]
    world.stand_in.call("PATCH", f"{PROPERTIES}/cio_ltv", {"description": ""})
    world.use(make_activation((prop("ltv", PropertyType.NUMBER, label="Value so far"),), ()))
    world.schema()
    there = properties(world)["cio_ltv"]
    assert (there["label"], str(there["description"])[:14]) == ("Value so far", "What ltv says.")
    assert world.query("SELECT differences FROM delivery.definitions WHERE declared = 'properties.ltv'") == [("[]",)]


@pytest.mark.parametrize("status", [400, 403])
def test_a_description_that_may_not_be_written_stops_nothing_and_is_tried_again(build: Build, status: int) -> None:
    world = build([], make_activation((prop("ltv", PropertyType.NUMBER),), ()))
    world.schema()
    time.sleep(0.4)
    world.use(make_activation((prop("ltv", PropertyType.NUMBER, owner="team:crm"),), ()))
    world.fault(kind="status", status=status, method="PATCH", path="*/contacts/cio_ltv", times=1)
    assert world.schema()["field:ltv"] == "cio_ltv"
    assert "team:crm" not in str(properties(world)["cio_ltv"]["description"])
    world.schema()
    assert "team:crm" in str(properties(world)["cio_ltv"]["description"])


def test_a_description_that_an_earlier_release_wrote_is_brought_up_to_date(build: Build) -> None:
    world = build([], make_activation((prop("ltv", PropertyType.NUMBER),), ()))
    world.schema()
    world.stand_in.call("PATCH", f"{PROPERTIES}/cio_ltv", {"description": "What ltv says", "label": "Worth"})
    with world.runtime.warehouse.write() as con:
        con.execute("UPDATE delivery.catalog SET catalog = json_merge_patch(catalog, '{\"told:ltv\": null}')")
    time.sleep(0.4)
    world.schema()
    there = properties(world)["cio_ltv"]
    assert (there["label"], "Owner: " in str(there["description"])) == ("Worth", True)


def test_what_is_there_under_our_prefix_or_in_our_folder_is_known(build: Build) -> None:
    world = build([])
    world.schema()
    world.stand_in.property("cio_by_hand")
    folder = {"name": "By hand", "objectTypeId": "0-1", "processingType": "MANUAL", "listFolderId": 1}
    made = world.stand_in.call("POST", LISTS, folder)["list"]["listId"]
    world.edit("set_options", name="cio_lapse_bucket", options=[*OPTIONS[:1]])
    world.use(make_activation(properties=make_properties_without("last_category"), audiences=AUDIENCES[:1]))
    time.sleep(0.4)
    mark = world.mark()
    world.schema()
    assert sum(e.path.endswith("/folders") or e.path.endswith("/lists/2026-09") for e in world.entries(mark)) == 2
    rows = world.query("SELECT kind, address, declared, differences, mend FROM delivery.definitions")
    orphans = {(kind, address): mend for kind, address, declared, _, mend in rows if declared is None}
    left = world.query("SELECT list_id FROM delivery.retired_lists") or None
    assert left is None, "nothing ran"
    [retired] = [address for kind, address in orphans if kind == "list" and address != made]
    assert set(orphans) == {
        ("field", "cio_by_hand"), ("field", "cio_last_category"), ("list", made), ("list", retired)
    }  # fmt: skip
    assert "retire_lists_after" in orphans["list", retired]
    assert orphans["list", made] == "delete it in HubSpot, or move it out of our folder"
    [differs] = [d for _, _, declared, d, _ in rows if declared == "properties.lapse_bucket"]
    assert "options that are not declared: 'Active'" in differs


def make_properties_without(name: str) -> list[Property]:
    return [p for p in (*DAILY, *REALTIME) if p.name != name]


def test_a_property_of_another_type_is_a_config_error_with_its_mend(build: Build) -> None:
    world = build([], make_activation((prop("ltv", PropertyType.TEXT),), ()))
    world.schema()
    time.sleep(0.4)
    world.use(make_activation((prop("ltv", PropertyType.NUMBER), *REALTIME), ()))
    with pytest.raises(
        ConfigError, match=r"cio_ltv has the type string.*archive it in HubSpot, or rename properties\.ltv"
    ):
        world.schema()
    assert "cio_cart_tier" not in properties(world)
    assert any("cio_ltv" in p for p in check(world))


def test_a_property_restored_from_the_archive_with_another_type_is_noticed(build: Build) -> None:
    world = build([], make_activation((prop("ltv", PropertyType.NUMBER),), ()))
    restored = [{"name": "cio_id", "type": "string", "hasUniqueValue": True}, {"name": "cio_ltv", "type": "string"}]
    world.fault(kind="status", path="*/contacts/batch/create", status=201, body={"results": restored, "errors": []})
    with pytest.raises(ConfigError, match="cio_ltv has the type string"):
        world.schema()


def test_a_list_of_our_name_is_adopted_if_it_is_manual(build: Build) -> None:
    world = build([])
    catalog = world.schema()
    world.edit("rename_list", name=f"{LABEL} [v1]", new_name=f"{LABEL.upper()} [V1]")
    time.sleep(0.4)
    assert world.schema() == catalog


def test_a_list_of_our_name_that_is_not_manual_is_a_config_error(build: Build) -> None:
    world = build([])
    everyone = {"filterBranchType": "AND", "filters": []}
    body = {
        "name": f"{LABEL} [v1]",
        "objectTypeId": "0-1",
        "processingType": "DYNAMIC",
        "filterBranch": {"filterBranchType": "OR", "filterBranches": [everyone], "filters": []},
    }

    async def make() -> None:
        async with DESTINATION.connect(world.runtime.settings, Unpaced()) as client:
            await client.request("POST", "/crm/lists/2026-09", operation="test", json=body)

    asyncio.run(make())
    with pytest.raises(ConfigError, match="has the type DYNAMIC"):
        world.schema()
    assert any("DYNAMIC" in p for p in check(world))
    assert properties(world) == {}


def test_check_is_content_before_and_after_the_schema_and_changes_nothing(build: Build) -> None:
    world = build([])
    assert check(world) == []
    world.schema()
    mark = world.mark()
    assert check(world) == []
    assert {e.method for e in world.entries(mark)} == {"GET"}


def test_check_names_missing_scopes_and_a_wrong_key(build: Build) -> None:
    world = build([])
    world.edit("settings", scopes=["crm.objects.contacts.read", "crm.objects.contacts.write"])
    found = check(world)
    assert any("crm.schemas.contacts.read" in p for p in found)
    assert any("crm.lists.read" in p for p in found)
    world.fault(kind="status", path="/account-info/*", status=401)
    assert len(found := check(world)) == 1
    assert "HUBSPOT_ACCESS_TOKEN" in found[0]


def test_check_counts_the_room_for_properties(build: Build) -> None:
    world = build([], property_limit=5)
    assert any("7 more are needed" in p for p in check(world))


def test_our_key_must_be_unique(build: Build) -> None:
    world = build([])
    body = {"name": "cio_id", "label": "x", "groupName": "contactinformation", "type": "string", "fieldType": "text"}

    async def make() -> None:
        async with DESTINATION.connect(world.runtime.settings, Unpaced()) as client:
            await client.request("POST", "/crm/properties/2026-09/contacts", operation="test", json=body)

    asyncio.run(make())
    time.sleep(0.4)
    with pytest.raises(ConfigError, match="cio_id is no text property with unique values"):
        world.schema()


def test_a_property_may_not_take_the_name_of_our_key(build: Build) -> None:
    world = build([], make_activation((prop("id", PropertyType.TEXT),), ()))
    with pytest.raises(ConfigError, match=r"properties\.id"):
        world.schema()


def test_a_schema_looked_at_lately_is_taken_without_a_call_unless_the_activation_changed(build: Build) -> None:
    world = build([])
    log, hour = world.shared.log, timedelta(hours=1)
    assert run_schema(world.runtime, DESTINATION, hour)  # nothing is known yet: it is made
    log.clear()
    known = world.schema()
    assert log.calls("hubspot") != {}
    log.clear()
    assert run_schema(world.runtime, DESTINATION, hour) == known
    assert log.calls("hubspot") == {}
    assert run_schema(world.runtime, DESTINATION, timedelta(0)) == known
    assert log.calls("hubspot") != {}
    world.use(make_activation(properties=(*REALTIME, prop("new_one", PropertyType.TEXT))))
    run_schema(world.runtime, DESTINATION, hour)
    assert "cio_new_one" in properties(world)
