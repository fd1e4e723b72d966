"""What properties were: every day's values come back from the changes and the present ones, and each change says why."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from cio_activation.activation.models import Lane, PropertyType, Tiers
from cio_activation.state import derive as module
from cio_activation.state.derive import derive
from cio_activation_tests.drivers.state import StateBench, activation, default_properties, prop, window

NOW = datetime(2026, 11, 22, 5)
DAY = timedelta(days=1)


@pytest.fixture(params=[0.0, 2.0], ids=["all anew", "mended"])
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Both ways in which a derivation replaces rows."""
    with patch.object(module, "REDERIVE_SHARE", request.param):
        yield


def changes(world: StateBench, where: str = "true") -> list[tuple[Any, ...]]:
    return world.rows(
        f"SELECT cio_id, property, before, value, why FROM outcome.why_values WHERE {where} ORDER BY as_of, cio_id, property"
    )


@pytest.mark.usefixtures("way")
def test_a_change_says_whether_the_clock_or_what_it_reads_made_it(tmp_path: Path) -> None:
    world = StateBench.create(tmp_path)
    ages = {"aging": {"last_order_at": NOW - 31 * DAY + timedelta(hours=1), "spent": 80.0}, "still": {"spent": 80.0}}
    world.people(ages)
    derive(world.runtime, window(NOW), run_id="r1")
    assert changes(world) == []
    # On the same day it ages past an edge, and something else of it changes.
    world.people({"aging": ages["aging"] | {"spent": 300.0}, "still": ages["still"], "new": {"spent": 10.0}})
    derive(world.runtime, window(NOW + DAY), run_id="r2")
    assert changes(world, "property IN ('lapse', 'tier', 'live_tier')") == [
        ("aging", "lapse", "0-30", "31-90", "clock"),
        ("aging", "tier", "mid", "high", "attribute"),
        ("new", "tier", None, "low", "arrived"),
    ]
    ((inputs, run, key, rules),) = world.rows(
        "SELECT inputs, run_id, window_key, activation FROM outcome.why_values WHERE property = 'lapse'"
    )
    assert json.loads(inputs) == {"last_order_at": "2026-10-22 06:00:00"}
    assert (run, key, rules) == ("r2", window(NOW + DAY).key, world.runtime.activation.fingerprint())
    world.people({"still": ages["still"]})
    derive(world.runtime, window(NOW + 2 * DAY))
    gone = changes(world, "why = 'departed' AND property IN ('tier', 'lapse')")
    assert gone == [
        ("aging", "lapse", "31-90", None, "departed"), ("aging", "tier", "high", None, "departed"), ("new", "tier", "low", None, "departed"),
    ]  # fmt: skip
    assert world.rows("SELECT until - as_of FROM outcome.why_values WHERE value = 'high' AND property = 'tier'") == [
        (DAY,)
    ]


@pytest.mark.usefixtures("way")
def test_a_value_that_can_be_read_again_says_that_the_last_good_one_stood(tmp_path: Path) -> None:
    world = StateBench.create(tmp_path)
    for n, score in enumerate([1.0, float("inf"), 3.0]):
        world.people({"a": {"score": score}, "b": {}})
        derive(world.runtime, window(NOW + n * DAY))
    assert changes(world) == [("a", "points", "1.0", "3.0", "last_good")]


def test_a_changed_rule_says_so_and_what_it_did_not_touch_goes_on(tmp_path: Path) -> None:
    first = [p for p in default_properties() if p.name in ("lapse", "tier", "points")]
    world = StateBench.create(tmp_path, activation(first))
    people = {"a": {"spent": 80.0, "score": 4.0, "last_order_at": NOW - 31 * DAY + timedelta(hours=1)}}
    world.people(people)
    derive(world.runtime, window(NOW))
    tiers = Tiers(attribute="spent", edges=(90,), labels=("low", "high"))
    other = prop("tier", tiers, PropertyType.ENUM, labels=tiers.labels, deliver=("hubspot",))
    extra = next(p for p in default_properties() if p.name == "stage")
    derive(world.using(activation([first[0], other, extra])).runtime, window(NOW + DAY))
    assert changes(world) == [
        ("a", "lapse", "0-30", "31-90", "clock"), ("a", "points", "4.0", None, "rule"), ("a", "tier", "mid", "low", "rule"),
    ]  # fmt: skip
    assert world.rows("SELECT begins FROM state.derivations ORDER BY derivation") == [
        (["lapse", "tier", "points"],),
        (["stage"],),
    ]


