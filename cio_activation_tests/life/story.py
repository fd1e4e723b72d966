"""Checks what the project can tell of its own writes: the ledger alone gives what the CRMs hold, and each has a reason.

Claims of the project (its views ``outcome.why_*``), judged against the stand-ins: every list member, flag, field and
action that is there was told of, with the run, window and activation it came by; and nothing was told that is not there.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cio_activation_tests.life.rules import Rules
from cio_activation_tests.life.seen import Key, Seen
from cio_activation_tests.life.touches import Found

WRITES = """SELECT cio_id, destination, step, kind, record_id, payload, run_id, window_key FROM outcome.why_writes
    WHERE "end" = 'delivered' ORDER BY ended_at, intent_at"""
DECISIONS = """SELECT audience, cio_id, decision, activation, window_key FROM outcome.why_decisions
    ORDER BY as_of, CASE decision WHEN 'left' THEN 0 ELSE 1 END"""
Row = tuple[Any, ...]


@dataclass
class Story:
    """What the ledger and the decisions come to, read from their beginning."""

    members: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    """(place, audience) -> whom the ledger has on the list, or with the flag."""
    fields: dict[tuple[str, str], dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    """(place, ``cio_id``) -> field -> value."""
    actions: dict[Key, tuple[str, str]] = field(default_factory=dict)
    """What was made -> whose it is, and for which person."""
    inside: dict[tuple[str, str], bool] = field(default_factory=dict)
    """(audience, person) -> whether the newest decision has them in, and says by what."""
    changed: Counter[str] = field(default_factory=Counter)
    """Field -> how often it was written to whom had it."""
    unexplained: list[str] = field(default_factory=list)
    """Writes of which the ledger does not say run, window, or why."""

    @classmethod
    def of(cls, writes: Iterable[Row], decisions: Iterable[Row]) -> Story:
        """Return the story that the rows of ``WRITES`` and ``DECISIONS`` tell."""
        story = cls()
        for row in writes:
            story._write(*row)
        for audience, who, decision, activation, window_key in decisions:
            known = bool(activation and window_key)
            stays_out = decision == "withheld" and story.inside.get((audience, who), False)
            story.inside[audience, who] = known and (decision == "entered" or stays_out)
        return story

    def _write(
        self, who: str, place: str, step: str, kind: str, record: str | None, payload: str, run: str, window: str
    ) -> None:
        said = json.loads(payload) if payload else {}
        if not run or not window:
            self.unexplained.append(f"{place} {step} {kind} of {who} has no run or window")
        if step.startswith("list/"):
            (set.add if kind == "add" else set.discard)(self.members[place, step.removeprefix("list/")], who)
        elif kind in ("open_task", "open_activity"):
            self.actions[place, str(record)] = said["audience"], who
            if not said.get("evidence") or not said.get("entered_at"):
                self.unexplained.append(f"{place} {record}: nothing says why it was made")
        elif kind in ("create", "update", "stamp", "clear", "withdraw"):
            self.changed.update(said.keys() & self.fields[place, who].keys())
            if "audiences" in said:
                inside = set(json.loads(said.pop("audiences") or '{"in": []}')["in"])
                for (its_place, audience), people in self.members.items():
                    if its_place == place:
                        (set.add if audience in inside else set.discard)(people, who)
                for audience in inside:
                    self.members[place, audience].add(who)
            self.fields[place, who].update({name: _text(value) for name, value in said.items()})


def judge_story(rules: Rules, story: Story, seen: Seen, names: Mapping[str, str]) -> Found:
    """Compare; ``names`` gives the CRMs' names of the fields that people are given (logical name -> name there)."""
    wrong = [(text, text) for text in story.unexplained]
    judged = 0
    for (place, audience), there in seen.shown.items():
        told = story.members.get((place, audience), set())
        judged += len(there | told)
        wrong += [(f"{place}/{audience}/{w}", f"{audience}: {w} is shown in {place}, untold") for w in there - told]
        wrong += [(f"{place}/{audience}/{w}", f"{audience}: {w} is told in {place}, not shown") for w in told - there]
        for who in there & told:
            if not story.inside.get((audience, who)):
                wrong.append(
                    (f"{place}/{audience}/{who}", f"{audience}: {who} is shown in {place}, and no decision says why")
                )
    for (place, record), item in seen.items.items():
        if item.marked and item.status != "deleted":
            judged += 1
            if story.actions.get((place, record), (None,))[0] != item.audience:
                wrong.append((f"{place}/{record}", f"{place}: {record} of {item.audience} is untold"))
    for (place, who), held in seen.fields.items():
        told_fields = story.fields.get((place, who), {})
        for name, called in names.items():
            if name in told_fields or held.get(called):
                judged += 1
                if told_fields.get(name, "") != (held.get(called) or ""):
                    text = f"{place}: {called} of {who} is {held.get(called)!r}, told is {told_fields.get(name)!r}"
                    wrong.append((f"{place}/{who}/{name}", text))
    return judged, wrong


def _text(value: Any) -> str:
    return "" if value is None else str(value)
