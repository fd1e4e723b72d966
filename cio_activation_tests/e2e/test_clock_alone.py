"""Customer.io stands still and only the clock moves: few people change a day, and these few have to be found.

In the default world about half of all people move every day, so that everybody is derived again; here the incremental
way is the usual one, and whoever it overlooks stays wrong in the CRMs. These are compared, window by window, with what
plain Python makes of the sandbox's own facts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from cio_activation.state.derive import REDERIVE_SHARE
from cio_activation_tests.e2e.clock_oracle import AUDIENCES, Due, Fact, Oracle
from cio_activation_tests.e2e.clock_world import CRMS, PEOPLE, ClockWorld, Ran, clock_world

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
"""The fixture runs fourteen jobs, fifty seconds of CPU: on a busy machine that takes longer than other tests may."""
NIGHT = datetime(2025, 10, 28, 4, tzinfo=UTC)
"""Midnight in New York, where the first day ends."""
SUNDAY = "2025-11-02"
"""Everybody is derived again on Sundays. This one has 25 hours: New York's clocks go back."""
DAYS_AND_HOURS: tuple[str | float, ...] = (
    "2025-10-27", 0.25, 2.25, 2.5,
    "2025-10-28", 27.0,
    "2025-10-29",
    "2025-10-30", 76.0,
    "2025-10-31", "2025-11-01", SUNDAY, "2025-11-03",
)  # fmt: skip
"""Daily windows by key, and real-time ones by the hours from ``NIGHT`` to their ends."""
QUIET = 2.5
"""The quarter of an hour in which nothing falls due for anybody."""


@dataclass(frozen=True)
class Passed:
    """One window: what was seen of its run, and what it had to come to."""

    ran: Ran
    due: Due = field(repr=False)
    before: frozenset[Fact] = field(repr=False)
    """What the CRMs had to hold before it."""

    @property
    def moved(self) -> frozenset[Fact]:
        """Facts that the window had to add or take away."""
        return self.due.facts ^ self.before


@dataclass(frozen=True)
class History:
    """All windows in order, and the last one once more."""

    windows: tuple[Passed, ...]
    again: Ran

    def of(self, lane: str) -> list[Passed]:
        return [w for w in self.windows if w.ran.lane == lane]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """Let a week pass."""
    with clock_world(tmp_path_factory.mktemp("clock")) as world:
        oracle = Oracle(world.people, world.in_pipedrive())
        windows: list[Passed] = []
        for when in DAYS_AND_HOURS:
            ran = _run(world, when)
            before = windows[-1].due.facts if windows else frozenset()
            windows.append(Passed(ran, oracle.end_window(ran.lane, ran.as_of), before))
        yield History(tuple(windows), again=_run(world, DAYS_AND_HOURS[-1]))


def _run(world: ClockWorld, when: str | float) -> Ran:
    return world.day(when) if isinstance(when, str) else world.quarter(NIGHT + timedelta(hours=when))


def test_every_window_runs_to_its_end(history: History) -> None:
    assert [(w.ran.key, w.ran.failed) for w in history.windows if w.ran.failed] == []


def test_most_windows_look_at_few_people(history: History) -> None:
    for lane in ("daily", "realtime"):
        reports = {w.ran.key: w.ran.metadata[f"state/{lane}_properties"] for w in history.of(lane)}
        assert [key for key, r in reports.items() if r["rebuilt"]] == [history.of(lane)[0].ran.key]
        assert {r["rows"] for r in reports.values()} == {PEOPLE}
        # Only who derives everybody says how many rows the incremental way had left wrong.
        assert {key: r["missed"] for key, r in reports.items() if "missed" in r} == (
            {SUNDAY: 0} if lane == "daily" else {}
        )
        few = [r["candidates"] for key, r in list(reports.items())[1:] if key != SUNDAY]
        assert len(few) >= 4
        assert max(few) < PEOPLE * REDERIVE_SHARE / 2
        assert sum(n > 0 for n in few) > len(few) / 2


def test_the_crms_hold_what_the_clock_says_after_every_window(history: History) -> None:
    wrong = [
        f"{w.ran.lane} {w.ran.key}: {'lacks' if fact in w.due.facts else 'still has'} {' '.join(fact)}"
        for w in history.windows
        for fact in sorted(w.ran.holds ^ w.due.facts)
    ]
    assert wrong == []


