"""The judge complains: a look at stand-ins that were doctored breaks each of its checks, and a good one breaks none."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cio_activation_tests.life.books import Count
from cio_activation_tests.life.oracle import CHECKS, Oracle
from cio_activation_tests.life.rules import Rules, written
from cio_activation_tests.life.seen import Deed, Item, Key, Seen
from cio_activation_tests.life.story import Story

HOUR, DAY = 3_600.0, 86_400.0
NOW = datetime(2026, 10, 20, 15, tzinfo=UTC).timestamp()
"""A Tuesday, 11:00 in New York."""
FACTS = {"unsubscribed": None, "total_spent": 900.0, "last_order_at": 0}
TASK, OTHER = ("hubspot", "1"), ("hubspot", "2")


def item(audience: str | None = "asked_where", who: str = "p1", **more: Any) -> Item:
    """Return an action as it should be: made a minute before the window's end, due in two working hours."""
    made = Item(audience, audience is not None, who, "ann@example.com", NOW + 60 + 2 * HOUR, NOW + 10, "open")
    return replace(made, **more)


def look(items: dict[Key, Item] | None = None, after: float = 0.0, **more: Any) -> Seen:
    """Return a look after a real-time run, ``after`` seconds after the first: p1 and p2 are in every segment."""
    held = items or {}
    people = frozenset({"p1", "p2"})
    shown = {("hubspot", "asked_where"): frozenset(i.person for i in held.values() if i.person and i.status == "open")}
    made = Seen(
        "realtime", NOW + 60 + after, NOW + after, NOW + 20 + after, held, shown,
        dict.fromkeys((1, 3, 4, 6, 7, 8, 9, 11), people), dict.fromkeys(people, FACTS),
        created=frozenset(held),
    )  # fmt: skip
    return replace(made, **more)


def as_written() -> Rules:
    """Return the simulation's rules, but that each look of these tests is after a run of this audience's lane."""
    file = written()
    file["audiences"]["asked_where"]["lane"] = "realtime"
    return Rules.of(file)


def judged(*looks: Seen, rules: Rules | None = None) -> Oracle:
    """Return the judge after these looks."""
    oracle = Oracle(rules or as_written())
    for one in looks:
        oracle.after_run(one)
    return oracle


def broken(oracle: Oracle) -> set[str]:
    """Return the checks that complain."""
    return {name for name, found in oracle.violations.items() if found}


def test_an_action_as_it_should_be_breaks_nothing() -> None:
    oracle = judged(look(), look({TASK: item()}), look({TASK: item()}, HOUR, created=frozenset()))
    oracle.end_of_day([("asked_where", 1, "entered", None, 1)], [("asked_where", "p1", False, 1)])
    assert broken(oracle) - {"write_back"} == set()
    assert set(oracle.judged) >= {"cooldown", "cap", "handled", "capacity", "due", "one_open", "reason", "exit"}


def test_what_stands_longer_than_its_expiry_is_told() -> None:
    later = look({TASK: item()}, 5 * DAY, created=frozenset())
    assert broken(judged(look({TASK: item()}), later)) == {"expired"}
    put_off = look({TASK: item(due=NOW + 9 * DAY)}, 5 * DAY, created=frozenset())
    assert broken(judged(look({TASK: item()}), put_off)) == set()


def test_a_second_touch_inside_the_cooldown_is_told() -> None:
    done = look({TASK: item(status="done")}, HOUR, created=frozenset(), deeds=(Deed("hubspot", "1", "complete", NOW),))
    again = item(created=NOW + DAY, due=NOW + DAY + 60 + 2 * HOUR)
    oracle = judged(look({TASK: item()}), done, look({TASK: item(status="done"), OTHER: again}, DAY))
    assert broken(oracle) == {"cooldown", "cap"}


def test_a_listing_inside_the_cooldown_is_told_where_a_list_asks() -> None:
    listed, empty = ({("hubspot", "second_purchase"): frozenset(who)} for who in (["p1"], []))
    oracle = judged(look(shown=listed), look(shown=empty, after=DAY), look(shown=listed, after=3 * DAY))
    assert broken(oracle) == {"cooldown"}


def test_a_touch_above_the_cap_is_told_over_both_crms() -> None:
    call = item("concierge", owner="pia@example.com", created=NOW + 10, due=NOW + 60 + 22 * HOUR)
    assert broken(judged(look({TASK: item(), ("pipedrive", "5"): call}))) == {"cap"}


