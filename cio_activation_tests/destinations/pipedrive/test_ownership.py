"""I5 on Pipedrive: kept fields are compared with the mirror, which costs no call of its own."""

from __future__ import annotations

from typing import Any

import pytest

from cio_activation.activation.models import Lane, OnConflict
from cio_activation.destinations.pipedrive.wanted import KEPT_MAX, wanted_fields
from cio_activation.errors import ConfigError
from cio_activation_tests.drivers.pipedrive import Make, PipedriveBench, model, prop

KEPT = ("bucket", "lapsed", "category", "ordered_on", "spent")
FIRST: dict[str, Any] = {
    "bucket": "low", "lapsed": False, "category": "Tea", "ordered_on": "2026-01-31", "spent": 12.5,
}  # fmt: skip
SECOND: dict[str, Any] = {
    "bucket": "high", "lapsed": True, "category": "Coffee", "ordered_on": "2026-02-28", "spent": 99.0,
}  # fmt: skip


@pytest.fixture
def bench(make: Make) -> PipedriveBench:
    """Return a bench that keeps every field; Ann has her first values."""
    made = make(on_conflict=OnConflict.KEEP, audiences={}, names=KEPT)
    made.schema()
    made.person("p1", "ann@example.com", **FIRST)
    assert made.lane().delivered == 1
    return made


def second(bench: PipedriveBench, **values: Any) -> None:
    bench.person("p1", "ann@example.com", **{**SECOND, **values})


def test_fields_nobody_touched_are_written_and_cost_what_they_cost_without_keep(bench: PipedriveBench) -> None:
    second(bench)
    report = bench.lane()
    assert (report.delivered, bench.query("SELECT * FROM delivery.conflicts")) == (1, [])
    assert bench.calls == {"persons.list": 1, "persons.update": 1}
    second(bench, spent=100.0)
    assert bench.lane().delivered == 1
    assert bench.fields("ann@example.com")["cio_spent"] == 100.0


HUMAN = [("cio_bucket", "bucket", None, "high"), ("cio_category", "category", "Cocoa", "Coffee"),
         ("cio_spent", "spent", 13.5, "99.0"), ("cio_ordered_on", "ordered_on", "2026-03-01", "2026-02-28"),
         ("cio_lapsed", "lapsed", "true", "true")]  # fmt: skip


@pytest.mark.parametrize(("field", "name", "value", "ours"), HUMAN)
def test_what_a_colleague_changed_stays_whatever_its_type(
    bench: PipedriveBench, field: str, name: str, value: Any, ours: str
) -> None:
    bench.edit("set_field", person="ann@example.com", field=field, value=value)
    held = bench.fields("ann@example.com").get(field)
    second(bench)
    report = bench.lane()
    assert report.delivered == 1
    after = bench.fields("ann@example.com")
    assert after.get(field) == held
    found = bench.query("SELECT field, ours FROM delivery.conflicts")
    assert found == ([] if name == "lapsed" else [(name, ours)])  # the colleague typed what we want
    others = {f for f, *_ in HUMAN} - {field}
    assert {f for f in others if after[f] is None} == set()


def test_an_unchanged_conflict_is_quiet(bench: PipedriveBench) -> None:
    bench.edit("set_field", person="ann@example.com", field="cio_category", value="Cocoa")
    bench.person("p1", "ann@example.com", **{**FIRST, "category": "Coffee"})
    report = bench.lane()
    assert (report.planned, report.unneeded) == (1, 1)
    assert bench.lane().planned == 0
    assert bench.fields("ann@example.com")["cio_category"] == "Cocoa"
    assert "persons.update" not in bench.calls


def test_a_colleague_who_takes_it_back_ends_the_conflict(bench: PipedriveBench) -> None:
    bench.edit("set_field", person="ann@example.com", field="cio_category", value="Cocoa")
    second(bench)
    bench.lane()
    bench.edit("set_field", person="ann@example.com", field="cio_category", value="Tea")
    second(bench, category="Mate")
    assert bench.lane().delivered == 1
    assert bench.fields("ann@example.com")["cio_category"] == "Mate"
    assert bench.query("SELECT * FROM delivery.conflicts") == []


def test_keep_that_is_switched_on_later_reads_the_mirror_anew_and_then_knows(make: Make) -> None:
    bench = make(audiences={}, names=KEPT)
    bench.schema()
    bench.person("p1", "ann@example.com", **FIRST)
    bench.lane()
    bench.edit("set_field", person="ann@example.com", field="cio_category", value="Cocoa")
    bench.lane()  # nothing of ours changed: the edit is not looked at
    bench.use(model({}, KEPT, on_conflict=OnConflict.KEEP))
    second(bench)
    assert bench.lane().delivered == 1
    assert bench.fields("ann@example.com")["cio_category"] == "Cocoa"


def test_only_what_is_ours_goes_into_an_update(bench: PipedriveBench) -> None:
    second(bench)
    bench.lane()
    codes = {c for n, c in bench.catalog.items() if n.startswith("field:")}
    bodies = bench.requests("PATCH")
    assert bodies
    assert all(set(b) == {"custom_fields"} and set(b["custom_fields"]) <= codes for b in bodies)


def test_more_kept_fields_than_a_list_shows_are_refused_with_a_mend() -> None:
    names = [f"f{i}" for i in range(KEPT_MAX + 1)]
    many = {n: prop("category").model_copy(update={"name": n, "label": n}) for n in names}
    activation = model({}, on_conflict=OnConflict.KEEP).model_copy(update={"properties": many})
    with pytest.raises(ConfigError, match=f"let {names[-1]} overwrite"):
        wanted_fields(activation)


def test_who_leaves_customerio_keeps_what_a_colleague_wrote_in_either_lanes_fields(make: Make) -> None:
    """The daily lane notices first and empties the real-time lane's field too; that one is kept, its own are not."""
    keep = {"on_conflict": OnConflict.KEEP}
    activation = model({}, ("category", "cart_tier"))
    kept = activation.properties["cart_tier"].model_copy(update=keep)
    bench = make(audiences={}, names=("category", "cart_tier"))
    bench.use(activation.model_copy(update={"properties": {**activation.properties, "cart_tier": kept}}))
    bench.schema()
    bench.person("p1", "ann@example.com", category="Tea", cart_tier="low")
    bench.lane()
    bench.lane(Lane.REALTIME)
    bench.edit("set_field", person="ann@example.com", field="cio_cart_tier", value="high")
    bench.edit("set_field", person="ann@example.com", field="cio_category", value="Cocoa")
    bench.people.clear()
    assert dict(bench.lane().by_kind) == {"clear": 1}
    assert "cio_category" not in bench.fields("ann@example.com")
    assert bench.query("SELECT field, ours FROM delivery.conflicts") == [("cart_tier", None)]
    assert bench.lane().planned == bench.lane(Lane.REALTIME).planned == 0
