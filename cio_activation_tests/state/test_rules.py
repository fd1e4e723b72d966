"""Each rule by example: the values at and around its edges."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cio_activation.activation.models import PropertyType, Value
from cio_activation.state.derive import derive
from cio_activation_tests.drivers.state import StateBench, activation, default_properties, expecting, prop, window

NOW = datetime(2026, 11, 22, 5)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


def state_of(tmp_path: Path, people: dict[str, dict[str, Any]], act: Any = None) -> dict[str, dict[str, Any]]:
    world = StateBench.create(tmp_path, act)
    world.people(people)
    result = derive(world.runtime, window(NOW))
    assert result.quarantined == {}
    return world.state()


def column(rows: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    return {cio_id: row[name] for cio_id, row in rows.items()}


def test_days_since_counts_whole_days_and_keeps_each_edge_inside_its_bucket(tmp_path: Path) -> None:
    at = {
        "now": NOW,
        "future": NOW + 400 * DAY,
        "30d": NOW - 31 * DAY + SECOND,
        "31d": NOW - 31 * DAY,
        "90d": NOW - 91 * DAY + SECOND,
        "91d": NOW - 91 * DAY,
        "181d": NOW - 181 * DAY,
        "ancient": datetime(1, 1, 2),
        "never": datetime.max.replace(microsecond=0),
        "none": None,
    }
    lapse_only = activation(default_properties()[:1])
    rows = state_of(tmp_path, {k: {"last_order_at": v} for k, v in at.items()}, lapse_only)
    assert column(rows, "lapse") == {
        "now": "0-30",
        "future": "0-30",
        "30d": "0-30",
        "31d": "31-90",
        "90d": "31-90",
        "91d": "91-180",
        "181d": "181+",
        "ancient": "181+",
        "never": "0-30",
        "none": None,
    }


def test_tiers_start_at_their_edge_and_a_missing_number_has_none(tmp_path: Path) -> None:
    spent = {"a": -1.0, "b": 74.99, "c": 75.0, "d": 200.49, "e": 200.5, "f": None, "g": float("nan"), "h": float("inf")}
    rows = state_of(tmp_path, {k: {"spent": v} for k, v in spent.items()})
    assert column(rows, "tier") == {
        "a": "low",
        "b": "low",
        "c": "mid",
        "d": "mid",
        "e": "high",
        "f": None,
        "g": None,
        "h": "high",
    }


def test_expect_next_opens_before_the_expected_day_and_closes_after_it(tmp_path: Path) -> None:
    # expected = last order + 10 days; open three days before, overdue seven days after
    ages = {"6d": 6, "7d": 7, "9d": 9, "10d": 10, "16d": 16, "17d": 17}
    rows = state_of(tmp_path, {k: {"last_order_at": NOW - d * DAY, "gap_days": 10.0} for k, d in ages.items()})
    assert column(rows, "reorder") == {
        "6d": "before",
        "7d": "open",
        "9d": "open",
        "10d": "due",
        "16d": "due",
        "17d": "overdue",
    }
    assert rows["6d"]["next_transition_at"] == NOW + DAY
    assert rows["10d"]["next_transition_at"] == NOW + 7 * DAY


def test_expect_next_takes_the_own_gap_then_the_groups_then_everyones(tmp_path: Path) -> None:
    people: dict[str, dict[str, Any]] = {
        f"tea{i}": {"category": "tea", "gap_days": float(g), "last_order_at": NOW}
        for i, g in enumerate((8, 9, 10, 11, 12))
    }
    people |= {f"rug{i}": {"category": "rug", "gap_days": 100.0, "last_order_at": NOW} for i in range(4)}
    asked = {"last_order_at": NOW - 20 * DAY}
    people |= {
        "own": asked | {"category": "tea", "gap_days": 30.0},
        "by_group": asked | {"category": "tea"},
        "small_group": asked | {"category": "rug"},
        "no_group": asked,
        "zero_gap": asked | {"category": "tea", "gap_days": 0.0},
        "absurd_gap": asked | {"category": "tea", "gap_days": 1e300},
        "no_since": {"category": "tea", "gap_days": 3.0},
    }
    world = StateBench.create(tmp_path)
    world.people(people)
    derive(world.runtime, window(NOW))
    gaps = world.rows("SELECT group_value, days FROM state.median_gaps ORDER BY group_value NULLS FIRST")
    # tea: median of 8, 9, 10, 11, 12, 30, 3 is 10; everyone: median of those and four times 100 is 12
    assert gaps == [(None, 12), ("tea", 10)]
    rows = world.state()
    chosen = {k: rows[k]["reorder"] for k in people if not k.startswith(("tea", "rug"))}
    assert chosen == {
        "own": "before",
        "by_group": "overdue",
        "small_group": "overdue",
        "no_group": "overdue",
        "zero_gap": "overdue",
        "absurd_gap": "overdue",
        "no_since": None,
    }
    assert rows["by_group"]["next_transition_at"] != rows["own"]["next_transition_at"]


def test_expect_next_without_any_gap_in_the_population_has_no_value(tmp_path: Path) -> None:
    rows = state_of(tmp_path, {"a": {"last_order_at": NOW}})
    assert rows["a"]["reorder"] is None


def test_flag_is_false_where_a_value_is_missing(tmp_path: Path) -> None:
    people = {
        "yes": {"last_order_at": NOW - 61 * DAY, "orders": 2},
        "too_young": {"last_order_at": NOW - 61 * DAY + SECOND, "orders": 2},
        "too_few": {"last_order_at": NOW - 61 * DAY, "orders": 1},
        "unknown": {"orders": 2},
    }
    rows = state_of(tmp_path, people)
    assert column(rows, "at_risk") == {"yes": True, "too_young": False, "too_few": False, "unknown": False}


def test_cases_take_the_first_that_is_true(tmp_path: Path) -> None:
    hour = timedelta(hours=1)
    people = {
        "fresh": {"clicked_at": NOW - 2 * hour + SECOND, "unsubscribed": False},
        "unsure": {"clicked_at": NOW - hour},
        "stale": {"clicked_at": NOW - DAY, "unsubscribed": False},
        "old": {"clicked_at": NOW - 4 * DAY, "unsubscribed": False},
        "anniversary": {"born_on": (NOW - 10 * DAY).date()},
    }
    assert column(state_of(tmp_path, people), "stage") == {
        "fresh": "fresh",
        "unsure": "none",
        "stale": "stale",
        "old": "none",
        "anniversary": "stale",
    }


def test_a_moment_becomes_the_day_people_of_the_workspace_would_name(tmp_path: Path) -> None:
    rows = state_of(tmp_path, {"late": {"last_order_at": datetime(2026, 7, 2, 3, 59)}, "none": {}})
    assert column(rows, "last_day") == {"late": date(2026, 7, 1), "none": None}


def test_without_a_time_zone_the_day_is_utcs(tmp_path: Path) -> None:
    act = activation([prop("last_day", Value(attribute="last_order_at"), PropertyType.DATE)], timezone="UTC")
    rows = state_of(tmp_path, {"late": {"last_order_at": datetime(2026, 7, 2, 3, 59)}}, act)
    assert column(rows, "last_day") == {"late": date(2026, 7, 2)}


def test_values_pass_through(tmp_path: Path) -> None:
    rows = state_of(tmp_path, {"a": {"category": "tea", "score": 1.5}, "b": {"score": float("nan")}})
    assert column(rows, "last_category") == {"a": "tea", "b": None}
    assert column(rows, "points") == {"a": 1.5, "b": None}


@pytest.mark.parametrize("span", [timedelta(hours=-36), timedelta(0), timedelta(days=2)])
def test_expect_next_offsets_may_be_any_span(tmp_path: Path, span: timedelta) -> None:
    act = activation([expecting(open=span, close=timedelta(days=4))])
    people = {"a": {"last_order_at": NOW - 10 * DAY, "gap_days": 10.0}}
    expected = {timedelta(hours=-36): "due", timedelta(0): "due", timedelta(days=2): "before"}
    assert column(state_of(tmp_path, people, act), "reorder") == {"a": expected[span]}


def test_hashes_cover_what_each_destination_is_given(tmp_path: Path) -> None:
    rows = state_of(
        tmp_path, {"a": {"spent": 10.0}, "b": {"spent": 300.0}, "c": {"clicked_at": NOW, "unsubscribed": False}}
    )
    assert rows["a"]["hash_pipedrive"] == rows["b"]["hash_pipedrive"]  # the tier goes to HubSpot only
    assert rows["a"]["hash_hubspot"] != rows["b"]["hash_hubspot"]
    assert rows["a"]["hash_pipedrive"] != rows["c"]["hash_pipedrive"]  # the stage goes to Pipedrive only
    assert len({row["row_hash"] for row in rows.values()}) == 3
