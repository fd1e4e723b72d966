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
from cio_activation.audience.step import MEMBERSHIPS, apply, bring_up_to_date, decide
from cio_activation.audience.touch import entered_today
from cio_activation.errors import ConfigError
from cio_activation.runtime import Runtime
from cio_activation.warehouse import activations, change_log, published, signatures
from cio_activation.warehouse.sessions import YIELD_S, Connection
from cio_activation.warehouse.sql import columns, literal, timestamp

SESSION_S = 0.5
"""After so long the audience that is decided is the last of its session: `why` and carts wait meanwhile."""


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
            until = monotonic() + SESSION_S
            if rules is None:
                if not _behind_lane(con, window):
                    _close_removed(con, runtime.activation, window, run_id)
                rules = activations.note(con, runtime.activation, window)
            there = columns(con)
            while left:
                audience = left.popleft()
                inputs = replace(Inputs.of(runtime.activation, audience, window), rules=rules)
                found[audience.name] = _update_one(con, inputs, there, run_id, planned_at)
                if monotonic() >= until:
                    break
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


def _update_one(
    con: Connection,
    inputs: Inputs,
    there: Mapping[str, Collection[str]],
    run_id: str,
    planned_at: datetime | None,
) -> AudienceResult:
    audience, window = inputs.audience, inputs.window
    name = f"audience.{audience.name}"
    if published.superseded(con, name, window):
        return replace(_present(con, audience.name), superseded=True)
    if lacking := inputs.missing(there):
        return replace(_present(con, audience.name), skipped=lacking)
    inputs = readied(con, inputs, planned_at)
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
    counts = record.count(con, inputs)
    present = _present(con, audience.name)
    published.publish(con, name, window, present.members, run_id, basis=scoping.basis(inputs))
    return replace(
        present,
        entered=decided.entered,
        exited=decided.exited,
        people_in_scope=inputs.scope.size(con),
        candidates=counts.candidates,
        withheld=counts.withheld,
        paused=str(inputs.paused) if inputs.paused else None,
        signed=signatures.told(con, audience),
    )


def readied(con: Connection, inputs: Inputs, planned_at: datetime | None = None) -> Inputs:
    """Return the inputs with all that is worked out beside the statement, who can act among it."""
    inputs = narrowed(con, inputs)
    audience, window = inputs.audience, inputs.window
    if inputs.places:
        inputs = replace(inputs, unread=desks.unread(con, audience, window.key, inputs.places))
    if audience.asks():
        at = planned_at.astimezone(UTC).replace(tzinfo=None) if planned_at is not None else inputs.as_of
        inputs = replace(inputs, desks=desks.prepare(con, inputs.activation, audience, inputs.as_of, at))
    return inputs


def narrowed(con: Connection, inputs: Inputs) -> Inputs:
    """Return the inputs with what our own data tells beside the statement: switch, scope, start and day."""
    audience = inputs.audience
    inputs = replace(inputs, paused=pauses.in_force(con).get(audience.name))
    if audience.touch:
        # An audience that is paused does not start: its start is when people can enter.
        first = inputs.paused is None and record.is_first(con, audience.name)
        inputs = replace(inputs, first=first, entered_today=entered_today(con, inputs))
    return replace(inputs, scope=scoping.find(con, inputs))


def _present(con: Connection, audience: str) -> AudienceResult:
    members, ghosts, waiting, spent = con.execute(
        """SELECT
            (SELECT count(*) FROM audience.memberships WHERE audience = $1 AND exited_at IS NULL AND NOT ghost),
            (SELECT count(*) FROM audience.memberships WHERE audience = $1 AND exited_at IS NULL AND ghost),
            count(*) FILTER (stage = 'waiting'), count(*) FILTER (stage = 'spent')
        FROM audience.eligibility WHERE audience = $1""",
        [audience],
    ).fetchall()[0]
    return AudienceResult(audience, int(members), int(ghosts), int(waiting), int(spent))


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
