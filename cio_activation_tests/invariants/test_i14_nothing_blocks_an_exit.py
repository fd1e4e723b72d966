"""I14: a value that a vendor refuses is refused alone; the person's other fields, flags, and above all exits, go out.

Bad values are of three sorts: beyond a documented limit (never sent), refused by the vendor naming the field, and
refused without naming anything. Each mixture of them must leave the same traces at the stand-in.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cio_activation_tests.drivers.hubspot import LABEL, HubSpotBench, hubspot_bench, person
from cio_activation_tests.drivers.pipedrive import Make, PipedriveBench
from cio_activation_tests.drivers.pipedrive import make as make  # a fixture
from cio_activation_tests.forms import form

EXAMPLES = settings(settings.get_profile("towns"), max_examples=form(5, 60))
ANN = "ann@example.com"
GOOD: dict[str, Any] = {"bucket": "high", "lapsed": True, "category": "tea", "ordered_on": "2026-11-20", "spent": 40.5}
SHOWN = {
    "cio_bucket": "high", "cio_lapsed": "true", "cio_category": "tea", "cio_ordered_on": "2026-11-20", "cio_spent": 40.5,
}  # fmt: skip
REFUSED = "no such thing"
BAD: dict[str, st.SearchStrategy[Any]] = {
    "category": st.sampled_from(["x" * 256, "x" * 300, REFUSED]),
    "spent": st.sampled_from([1e14, -1e15, float("inf"), 1.5e308]),
    "bucket": st.just("neither"),
}
"""Property -> values of it that Pipedrive does not take."""


def member(make: Make, *, named: bool = True) -> PipedriveBench:
    """Return an account where Ann is in both audiences and nothing is written of her state yet."""
    bench = make()
    bench.schema()
    bench.edit("refuse", field="cio_category", text=REFUSED, named=named)
    bench.person("c1", ANN, name="Ann Lee", bucket="low")
    bench.inside = {"vip": {"c1"}, "cart": {"c1"}}
    bench.lane()
    assert len(bench.fields(ANN)["cio_audiences"]) == 2
    return bench


@EXAMPLES
@given(
    bad=st.fixed_dictionaries({}, optional=BAD), named=st.booleans(), leaves=st.sets(st.sampled_from(["vip", "cart"]))
)
def test_whatever_value_is_refused_the_rest_of_the_record_is_as_wanted_in_the_same_run(
    make: Make, bad: dict[str, Any], named: bool, leaves: set[str]
) -> None:
    bench = member(make, named=named)
    bench.people["c1"]["values"] = GOOD | bad
    for audience in leaves:
        bench.inside[audience] = set()
    bench.lane()
    shown = bench.fields(ANN)
    assert len(shown.pop("cio_audiences", [])) == 2 - len(leaves)
    wanted = {k: v for k, v in SHOWN.items() if k.removeprefix("cio_") not in bad}
    assert {k: v for k, v in shown.items() if k in wanted} == wanted
    assert shown.get("cio_bucket") == ("low" if "bucket" in bad else "high")
    assert refused_fields(bench) == set(bad)
    assert again_today(bench) == 0
    bench.people["c1"]["values"] = GOOD
    bench.lane()
    assert {k: v for k, v in bench.fields(ANN).items() if k != "cio_audiences"} == SHOWN | {"cio_id": "c1"}
    assert refused_fields(bench) == set()


def again_today(bench: PipedriveBench) -> int:
    """Run the same window again; return how much it planned: what is refused is not due before tomorrow."""
    bench.day -= 1
    return bench.lane().planned


def refused_fields(bench: PipedriveBench) -> set[str]:
    """Return the fields that the queue or the newest window's quarantine name."""
    queued = bench.query("SELECT field FROM delivery.rejected")
    window = f"{bench.query('SELECT max(window_key) FROM delivery.plans')[0][0]}"
    stopped = bench.query(f"SELECT \"column\" FROM quarantine.rows WHERE layer = 'payload' AND window_key = '{window}'")
    return {name for (name,) in (*queued, *stopped) if name}


def test_the_exit_is_sent_first_and_alone_once_its_request_was_refused(make: Make) -> None:
    bench = member(make, named=False)
    bench.people["c1"]["values"] = GOOD | {"category": REFUSED}
    bench.inside["vip"] = set()
    before = len(bench.requests("PATCH"))
    bench.lane()
    codes = {str(v): k for k, v in bench.catalog.items() if k.startswith("field:")}
    sent = [sorted(codes[c] for c in r["custom_fields"]) for r in bench.requests("PATCH")[before:]]
    assert "field:audiences" in sent[0]
    assert len(sent[0]) > 1
    assert sent[1] == ["field:audiences"]


