"""Whom an audience's decision can come out different for: whoever a change touched, and whoever the clock brings on.

A decision is a function of what was read and of the as-of. So of everybody decided before, by the same rules, only
these can come out different: whom the change log names since, whoever waits by a code that time ends, whoever's stay
or moment runs out, and whoever's moments or ages cross what an expression asks for in between. Everybody is decided
anew by other rules or another release, where the change log has forgotten, and in each week's first window.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from importlib.metadata import version

from cio_activation.activation.terms import Clock
from cio_activation.activation.windows import Window
from cio_activation.audience.codes import Code
from cio_activation.audience.inputs import Inputs
from cio_activation.state.rules import next_instant
from cio_activation.warehouse import change_log, published
from cio_activation.warehouse.scope import EVERYONE, Scope, narrowed_to
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, timestamp
from cio_activation.warehouse.tables import AUDIENCE_MEMBERSHIPS, MOMENTS

ENDED_BY_TIME = (
    Code.STALE_INPUT, Code.STALE_MOMENT, Code.COOLDOWN, Code.SNOOZED, Code.LAUNCH_LIMIT, Code.BEING_HANDLED,
    Code.PERSON_CAP, Code.NO_OWNER, Code.WORKING_TIME, Code.CAPACITY,
)  # fmt: skip
"""Codes that can end though nothing of the person changed: by the clock, by a day's places, by who can act.

Grace ends by the clock too, at a time that is known. Every other code ends by a change, or with the rules.
"""

_FOUND = "due_people"


def basis(inputs: Inputs) -> str:
    """Return what everybody is decided on: on another one nobody's decision stands as it is."""
    paused = ", paused" if inputs.paused else ""
    return f"{inputs.rules}, release {_release()}{paused}"


def rules_of(basis: str) -> str:
    """Return the fingerprint of the activation that ``basis`` says everybody was decided by."""
    return basis.partition(",")[0]


def find(con: Connection, inputs: Inputs) -> Scope:
    """Return whom the audience's decision has to be made for; it lasts until the next scope of this session."""
    window, name = inputs.window, f"audience.{inputs.audience.name}"
    last = published.last(con, name, window.lane.value)
    if inputs.first or last is None or last.basis != basis(inputs) or _another_week(last.window_end, window):
        return EVERYONE
    touched = change_log.since(con, last.sequence, inputs.reads)
    if touched is None:
        return EVERYONE
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE {_FOUND} AS
        SELECT DISTINCT cio_id FROM ({" UNION ALL ".join([touched, *_by_time(inputs, last.window_end)])})"""
    )
    return narrowed_to(con, _concerned(inputs))


def _another_week(before: datetime, window: Window) -> bool:
    return before.isocalendar()[:2] != window.as_of.isocalendar()[:2]


def _by_time(inputs: Inputs, before: datetime) -> list[str]:
    """Return SELECTs of the ``cio_id`` of whom the clock brings on, from ``before`` to the as-of.

    Some may come out as they were: whoever waits is decided again in any window, also in the one decided before.
    """
    found = [_waiting(inputs)]
    if before < inputs.as_of:
        found += _running_out(inputs)
        found += _moments_between(inputs, before)
        found += [_of_age(inputs, clock, before) for clock in inputs.clocks]
    return found


def _waiting(inputs: Inputs) -> str:
    audience = inputs.audience
    codes = ", ".join(literal(str(code)) for code in ENDED_BY_TIME)
    ends = [f"stage <> 'in' AND (code IS NULL OR code IN ({codes}))"]
    grace = timestamp(inputs.as_of - audience.grace) if audience.grace else timestamp(inputs.as_of)
    ends.append(f"code = {literal(str(Code.GRACE))} AND since <= {grace}")
    if audience.again_after is not None:
        over = timestamp(inputs.as_of - audience.again_after)
        ends.append(f"stage = 'spent' AND coalesce(spent_at, since) <= {over}")
    return f"SELECT cio_id FROM audience.eligibility WHERE audience = {literal(audience.name)} AND ({_any(ends)})"


def _running_out(inputs: Inputs) -> list[str]:
    """Return the SELECTs of whose stay, or moment, has had its time."""
    audience = inputs.audience
    if audience.expires_after is None:
        return []
    over, name = timestamp(inputs.as_of - audience.expires_after), literal(audience.name)
    began = "entered_at" if audience.moment is None else "coalesce(moment_at, entered_at)"
    found = [
        f"SELECT cio_id FROM {AUDIENCE_MEMBERSHIPS} WHERE audience = {name} AND exited_at IS NULL AND {began} <= {over}"
    ]
    if audience.moment is not None:
        found.append(f"SELECT cio_id FROM audience.eligibility WHERE audience = {name} AND since <= {over}")
    return found


def _moments_between(inputs: Inputs, before: datetime) -> list[str]:
    """Return the SELECTs of whose moments begin to count between two instants, or count no more."""
    spans = [(count.name, timedelta(0)) for count in inputs.moment_counts]
    spans += [(count.name, count.within) for count in inputs.moment_counts]
    if inputs.audience.moment is not None:
        spans.append((inputs.audience.moment.name, timedelta(0)))
    return [
        f"""SELECT cio_id FROM {MOMENTS} WHERE kind = {literal(name)} AND cio_id IS NOT NULL
            AND occurred_at > {timestamp(before - span)} AND occurred_at <= {timestamp(inputs.as_of - span)}"""
        for name, span in sorted(set(spans))
    ]


def _of_age(inputs: Inputs, clock: Clock, before: datetime) -> str:
    """Return the SELECT of who reaches the age of ``clock`` between two instants."""
    next_before = next_instant(inputs.activation, clock, before)
    return f"SELECT cio_id FROM {inputs.people} WHERE {next_before} <= {timestamp(inputs.as_of)}"


def _concerned(inputs: Inputs) -> str:
    """Return the SELECT of those found who can be candidates, or are known here already: of others nothing is said."""
    among, name = Scope(_FOUND).condition(), literal(inputs.audience.name)
    moment = inputs.audience.moment
    source = inputs.in_segment() if moment is None else f"{MOMENTS} WHERE kind = {literal(moment.name)}"
    return f"""SELECT cio_id FROM {source}{among}
        UNION ALL SELECT cio_id FROM audience.eligibility WHERE audience = {name}{among}
        UNION ALL SELECT cio_id FROM {AUDIENCE_MEMBERSHIPS}
            WHERE audience = {name} AND exited_at IS NULL{among}"""


def _any(conditions: list[str]) -> str:
    return " OR ".join(f"({condition})" for condition in conditions)


@cache
def _release() -> str:
    return version("cio-activation")
