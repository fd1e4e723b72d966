"""What ``plan`` and ``why`` say of the same window, before and after it is delivered.

Nothing here knows how either is made: what one command prints is held against what the other prints.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from typer.testing import CliRunner

from cio_activation.activation.models import Lane
from cio_activation.cli.main import app
from cio_activation.destinations import DESTINATIONS
from cio_activation.journal.operations import Kind
from cio_activation.why.facts import Asking
from cio_activation.why.story import tell
from cio_activation_tests.drivers import lanes
from cio_activation_tests.drivers.town import Town

Stories = Mapping[str, Mapping[str, Any]]
SETTLED = ("delivered", "rejected", "unneeded")


@dataclass(frozen=True)
class Planned:
    """One operation as ``plan --people`` lists it."""

    destination: str
    step: str
    window: str
    held: str | None
    """By which guard."""
    kind: Kind
    row: Mapping[str, Any]

    @property
    def operation_id(self) -> str:
        return str(self.row["operation_id"])

    @property
    def cio_id(self) -> str:
        return str(self.row["person"])

    @property
    def change(self) -> Mapping[str, Any]:
        return dict(self.row["change"])

    def __str__(self) -> str:
        return f"{self.destination}/{self.step} {self.row['kind']} {self.cio_id} {self.row['target'] or self.change}"


@dataclass(frozen=True)
class Chapter:
    """One window: what was planned, and everybody's story before and after."""

    name: str
    plan: Sequence[Planned]
    before: Stories
    after: Stories
    later: Sequence[Planned]
    """What ``plan`` says once it is delivered."""

    def new(self, cio_id: str) -> list[Mapping[str, Any]]:
        """Return the facts that are told of somebody since the window was delivered."""
        known = [_key(fact) for fact in self.before[cio_id]["facts"]]
        return [fact for fact in self.after[cio_id]["facts"] if _key(fact) not in known]


def chapter(here: Town, name: str, lane: Lane) -> Chapter:
    """Decide the lane's window of this moment, ask both commands, deliver it, and ask again."""
    window = here.window(lane)
    lanes.decide_lane(here.runtime, lane, window)
    plan, before = planned(lane), stories(here)
    lanes.deliver_lane(here.runtime, lane, window, schema=False)
    return Chapter(name, plan, before, stories(here), planned(lane))


def stories(here: Town, *people: str) -> Stories:
    """Return everybody's story as ``why --json`` prints it, or those of ``people``.

    One session for all: the command would take a tenth of a second for each.
    """
    with here.runtime.warehouse.read() as con:
        asking = Asking(con, here.runtime.settings, here.runtime.activation, DESTINATIONS)
        asked = people or [str(row[0]) for row in con.execute(_EVERYBODY).fetchall()]
        return {cio_id: json.loads(json.dumps(asdict(tell(asking, cio_id)), default=str)) for cio_id in asked}


_EVERYBODY = "SELECT cio_id FROM identity.persons UNION SELECT cio_id FROM delivery.ledger ORDER BY 1"


