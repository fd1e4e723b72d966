"""Options and fields that stand in our way: check names them first, with the mend; what can hold our values is used."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cio_activation.delivery.destination import Context
from cio_activation.destinations.pipedrive import DESTINATION
from cio_activation.errors import ConfigError
from cio_activation.transport.http import Unpaced
from cio_activation_tests.drivers.pipedrive import LABELS, Make, PipedriveBench, audience, model

ONE = {"audiences": {}, "names": ("bucket",)}


def asked(bench: PipedriveBench) -> tuple[list[str], list[str]]:
    """Return what check calls a problem, and what it advises where there is none, whose token it is left aside."""

    async def work() -> tuple[list[str], list[str]]:
        settings = bench.runtime.settings
        async with DESTINATION.connect(settings, Unpaced()) as client:
            context = Context(settings, bench.runtime.activation, None, bench.catalog)
            problems = await DESTINATION.check(client, context)
            advice = [] if problems else await DESTINATION.advise(client, context)
            return problems, [sentence for sentence in advice if "PIPEDRIVE_API_TOKEN" not in sentence]

    return asyncio.run(work())


def options(bench: PipedriveBench, name: str) -> list[str]:
    found = next(f for f in bench.vendor.state()["fields"] if f["field_name"] == name)
    return [o["label"] for o in found["options"]]


def delivered(bench: PipedriveBench, **values: Any) -> dict[str, Any]:
    """Deliver values of Ann; return what her person holds then, as Pipedrive shows it."""
    bench.schema()
    bench.person("c1", "ann@example.com", name="Ann Lee", **values)
    bench.lane()
    assert bench.query("SELECT reason FROM delivery.rejected") == []
    assert bench.lane().planned == 0
    return bench.fields("ann@example.com")


def test_an_option_that_reads_alike_is_used_and_none_is_added_beside_it(make: Make) -> None:
    bench = make(**ONE)
    bench.edit("create_field", name="cio_bucket", type="enum", options=["Low ", "HIGH"])
    assert delivered(bench, bucket="low")["cio_bucket"] == "Low "
    assert options(bench, "cio_bucket") == ["Low ", "HIGH"]


def test_yes_and_no_made_by_hand_hold_a_flag(make: Make) -> None:
    bench = make(audiences={}, names=("lapsed",))
    bench.edit("create_field", name="cio_lapsed", type="enum", options=["Yes", "No"])
    assert delivered(bench, lapsed=False)["cio_lapsed"] == "No"
    assert options(bench, "cio_lapsed") == ["Yes", "No"]


@pytest.mark.parametrize(("kind", "shown"), [("set", ["low"]), ("varchar", "low"), ("text", "low")])
def test_a_field_of_another_type_that_can_hold_our_values_is_used(make: Make, kind: str, shown: Any) -> None:
    bench = make(**ONE, on_conflict="keep")
    bench.edit("create_field", name="cio_bucket", type=kind, options=["high"] if kind == "set" else None)
    assert asked(bench) == ([], [])
    assert delivered(bench, bucket="low")["cio_bucket"] == shown
    bench.person("c1", "ann@example.com", name="Ann Lee", bucket="high")
    assert bench.lane().delivered == 1  # read back as it was written: no human changed it
    assert bench.query("SELECT * FROM delivery.conflicts") == []
    bench.use(model({}, ("spent",)))  # and taken back where it is dropped
    bench.schema()
    bench.day += 1
    bench.decide()
    bench.step("removed_fields")
    assert "cio_bucket" not in bench.fields("ann@example.com")


def test_one_of_ours_that_was_renamed_to_another_of_ours_is_named(make: Make) -> None:
    """People of one value would be shown as of the other; all is delivered to the right option all the same."""
    bench = make(**ONE)
    bench.schema()
    bench.edit("rename_option", field="cio_bucket", option="low", label="high")
    [told], _ = asked(bench)
    assert "'cio_bucket' shows people of 'low' as 'high'" in told
    assert "rename it to 'low' there" in told
    assert bench.schema()["field:bucket"]


def test_twins_of_fields_and_options_are_advice(make: Make) -> None:
    bench = make(**ONE)
    ours = bench.schema()["field:bucket"]
    other = bench.edit("create_field", name="cio_bucket", type="enum", options=["x"])["field_code"]
    bench.edit("add_option", field=ours, label="Low")
    problems, advice = asked(bench)
    assert problems == []
    told = " | ".join(advice)
    assert f"2 person fields called 'cio_bucket': ours is {ours}, and nothing is written to {other}" in told
    assert "has the option 'low' twice: ours is" in told


def test_check_counts_the_plans_fields_before_a_run_does(make: Make) -> None:
    bench = make(account={"plan": "lite"}, requests_per_2s=20)
    for number in range(26):
        bench.edit("create_field", name=f"other {number}", type="text")
    [told], _ = asked(bench)
    assert "Lite plan (by destinations.pipedrive.requests_per_2s) takes 30 custom fields" in told
    assert "have 26, and 8 more are needed (cio_id, cio_audiences, cio_bucket" in told
    assert "take a larger plan" in told


def test_an_option_that_may_not_be_added_is_named(make: Make) -> None:
    bench = make(**ONE)
    bench.edit("create_field", name="cio_id", type="varchar")
    bench.edit("create_field", name="cio_bucket", type="enum", options=["low"])
    bench.edit("set_admin", admin=False)
    with pytest.raises(
        ConfigError, match=r"option\(s\) 'high' for its field 'cio_bucket' \(403\): use the token of an"
    ):
        bench.schema()


def test_the_field_of_audiences_is_called_as_declared_and_renamed_with_it(make: Make) -> None:
    vip = {"vip": audience("vip")}
    bench = make(audiences=vip, names=(), audience_field="cio_segment")
    code = bench.schema()["field:audiences"]
    bench.person("c1", "ann@example.com", name="Ann Lee")
    bench.inside["vip"] = {"c1"}
    bench.lane()
    assert bench.fields("ann@example.com")["cio_segment"] == [LABELS["vip"]]
    bench.edit("rename_field", field="cio_segment", name="Who to call")  # a colleague's name stays
    assert bench.schema()["field:audiences"] == code
    assert "Who to call" in bench.fields("ann@example.com")
    bench.use(model(vip, (), audience_field="cio_who"))  # until ours is another one
    assert bench.schema()["field:audiences"] == code
    assert bench.fields("ann@example.com")["cio_who"] == [LABELS["vip"]]
    assert bench.lane().planned == 0


@pytest.mark.parametrize(
    ("name", "mend"),
    [("segment", "call it cio_segment"), ("cio_bucket", "give it one of its own"), ("cio_id", "another")],
)
def test_a_name_that_cannot_be_the_audiences_is_refused_before_anything_is_written(
    make: Make, name: str, mend: str
) -> None:
    bench = make(audience_field=name)
    [told] = asked(bench)[0]
    assert f"destinations.pipedrive.audience_field: {name!r}" in told
    assert mend in told
    with pytest.raises(ConfigError, match=mend):
        bench.schema()
