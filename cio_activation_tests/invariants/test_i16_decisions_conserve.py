"""I16: per audience and window, candidates = entered + stayed + left + withheld by each code; I7: restraint, in the same lives.

Who a candidate is, the oracle works out for itself from what it gave the world: who is in the segment (or has a moment that
counts) and passes the gate now, and who was in when the window began. What was decided of each it reads off entries, spells, decisions and counts.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from cio_activation.activation.life_cycle import Baseline, Exclusive, Launch, PersonCap
from cio_activation.activation.models import Audience, ExitReason, Lane, Limits
from cio_activation.activation.moment_source import MomentSource
from cio_activation_tests.audience.stage import DAY, HOUR, NOW, Stage, audience
from cio_activation_tests.audience.test_touch import acted
from cio_activation_tests.forms import form

FOLK = tuple("abcdefgh")
SEGMENTS = {"high": (12, Lane.REALTIME), "low": (13, Lane.REALTIME), "day": (14, Lane.DAILY)}
COOLDOWN, CAP_OVER = 3 * DAY, 5 * DAY
MOMENT, COUNTS_FOR = "asked", 2 * DAY
"""Name of the audience that starts from a moment (and of that), and how long one counts."""

people = st.fixed_dictionaries(
    {
        "spent": st.sampled_from([1.0, 150.0, 300.0]),
        "unsubscribed": st.sampled_from([False, False, False, True]),
        "clicked_at": st.sampled_from([None, NOW, NOW + 3 * DAY]),
        "last_order_at": st.sampled_from([None, NOW + DAY, NOW + 4 * DAY]),
    }
)
step = st.fixed_dictionaries(
    {
        "span": st.sampled_from([timedelta(0), HOUR, DAY, 2 * DAY]),
        "lane": st.sampled_from([Lane.REALTIME, Lane.REALTIME, Lane.DAILY]),
        "people": st.dictionaries(st.sampled_from(FOLK), st.one_of(people, people, people, st.none()), max_size=4),
        "flips": st.dictionaries(st.sampled_from(list(SEGMENTS)), st.sets(st.sampled_from(FOLK), max_size=4)),
        "moments": st.lists(st.tuples(st.sampled_from(FOLK), st.sampled_from([0, 1, 47, 48, 60])), max_size=3),
        "acts": st.dictionaries(st.sampled_from(FOLK), st.sampled_from(["done", "deleted", "snoozed"]), max_size=2),
    }
)
rules = st.fixed_dictionaries(
    {
        "cap": st.sampled_from([1, 2, 9]),
        "grace": st.sampled_from([timedelta(0), HOUR]),
        "expires_after": st.sampled_from([None, 2 * DAY]),
        "holdout": st.sampled_from([0.0, 0.4]),
        "again_after": st.sampled_from([None, 2 * DAY]),
        "hold_while": st.sampled_from([None, "hours_since(clicked_at) < 48"]),
        "launch": st.sampled_from(
            [Launch(), Launch(baseline=Baseline.INCLUDE), Launch(backfill=2), Launch(max_entries_per_day=1)]
        ),
    }
)


def audiences(chosen: Mapping[str, Any]) -> list[Audience]:
    rules = {name: value for name, value in chosen.items() if name != "cap"}
    priority = {"high": 3, MOMENT: 2, "low": 1, "day": 0}
    by_moment = rules | {
        "segment": None, "moment": MomentSource(name=MOMENT), "again_after": None,
        "expires_after": COUNTS_FOR, "exit_on": (ExitReason.PURCHASE,),
    }  # fmt: skip
    group = Exclusive(group="calls", priority=priority[MOMENT])
    asked = audience(MOMENT, touch=True, cooldown=COOLDOWN, exclusive=group, rank="spent DESC", **by_moment)
    return [asked] + [
        audience(
            name, segment=segment, lane=lane, touch=True, cooldown=COOLDOWN,
            exclusive=Exclusive(group="calls", priority=priority[name]), rank="spent DESC", **rules,
        )
        for name, (segment, lane) in SEGMENTS.items()
    ]  # fmt: skip


def with_moment(landed: list[tuple[str, datetime, datetime]], as_of: datetime) -> set[str]:
    """Return who has a moment that counts, or one that became known in this very window, after its time."""
    return {who for who, at, known_at in landed if at <= as_of and (at > as_of - COUNTS_FOR or known_at == as_of)}


def open_now(stage: Stage, name: str) -> set[str]:
    found = stage.world.rows(f"SELECT cio_id FROM audience.memberships WHERE audience = '{name}' AND exited_at IS NULL")
    assert len(found) == len(set(found))
    return {row[0] for row in found}


def judge(stage: Stage, name: str, eligible: set[str], before: set[str], as_of: datetime, result: Any) -> None:
    """Put every candidate into exactly one place, and compare with what was counted."""
    now = open_now(stage, name)
    rows = stage.world.rows(
        f"""SELECT cio_id, entered_at, exited_at, exit_reason, ghost, number FROM audience.memberships
        WHERE audience = '{name}' ORDER BY number"""
    )
    spells = dict(stage.world.rows(f"SELECT cio_id, code FROM audience.eligibility WHERE audience = '{name}'"))
    assert set(spells) == eligible
    left = {r[0]: r[3] for r in rows if r[2] == as_of and r[0] not in now}
    assert before - now <= left.keys()
    expected: Counter[tuple[str, str | None]] = Counter()
    for who in eligible | before | left.keys():
        stay = next((r for r in rows if r[0] == who and r[2] is None), None)
        if stay is not None:
            fresh = "entered" if stay[1] == as_of else "stayed"
            expected[("withheld", "holdout") if stay[4] else (fresh, None)] += 1
        elif who in left:
            expected["left", left[who]] += 1
        else:
            assert spells[who], who
            expected["withheld", spells[who]] += 1
    counts = stage.world.rows(
        f"SELECT decision, code, people FROM audience.counts WHERE audience = '{name}' AND as_of = '{as_of}' AND people > 0"
    )
    assert {(d, c): n for d, c, n in counts} == dict(expected)
    assert result.candidates == sum(expected.values()) == len(eligible | before | left.keys())


def restrained(stage: Stage, cap: int) -> None:
    """No entry within the cooldown of the last one's end in its audience, none above the cap over all audiences."""
    entries = stage.world.rows(
        "SELECT cio_id, audience, entered_at, exited_at FROM audience.memberships WHERE touch ORDER BY entered_at"
    )
    for who, name, at, _ in entries:
        ends = [e[3] for e in entries if e[:2] == (who, name) and e[3] is not None and e[2] < at and e[3] <= at]
        done = {
            r[0]: r[1]
            for r in stage.world.rows(
                f"""SELECT m.exited_at, min(a.happened_at) FROM audience.memberships AS m JOIN feedback.acts AS a
                USING (entry_id) WHERE m.cio_id = '{who}' AND m.audience = '{name}' AND a.act <> 'snoozed' GROUP BY 1"""
            )
        }
        assert all(at - (done.get(end) or end) >= COOLDOWN for end in ends), (who, name, at)
        recent = [e for e in entries if e[0] == who and at - CAP_OVER < e[2] <= at]
        assert len(recent) <= cap, (who, at, recent)