def planned(lane: Lane) -> list[Planned]:
    """Return what ``plan`` says the next run of ``lane`` does."""
    result = CliRunner().invoke(app, ["plan", "--people", "--lane", str(lane), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    kinds = {(place, kind.name): kind for place, kind in _kinds()}
    return [
        Planned(s["destination"], s["step"], s["window"], s["held"], kinds[s["destination"], row["kind"]], row)
        for s in json.loads(result.stdout)["steps"]
        for row in s["people"]
    ]


def _kinds() -> Iterator[tuple[str, Kind]]:
    from cio_activation.cli.output import decided

    activation = decided().activation
    for destination in DESTINATIONS:
        for step in destination.steps(activation):
            for kind in step.kinds:
                yield destination.name, kind


def _key(fact: Mapping[str, Any]) -> str:
    """Return what makes a fact another one: all of it but where it stands."""
    return json.dumps(fact, sort_keys=True)


def contradicted(chapter: Chapter) -> list[str]:
    """Return each planned operation whose person's story, before it is sent, says anything else."""
    return [
        f"{one}: {wrong}"
        for one in chapter.plan
        for wrong in (*_not_as_it_stands(one, chapter.before[one.cio_id]), *_already_sent(one, chapter))
    ]


def _already_sent(one: Planned, chapter: Chapter) -> Iterator[str]:
    for fact in chapter.before[one.cio_id]["facts"]:
        values = fact["values"]
        if fact["what"] == "write" and values["operation_id"] == one.operation_id and fact["window_key"] == one.window:
            yield f"is told as sent: {fact['sentence']}"


def _not_as_it_stands(one: Planned, story: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the story says otherwise than the plan: who is in, what holds, which record, what is asked for."""
    inside = {place["audience"] for place in story["places"] if place["is_in"]}
    records = {record["destination"]: record["record_id"] for record in story["records"]}
    another = one.row["record"] and records.get(one.destination) != one.row["record"]
    if another and one.kind.needs_record and _of_a_person(one.kind) and not one.kind.empties:
        yield f"has another record there: {records}"
    if one.kind.makes_person and records.get(one.destination):
        yield f"has a record there: {records}"
    if one.kind.writes_membership and one.kind.enters != (one.row["target"] in inside):
        yield f"is in {sorted(inside)}"
    if one.kind.empties and story["known"] and not story["undeliverable"]:
        yield "is known, and nothing withholds the person"
    if one.kind.writes_fields and not one.kind.empties:
        yield from _other_values(one, story, inside)
    if "entry_id" in one.change or "audience" in one.change:
        yield from _other_action(one, story, inside)


def _of_a_person(kind: Kind) -> bool:
    return kind.writes_fields or kind.writes_membership


def _other_values(one: Planned, story: Mapping[str, Any], inside: set[str]) -> Iterator[str]:
    for name, value in one.change.items():
        if name == "audiences":
            flag = set(json.loads(value)["in"]) if value else set()
            if not flag <= inside:
                yield f"is in {sorted(inside)}, the flag says {sorted(flag)}"
        elif name in story["values"] and not _same(value, story["values"][name]):
            yield f"has {name} = {story['values'][name]!r}"


def _same(planned: Any, told: Any) -> bool:
    """Whether a value as a CRM gets it is the one that is told: numbers and flags are text there."""
    if isinstance(told, float):
        return planned not in (None, "") and float(planned) == told
    return str(planned or "").lower() == str("" if told is None else told).lower()


def _other_action(one: Planned, story: Mapping[str, Any], inside: set[str]) -> Iterator[str]:
    audience = one.change.get("audience")
    there = [
        action for action in story["actions"]
        if (action["destination"], action["audience"]) == (one.destination, audience)
    ]  # fmt: skip
    if one.kind.creates and (there or audience not in inside):
        yield f"is in {sorted(inside)}, and is asked for by {there}"


def untold(chapter: Chapter) -> list[str]:
    """Return each planned operation that was not held and of which the story does not say how it ended."""
    found = []
    for one in chapter.plan:
        told = [f for f in chapter.new(one.cio_id) if f["values"].get("operation_id") == one.operation_id]
        found += [f"{one}: {wrong}" for wrong in _how_it_ended(one, told)]
    return found


def _how_it_ended(one: Planned, told: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if one.held:
        if [fact["what"] for fact in told] != ["obstacle"] or one.held not in told[0]["sentence"]:
            yield f"is held by {one.held}; told: {[fact['sentence'] for fact in told]}"
        return
    if len(told) != 1:
        yield f"told {len(told)} times: {[fact['sentence'] for fact in told]}"
        return
    (fact,) = told
    if (fact["what"], fact["destination"], fact["window_key"]) != ("write", one.destination, one.window):
        yield f"is told as {fact}"
    values, sentence = fact["values"], fact["sentence"]
    if values["end"] not in SETTLED or (values["end"] == "rejected") != ("rejected: " in sentence):
        yield f"has no end: {sentence}"
    answer = (f"HTTP {values['status']}", f"correlation id {values['correlation_id']}")
    if any(
        part not in sentence
        for part in answer[: 2 if values["end"] == "delivered" and one.destination != "customerio" else 1]
    ):
        yield f"has no answer: {sentence}"
    if one.kind.writes_fields and not one.kind.empties:
        yield from (f"{name} is not told: {sentence}" for name in one.change if name not in sentence and name != "id")
    if one.kind.writes_membership and one.row["target"] not in sentence:
        yield f"the list is not told: {sentence}"


def invented(chapter: Chapter) -> list[str]:
    """Return what is told anew since the window was delivered, though nothing of it was planned.

    A run makes what it plans possible as it goes: of whom it makes or finds the record first, the rest follows
    within it, as does what Customer.io is told of actions that it opened or took back.
    """
    found = []
    for cio_id in chapter.before:
        planned = [one for one in chapter.plan if one.cio_id == cio_id]
        told = chapter.new(cio_id)
        rest = [fact for fact in told if fact["values"].get("operation_id") not in {o.operation_id for o in planned}]
        found += [
            f"{cio_id}: {fact['sentence']}"
            for fact in rest
            if not (planned and _follows(fact, chapter.before[cio_id], told))
        ]
    return found


def _follows(fact: Mapping[str, Any], story: Mapping[str, Any], told: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a fact comes of others that are told anew of the same person."""
    known = {record["destination"] for record in story["records"] if record["record_id"]}
    if fact["values"].get("obstacle") == "rejected":
        return any(one["values"].get("end") == "rejected" for one in told)
    if fact["destination"] == "customerio":
        return any(
            "_task" in str(one["values"].get("kind")) or "_activity" in str(one["values"].get("kind")) for one in told
        )
    return fact["what"] == "write" and fact["destination"] not in known