def test_a_person_missing_on_a_suppression_list_is_told() -> None:
    listed = {("hubspot", "refunded"): frozenset({"p1", "p2", "p9"})}
    assert broken(judged(look(lane="daily", shown={("hubspot", "refunded"): frozenset({"p1"})}))) == {"suppression"}
    assert broken(judged(look(lane="daily", shown=listed))) == {"suppression", "exit"}


def test_an_action_for_somebody_a_human_is_on_is_told() -> None:
    own = item(None, created=NOW - DAY)
    oracle = judged(look({("pipedrive", "8"): own}, -HOUR, created=frozenset(), shown={}), look({TASK: item(), ("pipedrive", "8"): own}, created=frozenset({TASK})))  # fmt: skip
    assert broken(oracle) == {"handled"}


def test_an_open_action_without_a_reason_is_told() -> None:
    gone = look({TASK: item()}, HOUR, created=frozenset(), shown={}, segments={9: frozenset()})
    assert broken(judged(look({TASK: item()}), gone)) == {"reason"}
    muted = look({TASK: item()}, HOUR, created=frozenset(), shown={}, facts={"p1": {**FACTS, "unsubscribed": "true"}})
    assert broken(judged(look({TASK: item()}), muted)) == {"reason"}
    taken_up = look({TASK: item(status="taken_up")}, HOUR, created=frozenset(), shown={}, segments={9: frozenset()})
    assert broken(judged(look({TASK: item()}), taken_up)) == set()


def test_whoever_is_shown_after_their_exit_is_told() -> None:
    shown = {("hubspot", "asked_where"): frozenset({"p1"})}
    done = look({TASK: item(status="done")}, HOUR, created=frozenset(), shown=shown, deeds=(Deed("hubspot", "1", "complete", NOW + 60),))  # fmt: skip
    assert broken(judged(look({TASK: item()}), done)) == {"exit"}
    left = look(after=HOUR, shown=shown, segments={9: frozenset()})
    assert broken(judged(look(shown=shown), left)) == {"exit"}


def test_a_write_to_what_a_human_made_is_told() -> None:
    own = {("pipedrive", "8"): item(None)}
    oracle = judged(look(own, created=frozenset(), shown={}, written=frozenset({("pipedrive", "8")})))
    assert broken(oracle) == {"human"}


def test_a_touch_of_held_out_people_and_a_wrong_share_are_told() -> None:
    oracle = judged(look({TASK: item()}))
    oracle.end_of_day([], [("asked_where", "p1", True, 1)])
    assert "p1 is held out" in oracle.violations["holdout"][0]
    oracle = judged(look())
    oracle.end_of_day([], [("asked_where", f"q{n}", n % 2 == 0, 1) for n in range(40)])
    assert "20 of 40" in oracle.violations["holdout"][0]


def test_more_than_fits_on_a_desk_or_into_a_day_is_told() -> None:
    rules = as_written()
    many = {("hubspot", str(n)): item(who=f"p{n}") for n in range(1, 5)}
    people = frozenset(f"p{n}" for n in range(1, 5))
    there = {"segments": {9: people}, "facts": dict.fromkeys(people, FACTS)}
    assert broken(judged(look(many, **there), rules=rules)) == {"capacity"}
    assert broken(judged(look(many, **there), rules=replace(rules, new_per_day=9))) == set()
    assert broken(judged(look(many, **there), rules=replace(rules, new_per_day=9, open_per_owner=3))) == {"capacity"}


def test_a_due_time_outside_of_working_time_or_other_than_declared_is_told() -> None:
    at_night = item(due=NOW + 12 * HOUR)
    assert "outside of working time" in judged(look({TASK: at_night})).violations["due"][0]
    assert "off '2 working hours'" in judged(look({TASK: item(due=NOW + 5 * HOUR)})).violations["due"][0]


def test_two_open_actions_for_one_are_told() -> None:
    oracle = judged(look({TASK: item(), OTHER: item()}))
    assert broken(oracle) == {"one_open", "cap", "capacity"}


def test_what_customerio_is_told_wrongly_is_told() -> None:
    oracle = judged(look({TASK: item()}, outreach=frozenset({"p2"})), rules=replace(as_written(), writes_back=True))
    oracle.end_of_day([], [])
    assert len(oracle.violations["write_back"]) == 2