PLAIN: dict[str, Any] = {
    "grace": timedelta(0), "expires_after": None, "holdout": 0.0, "again_after": None, "hold_while": None,
    "launch": Launch(baseline=Baseline.INCLUDE),
}  # fmt: skip
STILL: dict[str, Any] = {"span": HOUR, "lane": Lane.REALTIME, "people": {}, "flips": {}, "acts": {}, "moments": []}
AGAIN_AND_LATE = [
    STILL | {"moments": [("f", 1), ("g", 60)]},
    STILL | {"moments": [("f", 0)]},
    STILL | {"span": 2 * DAY},
]
"""One has a second moment while the first lets them in, one's comes after its time; then all is over."""
OUT_AND_IN = [STILL, STILL | {"flips": {"high": set("abcde")}}, STILL | {"flips": {"high": set("abcde")}}]
"""Everybody leaves the first audience, which the second one would have taken, and comes back."""


@settings(max_examples=form(2, 300), deadline=None)
@example(chosen=PLAIN | {"cap": 1}, steps=OUT_AND_IN)
@example(chosen=PLAIN | {"cap": 9}, steps=OUT_AND_IN + AGAIN_AND_LATE)
@given(chosen=rules, steps=st.lists(step, min_size=2, max_size=9))
def test_every_candidate_is_decided_once_and_nobody_is_touched_too_often(chosen: Any, steps: list[Any]) -> None:
    folk: dict[str, Any] = {who: {"spent": 150.0} for who in FOLK}
    inside = {name: set(FOLK[:5]) for name in SEGMENTS}
    landed: list[tuple[str, datetime, datetime]] = []
    as_of = NOW
    with tempfile.TemporaryDirectory() as home:
        stage = Stage(Path(home), *audiences(chosen))
        act = stage.world.runtime.activation
        limits = Limits(human_touches_per_person=PersonCap(max=chosen["cap"], per=CAP_OVER))
        workspace = act.workspace.model_copy(update={"unsubscribed_attribute": "unsubscribed"})
        stage.world = stage.world.using(act.model_copy(update={"limits": limits, "workspace": workspace}))
        for one in steps:
            as_of += one["span"]
            folk = {who: p for who, p in (folk | one["people"]).items() if p is not None}
            inside = {name: members ^ one["flips"].get(name, set()) for name, members in inside.items()}
            for who, did in one["acts"].items():
                for name in (*SEGMENTS, MOMENT):
                    if who in open_now(stage, name):
                        acted(stage, who, did, as_of, as_of + 2 * DAY if did == "snoozed" else None, name)
            for name, (segment, lane) in SEGMENTS.items():
                stage.segments(inside[name], segment, lane)
            for who, hours in one["moments"]:
                stage.happened(who, MOMENT, as_of - hours * HOUR, event=str(len(landed)), known_at=as_of)
                landed.append((who, as_of - hours * HOUR, as_of))
            before = {name: open_now(stage, name) for name in (*SEGMENTS, MOMENT)}
            found = stage.at(as_of, folk, lane=one["lane"])
            for name, result in found.items():
                source = inside[name] if name in SEGMENTS else with_moment(landed, as_of) | open_now(stage, name)
                passing = {who for who in source if who in folk and folk[who]["spent"] >= 100}
                judge(stage, name, passing, before[name], as_of, result)
            restrained(stage, chosen["cap"])
            events = stage.world.rows(f"SELECT entry_id FROM audience.memberships WHERE audience = '{MOMENT}'")
            assert len(events) == len(set(events))  # each moment acts once
            again = stage.at(as_of, lane=one["lane"])
            assert all(r.entered == 0 and not r.exited for r in again.values())
