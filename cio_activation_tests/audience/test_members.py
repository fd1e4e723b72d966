"""The life of a person in an audience, one rule at a time."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cio_activation.activation.models import Attribute, AttributeType, Lane
from cio_activation.audience.members import update
from cio_activation.errors import ConfigError
from cio_activation.runtime import Runtime
from cio_activation_tests.audience.stage import DAY, HOUR, NOW, Stage, audience
from cio_activation_tests.drivers.state import window
from cio_activation_tests.drivers.tables import noted

RICH, POOR = {"spent": 250.0}, {"spent": 5.0}


def test_entering_takes_segment_and_gate(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience())
    result = stage.at(NOW, {"a": RICH, "b": POOR, "c": RICH}, ["a", "b", "ghost"])["vip"]
    assert (result.members, result.entered, result.exited, result.waiting) == (1, 1, {}, 0)
    assert stage.intervals() == [("a", 1, NOW, None, None)]
    now = "SELECT audience, version, cio_id, entered_at FROM audience.memberships WHERE exited_at IS NULL"
    assert stage.world.rows(now) == [("vip", 1, "a", NOW)]


def test_the_entry_tells_why(tmp_path: Path) -> None:
    gate = "live_tier = 'big' AND lapse IN ('31-90', '91-180') AND hours_since(clicked_at) < 5"
    stage = Stage(tmp_path, audience(gate=gate, grace=timedelta(hours=2)))
    who = {"a": RICH | {"last_order_at": NOW - 40 * DAY, "clicked_at": NOW}}
    stage.at(NOW, who, ["a"])
    stage.at(NOW + 2 * HOUR)
    entry = stage.world.rows("SELECT entry_window, entry_reason, evidence FROM audience.memberships")
    assert entry[0][:2] == (window(NOW + 2 * HOUR, Lane.REALTIME).key, "segment 12 and gate held for 2h")
    assert json.loads(entry[0][2]) == {
        "segment": 12,
        "since": "2026-11-22 05:00:00",
        "inputs": {"clicked_at": "2026-11-22 05:00:00", "lapse": "31-90", "live_tier": "big"},
    }


def test_without_a_gate_the_segment_is_enough(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience(gate=None))
    stage.at(NOW, {"a": POOR}, ["a"])
    assert stage.world.rows("SELECT entry_reason, evidence FROM audience.memberships") == [
        ("segment 12", '{"segment":12,"since":"2026-11-22 05:00:00","inputs":{}}')
    ]


def test_contact_data_stays_out_of_the_evidence(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience(gate="category LIKE '%@%' AND score < 9"))
    act = stage.world.runtime.activation
    mail = Attribute(name="category", source="email", type=AttributeType.TEXT)
    act = act.model_copy(update={"attributes": act.attributes | {"category": mail}})
    stage.world = stage.world.using(act)
    stage.at(NOW, {"a": {"category": "ada@example.com", "score": float("-inf")}}, ["a"])
    evidence = stage.world.rows("SELECT evidence FROM audience.memberships")[0][0]
    assert json.loads(evidence)["inputs"] == {"category": "(personal, not kept)", "score": None}


def test_grace_must_hold_unbroken(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience(grace=2 * HOUR))
    assert stage.at(NOW, {"a": RICH}, ["a"])["vip"].waiting == 1
    assert stage.at(NOW + HOUR, {"a": POOR})["vip"].waiting == 0
    assert stage.at(NOW + 2 * HOUR, {"a": RICH})["vip"].entered == 0
    assert stage.at(NOW + 4 * HOUR - timedelta(seconds=1))["vip"].entered == 0
    assert stage.at(NOW + 4 * HOUR)["vip"].entered == 1


@pytest.mark.parametrize(
    ("people", "members", "reason"),
    [({"a": RICH}, [], "left_segment"), ({"a": POOR}, ["a"], "gate"), ({}, ["a"], "deleted"), ({}, [], "deleted")],
)
def test_losing_eligibility_ends_the_stay(tmp_path: Path, people: dict, members: list, reason: str) -> None:
    stage = Stage(tmp_path, audience())
    stage.at(NOW, {"a": RICH}, ["a"])
    result = stage.at(NOW + HOUR, people, members)["vip"]
    assert (result.members, result.exited) == (0, {reason: 1})
    assert stage.intervals() == [("a", 1, NOW, NOW + HOUR, reason)]
    assert stage.stages() == {}


def test_eligible_again_is_a_new_stay(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience())
    stage.at(NOW, {"a": RICH}, ["a"])
    stage.at(NOW + HOUR, {"a": POOR})
    stage.at(NOW + 2 * HOUR, {"a": RICH})
    assert stage.intervals() == [
        ("a", 1, NOW, NOW + HOUR, "gate"),
        ("a", 1, NOW + 2 * HOUR, None, None),
    ]


def test_a_purchase_ends_the_stay_until_eligibility_was_lost_once(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience())
    stage.at(NOW, {"a": RICH | {"last_order_at": NOW - DAY}}, ["a"])
    bought = {"a": RICH | {"last_order_at": NOW + timedelta(minutes=1)}}
    result = stage.at(NOW + HOUR, bought)["vip"]
    assert (result.members, result.exited, result.spent) == (0, {"purchase": 1}, 1)
    assert stage.at(NOW + 2 * HOUR)["vip"].entered == 0
    stage.at(NOW + 3 * HOUR, members=[])
    assert stage.at(NOW + 4 * HOUR, members=["a"])["vip"].entered == 1


@pytest.mark.parametrize("before", [None, NOW - DAY])
def test_a_purchase_seen_later_in_the_same_window_counts(tmp_path: Path, before: datetime | None) -> None:
    stage = Stage(tmp_path, audience())
    early = NOW - timedelta(minutes=14)  # like the entry, before the window's end
    stage.at(NOW, {"a": RICH | {"last_order_at": before}}, ["a"])
    assert stage.at(NOW, {"a": RICH | {"last_order_at": early}})["vip"].exited == {"purchase": 1}


def test_a_purchase_the_segment_already_knew_of_does_not_count(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience())  # the picture was taken a while after the window's end
    stage.at(NOW, {"a": RICH | {"last_order_at": NOW + timedelta(minutes=10)}}, ["a"])
    assert stage.at(NOW + DAY)["vip"].exited == {}
    assert stage.stages() == {"a": "in"}


def test_saying_later_that_purchases_end_it_ends_nothing_by_itself(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience(exit_on=("left_segment",)))
    stage.world.people({"a": RICH | {"last_order_at": NOW - DAY}, "b": RICH})
    with stage.world.runtime.warehouse.write() as con:
        con.execute("UPDATE raw.people SET last_order_at = TIMESTAMP '2026-01-01' WHERE cio_id = 'b'")
    stage.at(NOW, members=["a", "b"])
    with stage.world.runtime.warehouse.write() as con:
        con.execute("UPDATE audience.eligibility SET bought_before = NULL WHERE cio_id = 'b'")  # as if never asked
    stage.declare(audience())
    assert stage.at(NOW + HOUR)["vip"].exited == {}


def test_a_purchase_that_also_ends_the_segment_is_called_a_purchase(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience())
    stage.at(NOW, {"a": RICH}, ["a"])
    stage.at(NOW + HOUR, {"a": RICH | {"last_order_at": NOW + timedelta(minutes=5)}}, [])
    assert stage.intervals() == [("a", 1, NOW, NOW + HOUR, "purchase")]
    assert stage.stages() == {}


def test_a_purchase_while_waiting_keeps_them_out(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience(grace=2 * HOUR))
    stage.at(NOW, {"a": RICH, "b": RICH}, ["a", "b"])
    result = stage.at(NOW + 3 * HOUR, {"a": RICH | {"last_order_at": NOW + HOUR}, "b": RICH})["vip"]
    assert (result.entered, result.spent, result.exited) == (1, 1, {})
    assert stage.stages() == {"a": "spent", "b": "in"}


def test_a_purchase_before_the_spell_does_not_matter(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience(grace=HOUR))
    stage.at(NOW, {"a": RICH | {"last_order_at": NOW - timedelta(minutes=1)}}, ["a"])
    assert stage.at(NOW + HOUR)["vip"].entered == 1
    assert stage.at(NOW + 2 * HOUR)["vip"].exited == {}


def test_purchases_matter_only_where_the_audience_says_so(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience(exit_on=("left_segment",)))
    stage.at(NOW, {"a": RICH}, ["a"])
    assert stage.at(NOW + HOUR, {"a": RICH | {"last_order_at": NOW + HOUR}})["vip"].exited == {}


def test_a_stay_expires_and_is_not_renewed(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience(expires_after=48 * HOUR))
    stage.at(NOW, {"a": RICH}, ["a"])
    assert stage.at(NOW + 48 * HOUR - timedelta(seconds=1))["vip"].exited == {}
    assert stage.at(NOW + 48 * HOUR)["vip"].exited == {"expired": 1}
    assert stage.at(NOW + 49 * HOUR)["vip"].entered == 0
    assert stage.stages() == {"a": "spent"}


def test_a_new_version_lets_everybody_in_again(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience(grace=HOUR))
    stage.at(NOW, {"a": RICH, "b": RICH}, ["a", "b"])
    stage.at(NOW + HOUR)
    stage.declare(audience(grace=HOUR, version=2, gate="spent >= 200"))
    result = stage.at(NOW + 2 * HOUR, {"a": RICH, "b": {"spent": 150.0}})["vip"]
    assert (result.entered, result.exited) == (1, {"gate": 1, "new_version": 1})
    assert stage.intervals() == [
        ("a", 1, NOW + HOUR, NOW + 2 * HOUR, "new_version"),
        ("a", 2, NOW + 2 * HOUR, None, None),
        ("b", 1, NOW + HOUR, NOW + 2 * HOUR, "gate"),
    ]


def test_a_removed_audience_is_closed(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience(), audience("other"))
    stage.at(NOW, {"a": RICH}, ["a"])
    stage.declare(audience("other"))
    stage.at(NOW + HOUR)
    closed = stage.world.rows("SELECT audience, exit_reason FROM audience.memberships ORDER BY audience")
    assert closed == [("other", None), ("vip", "audience_removed")]
    assert stage.world.rows("SELECT DISTINCT audience FROM audience.eligibility") == [("other",)]
    stage.declare()
    stage.at(NOW + 2 * HOUR)
    assert stage.world.rows("SELECT count(*) FROM audience.memberships WHERE exited_at IS NULL") == [(0,)]


def test_the_same_window_again_changes_nothing(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience(), audience("slow", grace=HOUR))
    stage.at(NOW, {"a": RICH, "b": RICH}, ["a", "b"])
    before = stage.world.rows("SELECT * FROM audience.memberships ORDER BY ALL")
    again = stage.at(NOW)
    assert {n: (r.entered, r.exited, r.superseded) for n, r in again.items()} == {
        "vip": (0, {}, False),
        "slow": (0, {}, False),
    }
    assert stage.world.rows("SELECT * FROM audience.memberships ORDER BY ALL") == before


def test_an_older_window_changes_nothing(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience())
    stage.at(NOW, {"a": RICH}, ["a"])
    stage.segments([])
    result = update(stage.world.runtime, window(NOW - HOUR, Lane.REALTIME))["vip"]
    assert (result.superseded, result.members, result.exited) == (True, 1, {})
    stage.declare()
    update(stage.world.runtime, window(NOW - HOUR, Lane.REALTIME))
    assert stage.intervals() == [("a", 1, NOW, None, None)]


def test_an_audience_waits_for_what_it_reads(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience(gate="lapse = '0-30'"))
    assert (
        update(stage.world.runtime, window(NOW, Lane.REALTIME))["vip"].skipped == "raw.people_current is not there yet"
    )
    stage.world.people({"a": {"last_order_at": NOW - DAY}})
    stage.segments(["a"])
    result = update(stage.world.runtime, window(NOW, Lane.REALTIME))["vip"]
    assert result.skipped == "state.daily_properties is not there yet"
    stage.at(NOW)
    assert stage.intervals() == [("a", 1, NOW, None, None)]
    with stage.world.runtime.warehouse.write() as con:
        con.execute("ALTER TABLE state.daily_properties DROP COLUMN lapse")
    result = update(stage.world.runtime, window(NOW + HOUR, Lane.REALTIME))["vip"]
    assert (result.skipped, result.members) == ("state.daily_properties has no lapse yet", 1)


def test_lanes_are_apart(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience(), audience("calm", lane=Lane.DAILY))
    stage.at(NOW, {"a": RICH, "b": RICH}, ["a"])
    stage.segments(["b"], lane=Lane.DAILY)
    assert set(update(stage.world.runtime, window(NOW, Lane.DAILY))) == {"calm"}
    assert stage.world.rows("SELECT audience, cio_id FROM audience.memberships ORDER BY ALL") == [
        ("calm", "b"),
        ("vip", "a"),
    ]


def test_only_the_named_audiences_are_updated(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience(), audience("other"))
    stage.world.people({"a": RICH})
    stage.segments(["a"])
    runtime: Runtime = stage.world.runtime
    assert set(update(runtime, window(NOW, Lane.REALTIME), ["other"])) == {"other"}
    assert stage.world.rows("SELECT audience FROM audience.memberships") == [("other",)]
    with pytest.raises(ConfigError, match="no realtime audience is named nobody; there are: vip, other"):
        update(runtime, window(NOW, Lane.REALTIME), ["nobody"])


def test_who_enters_and_who_leaves_is_noted_for_the_plans(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience())

    def moved() -> set[str | None]:
        with stage.world.runtime.warehouse.write() as con:
            return noted(con, "audience.memberships")

    stage.at(NOW, {"a": RICH, "b": RICH, "c": RICH | {"spent": 1.0}}, ["a", "b", "c"])
    assert moved() == {"a", "b"}
    stage.at(NOW, members=["b", "c"])
    assert moved() == {"a"}
    stage.declare()
    stage.at(NOW + HOUR)
    assert moved() == {"b"}


def test_a_changed_gate_is_applied_to_everybody_within_the_window(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audience())
    stage.at(NOW, {"a": RICH, "b": RICH | {"spent": 60.0}}, ["a", "b"])
    stage.declare(audience(gate="spent >= 50"))
    assert stage.at(NOW)["vip"].entered == 1
