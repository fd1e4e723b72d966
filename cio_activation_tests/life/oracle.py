"""The judge of the simulation: what the stand-ins show against the activation's numbers, after every run.

Shares no code with what decides, delivers or listens: it reads the stand-ins, their log of requests and the YAML. Two
things nobody can see there are taken from the project as claims and judged as such: the counts of decisions, and who
is held out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cio_activation_tests.life.books import Count, Entry, judge_counts, judge_holdout
from cio_activation_tests.life.endings import (
    candidates,
    ended_with_reason,
    left_alone,
    not_expired,
    on_suppression_lists,
    one_at_a_time,
    shown_with_reason,
    told_customerio,
)
from cio_activation_tests.life.history import History
from cio_activation_tests.life.rules import Rules
from cio_activation_tests.life.seen import Key, Seen
from cio_activation_tests.life.story import Story, judge_story
from cio_activation_tests.life.touches import (
    after_outcomes,
    due_in_working_time,
    not_above_cap,
    not_being_handled,
    not_in_cooldown,
    within_capacity,
)

CHECKS = {
    "expired": "lists, flags and actions older than their expiry",
    "cooldown": "second touches inside a cooldown",
    "cap": "touches of a person above the cap, over both CRMs",
    "suppression": "people of a list that asks nobody who are not on it, or on it without a reason",
    "handled": "actions for somebody a human was on",
    "reason": "open actions without a live reason",
    "exit": "people on a list or with a flag after their exit",
    "human": "tasks and activities of humans that we wrote to",
    "holdout": "held-out people who were shown or touched, or in the wrong share",
    "capacity": "actions given to somebody whose desk or day was full",
    "due": "due times outside of working time, or other than declared",
    "outcome": "actions inside the time that an outcome asks for, attempts that none asks for, outcomes that we wrote",
    "one_open": "second open actions for a person and audience",
    "write_back": "people whose attributes in Customer.io differ from the open actions at a day's end",
    "story": "list members, flags, fields and actions of which ledger and decisions tell otherwise, or without a reason",
    "counts": "windows whose decisions do not add up",
}


@dataclass
class Oracle:
    """Takes one look after another; ``violations`` holds what is wrong, ``judged`` how many things were looked at."""

    rules: Rules
    history: History = field(default_factory=History)
    violations: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in CHECKS})
    judged: Counter[str] = field(default_factory=Counter)
    appearances: Counter[str] = field(default_factory=Counter)
    """Audience -> how often somebody appeared on its list or with its flag."""
    disappearances: int = 0
    eligible: dict[tuple[str, int], int] = field(default_factory=dict)
    """Audience and end of a window -> how many were in its segment and passed its gate."""
    last: Seen | None = None
    _told: set[tuple[str, str]] = field(default_factory=set)

    def after_run(self, seen: Seen) -> None:
        """Judge what the stand-ins show after a run."""
        before = len(self.history.shown)
        new, fresh = self.history.take(seen)
        self.appearances.update(name for _, name, _ in fresh)
        self.disappearances += before + len(fresh) - len(self.history.shown)
        rules, history = self.rules, self.history
        self._note("cooldown", seen, not_in_cooldown(rules, history, new, fresh, seen))
        self._note("cap", seen, not_above_cap(rules, history, new))
        self._note("handled", seen, not_being_handled(history, new))
        self._note("capacity", seen, within_capacity(rules, history, new))
        self._note("outcome", seen, after_outcomes(rules, history, new, seen))
        self._note("due", seen, due_in_working_time(rules, new))
        self._note("one_open", seen, one_at_a_time(history))
        self._note("human", seen, left_alone(history, seen))
        self._note("expired", seen, not_expired(rules, history, seen))
        self._note("reason", seen, ended_with_reason(rules, history, seen))
        self._note("exit", seen, shown_with_reason(rules, history, seen))
        self._note("suppression", seen, on_suppression_lists(rules, seen))
        for audience in rules.audiences.values():
            if audience.lane == seen.lane:
                self.eligible[audience.name, int(seen.window_end)] = len(candidates(audience, seen))
        self.last = seen

    def end_of_day(self, counts: Sequence[Count], entries: Sequence[Entry]) -> None:
        """Judge the day's end, and what the project says of its decisions so far."""
        assert self.last is not None
        if self.rules.writes_back:
            self._note("write_back", self.last, told_customerio(self.history, self.last))
        self._note("counts", self.last, judge_counts(counts, self.eligible))
        self._note("holdout", self.last, judge_holdout(self.rules, self.history, entries))

    def told(self, story: Story) -> None:
        """Judge the day's end by what the project can tell of its own writes."""
        assert self.last is not None
        self._note("story", self.last, judge_story(self.rules, story, self.last, self.rules.fields))

    def judges(self, check: str) -> bool:
        """Return whether there is anything for a check to judge in this activation."""
        return check != "write_back" or self.rules.writes_back

    def audience_of(self, key: Key) -> str | None:
        """Return whose action a record is; None for one of a human's own."""
        record = self.history.records.get(key)
        return record.audience if record is not None and record.ours else None

    def summary(self) -> str:
        """Return in a few words how it stands."""
        wrong = {name: f"{len(found)}, such as {found[0]}" for name, found in self.violations.items() if found}
        ours = list(self.history.ours())
        return f"{len(ours)} actions, {sum(r.open for r in ours)} open, wrong: {wrong or 'nothing'}"

    def _note(self, check: str, seen: Seen, found: tuple[int, list[tuple[str, str]]]) -> None:
        """Keep what is wrong, once for each thing it is wrong with."""
        judged, wrong = found
        self.judged[check] += judged
        for about, text in wrong:
            if (check, about) not in self._told:
                self._told.add((check, about))
                at = datetime.fromtimestamp(seen.at, UTC)
                self.violations[check].append(f"{at:%Y-%m-%d %H:%M} {seen.lane}: {text}")
