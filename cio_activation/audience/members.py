"""Who is in each audience as of a window: intervals opened and closed, each audience in one transaction."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic

from cio_activation.activation.models import Activation, Audience
from cio_activation.activation.windows import Window
from cio_activation.audience import desks, escalating, handing, pauses, record, retries, scoping
from cio_activation.audience.inputs import Inputs
from cio_activation.audience.step import MEMBERSHIPS, Decided, apply, bring_up_to_date, decide
from cio_activation.audience.touch import entered_today
from cio_activation.errors import ConfigError
from cio_activation.runtime import Runtime
from cio_activation.warehouse import activations, change_log, published, signatures
from cio_activation.warehouse.sessions import YIELD_S, Connection
from cio_activation.warehouse.sql import columns, literal, timestamp

AT_LEAST = 1.0
"""Once others wait, the audience that is decided is the last of its session. But what was found for all of them before
the first is made use of for so many times as long as that took: else large lanes would do little else."""


@dataclass(frozen=True)
class AudienceResult:
    """One audience after an update: who is where now, and what the update moved."""

    audience: str
    members: int = 0
    """In now, and delivered."""
    ghosts: int = 0
    """In now, and held out: nothing is delivered."""
    waiting: int = 0
    """Eligible, and something keeps them out for now."""
    spent: int = 0
    """Still eligible, but bought, handled or expired: out until eligibility was lost once."""
    entered: int = 0
    exited: dict[str, int] = field(default_factory=dict)
    """By reason."""
    people_in_scope: int | None = None
    """Of whom it was asked, because they could come out different; None: of everybody."""
    candidates: int = 0
    """Decided in this window: entered + stayed + left + withheld by each code."""
    withheld: dict[str, int] = field(default_factory=dict)
    """By code, see ``audience.codes``."""
    superseded: bool = False
    """A newer window decided this audience already: nothing was changed."""
    paused: str | None = None
    """Since when, by whom and why, if it is: nobody entered."""
    signed: str | None = None
    """Who signed this version, when and on which sample; of one that asks a human to act also that nobody did."""
    skipped: str | None = None
    """What the warehouse did not have yet; nothing was changed."""


def update(
    runtime: Runtime,
    window: Window,
    names: Sequence[str] | None = None,
    *,
    run_id: str = "",
    planned_at: datetime | None = None,
) -> dict[str, AudienceResult]:
    """Bring the audiences of ``window``'s lane (only ``names`` if given) to the window's end.

    Running a window again changes nothing unless its data did. Intervals of audiences that the activation no
    longer has are closed on the way, with reason ``audience_removed``.

    What an audience comes to is kept as a whole or not at all. Where audiences take long, others get in between two of
    them: a run that is killed there has decided some, and the next one of the window decides them the same and goes on.

    ``planned_at`` (aware) is the run's instant, from which due times are counted if it is later than the window's end;
    None: the window's end.
    """
    audiences = _chosen(runtime.activation, window, names)
    left, found = deque(_by_priority(audiences)), dict[str, AudienceResult]()
    rules: str | None = None
    patient_until = monotonic() + YIELD_S  # in all: many sessions must not wait a minute each for a stream of news
    while rules is None or left:
        with runtime.warehouse.write(yield_s=max(0.0, patient_until - monotonic())) as con:
            if rules is None:
                if not _behind_lane(con, window):
                    _close_removed(con, runtime.activation, window, run_id)
                rules = activations.note(con, runtime.activation, window)
            found |= _decide_some(con, runtime, window, left, rules, run_id, planned_at)
    return {a.name: found[a.name] for a in audiences}


def _chosen(activation: Activation, window: Window, names: Sequence[str] | None) -> list[Audience]:
    audiences = {a.name: a for a in activation.lane_audiences(window.lane)}
    unknown = [n for n in names or () if n not in audiences]
    if unknown:
        there = ", ".join(audiences) or "none"
        raise ConfigError(f"no {window.lane.value} audience is named {', '.join(unknown)}; there are: {there}")
    return [audience for name, audience in audiences.items() if names is None or name in names]


def _by_priority(audiences: Sequence[Audience]) -> list[Audience]:
    """Return the audiences in the order in which they may ask for a person: of a group, the highest priority first."""
    return sorted(audiences, key=lambda a: -a.exclusive.priority if a.exclusive is not None else 0)


def _decide_some(
    con: Connection,
    runtime: Runtime,
    window: Window,
    left: deque[Audience],
    rules: str,
    run_id: str,
    planned_at: datetime | None,
) -> dict[str, AudienceResult]:
    """Decide the first of ``left``, and more until others wait for this session to end; they are taken off."""
    begun, found, decided = monotonic(), dict[str, AudienceResult](), list[_Done]()
    lane = lane_inputs(con, runtime.activation, window, left, rules)
    ready = monotonic()
    while left:
        audience = left.popleft()
        if (inputs := lane.inputs.get(audience.name)) is None:
            lacking = lane.lacking.get(audience.name)
            found[audience.name] = AudienceResult(audience.name, superseded=lacking is None, skipped=lacking)
        else:
            decided.append(_update_one(con, lane, inputs, run_id, planned_at))
        if runtime.warehouse.awaited() and monotonic() - ready >= AT_LEAST * (ready - begun):
            break
    counts = record.count(con, window, [one.inputs.audience.name for one in decided])
    signed = signatures.newest(con) if decided else {}
    for one in decided:
        audience, name = one.inputs.audience, one.inputs.audience.name
        found[name] = AudienceResult(
            name,
            entered=one.decided.entered,
            exited=one.decided.exited,
            people_in_scope=one.people_in_scope,
            candidates=counts[name].candidates,
            withheld=counts[name].withheld,
            paused=str(one.inputs.paused) if one.inputs.paused else None,
            signed=signatures.told(signed, audience),
        )
    found = _with_present(con, found)
    made = [
        published.Made(f"audience.{n}", found[n].members, one.sequence, scoping.basis(one.inputs))
        for one in decided
        for n in (one.inputs.audience.name,)
    ]
    published.publish_all(con, window, made, run_id)
    return found


@dataclass(frozen=True)
class _Done:
    """An audience that was decided, and up to where of the change log."""

    inputs: Inputs
    decided: Decided
    people_in_scope: int | None
    sequence: int


def _update_one(con: Connection, lane: LaneInputs, inputs: Inputs, run_id: str, planned_at: datetime | None) -> _Done:
    inputs = readied(con, lane.scopes.narrow(con, inputs), planned_at)
    if retries.assign(con, inputs):  # desks are fuller by these
        inputs = readied(con, inputs, planned_at)
    decided = decide(con, inputs)
    if inputs.first:
        record.launch(con, inputs)
    if decided.people:
        apply(con, inputs)
    if decided.judged:
        bring_up_to_date(con, inputs)
    handing.follow(con, inputs)
    escalating.escalate(con, inputs)
    if decided.people:
        record.log(con, inputs, run_id)
    return _Done(inputs, decided, inputs.scope.size(con), max(lane.scopes.sequence, change_log.newest(con)))


def readied(con: Connection, inputs: Inputs, planned_at: datetime | None = None) -> Inputs:
    """Return the inputs with who can act, and which places were not asked."""
    audience, window = inputs.audience, inputs.window
    if inputs.places:
        inputs = replace(inputs, unread=desks.unread(con, audience, window.key, inputs.places))
    if audience.asks():
        at = planned_at.astimezone(UTC).replace(tzinfo=None) if planned_at is not None else inputs.as_of
        inputs = replace(inputs, desks=desks.prepare(con, inputs.activation, audience, inputs.as_of, at))
    return inputs


@dataclass(frozen=True)
class LaneInputs:
    """What a session knows of the audiences of a lane before it decides the first of them."""

    inputs: Mapping[str, Inputs]
    """Of those that can be decided in this window, with what our own data tells beside the statement."""
    lacking: Mapping[str, str]
    """What the warehouse does not have yet, of those that have to wait for it; the others were decided since."""
    scopes: scoping.Scopes


def lane_inputs(
    con: Connection, activation: Activation, window: Window, audiences: Collection[Audience], rules: str
) -> LaneInputs:
    """Return what is known of ``audiences``, all of one lane, in ``window``."""
    there, paused, started = columns(con), pauses.in_force(con), record.started(con)
    before = published.of_lane(con, window.lane.value, "audience.")
    asking, lacking = list[Inputs](), dict[str, str]()
    for audience in audiences:
        last = before.get(f"audience.{audience.name}")
        if last is not None and window.as_of < last.window_end:
            continue
        inputs = replace(
            Inputs.of(activation, audience, window), rules=rules, there=there, paused=paused.get(audience.name)
        )
        if (missing := inputs.missing()) is not None:
            lacking[audience.name] = missing
            continue
        if audience.touch:
            # An audience that is paused does not start: its start is when people can enter.
            first = inputs.paused is None and audience.name not in started
            inputs = replace(inputs, first=first, entered_today=entered_today(con, inputs))
        asking.append(inputs)
    return LaneInputs({one.audience.name: one for one in asking}, lacking, scoping.prepare(con, asking, before))


def _with_present(con: Connection, found: Mapping[str, AudienceResult]) -> dict[str, AudienceResult]:
    """Return the results with who is in each audience now, and who is not though eligible."""
    rows = con.execute(
        """SELECT audience, sum(members), sum(ghosts), sum(waiting), sum(spent) FROM (
            SELECT audience, count(*) FILTER (NOT ghost) AS members, count(*) FILTER (ghost) AS ghosts, 0 AS waiting,
                0 AS spent
            FROM audience.memberships WHERE exited_at IS NULL GROUP BY audience
            UNION ALL
            SELECT audience, 0, 0, count(*) FILTER (stage = 'waiting'), count(*) FILTER (stage = 'spent')
            FROM audience.eligibility GROUP BY audience
        ) GROUP BY audience"""
    ).fetchall()
    present = {str(name): [int(number) for number in numbers] for name, *numbers in rows}
    with_them = dict[str, AudienceResult]()
    for name, result in found.items():
        members, ghosts, waiting, spent = present.get(name, (0, 0, 0, 0))
        with_them[name] = replace(result, members=members, ghosts=ghosts, waiting=waiting, spent=spent)
    return with_them


def _behind_lane(con: Connection, window: Window) -> bool:
    """Return whether any audience of the lane was decided for a newer window."""
    rows = con.execute(
        "SELECT 1 FROM meta.published WHERE name LIKE 'audience.%' AND lane = ? AND window_end > ?",
        [window.lane.value, window.as_of],
    ).fetchall()
    return bool(rows)


def _close_removed(con: Connection, activation: Activation, window: Window, run_id: str) -> None:
    """End what is left of audiences that the activation has no more; if they come back, that is a start."""
    declared = f"({', '.join(map(literal, activation.audiences)) or 'NULL'})"
    removed = f"exited_at IS NULL AND coalesce(audience NOT IN {declared}, TRUE)"
    record.log_removed(con, window, declared, run_id)
    change_log.note(con, MEMBERSHIPS, f"SELECT cio_id FROM {MEMBERSHIPS} WHERE {removed}")
    con.execute(
        f"""UPDATE {MEMBERSHIPS}
        SET exited_at = {timestamp(window.as_of)}, exit_window = {literal(window.key)}, exit_reason = 'audience_removed'
        WHERE {removed}"""
    )
    con.execute(f"DELETE FROM audience.eligibility WHERE coalesce(audience NOT IN {declared}, TRUE)")
    asking = ", ".join(literal(a.name) for a in activation.audiences.values() if a.touch) or "''"
    con.execute(f"DELETE FROM audience.launches WHERE audience NOT IN ({asking})")
