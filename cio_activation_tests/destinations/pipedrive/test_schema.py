"""The schema step: fields by code, options by id, nothing written twice, plan caps told in plain words."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr

from cio_activation.activation.models import Lane
from cio_activation.delivery.destination import Context
from cio_activation.destinations.pipedrive import DESTINATION
from cio_activation.errors import ConfigError
from cio_activation.transport.errors import Stop
from cio_activation.transport.http import Unpaced
from cio_activation_tests.drivers.pipedrive import LABELS, Make, PipedriveBench, audience, model

WRITES = ("POST", "PATCH", "PUT", "DELETE")


def writes(bench: PipedriveBench) -> int:
    return sum(e.method in WRITES for e in bench.shared.log.entries)


def problems(bench: PipedriveBench) -> list[str]:
    async def ask() -> list[str]:
        settings = bench.runtime.settings
        async with DESTINATION.connect(settings, Unpaced()) as client:
            context = Context(settings, bench.runtime.activation, None, bench.catalog)
            return await DESTINATION.check(client, context)

    return asyncio.run(ask())


def test_fields_have_the_types_that_hold_their_values(bench: PipedriveBench) -> None:
    made = {f["field_name"]: f for f in bench.vendor.state()["fields"]}
    assert {n: f["field_type"] for n, f in made.items()} == {
        "cio_id": "varchar",
        "cio_audiences": "set",
        "cio_bucket": "enum",
        "cio_lapsed": "enum",
        "cio_category": "varchar",
        "cio_ordered_on": "date",
        "cio_spent": "double",
        "cio_cart_tier": "enum",
    }
    assert [o["label"] for o in made["cio_audiences"]["options"]] == list(LABELS.values())
    assert [o["label"] for o in made["cio_lapsed"]["options"]] == ["true", "false"]
    assert bench.catalog["field:id"] == made["cio_id"]["field_code"]
    assert bench.catalog[f"option:audiences:{LABELS['cart']}"] == made["cio_audiences"]["options"][1]["id"]


def test_a_second_run_reads_once_and_writes_nothing(bench: PipedriveBench) -> None:
    before, catalog = len(bench.shared.log.entries), bench.catalog
    assert bench.schema() == catalog
    asked = [(e.method, e.path) for e in list(bench.shared.log.entries)[before:]]
    assert asked == [("GET", "/v1/users/me"), ("GET", "/api/v2/personFields")]


def test_a_field_made_by_hand_is_adopted_by_name_and_gets_the_missing_options(make: Make) -> None:
    bench = make()
    field = bench.edit("create_field", name="cio_bucket", type="enum", options=["low", "a colleague's"])
    catalog = bench.schema()
    assert catalog["field:bucket"] == field["field_code"]
    labels = [
        o["label"] for f in bench.vendor.state()["fields"] if f["field_name"] == "cio_bucket" for o in f["options"]
    ]
    assert labels == ["low", "a colleague's", "high"]


def test_fields_and_options_renamed_by_a_colleague_stay_ours(bench: PipedriveBench) -> None:
    catalog, before = bench.catalog, writes(bench)
    bench.edit("rename_field", field="cio_bucket", name="How long away")
    bench.edit("rename_option", field="cio_audiences", option=LABELS["vip"], label="VIPs!")
    assert {k: v for k, v in bench.schema().items() if k != "advice"} == catalog
    assert writes(bench) == before


def test_what_is_there_under_our_prefix_and_how_it_differs_is_known(bench: PipedriveBench) -> None:
    bench.edit("create_field", name="cio_by_hand", type="varchar")
    bench.edit("rename_field", field="cio_spent", name="Spent so far")
    bench.edit("rename_option", field="cio_bucket", option="low", label="Hardly anything")
    bench.edit("add_option", field="cio_bucket", label="By hand")
    bench.edit("rename_option", field="cio_audiences", option=LABELS["vip"], label="Carla's people")
    before = len(bench.shared.log.entries)
    bench.schema()
    assert len(bench.shared.log.entries) == before + 2, "no call more than the fields take"
    rows = bench.query("SELECT kind, name, declared, differences, mend FROM delivery.definitions")
    assert [(kind, name) for kind, name, declared, _, _ in rows if declared is None] == [("field", "cio_by_hand")]
    differs = {declared: told for _, _, declared, told, _ in rows if told != "[]"}
    assert set(differs) == {"properties.spent", "properties.bucket", "audiences.vip"}
    assert "is called 'Spent so far' there" in differs["properties.spent"]
    assert "shows 'low' as 'Hardly anything'" in differs["properties.bucket"]
    assert "not declared: 'By hand'" in differs["properties.bucket"]
    assert "Carla's people" in differs["audiences.vip"]


def test_a_new_audience_adds_one_option_and_an_old_one_stays_known(bench: PipedriveBench) -> None:
    old = bench.catalog[f"option:audiences:{LABELS['cart']}"]
    before = writes(bench)
    bench.use(model({"vip": audience("vip"), "new": audience("new", label="NEW")}))
    catalog = bench.schema()
    assert writes(bench) == before + 1
    assert catalog[f"option:audiences:{LABELS['cart']}"] == old
    assert catalog["option:audiences:NEW"] not in (None, old)


def test_a_field_of_another_type_is_refused_before_anything_is_written(make: Make) -> None:
    bench = make()
    bench.edit("create_field", name="cio_spent", type="varchar")
    with pytest.raises(ConfigError, match=r"cio_spent.*varchar.*needs double.*rename or delete"):
        bench.schema()
    assert writes(bench) == 0


def test_the_plan_cap_says_how_many_fields_are_needed(make: Make) -> None:
    bench = make(account={"plan": "lite"})
    for number in range(26):
        bench.edit("create_field", name=f"other {number}", type="text")
    with pytest.raises(
        ConfigError, match=r"4 more are needed \(cio_category, cio_ordered_on, cio_spent, cio_cart_tier\)"
    ):
        bench.schema()


def test_our_own_cap_is_checked_before_fields_are_read(make: Make) -> None:
    bench = make(max_custom_fields=7)
    with pytest.raises(ConfigError, match=r"needs 8 custom fields but .*max_custom_fields is 7.*cio_cart_tier"):
        bench.schema()
    assert [e.path for e in bench.shared.log.entries] == ["/v1/users/me"]  # which company it is


def test_a_token_without_the_right_to_make_fields_is_told_apart_from_the_cap(make: Make) -> None:
    bench = make()
    bench.edit("set_admin", admin=False)
    with pytest.raises(ConfigError, match="does not let this token create the person field cio_id"):
        bench.schema()


def test_the_firewalls_page_stops_and_is_not_called_a_cap(make: Make) -> None:
    bench = make()
    bench.shared.faults.add(kind="html", vendor="pipedrive", method="POST")
    with pytest.raises(Stop):
        bench.schema()


def test_check_names_drift_and_rights_and_changes_nothing(bench: PipedriveBench) -> None:
    assert problems(bench) == []
    before = writes(bench)
    bench.edit("delete_option", field="cio_bucket", option="low")
    bench.edit("delete_field", field="cio_category")
    bench.edit("set_admin", admin=False)
    found = "\n".join(problems(bench))
    assert "not an admin" in found
    assert "cio_category was deleted" in found
    assert "cio_bucket lost 1 option(s) (low)" in found
    assert writes(bench) == before


def test_check_with_a_wrong_token_says_so(bench: PipedriveBench) -> None:
    bench.runtime = bench.runtime_with(pipedrive_api_token=SecretStr("wrong"))
    assert "the API token is wrong" in problems(bench)[0]


def test_a_lane_without_anything_for_pipedrive_has_no_steps() -> None:
    steps = DESTINATION.steps(model({"vip": audience("vip")}, ("bucket",)))
    retired = ["retired_activities", "retired_notes", "retired_deals"]
    first = ["person_mirror", "person_links_daily", "fields_daily"]
    assert [s.name for s in steps] == [*first, *retired, "removed_fields"]
    assert {s.lane for s in steps} == {Lane.DAILY}
