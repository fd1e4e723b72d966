"""What a derivation publishes, refuses and leaves alone."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest

from benchmarks.state_screen import screen_sql
from cio_activation.activation.models import Lane, PropertyType, Tiers, Value
from cio_activation.errors import ContractError
from cio_activation.state import contract
from cio_activation.state import derive as module
from cio_activation.state.derive import derive, distribution
from cio_activation_tests.drivers.state import StateBench, activation, default_properties, expecting, prop, window

NOW = datetime(2026, 11, 22, 5)
DAY = timedelta(days=1)
OLD = {"last_order_at": NOW - 400 * DAY}


@pytest.fixture
def mending():
    """Make small tables take the way that large ones take."""
    with patch.object(module, "REDERIVE_SHARE", 2.0):
        yield


def test_on_disk_from_first_run_to_second(tmp_path: Path) -> None:
    world = StateBench.create(tmp_path, on_disk=True)
    world.people({"a": OLD, "b": {"spent": 10.0}})
    first = derive(world.runtime, window(NOW), run_id="r1")
    assert (first.rows, first.candidates, first.changed, first.rebuilt, first.missed) == (2, 2, 2, True, None)
    world.people({"a": OLD, "b": {"spent": 80.0}, "c": {}})
    second = derive(world.runtime, window(NOW + DAY), run_id="r2")
    assert (second.rows, second.candidates, second.changed, second.rebuilt) == (3, 2, 2, False)
    assert {k: v["tier"] for k, v in world.state().items()} == {"a": None, "b": "mid", "c": None}
    published = world.rows("SELECT * EXCLUDE (sequence, basis) FROM meta.published WHERE name LIKE 'state.%'")
    assert published == [("state.daily_properties", "daily", window(NOW + DAY).key, NOW + DAY, "r2", 3)]


@pytest.mark.usefixtures("mending")
def test_only_people_that_can_have_changed_are_touched(tmp_path: Path) -> None:
    world = StateBench.create(tmp_path)
    moving = {"last_order_at": NOW - 31 * DAY + timedelta(hours=1)}
    people = {"still": OLD, "moving": moving, "edited": OLD, "leaving": OLD}
    world.people(people)
    derive(world.runtime, window(NOW))
    world.people({"still": OLD, "moving": moving, "edited": OLD | {"category": "tea"}, "new": {}})
    result = derive(world.runtime, window(NOW + DAY))
    assert (result.rows, result.candidates, result.changed, result.removed) == (4, 3, 3, 1)
    assert {k: v["as_of"] for k, v in world.state().items()} == {
        "still": NOW,
        "moving": NOW + DAY,
        "edited": NOW + DAY,
        "new": NOW + DAY,
    }
    assert world.state()["moving"]["lapse"] == "31-90"


@pytest.mark.usefixtures("mending")
def test_a_transition_is_due_at_its_very_moment(tmp_path: Path) -> None:
    world = StateBench.create(tmp_path)
    world.people({"a": {"last_order_at": NOW}, "b": OLD})
    derive(world.runtime, window(NOW))
    due = world.state()["a"]["next_transition_at"]
    assert due == NOW + 31 * DAY
    assert derive(world.runtime, window(due - timedelta(microseconds=1))).candidates == 0
    assert derive(world.runtime, window(due)).candidates == 1
    assert world.state()["a"]["lapse"] == "31-90"


@pytest.mark.usefixtures("mending")
def test_a_moved_fallback_touches_those_who_depend_on_it(tmp_path: Path) -> None:
    world = StateBench.create(tmp_path, activation([expecting()]))
    tea = {f"tea{i}": {"category": "tea", "gap_days": 10.0} for i in range(6)}
    rugs = {f"rug{i}": {"category": "rug", "gap_days": 10.0} for i in range(9)}
    asking = {"last_order_at": NOW - 15 * DAY}
    people = tea | rugs | {"thirsty": asking | {"category": "tea"}, "barefoot": asking | {"category": "rug"}}
    world.people(people)
    derive(world.runtime, window(NOW))
    assert world.state()["thirsty"]["reorder"] == "due"
    slower = {k: v | {"gap_days": 40.0} for k, v in tea.items()}
    world.people(people | slower)
    result = derive(world.runtime, window(NOW))
    assert (result.candidates, result.changed) == (7, 1)  # the six themselves, and the thirsty one
    assert world.state()["thirsty"]["reorder"] == "before"
    assert world.state()["barefoot"]["reorder"] == "due"


def test_a_full_derivation_counts_what_was_missed_and_mends_it(tmp_path: Path) -> None:
    world = StateBench.create(tmp_path)
    world.people({"a": OLD, "b": OLD})
    derive(world.runtime, window(NOW))
    assert derive(world.runtime, window(NOW), full=True).missed == 0
    with world.runtime.warehouse.write() as con:
        con.execute("UPDATE state.daily_properties SET lapse = '0-30', row_hash = 1 WHERE cio_id = 'a'")
    assert derive(world.runtime, window(NOW)).candidates == 0
    found = derive(world.runtime, window(NOW), full=True)
    assert (found.missed, found.changed, found.candidates) == (1, 1, 2)
    assert world.state()["a"]["lapse"] == "181+"


@pytest.mark.parametrize("share", [0.3, 2.0])
def test_a_bad_value_goes_to_quarantine_and_the_last_good_one_stays(tmp_path: Path, share: float) -> None:
    world = StateBench.create(tmp_path)
    good = {"a": {"score": 1.0}, "b": {"score": 2.0}}
    world.people(good)
    derive(world.runtime, window(NOW))
    world.people(good | {"a": {"score": float("inf")}, "c": {"score": -1e16, "last_order_at": datetime(1800, 1, 1)}})
    with patch.object(module, "REDERIVE_SHARE", share):
        for _ in range(2):  # again the same window: counted once
            result = derive(world.runtime, window(NOW + DAY))
            assert result.rows == 3
            assert result.quarantined == {
                "number is out of range": 2,
                "date is not between 1900-01-01 and 2200-01-01": 1,
            }
    assert {k: v["points"] for k, v in world.state().items()} == {"a": 1.0, "b": 2.0, "c": None}
    marks = world.rows('SELECT cio_id, "column", since, last_good_at FROM raw.stale_cells ORDER BY ALL')
    assert marks == [
        ("a", "points", NOW + DAY, NOW),
        ("c", "last_day", NOW + DAY, None),
        ("c", "points", NOW + DAY, None),
    ]
    kept = world.rows('SELECT cio_id, "column", layer, lane, window_key, row FROM quarantine.rows ORDER BY ALL')
    assert [row[:5] for row in kept] == [
        ("a", "points", "state", "daily", window(NOW + DAY).key),
        ("c", "last_day", "state", "daily", window(NOW + DAY).key),
        ("c", "points", "state", "daily", window(NOW + DAY).key),
    ]
    assert json.loads(kept[1][5])["last_day"] == "1799-12-31"
    world.people(good)
    assert derive(world.runtime, window(NOW + 2 * DAY)).quarantined == {}
    assert set(world.state()) == {"a", "b"}
    assert world.rows("SELECT count(*) FROM raw.stale_cells") == [(0,)]


@pytest.mark.parametrize("share", [0.3, 2.0])
@pytest.mark.parametrize("full", [False, True])
def test_a_bad_value_does_not_keep_the_others_from_moving(tmp_path: Path, share: float, full: bool) -> None:
    world = StateBench.create(tmp_path)
    bad = {"score": float("inf"), "spent": 10.0}
    others = {f"p{i}": {} for i in range(9)}
    world.people(others | {"a": {"score": 1.0, "spent": 10.0}})
    derive(world.runtime, window(NOW))
    with patch.object(module, "REDERIVE_SHARE", share):
        world.people(others | {"a": bad})
        derive(world.runtime, window(NOW + DAY))
        before = world.state()["a"]
        world.people(others | {"a": bad | {"spent": 500.0}})
        found = derive(world.runtime, window(NOW + 2 * DAY), full=full)
    after = world.state()["a"]
    assert (found.changed, found.missed or 0) == (1, 0)
    assert (before["points"], after["points"], before["tier"] != after["tier"]) == (1.0, 1.0, True)
    assert before["hash_hubspot"] != after["hash_hubspot"]


def test_a_bad_value_stays_at_its_last_good_one_also_when_the_definitions_change(tmp_path: Path) -> None:
    world = StateBench.create(tmp_path)
    world.people({"a": {"score": 1.0, "spent": 10.0}, "b": {}})
    derive(world.runtime, window(NOW))
    world.people([("a", {"score": 2.0}), ("a", {"score": 3.0}), ("b", {"score": float("inf")})])
    derive(world.runtime, window(NOW + DAY))
    wider = activation([*default_properties(), prop("more", Value(attribute="score"), PropertyType.NUMBER)])
    changed = world.using(wider)
    assert derive(changed.runtime, window(NOW + 2 * DAY)).rebuilt
    assert {k: (v["points"], v["more"]) for k, v in changed.state().items()} == {"a": (1.0, None), "b": (None, None)}
    changed.people({"a": {"score": 2.0, "spent": 10.0}, "b": {"score": 4.0}})
    derive(changed.runtime, window(NOW + 3 * DAY))
    assert {k: (v["points"], v["more"]) for k, v in changed.state().items()} == {"a": (2.0, 2.0), "b": (4.0, 4.0)}


@pytest.mark.parametrize("share", [0.3, 2.0])
def test_a_person_twice_and_a_row_without_an_id_are_refused(tmp_path: Path, share: float) -> None:
    world = StateBench.create(tmp_path)
    world.people({"a": {"score": 1.0}, "b": {}})
    derive(world.runtime, window(NOW))
    world.people([("a", {"score": 1.0}), ("a", {"score": 2.0}), ("b", {}), (None, {})])
    with patch.object(module, "REDERIVE_SHARE", share):
        result = derive(world.runtime, window(NOW))
    assert result.quarantined == {"value is missing": 1, "person is there more than once": 1}
    assert {k: v["points"] for k, v in world.state().items()} == {"a": 1.0, "b": None}


def test_a_label_that_is_not_declared_is_refused(tmp_path: Path) -> None:
    odd = prop("odd", Value(attribute="category"), PropertyType.ENUM, labels=("tea",))
    world = StateBench.create(tmp_path, activation([odd]))
    world.people({"a": {"category": "tea"}, "b": {"category": "rug"}, "c": {}})
    assert derive(world.runtime, window(NOW)).quarantined == {"value is not one of the labels": 1}
    assert {k: v["odd"] for k, v in world.state().items()} == {"a": "tea", "b": None, "c": None}


def test_pandera_and_the_sql_screen_find_the_same_rows(tmp_path: Path) -> None:
    odd = prop("odd", Value(attribute="category"), PropertyType.ENUM, labels=("tea",))
    act = activation([odd, *default_properties()])
    world = StateBench.create(tmp_path, act)
    world.people({"a": {}})
    derive(world.runtime, window(NOW))
    with world.runtime.warehouse.write() as con:
        con.execute(
            """CREATE TEMP TABLE rows AS SELECT * FROM state.daily_properties;
            INSERT INTO rows BY NAME SELECT 'bad' AS cio_id, 'rug' AS odd, 'x' AS lapse, NULL AS at_risk,
                repeat('y', 65537) AS last_category, DATE '2200-01-02' AS last_day, -1e16 AS points;
            INSERT INTO rows BY NAME SELECT 'worse' AS cio_id, FALSE AS at_risk, 'infinity'::DATE AS last_day;
            INSERT INTO rows BY NAME SELECT 'edge' AS cio_id, FALSE AS at_risk, DATE '1900-01-01' AS last_day,
                1e15 AS points, repeat('y', 65536) AS last_category;
            INSERT INTO rows BY NAME SELECT NULL AS cio_id, TRUE AS at_risk"""
        )
        found = {(b.key, b.column, b.reason) for b in contract.breaches(con, act, Lane.DAILY, "rows")}
        screened = con.execute(screen_sql(act, Lane.DAILY, "rows")).fetchall()
    assert found == set(screened)
    assert len(screened) == len(found) == 7
    assert {name for cio_id, name, _ in found if cio_id == "bad"} == {
        "odd",
        "lapse",
        "last_category",
        "last_day",
        "points",
    }


def test_too_many_bad_rows_publish_nothing(tmp_path: Path) -> None:
    world = StateBench.create(tmp_path)
    world.people({"a": {"score": 1.0}})
    derive(world.runtime, window(NOW))
    world.people({f"p{i}": {"score": float("inf")} for i in range(3)})
    with patch.object(contract, "MOST_BREACHES", 2), pytest.raises(ContractError, match="nothing was published"):
        derive(world.runtime, window(NOW + DAY))
    assert set(world.state()) == {"a"}
    assert world.rows("SELECT window_end FROM meta.published WHERE name LIKE 'state.%'") == [(NOW,)]


def test_an_older_window_publishes_nothing(tmp_path: Path) -> None:
    world = StateBench.create(tmp_path, on_disk=True)
    world.people({"a": {"last_order_at": NOW - 31 * DAY}})
    derive(world.runtime, window(NOW))
    before = world.rows("SELECT * FROM state.daily_properties")
    older = window(NOW - 10 * DAY)
    result = derive(world.runtime, older)
    assert (result.superseded, result.rows) == (True, 0)
    folder = world.runtime.raw_folder("daily", older.key)
    with world.runtime.warehouse.read() as con:
        con.execute(f"COPY (SELECT * FROM raw.people) TO '{folder / 'people.parquet'}'")
    result = derive(world.runtime, older)
    assert (result.superseded, result.rows) == (True, 1)
    assert world.rows("SELECT * FROM state.daily_properties") == before
    assert before[0][1] == "31-90"
    assert world.rows(f"SELECT lapse, as_of FROM '{folder / 'state.parquet'}'") == [("0-30", NOW - 10 * DAY)]


def test_a_changed_rule_rebuilds_the_table(tmp_path: Path) -> None:
    world = StateBench.create(tmp_path, activation(default_properties()[:2]))
    world.people({"a": {"spent": 80.0}})
    derive(world.runtime, window(NOW))
    tiers = Tiers(attribute="spent", edges=(100,), labels=("less", "more"))
    changed = world.using(activation([prop("tier", tiers, PropertyType.ENUM, labels=tiers.labels)]))
    result = derive(changed.runtime, window(NOW))
    assert (result.rebuilt, result.rows, result.changed) == (True, 1, 1)
    row = changed.state()["a"]
    assert row["tier"] == "less"
    assert "lapse" not in row
    assert derive(changed.runtime, window(NOW)).rebuilt is False
    assert changed.rows("SELECT count(*) FROM state.versions") == [(1,)]


def test_a_lane_without_properties_still_has_its_people(tmp_path: Path) -> None:
    world = StateBench.create(tmp_path, activation([]))
    world.people({"a": {}, "b": OLD})
    assert derive(world.runtime, window(NOW)).rows == 2
    assert {v["hash_hubspot"] for v in world.state().values()} == {0}


def test_the_realtime_lane_reads_the_current_people(tmp_path: Path) -> None:
    world = StateBench.create(tmp_path)
    world.people({"a": {"spent": 10.0}})
    derive(world.runtime, window(NOW))
    with world.runtime.warehouse.write() as con:
        con.execute(
            "CREATE OR REPLACE VIEW raw.people_current AS "
            "SELECT * REPLACE (500.0 AS spent, 7 AS content_hash) FROM raw.people"
        )
    derive(world.runtime, window(NOW, Lane.REALTIME))
    derive(world.runtime, window(NOW))
    assert world.state(Lane.REALTIME)["a"]["live_tier"] == "big"
    assert world.state()["a"]["tier"] == "low"


def test_without_people_the_run_says_what_to_do(tmp_path: Path) -> None:
    world = StateBench.create(tmp_path)
    with pytest.raises(ContractError, match=r"raw\.people is not there yet"):
        derive(world.runtime, window(NOW))


def test_distribution_counts_every_label(tmp_path: Path) -> None:
    world = StateBench.create(tmp_path)
    people = {f"p{i}": {"spent": float(i * 50), "score": float(i), "last_order_at": NOW} for i in range(30)}
    world.people(people | {"none": {}})
    derive(world.runtime, window(NOW))
    with world.runtime.warehouse.read() as con:
        found = distribution(con, world.runtime.activation, Lane.DAILY)
    assert list(found["tier"].items()) == [("low", 2), ("mid", 3), ("high", 25), ("(no value)", 1)]
    assert found["at_risk"] == {"true": 0, "false": 31}
    assert found["last_day"] == {str(date(2026, 11, 22)): 30, "(no value)": 1}
    assert found["points"]["(other values)"] == 10
    assert len(found["points"]) == 22
