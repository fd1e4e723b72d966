"""Lives the simulation: every daily window, and each real-time window that has news, judged after every run."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from cio_activation.activation.models import Lane
from cio_activation_tests.drivers.tables import query
from cio_activation_tests.life.books import Count, Entry
from cio_activation_tests.life.happenings import Happenings
from cio_activation_tests.life.oracle import Oracle
from cio_activation_tests.life.reps import Reps
from cio_activation_tests.life.rules import Rules, written
from cio_activation_tests.life.seen import Deed, look
from cio_activation_tests.life.story import DECISIONS, WRITES, Story
from cio_activation_tests.life.world import BEFORE_THE_END, FIRST_DAY, WINDOW_S, LifeTown, begin_of_day, life_town

AT_LEAST_EVERY_S = 12 * 3_600
"""A real-time window is run after so long without news: what waits for time alone is never stuck longer."""


@dataclass
class Life:
    """What a simulation came to."""

    oracle: Oracle
    days: int = 0
    runs: Counter[str] = field(default_factory=Counter)
    dagster_runs: Counter[str] = field(default_factory=Counter)
    """Of these, Dagster's."""
    calls: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    deeds: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    """Field -> how often it was written to whom had it."""


def live(
    home: Path, days: int, *, people: int = 300, first: date = FIRST_DAY, seed: int = 5, grace: bool = True,
    actions: bool = True, dagster_days: int = 0, tell: bool = False,
) -> Life:  # fmt: skip
    """Live ``days`` days in ``home`` and return what came of them; the last ``dagster_days`` through Dagster's runs."""
    began = time.perf_counter()
    file = written(grace=grace, actions=actions)
    with life_town(home, file, people=people, days=days, first=first, seed=seed) as town:
        living = _Living(town, Rules.of(file), seed, days)
        for number in range(days):
            living.by_dagster = number >= days - dagster_days
            living.day(number, first)
            if tell:
                print(living.line(number, time.perf_counter() - began), flush=True)
        living.life.seconds = time.perf_counter() - began
        return living.life


