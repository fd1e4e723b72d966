"""The real-time lane within a window: who was fetched since is looked at, and the table is what looking at all gives."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cio_activation.activation.models import Lane
from cio_activation.state.derive import StateResult, derive
from cio_activation.warehouse import change_log
from cio_activation.warehouse.tables import PEOPLE_CURRENT
from cio_activation_tests.drivers.state import StateBench, activation, default_properties, expecting, window
from cio_activation_tests.drivers.tables import noted
from cio_activation_tests.forms import form
from cio_activation_tests.state.populations import NOW, person, spans

RT = Lane.REALTIME
EVERYTHING = "SELECT * EXCLUDE (as_of) FROM state.realtime_properties ORDER BY cio_id"
LIVE = [p.model_copy(update={"lane": RT}) for p in default_properties() if p.name not in ("reorder", "last_day")]

names = st.integers(0, 9).map(lambda i: f"p{i:02}")
learned = st.dictionaries(names, st.one_of(st.none(), person, person), max_size=4)
turns = st.lists(
    st.tuples(st.sampled_from(["fetched", "fetched", "snapshot", "later"]), learned, spans), min_size=2, max_size=7
)


def run(world: StateBench, as_of: datetime = NOW) -> StateResult:
    return derive(world.runtime, window(as_of, RT))


@settings(max_examples=form(6, 200), deadline=None)
@given(start=st.dictionaries(names, person, max_size=8), history=turns)
def test_few_looked_at_give_what_all_looked_at_give(
    start: dict[str, dict[str, Any]], history: list[tuple[str, dict[str, Any], timedelta]]
) -> None:
    there, as_of = dict(start), NOW
    with tempfile.TemporaryDirectory() as home:
        world = StateBench.create(Path(home) / "few", activation(LIVE))
        world.people(there)
        run(world, as_of)
        for what, changed, span in history:
            there = {k: v for k, v in (there | changed).items() if v is not None}
            if what == "snapshot":
                world.people(there)
            else:
                found = {k: v for k, v in changed.items() if v is not None}
                world.fetched(found, [k for k in changed if k not in found])
            as_of += span if what == "later" else timedelta(0)
            run(world, as_of)
            fresh = StateBench.create(Path(home) / "all", activation(LIVE))
            fresh.people(there)
            run(fresh, as_of)
            assert world.rows(EVERYTHING) == fresh.rows(EVERYTHING)


def test_only_a_window_s_first_run_and_the_first_after_a_snapshot_look_at_everybody(tmp_path: Path) -> None:
    world = StateBench.create(tmp_path)
    people = {f"p{i}": {"spent": float(i)} for i in range(20)}
    world.people(people)
    assert run(world).people_in_scope == 20
    assert run(world).people_in_scope == 0
    world.fetched({"p1": {"spent": 500.0}, "new": {"spent": 1.0}}, gone=["p2"])
    found = run(world)
    assert (found.people_in_scope, found.candidates, found.changed, found.removed, found.rows) == (3, 2, 2, 1, 20)
    assert world.state(RT)["p1"]["live_tier"] == "big"
    assert run(world).people_in_scope == 0
    assert run(world, NOW + timedelta(minutes=15)).people_in_scope == 20
    world.people(people)
    with world.runtime.warehouse.write() as con:
        change_log.note(con, PEOPLE_CURRENT, None)  # as a snapshot does
    assert run(world, NOW + timedelta(minutes=15)).people_in_scope == 20
    assert run(world, NOW + timedelta(minutes=15)).people_in_scope == 0


@pytest.mark.parametrize("by", ["fetched", "people"])
def test_who_is_refused_is_refused_and_listed_by_each_run(tmp_path: Path, by: str) -> None:
    points = next(p for p in default_properties() if p.name == "points")
    world = StateBench.create(tmp_path, activation([points.model_copy(update={"lane": RT})]))
    world.people({"a": {"score": 1.0}, "b": {"score": 2.0}})
    run(world)
    getattr(world, by)({"a": {"score": float("inf")}, "b": {"score": 2.0}})
    for _ in range(3):
        assert run(world).quarantined == {"number is out of range": 1}
        assert world.rows("SELECT cio_id FROM quarantine.rows WHERE layer = 'state'") == [("a",)]
    assert world.state(RT)["a"]["points"] == 1.0
    world.fetched({"a": {"score": 3.0}})
    assert run(world).quarantined == {}
    assert world.state(RT)["a"]["points"] == 3.0


def test_medians_of_everybody_are_taken_by_each_run(tmp_path: Path) -> None:
    moved = expecting().model_copy(update={"lane": RT})
    world = StateBench.create(tmp_path, activation([moved]))
    asking = {"last_order_at": NOW - timedelta(days=15), "category": "tea"}
    tea = {f"tea{i}": {"category": "tea", "gap_days": 10.0} for i in range(6)}
    world.people(tea | {"thirsty": asking})
    run(world)
    assert world.state(RT)["thirsty"]["reorder"] == "due"
    world.fetched({k: v | {"gap_days": 40.0} for k, v in tea.items()})
    run(world)
    assert world.state(RT)["thirsty"]["reorder"] == "before"


def test_a_changed_rule_is_applied_to_everybody_within_the_window(tmp_path: Path) -> None:
    world = StateBench.create(tmp_path, activation(LIVE))
    world.people({"a": {"spent": 80.0}, "b": {"spent": 10.0}})
    run(world)
    fewer = world.using(activation([p for p in LIVE if p.name == "tier"]))
    assert (run(fewer).rebuilt, set(fewer.state(RT))) == (True, {"a", "b"})


def test_who_was_derived_is_noted_for_the_plans(tmp_path: Path) -> None:
    world = StateBench.create(tmp_path, activation(LIVE))

    def moved() -> set[str | None]:
        with world.runtime.warehouse.write() as con:
            return noted(con, "state.realtime_properties")

    world.people({f"p{i}": {"spent": float(i)} for i in range(20)})
    run(world)
    assert moved() == {None}, "a new table is everybody's"
    world.fetched({"p1": {"spent": 500.0}}, gone=["p2"])
    run(world)
    assert moved() == {"p1", "p2"}
    run(world)
    assert moved() == set()