def test_a_value_beyond_a_documented_limit_costs_no_call(make: Make) -> None:
    bench = member(make)
    bench.people["c1"]["values"] = {"bucket": "low", "category": "x" * 256, "spent": 1e14}
    before = len(bench.requests("PATCH"))
    assert bench.lane().planned == 0
    assert len(bench.requests("PATCH")) == before
    told = bench.query("SELECT \"column\", reason FROM quarantine.rows WHERE layer = 'payload' ORDER BY 1")
    assert [c for c, _ in told] == ["category", "spent"]
    assert "255" in told[0][1]


def test_the_queue_names_the_field_and_not_the_value(make: Make) -> None:
    bench = member(make)
    bench.people["c1"]["values"] = GOOD | {"category": REFUSED}
    report = bench.lane()
    queued = bench.query("SELECT field, reason, CAST(rejected AS VARCHAR) FROM delivery.rejected AS rejected")
    assert [q[0] for q in queued] == ["category"]
    assert REFUSED not in str(queued)
    assert any("category" in reason for reason in report.reasons)


@pytest.mark.parametrize("named", [True, False])
def test_a_person_is_made_without_the_value_that_is_refused(make: Make, named: bool) -> None:
    bench = make()
    bench.schema()
    bench.edit("refuse", field="cio_category", text=REFUSED, named=named)
    bench.person("c9", "nora@example.com", name="Nora New", **(GOOD | {"category": REFUSED}))
    bench.inside["vip"] = {"c9"}
    report = bench.lane()
    assert (report.planned, report.delivered) == (1, 1)
    shown = bench.fields("nora@example.com")
    assert len(shown.pop("cio_audiences")) == 1
    assert shown == {k: v for k, v in SHOWN.items() if k != "cio_category"} | {"cio_id": "c9"}
    assert again_today(bench) == 0
    assert len(bench.requests("POST")) <= 2


def test_a_person_made_without_a_refused_value_is_made_once_though_the_rest_is_not_answered(make: Make) -> None:
    bench = make()
    bench.schema()
    bench.edit("refuse", field="cio_category", text=REFUSED, named=False)
    bench.person("c9", "nora@example.com", name="Nora New", **(GOOD | {"category": REFUSED}))
    bench.inside["vip"] = {"c9"}
    bench.shared.faults.add(kind="status", vendor="pipedrive", method="PATCH", status=503, times=9)
    assert bench.lane().delivered == 1
    bench.shared.faults.clear()
    assert again_today(bench) == 1
    assert len(bench.requests("POST")) == 2
    shown = bench.fields("nora@example.com")
    assert {k: v for k, v in shown.items() if k in SHOWN} == {k: v for k, v in SHOWN.items() if k != "cio_category"}


# -- HubSpot


@pytest.fixture
def world(tmp_path: Path) -> Any:
    made = hubspot_bench(tmp_path / "home", [{"email": f"person{n}@example.com"} for n in (1, 2, 3)])
    made.schema()
    made.persons([person(n) for n in (1, 2, 3)])
    made.state({f"p{n:05d}": {"lapse_bucket": "0-30"} for n in (1, 2, 3)})
    made.members("winback", ["p00001", "p00002"])
    made.run()
    yield made
    made.stop()


def without_option(world: HubSpotBench) -> None:
    """Let a colleague take an option away that our values need."""
    options = [{"value": v, "label": v, "displayOrder": i, "hidden": False} for i, v in enumerate(("0-30", "31-90"))]
    world.edit("set_options", name="cio_lapse_bucket", options=options)


@pytest.mark.parametrize("spoil", [without_option, lambda w: w.edit("archive_property", name="cio_lapse_bucket")])
def test_in_hubspot_a_refused_value_leaves_the_others_and_the_exit_go(
    world: HubSpotBench, spoil: Callable[[HubSpotBench], Any]
) -> None:
    spoil(world)
    world.state({f"p{n:05d}": {"lapse_bucket": "91+", "ltv": n, "last_category": "tea"} for n in (1, 2, 3)})
    world.members("winback", ["p00002"])
    report = world.run()["properties_daily"]
    assert report.delivered == 3
    assert {c: (v["cio_ltv"], v["cio_last_category"]) for c, v in world.contacts().items()} == {
        f"p{n:05d}": (str(n), "tea") for n in (1, 2, 3)
    }
    assert world.on_list(f"{LABEL} [v1]") == {"p00002"}
    assert world.sql("SELECT DISTINCT field FROM delivery.rejected") == [("lapse_bucket",)]
    mark = world.mark()
    world.day -= 1
    world.run(only="properties_daily")
    assert not world.writes(mark)


def test_in_hubspot_a_text_that_is_too_long_is_never_sent(world: HubSpotBench) -> None:
    world.state({"p00001": {"lapse_bucket": "91+", "last_category": "x" * 65_537}})
    report = world.run()["properties_daily"]
    assert (report.rejected, report.held) == (0, 0)
    assert world.contacts()["p00001"]["cio_lapse_bucket"] == "91+"
    assert "cio_last_category" not in world.contacts()["p00001"]
    told = world.sql("SELECT cio_id, \"column\" FROM quarantine.rows WHERE layer = 'payload'")
    assert told == [("p00001", "last_category")]
