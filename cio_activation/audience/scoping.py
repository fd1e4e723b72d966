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

from cio_activation.activation.models import Audience
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
from cio_activation.warehouse.tables import MEMBERSHIPS as SEGMENT_MEMBERS

ENDED_BY_TIME = (
    Code.STALE_INPUT, Code.STALE_MOMENT, Code.COOLDOWN, Code.SNOOZED, Code.LAUNCH_LIMIT, Code.BEING_HANDLED,
    Code.PERSON_CAP, Code.NO_OWNER, Code.WORKING_TIME, Code.CAPACITY,
)  # fmt: skip
"""Codes that can end though nothing of the person changed: by the clock, by a day's places, by who can act.

Grace ends by the clock too, at a time that is known. Every other code ends by a change, or with the rules.
"""

_DUE, _SCOPES, _NOBODY = "due_people", "audience_scopes", "nobody_due"
_GATHERED, _CHANGED = "near_people", "changed_people"


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
    narrowed: Mapping[str, int] = field(default_factory=dict)
    """Of how many people each audience's decision has to be made; of those not in here anybody's can come out
    different. ``_SCOPES`` has who they are."""
    gathered: Mapping[str, str] = field(default_factory=dict)
    """Relation -> temporary table of its rows of all of whom the change log or the clock told."""

    def narrow(self, con: Connection, inputs: Inputs) -> Inputs:
        """Return the inputs with whom the decision has to look at; it lasts until the next call."""
        if (number := self.narrowed.get(inputs.audience.name)) is None:
            return replace(inputs, scope=EVERYONE)
        found = f"SELECT cio_id FROM {_SCOPES} WHERE audience = {literal(inputs.audience.name)}"
        if not change_log.tables_since(con, self.sequence).isdisjoint({None, *inputs.reads}):
            return self._narrow_again(con, inputs, found)
        if not number:  # as of most audiences
            return replace(inputs, scope=Scope(_NOBODY, 0))
        return replace(inputs, gathered=self.gathered, scope=narrowed_to(con, found))

    def _narrow_again(self, con: Connection, inputs: Inputs, found: str) -> Inputs:
        """Return the inputs with those ``found``, and whom the audiences decided before this one have moved."""
        touched = change_log.since(con, self.sequence, inputs.reads)
        if touched is None:
            return replace(inputs, scope=EVERYONE)
        con.execute(f"CREATE OR REPLACE TEMP TABLE {_CHANGED} AS {touched}")
        beyond = scalar(con, f"SELECT count(*) FROM {_CHANGED} ANTI JOIN {_GATHERED} USING (cio_id)")
        inputs = replace(inputs, gathered={} if beyond else self.gathered, scope=Scope(_CHANGED))
        return replace(inputs, scope=narrowed_to(con, f"{found} UNION ALL {_concerned(inputs)}"))


def prepare(con: Connection, asking: Sequence[Inputs], before: Mapping[str, Publication]) -> Scopes:
    """Find whom each of the audiences of one lane has to be decided for, and gather what is read of them.

    ``before``: what was published of them last, by name; see ``published.of_lane``. What is gathered lasts until the
    next call in this session.
    """
    found, everybody = Scopes(change_log.next_sequence(con) - 1), change_log.everybody(con)
    due = {one.audience.name: select for one in asking if (select := _due(one, everybody, before)) is not None}
    if not due:
        return found
    con.execute(f"CREATE OR REPLACE TEMP TABLE {_NOBODY} (cio_id VARCHAR)")
    con.execute(f"CREATE OR REPLACE TEMP TABLE {_DUE} AS {' UNION ALL '.join(due.values())}")
    nobody, them = dict.fromkeys(due, 0), [one for one in asking if one.audience.name in due]
    if not filled(con, _GATHERED, f"SELECT DISTINCT cio_id FROM {_DUE}"):
        return replace(found, narrowed=nobody)
    gathered = _gather(con, them)
    con.execute(f"CREATE OR REPLACE TEMP TABLE {_SCOPES} AS {_all_concerned(them, gathered)}")
    numbers = con.execute(f"SELECT audience, count(*) FROM {_SCOPES} GROUP BY audience").fetchall()
    return replace(found, narrowed=nobody | {str(name): int(n) for name, n in numbers}, gathered=gathered)


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


def _all_concerned(asking: Sequence[Inputs], gathered: Mapping[str, str]) -> str:
    """Return the SELECT of ``audience`` and ``cio_id``, each once, of those due of whom something can be said.

    They can be candidates, or are known to the audience already.
    """
    lane = literal(asking[0].audience.lane.value)
    segments = [f"({literal(a.name)}, {a.segment})" for a in _audiences(asking) if a.segment is not None]
    moments = [f"({literal(a.name)}, {literal(a.moment.name)})" for a in _audiences(asking) if a.moment is not None]
    mine = "d.audience = s.audience"
    # The few are on the right: that is the side whose rows a join keeps at hand.
    found = [
        f"SELECT audience, cio_id FROM audience.eligibility SEMI JOIN {_DUE} USING (audience, cio_id)",
        f"""SELECT audience, cio_id FROM {AUDIENCE_MEMBERSHIPS} SEMI JOIN {_DUE} USING (audience, cio_id)
            WHERE exited_at IS NULL""",
    ]
    if segments:
        found.append(
            f"""SELECT d.audience, d.cio_id FROM {_DUE} AS d
            JOIN (VALUES {", ".join(segments)}) AS s (audience, segment_id) ON {mine}
            SEMI JOIN (SELECT * FROM {gathered[SEGMENT_MEMBERS]} WHERE lane = {lane}) AS m
                ON m.segment_id = s.segment_id AND m.cio_id = d.cio_id"""
        )
    if moments:
        found.append(
            f"""SELECT d.audience, d.cio_id FROM {_DUE} AS d
            JOIN (VALUES {", ".join(moments)}) AS s (audience, kind) ON {mine}
            SEMI JOIN {MOMENTS} AS m ON m.kind = s.kind AND m.cio_id = d.cio_id"""
        )
    return f"SELECT DISTINCT audience, cio_id FROM ({' UNION ALL '.join(found)})"


def _audiences(asking: Sequence[Inputs]) -> list[Audience]:
    return [one.audience for one in asking]


def _concerned(inputs: Inputs) -> str:
    """Return the SELECT of those in scope who can be candidates, or are known already: of others nothing is said."""
    among, name = inputs.scope.condition(), literal(inputs.audience.name)
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
