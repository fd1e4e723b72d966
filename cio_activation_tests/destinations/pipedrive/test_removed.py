"""What leaves the activation is taken off everybody in Pipedrive: fields, flags, and a label is followed both ways."""

from __future__ import annotations

from typing import Any

from cio_activation.activation.models import Lane, OnConflict
from cio_activation.destinations.common.removed_fields import OnRemoval
from cio_activation_tests.drivers.pipedrive import LABELS, Make, PipedriveBench, audience, model

ANN = "ann@example.com"


def delivered(make: Make, **options: Any) -> PipedriveBench:
    bench = make(**options)
    bench.person("c1", ANN, name="Ann Lee", bucket="low", category="Tea", spent=7.5, cart_tier="high")
    bench.inside["vip"] = {"c1"}
    bench.schema()
    bench.lane()
    bench.lane(Lane.REALTIME)
    assert {"cio_bucket", "cio_category", "cio_spent", "cio_cart_tier"} <= bench.fields(ANN).keys()
    assert bench.fields(ANN)["cio_audiences"] == [LABELS["vip"]]
    return bench


def use(bench: PipedriveBench, activation: Any) -> None:
    bench.use(activation)
    bench.schema()


def test_dropped_properties_of_both_lanes_are_cleared_and_then_there_is_quiet(make: Make) -> None:
    bench = delivered(make)
    use(bench, model(names=("bucket", "lapsed")))
    bench.lane()
    assert bench.reports["removed_fields"].by_kind == {"withdraw": 1}
    assert bench.fields(ANN).keys() == {"cio_id", "cio_bucket", "cio_audiences"}
    bench.lane()
    assert bench.reports["removed_fields"].planned == 0


def test_values_that_are_left_go_with_the_person(make: Make) -> None:
    bench = delivered(make, on_removal=OnRemoval.LEAVE)
    use(bench, model(names=("bucket",), on_removal=OnRemoval.LEAVE))
    bench.lane()
    assert {"cio_category", "cio_spent", "cio_cart_tier"} <= bench.fields(ANN).keys()
    del bench.people["c1"]
    bench.inside["vip"] = set()
    bench.lane()
    assert bench.fields(ANN) == {}


def test_what_a_human_changed_stays_where_the_destination_keeps_it(make: Make) -> None:
    bench = delivered(make, on_conflict=OnConflict.KEEP)
    bench.edit("set_field", person=ANN, field="cio_bucket", value="high")
    use(bench, model(names=("lapsed",), on_conflict=OnConflict.KEEP))
    bench.lane()
    assert bench.fields(ANN).keys() == {"cio_id", "cio_bucket", "cio_audiences"}
    bench.lane()
    assert bench.reports["removed_fields"].planned == 0


def test_the_last_audience_that_leaves_is_taken_from_everyone(make: Make) -> None:
    bench = delivered(make)
    bench.inside = {}
    use(bench, model(audiences={}))
    bench.lane()
    assert "cio_audiences" not in bench.fields(ANN)


def test_where_nothing_is_delivered_any_more_everybody_is_cleared(make: Make) -> None:
    bench = delivered(make)
    bench.inside = {}
    use(bench, model(audiences={}, names=()))
    bench.lane()
    assert bench.fields(ANN) == {"cio_id": "c1"}


def test_a_label_changed_in_the_activation_renames_the_option(make: Make) -> None:
    bench = delivered(make)
    before = option_ids(bench)
    use(bench, model({"vip": audience("vip", label="RET - Call the best"), "cart": audience("cart", Lane.REALTIME)}))
    assert option_ids(bench) == {("RET - Call the best" if k == LABELS["vip"] else k): v for k, v in before.items()}
    mark = len(bench.requests("PATCH"))
    bench.lane()
    assert bench.fields(ANN)["cio_audiences"] == ["RET - Call the best"]
    assert len(bench.requests("PATCH")) == mark  # nobody's person had to be written
    bench.inside["vip"] = set()
    bench.lane()
    assert "cio_audiences" not in bench.fields(ANN)


def test_an_option_renamed_by_a_colleague_is_followed_and_told(make: Make) -> None:
    bench = delivered(make)
    option = option_ids(bench)[LABELS["vip"]]
    bench.edit("rename_option", field="cio_audiences", option=option, label="Our best")
    catalog = bench.schema()
    assert any("Our best" in told and "audiences.vip.label" in told for told in catalog["advice"])
    bench.lane()
    assert bench.fields(ANN)["cio_audiences"] == ["Our best"]
    bench.inside["vip"] = set()
    bench.lane()
    assert "cio_audiences" not in bench.fields(ANN)


def test_the_option_of_an_audience_that_left_is_told_until_somebody_deletes_it(make: Make) -> None:
    bench = delivered(make)
    use(bench, model({"cart": audience("cart", Lane.REALTIME)}))
    assert any(LABELS["vip"] in told for told in bench.catalog["advice"])
    bench.lane()
    bench.edit("delete_option", field="cio_audiences", option=option_ids(bench)[LABELS["vip"]])
    assert "advice" not in bench.schema()


def option_ids(bench: PipedriveBench) -> dict[str, int]:
    [field] = [f for f in bench.vendor.state()["fields"] if f["field_name"] == "cio_audiences"]
    return {o["label"]: o["id"] for o in field["options"]}


def test_a_clearing_that_is_rejected_for_one_field_is_tried_again_for_that_field(make: Make) -> None:
    bench = delivered(make)
    use(bench, model(names=("bucket", "lapsed", "cart_tier")))
    refusal = {
        "kind": "status",
        "status": 400,
        "method": "PATCH",
        "path": "/api/v2/persons/*",
        "body": {"success": False},
    }
    bench.fault(**refusal)  # of both fields together,
    bench.fault(**refusal, skip=1)  # then of the second alone
    bench.lane()
    assert bench.reports["removed_fields"].fields_rejected == 1
    [(left,)] = bench.query("SELECT field FROM delivery.rejected")
    assert bench.fields(ANN).keys() & {"cio_category", "cio_spent"} == {f"cio_{left}"}
    bench.day += 1
    bench.lane()
    assert bench.fields(ANN).keys() == {"cio_id", "cio_bucket", "cio_cart_tier", "cio_audiences"}
    assert bench.query("SELECT field FROM delivery.rejected") == []


def test_a_field_that_we_never_got_a_value_into_is_not_cleared(make: Make) -> None:
    """What it holds is not known to be ours: here a colleague's."""
    bench = make()
    bench.schema()
    bench.edit("refuse", field="cio_category", text="Tea")
    bench.person("c1", ANN, name="Ann Lee", bucket="low", category="Tea")
    bench.inside["vip"] = {"c1"}
    bench.lane()
    assert bench.query("SELECT field FROM delivery.rejected") == [("category",)]
    bench.edit("set_field", person=ANN, field="cio_category", value="Mine")
    use(bench, model(names=("bucket",)))
    bench.lane()
    assert bench.reports["removed_fields"].planned == 0
    assert bench.fields(ANN)["cio_category"] == "Mine"