class _Living:
    """The loop, and what it has to remember to know where news is."""

    def __init__(self, town: LifeTown, rules: Rules, seed: int, days: int) -> None:
        self.town, self.rules = town, rules
        self.reps = Reps(town, rules, seed)
        self.happenings = Happenings(town, self.reps, seed, days)
        self.life = Life(Oracle(rules))
        self.deeds: list[Deed] = []
        self.live = [a for a in rules.audiences.values() if a.lane == "realtime"]
        self.segments = tuple(sorted({a.segment for a in self.live}))
        self.inside: dict[int, frozenset[str]] = {}
        self.timers: list[float] = []
        self.since: dict[tuple[str, str, str], float] = {}
        self.last_run = 0.0
        self.by_dagster = False
        self.reps.share_out()

    def day(self, number: int, first: date) -> None:
        """Live one day of the workspace: its hours, and after its end the daily run."""
        begins, ends = begin_of_day(number, first), begin_of_day(number + 1, first)
        waiting = self.happenings.of_day(number, begins)
        turns = self.town.turns(begins.timestamp() - WINDOW_S, ends.timestamp())
        tick = begins
        while tick < ends:
            tick += timedelta(seconds=WINDOW_S)
            now = tick - BEFORE_THE_END
            moved = False
            while waiting and waiting[0].at <= now:
                self.town.go_to(max(waiting[0].at, self.town.now))
                waiting.pop(0).what()
                moved = True
            turned = [at for at in turns if at <= now.timestamp()]
            turns = turns[len(turned) :]
            self._hour(now, moved=moved or bool(turned))
        self.town.go_to(ends + BEFORE_THE_END)
        self._work(self.town.now.timestamp())
        self._run(Lane.DAILY)
        self.life.oracle.end_of_day(*self._books())
        story = Story.of(query(self.town.runtime, WRITES), query(self.town.runtime, DECISIONS))
        self.life.oracle.told(story)
        self.life.changed = story.changed
        self.life.days += 1

    def _hour(self, now: datetime, *, moved: bool) -> None:
        """Run the real-time lane for the hour that ends in a minute, if there is news."""
        done = self._work(now.timestamp())
        overdue = [at for at in self.timers if at <= now.timestamp() + 60]
        if not (moved or done or overdue or now.timestamp() - self.last_run >= AT_LEAST_EVERY_S):
            return
        self.town.go_to(now)
        inside = self.town.inside(self.segments)
        if not (inside != self.inside or done or overdue or now.timestamp() - self.last_run >= AT_LEAST_EVERY_S):
            return
        self.timers = [at for at in self.timers if at not in overdue]
        for audience in self.live:
            if inside[audience.segment] - self.inside.get(audience.segment, frozenset()):
                # Whoever came now is let in as soon as grace is over.
                self.timers.append(now.timestamp() + 60 + audience.grace)
        self.inside, self.last_run = inside, now.timestamp()
        self._run(Lane.REALTIME)

    def _work(self, until: float) -> bool:
        """Let the reps work; return whether they did something that the real-time lane is to hear of."""
        deeds = self.reps.work(until)
        self.deeds += deeds
        self.life.deeds.update(deed.did for deed in deeds)
        live = {audience.name for audience in self.live}
        return any(self.life.oracle.audience_of((deed.place, deed.item)) in live for deed in deeds)

    def _run(self, lane: Lane) -> None:
        window, began = self.town.window(lane), self.town.now.timestamp()
        if self.by_dagster:
            assert self.town.run_in_dagster(lane)["held"] == 0, window.key
            self.life.dagster_runs[str(lane)] += 1
        else:
            run = self.town.run(lane, run_id=f"{lane}-{window.key}", schema=lane is Lane.DAILY or not self.life.runs)
            assert run.held == 0, f"{window.key}: {[(n, r) for n, r in run.reports.items() if r.held]}"
        self.life.runs[str(lane)] += 1
        seen = look(self.town, self.rules, lane.value, window.end.timestamp(), began, self.deeds)
        self.deeds = []
        self.life.calls.update(seen.calls)
        self.life.oracle.after_run(seen)
        self._expect(seen.shown, window.end.timestamp())

    def _expect(self, shown: object, window_end: float) -> None:
        """Note when what has just appeared expires."""
        assert isinstance(shown, dict)
        now = {(place, name, who) for (place, name), people in shown.items() for who in people}
        for key in now - set(self.since):
            expires = self.rules.audiences[key[1]].expires
            if expires and self.rules.audiences[key[1]].lane == "realtime":
                self.timers.append(window_end + expires)
        self.since = {key: self.since.get(key, window_end) for key in now}

    def _books(self) -> tuple[list[Count], list[Entry]]:
        """Return the counts of decisions and who entered when how, as the project has them: claims to be judged."""
        counts = query(
            self.town.runtime,
            "SELECT audience, CAST(epoch(as_of) AS BIGINT), decision, code, people FROM audience.counts "
            "ORDER BY as_of, audience, decision, code",
        )
        entries = query(
            self.town.runtime,
            "SELECT audience, cio_id, coalesce(ghost, FALSE), number FROM audience.memberships "
            "WHERE touch AND NOT coalesce(baseline, FALSE) ORDER BY entered_at, audience, cio_id",
        )
        return counts, entries  # type: ignore[return-value]

    def line(self, number: int, seconds: float) -> str:
        """Return where the simulation is, in a line."""
        at = datetime.fromtimestamp(self.town.now.timestamp(), UTC)
        runs = dict(self.life.runs)
        return f"day {number + 1} {at:%Y-%m-%d} {seconds:.0f} s (CPU {time.process_time():.0f}) {runs} {self.life.oracle.summary()}"
