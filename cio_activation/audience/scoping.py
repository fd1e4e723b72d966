"""Whom an audience's decision can come out different for: whoever a change touched, and whoever the clock brings on.

A decision is a function of what was read and of the as-of. So of everybody decided before, by the same rules, only
these can come out different: whom the change log names since, whoever waits by a code that time ends, whoever's stay
or moment runs out, and whoever's moments or ages cross what an expression asks for in between. Everybody is decided
anew by other rules or another release, where the change log has forgotten, and in each week's first window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from importlib.metadata import version

from cio_activation.activation.terms import Clock
from cio_activation.activation.windows import Window
from cio_activation.audience.codes import Code
from cio_activation.audience.inputs import Inputs
from cio_activation.state.rules import next_instant
from cio_activation.warehouse import change_log
from cio_activation.warehouse.published import Publication
from cio_activation.warehouse.scope import EVERYONE, Scope, narrowed_to
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import filled, identifier, literal, scalar, timestamp
from cio_activation.warehouse.tables import AUDIENCE_MEMBERSHIPS, MOMENTS

ENDED_BY_TIME = (
    Code.STALE_INPUT, Code.STALE_MOMENT, Code.COOLDOWN, Code.SNOOZED, Code.LAUNCH_LIMIT, Code.BEING_HANDLED,
    Code.PERSON_CAP, Code.NO_OWNER, Code.WORKING_TIME, Code.CAPACITY,
)  # fmt: skip
"""Codes that can end though nothing of the person changed: by the clock, by a day's places, by who can act.

Grace ends by the clock too, at a time that is known. Every other code ends by a change, or with the rules.
"""

_DUE, _FOUND, _GATHERED = "due_people", "due_now", "near_people"


def basis(inputs: Inputs) -> str:
    """Return what everybody is decided on: on another one nobody's decision stands as it is."""
    paused = ", paused" if inputs.paused else ""
    return f"{inputs.rules}, release {_release()}{paused}"


def rules_of(basis: str) -> str:
    """Return the fingerprint of the activation that ``basis`` says everybody was decided by."""
    return basis.partition(",")[0]


@dataclass(frozen=True)
class Scopes:
    """Whom each audience of a session has to be decided for, found before any of them is decided.

    The rows that their decisions read of these people are gathered: twenty audiences would each look at everybody.
    """

    sequence: int
    """Up to where the change log was read."""
    narrowed: frozenset[str] = frozenset()
    """The audiences of which not everybody can come out different; ``_DUE`` has who can."""
    gathered: Mapping[str, str] = field(default_factory=dict)
    """Relation -> temporary table of its rows of all these people."""

    def narrow(self, con: Connection, inputs: Inputs) -> Inputs:
        """Return the inputs with whom the decision has to look at; it lasts until the next call."""
        if inputs.audience.name not in self.narrowed:
            return replace(inputs, scope=EVERYONE)
        due = f"SELECT cio_id FROM {_DUE} WHERE audience = {literal(inputs.audience.name)}"
        gathered = self.gathered
        if change_log.newest(con) > self.sequence:  # audiences decided before this one moved people
            touched = change_log.since(con, self.sequence, inputs.reads)
            if touched is None:
                return replace(inputs, scope=EVERYONE)
            con.execute(f"CREATE OR REPLACE TEMP TABLE {_FOUND} AS {due} UNION {touched}")
            beyond = f"SELECT count(*) FROM {_FOUND} ANTI JOIN {_GATHERED} USING (cio_id)"
            due, gathered = f"SELECT cio_id FROM {_FOUND}", {} if scalar(con, beyond) else gathered
        inputs = replace(inputs, gathered=gathered, scope=Scope(_GATHERED))
        return replace(inputs, scope=narrowed_to(con, _concerned(inputs, due)))


def prepare(con: Connection, asking: Sequence[Inputs], before: Mapping[str, Publication]) -> Scopes:
    """Find whom each of the audiences of one lane has to be decided for, and gather what is read of them.

    ``before``: what was published of them last, by name; see ``published.of_lane``. What is gathered lasts until the
    next call in this session.
    """
    found, everybody = Scopes(change_log.next_sequence(con) - 1), change_log.everybody(con)
    due = {one.audience.name: select for one in asking if (select := _due(one, everybody, before)) is not None}
    if not due:
        return found
    con.execute(f"CREATE OR REPLACE TEMP TABLE {_DUE} AS {' UNION ALL '.join(due.values())}")
    some = filled(con, _GATHERED, f"SELECT DISTINCT cio_id FROM {_DUE}")
    them = [one for one in asking if one.audience.name in due]
    return replace(found, narrowed=frozenset(due), gathered=_gather(con, them) if some else {})


def _due(inputs: Inputs, everybody: Sequence[tuple[int, str | None]], before: Mapping[str, Publication]) -> str | None:
    """Return the SELECT of ``audience`` and the ``cio_id`` of whom its decision can come out different for.

    None: anybody's can.
    """
    last = before.get(f"audience.{inputs.audience.name}")
    if inputs.first or last is None or last.basis != basis(inputs) or _another_week(last.window_end, inputs.window):
        return None
    touched = change_log.touched(everybody, last.sequence, inputs.reads)
    if touched is None:
        return None
    due = " UNION ALL ".join([touched, *_by_time(inputs, last.window_end)])
    return f"SELECT {literal(inputs.audience.name)} AS audience, cio_id FROM ({due})"


def _gather(con: Connection, asking: Sequence[Inputs]) -> dict[str, str]:
    """Gather the rows of the people in ``_GATHERED`` of each relation that the decisions read of people only."""
    needed: dict[str, set[str]] = {}
    for inputs in asking:
        for relation, names in inputs.reads_of_people().items():
            needed.setdefault(relation, set()).update(names)
    tables = {relation: identifier(f"{_GATHERED} of {relation}") for relation in needed}
    for relation, table in tables.items():
        listed = ", ".join(identifier(name) for name in sorted(needed[relation]))
        con.execute(
            f"""CREATE OR REPLACE TEMP TABLE {table} AS
            SELECT {listed} FROM {relation} SEMI JOIN {_GATHERED} USING (cio_id)"""
        )
    return tables


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


def _concerned(inputs: Inputs, due: str) -> str:
    """Return the SELECT of those ``due`` who can be candidates, or are known already: of others nothing is said."""
    among, name = f" AND cio_id IN ({due})", literal(inputs.audience.name)
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