def test_counts_that_do_not_add_up_are_told() -> None:
    def after(*counts: Count) -> set[str]:
        oracle = judged(look())
        oracle.end_of_day(counts, [])
        return broken(oracle)

    entered, stayed, left = ("a", 1, "entered", None, 3), ("a", 2, "stayed", None, 1), ("a", 2, "left", "done", 1)
    assert after(entered, stayed, left) == {"counts"}
    assert after(entered, stayed, ("a", 2, "left", "done", 2)) == set()
    assert after(entered, stayed, left, ("a", 2, "withheld", "holdout", 1)) == set()
    end = int(NOW + 60)
    assert after(("asked_where", end, "entered", None, 1)) == {"counts"}, "two were in the segment"
    assert after(("asked_where", end, "entered", None, 1), ("asked_where", end, "withheld", "grace", 1)) == set()


def test_what_follows_from_an_outcome_is_judged() -> None:
    """Asked again a day after nobody was reached; not after an hour, nor at all where they were not interested."""
    later, first = DAY + 2 * HOUR, look({TASK: item()})

    def after(outcome: str | None, wait: float, attempt: int, **more: Any) -> set[str]:
        deed = Deed("hubspot", "1", "complete", NOW + HOUR, outcome)
        done = look({TASK: item(status="done")}, HOUR + 60, created=frozenset(), deeds=(deed,))
        again = item(created=NOW + HOUR + wait, due=NOW + HOUR + wait + 2 * HOUR, attempt=attempt)
        both = look({TASK: item(status="done"), OTHER: again}, HOUR + wait, **more)
        return broken(judged(first, done, both)) - {"due", "capacity"}

    assert after("no_answer", later, 2) == set()
    assert after("no_answer", HOUR, 2) == {"outcome"}
    assert after("converted", later, 2) == {"outcome"}
    assert after("no_answer", later, 4) == {"outcome"}
    assert "outcome" in after("not_interested", 30 * DAY, 1)
    assert after("no_answer", later, 2, outcomes_written=("converted",)) == {"outcome"}


def write(kind: str, step: str = "list/asked_where", place: str = "hubspot", **said: Any) -> tuple[Any, ...]:
    """Return a row of the ledger, about p1."""
    return ("p1", place, step, kind, "1", json.dumps(said), "run", "2026-10-20T14:00")


ENTERED = ("asked_where", "p1", "entered", "rules", "2026-10-20T14:00")
ASKED = write("open_task", "task/asked_where", audience="asked_where", entered_at="2026-10-20", evidence={"segment": 9})
BUCKET = write("update", "properties_daily", lapse_bucket="0-30")
FLAG = write("create", "fields_daily", "pipedrive", audiences='{"in":["asked_where"]}')


@pytest.mark.parametrize(
    ("writes", "decisions", "complains"),
    [
        ([write("add"), ASKED, BUCKET], [ENTERED], False),
        ([ASKED, BUCKET], [ENTERED], True),
        ([write("add"), write("remove"), ASKED, BUCKET], [ENTERED], True),
        ([write("add"), BUCKET], [ENTERED], True),
        ([write("add"), ASKED], [ENTERED], True),
        ([write("add"), ASKED, write("update", "properties_daily", lapse_bucket="91+")], [ENTERED], True),
        ([write("add"), ASKED, BUCKET], [], True),
        ([write("add"), ASKED, BUCKET], [(*ENTERED[:3], None, ENTERED[4])], True),
        ([write("add"), write("add", "list/winback"), ASKED, BUCKET], [ENTERED], True),
        ([write("add"), write("open_task", "task/asked_where", audience="asked_where"), BUCKET], [ENTERED], True),
        ([write("add"), ASKED, BUCKET, FLAG], [ENTERED], True),
        (
            [write("add"), ASKED, BUCKET, FLAG, write("clear", "fields_daily", "pipedrive", audiences=None)],
            [ENTERED],
            False,
        ),
    ],
)
def test_what_the_ledger_does_not_tell_as_it_is_is_told(
    writes: list[tuple[Any, ...]], decisions: list[tuple[Any, ...]], complains: bool
) -> None:
    fields = {("hubspot", "p1"): {"cio_lapse_bucket": "0-30"}}
    nobody = frozenset[str]()
    shown = {("hubspot", "asked_where"): frozenset({"p1"}), ("hubspot", "winback"): nobody}
    shown["pipedrive", "asked_where"] = nobody
    oracle = judged(look({TASK: item()}, shown=shown, fields=fields))
    oracle.told(Story.of(writes, decisions))
    assert bool(oracle.violations["story"]) is complains


def test_every_check_is_broken_by_a_test_above() -> None:
    text = Path(__file__).read_text(encoding="utf-8").split("def test_every_check")[0]
    assert [name for name in CHECKS if f'"{name}"' not in text] == []