def test_running_again_or_late_writes_nothing_and_old_changes_go(tmp_path: Path) -> None:
    world = StateBench.create(tmp_path, activation(history_retention=10 * DAY))
    for n, spent in enumerate([80.0, 300.0]):
        world.people({"a": {"spent": spent}, "b": {"spent": 1.0}})
        derive(world.runtime, window(NOW + n * DAY))
    before = world.rows("FROM state.value_changes"), world.rows("FROM state.derivations")
    derive(world.runtime, window(NOW + DAY))
    derive(world.runtime, window(NOW))
    assert (world.rows("FROM state.value_changes"), world.rows("FROM state.derivations")) == before
    derive(world.runtime, window(NOW + 11 * DAY))
    assert changes(world, "property = 'tier'") == [("a", "tier", "mid", "high", "attribute")]
    derive(world.runtime, window(NOW + 12 * DAY))
    assert (world.rows("FROM state.value_changes"), world.rows("FROM state.derivations")) == ([], [])


def test_no_history_is_written_where_none_is_wanted(tmp_path: Path) -> None:
    world = StateBench.create(tmp_path, activation(history_retention=timedelta(0)))
    for n, spent in enumerate([80.0, 300.0]):
        world.people({"a": {"spent": spent}})
        assert derive(world.runtime, window(NOW + n * DAY)).changed == 1
    assert (world.rows("FROM state.value_changes"), world.rows("FROM state.derivations")) == ([], [])


@pytest.mark.usefixtures("way")
def test_every_day_s_values_come_back(tmp_path: Path) -> None:
    """Days of people who come, change, are read badly and go, in both lanes; the rules change once."""
    chance = random.Random(11)
    world = StateBench.create(tmp_path)
    folk: dict[str, dict[str, Any]] = {}
    seen: dict[tuple[Lane, datetime], dict[str, dict[str, Any]]] = {}
    for n in range(10):
        as_of = NOW + n * DAY
        for who in chance.sample("abcdefghijkl", 4):
            folk[who] = {
                "spent": chance.choice([None, 10.0, 90.0, 300.0]), "orders": chance.choice([1, 3]),
                "last_order_at": as_of - chance.choice([1, 30, 59, 88]) * DAY - timedelta(hours=3),
                "category": chance.choice(["tea", None]), "score": chance.choice([1.5, float("inf"), 3.0]),
                "clicked_at": as_of - timedelta(hours=chance.choice([1, 5, 30])),
            }  # fmt: skip
        for who in chance.sample("abcdefghijkl", 1):
            folk.pop(who, None)
        world.people(folk)
        if n == 5:
            changed = [p for p in default_properties() if p.name != "last_day"]
            world = world.using(activation(changed))
        for lane in Lane:
            derive(world.runtime, window(as_of, lane))
            seen[lane, as_of] = world.state(lane)
    names = {p.name: p.lane for p in default_properties() if p.name != "last_day"}
    rows = world.rows("SELECT cio_id, property, before, as_of FROM outcome.why_values ORDER BY derivation")
    assert len(rows) > 100
    present = {lane: world.state(lane) for lane in Lane}
    for (lane, as_of), table in seen.items():
        for name in (n for n, its in names.items() if its is lane):
            for who in "abcdefghijkl":
                later = [before for w, p, before, at in rows if (w, p) == (who, name) and at > as_of]
                told = later[0] if later else text(present[lane].get(who, {}).get(name))
                assert told == text(table.get(who, {}).get(name)), (who, name, as_of)


def text(value: Any) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)