def test_states_change_for_those_whose_time_came(history: History) -> None:
    changed = [(w.ran.key, w.ran.metadata[f"state/{w.ran.lane}_properties"]["changed"]) for w in history.windows]
    assert changed == [(w.ran.key, w.due.changed) for w in history.windows]


def test_audiences_say_who_came_and_why_who_left(history: History) -> None:
    for w in history.windows:
        reports = {name: w.ran.metadata[f"audience/{name}"] for name, a in AUDIENCES.items() if a.lane == w.ran.lane}
        entered = {name: r["entered"] for name, r in reports.items() if r["entered"]}
        left = {(name, why): n for name, r in reports.items() for why, n in r.get("exited", {}).items()}
        assert (w.ran.key, entered, left) == (w.ran.key, dict(w.due.entered), dict(w.due.left))


def test_a_stay_ends_in_the_window_in_which_it_expires(history: History) -> None:
    """Told from HubSpot's lists and values alone: nobody stays longer, and nobody leaves earlier while the gate holds."""
    for name, audience in AUDIENCES.items():
        if (longest := audience.expires_after) is None:
            continue
        expired = 0
        since: dict[str, datetime] = {}
        for w in history.of(audience.lane):
            members = {f.cio_id for f in w.ran.holds if f.destination == "hubspot" and f[2:] == ("audience", name)}
            for who in since.keys() - members:
                if audience.gate(_values(w.ran, who)):
                    assert w.ran.as_of - since[who] >= longest, f"{who} left {name} too early, in {w.ran.key}"
                    expired += 1
                del since[who]
            for who in members:
                assert w.ran.as_of - since.setdefault(who, w.ran.as_of) < longest, f"{who} is still in {name}"
        assert expired, f"nobody's stay in {name} expired"


def _values(ran: Ran, who: str) -> dict[str, str | None]:
    return {f.what: f.value for f in ran.holds if (f.destination, f.cio_id) == ("hubspot", who)}


def test_only_those_are_written_for_whom_something_falls_due(history: History) -> None:
    for w in history.windows:
        assert sorted(w.ran.written) == sorted({(f.destination, f.cio_id) for f in w.moved}), w.ran


def test_write_calls_are_as_few_as_the_changes(history: History) -> None:
    """HubSpot takes a hundred contacts a call and a list's comings and goings in one, Pipedrive a person a call."""
    first = {history.of(lane)[0].ran.key for lane in ("daily", "realtime")}
    for w in history.windows:
        if w.ran.key not in first:  # these make fields, lists and records
            hubspot = [f for f in w.moved if f.destination == "hubspot"]
            lists = {f.value for f in hubspot if f.what == "audience"}
            values = any(f.what != "audience" for f in hubspot)
            persons = {f.cio_id for f in w.moved if f.destination == "pipedrive"}
            calls = Counter(e.vendor for e in w.ran.writes)
            assert (w.ran.key, [calls[crm] for crm in CRMS]) == (w.ran.key, [values + len(lists), len(persons)])


def test_nothing_is_written_where_nothing_falls_due(history: History) -> None:
    quiet = next(w for w, when in zip(history.windows, DAYS_AND_HOURS, strict=True) if when == QUIET)
    assert quiet.moved == frozenset()
    for ran in (quiet.ran, history.again):
        assert [f"{e.method} {e.path}" for e in ran.writes] == []
        assert ran.failed == ()


def test_a_week_of_the_clock_moves_people_over_every_edge(history: History) -> None:
    """Else the tests above would say little."""
    seen: set[tuple[str, str, str]] = set()
    for before, after in pairwise(history.windows):
        held = {f[:3]: f.value for f in before.due.facts if f.what != "audience"}
        seen |= {(f.what, held[f[:3]], f.value) for f in after.due.facts - before.due.facts if f[:3] in held}
    assert seen >= {
        ("lapse", "0-30", "31-90"), ("lapse", "31-90", "91-180"), ("lapse", "91-180", "181+"),
        ("reorder", "before", "open"), ("reorder", "open", "due"), ("reorder", "due", "overdue"),
        ("at_risk", "false", "true"),
        ("cart_stage", "open", "abandoned"), ("cart_stage", "abandoned", "none"),
    }  # fmt: skip
    left = sum((w.due.left for w in history.windows), Counter[tuple[str, str]]())
    assert {why for _, why in left} == {"gate", "expired"}
    assert sum((w.due.entered for w in history.windows[2:]), Counter[str]()).keys() >= {"lapsed", "due", "left_cart"}
