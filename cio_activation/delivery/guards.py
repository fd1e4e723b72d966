"""Guards: what stops a plan before anything is sent. Judged in the warehouse, over the plan as it was computed.

A plan is judged by what is *new* in it. Operations that an earlier accepted plan of the step already held, and that
did not get out (the vendor was down), were judged then: they count towards what is acknowledged, not as a movement.
So do people who were in an audience before that plan and could not be delivered yet, because their record was not
made: a first contact takes several days where the vendor's day is short. On its first day an audience only fills.

What a person or the clock explains is no surprise: whoever bought, or whose time was up, leaves without being counted,
and after windows that were never planned the share that may move is what as many windows would have let through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cio_activation.activation.guards import Guards
from cio_activation.delivery import deferred
from cio_activation.delivery.destination import Context, Step
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, timestamp

EXPLAINED = ("expired", "purchase", "done", "withdrawn")
"""Reasons of exits that never hold a plan: they do not come from a segment that somebody broke."""
FILLING = timedelta(days=1)
"""How long after its first people an audience may grow by any share: records are made and people fetched in pieces."""


@dataclass(frozen=True)
class Verdict:
    """What one guard said of one plan (or of one audience in it)."""

    guard: str
    """Its key under ``limits.guards``; ``audience_empty`` and ``schema_drift`` have none."""
    tripped: bool
    value: float
    limit: float
    audience: str | None = None
    told: str = ""
    """Which, and by how much, in words; empty if it did not trip."""

    def as_row(self) -> dict[str, Any]:
        """Return it as it is kept with the plan."""
        return {k: v for k, v in asdict(self).items() if v not in (None, "")}


@dataclass(frozen=True)
class Accepted:
    """The newest plan of a step that was let through: none or one file, and its window's end (naive UTC)."""

    files: Sequence[Path] = ()
    as_of: datetime | None = None
    windows: int = 1
    """Windows that this plan stands for: itself, and those before it that were never planned."""


@dataclass(frozen=True)
class Movement:
    """How many people a plan moves into and out of one audience."""

    audience: str
    acknowledged: int
    entering: int
    leaving: int
    filling: bool = False
    """Its first people entered it less than a day ago."""
    explained: int = 0
    """Who leaves besides ``leaving`` because they bought or their time was up."""


def judge(
    con: Connection, step: Step, destination: str, context: Context, planned: str, total: int, accepted: Accepted
) -> tuple[Verdict, ...]:
    """Return what every guard says of ``planned``, a relation of ``total`` operations.

    ``accepted`` is what of this step was let through before.
    """
    if not total:
        return ()
    limits = context.activation.limits.guards
    verdicts = [_size(total, limits), *_drift(step, context)]
    for movement in _movements(con, step, destination, context, planned, accepted):
        verdicts += _shares(movement, limits, accepted.windows)
    return tuple(verdicts)


def held_because(verdicts: Sequence[Verdict], plan_id: str) -> str | None:
    """Return why the guards hold the plan and how to mend that; None if none tripped."""
    tripped = [v for v in verdicts if v.tripped]
    if not tripped:
        return None
    told = "; ".join(v.told for v in tripped)
    names = sorted({v.guard for v in tripped})
    if "schema_drift" in names:
        return f"held: {told}. Run the schema step, then this one again"
    keys = ", ".join(f"limits.guards.{n}" for n in names if n in Guards.model_fields)
    raised = f", or raise {keys}" if keys else ""
    return f"held: {told}. If that is right: cio-activation release {plan_id} --why '...'{raised}; then run again"


def _size(total: int, limits: Guards) -> Verdict:
    most = limits.max_operations
    told = f"{total:,} operations are more than limits.guards.max_operations = {most:,}"
    return Verdict("max_operations", total > most, total, most, told=told if total > most else "")


def _drift(step: Step, context: Context) -> list[Verdict]:
    wanted = step.objects(context)
    missing = [name for name in wanted if name not in context.catalog]
    if not wanted:
        return []
    told = f"the destination is not known to have {', '.join(missing)}" if missing else ""
    return [Verdict("schema_drift", bool(missing), len(missing), 0, told=told)]


def _movements(
    con: Connection, step: Step, destination: str, context: Context, planned: str, accepted: Accepted
) -> list[Movement]:
    """Return what is new; what was accepted before and is still on its way, or deferred, counts as acknowledged."""
    assert context.window is not None
    whole = _counted(con, step.movements(con, context, planned), context.window.as_of, None)
    files = [str(path) for path in accepted.files if path.exists()]
    if not files or not whole:
        return list(whole.values())
    known = f"""SELECT operation_id FROM read_parquet([{", ".join(map(literal, files))}])
        UNION ALL {deferred.accepted(destination, step.name)}"""
    con.execute(f"CREATE OR REPLACE TEMP TABLE fresh AS FROM {planned} ANTI JOIN ({known}) USING (operation_id)")
    fresh = _counted(con, step.movements(con, context, "fresh"), context.window.as_of, accepted.as_of)
    con.execute("DROP TABLE fresh")
    later = _entering(con, step, destination, context)
    found = []
    for name, all_of_it in whole.items():
        new = fresh.get(name, Movement(name, all_of_it.acknowledged, 0, 0))
        on_their_way = all_of_it.entering - new.entering + later.get(name, 0)
        before = all_of_it.acknowledged + on_their_way
        found.append(Movement(name, before, new.entering, new.leaving, all_of_it.filling, new.explained))
    return found


def _entering(con: Connection, step: Step, destination: str, context: Context) -> Mapping[str, int]:
    """Return audience -> how many people enter it by what the plan leaves deferred."""
    if context.scope.is_everyone:
        return {}
    con.execute(f"CREATE OR REPLACE TEMP TABLE later AS {deferred.waiting(destination, step.name, context.scope)}")
    moves = step.movements(con, context, "later")
    query = f"SELECT audience, count(*) FILTER (enters) FROM ({moves}) GROUP BY audience"
    rows = [] if moves is None else con.execute(query).fetchall()
    con.execute("DROP TABLE later")
    return {str(name): int(people) for name, people in rows}


def _counted(con: Connection, select: str | None, as_of: datetime, since: datetime | None) -> Mapping[str, Movement]:
    """Count movements by audience; of those who enter only who was let in at ``since`` or later, if that is given."""
    if select is None:
        return {}
    early = "false" if since is None else f"e.entered_at < {timestamp(since)}"
    filling = f"min(entered_at) > {timestamp(as_of - FILLING)}"
    rows = con.execute(
        f"""
        WITH moved AS ({select}),
        entered AS (
            SELECT audience, cio_id, max(entered_at) AS entered_at
            FROM audience.memberships SEMI JOIN moved USING (audience, cio_id) WHERE exited_at IS NULL GROUP BY ALL
        ),
        explained AS (
            SELECT audience, cio_id FROM audience.memberships SEMI JOIN moved USING (audience, cio_id)
            WHERE exited_at IS NOT NULL
            GROUP BY ALL HAVING arg_max(exit_reason, exited_at) IN ({", ".join(map(literal, EXPLAINED))})
        ),
        filling_up AS (
            SELECT audience FROM audience.memberships AS m
            SEMI JOIN (SELECT audience, max(version) AS version FROM audience.memberships GROUP BY audience) AS v
                ON v.audience = m.audience AND v.version = m.version
            GROUP BY audience HAVING {filling}
        )
        SELECT m.audience, any_value(m.acknowledged), count(*) FILTER (m.enters AND coalesce(NOT {early}, true)),
               count(*) FILTER (NOT m.enters AND x.cio_id IS NULL), bool_or(f.audience IS NOT NULL),
               count(*) FILTER (NOT m.enters AND x.cio_id IS NOT NULL)
        FROM moved AS m
        LEFT JOIN explained AS x ON x.audience = m.audience AND x.cio_id = m.cio_id
        LEFT JOIN entered AS e ON e.audience = m.audience AND e.cio_id = m.cio_id
        LEFT JOIN filling_up AS f ON f.audience = m.audience
        GROUP BY m.audience ORDER BY m.audience"""
    ).fetchall()
    return {
        name: Movement(name, int(there), int(into), int(out), filling, int(explained))
        for name, there, into, out, filling, explained in rows
    }


def _shares(moved: Movement, limits: Guards, windows: int = 1) -> list[Verdict]:
    """Judge one audience over as many ``windows`` as passed.

    Nobody acknowledged yet: there is no share, and nothing to lose.
    """
    if not moved.acknowledged:
        return []
    leaving, entering = moved.leaving / moved.acknowledged, moved.entering / moved.acknowledged
    # As many windows one after the other would have let through so much; one of them just its limit.
    most_out = limits.max_exit_share if windows == 1 else 1 - (1 - limits.max_exit_share) ** windows
    most_in = limits.max_entry_share if windows == 1 else (1 + limits.max_entry_share) ** min(windows, 100) - 1
    exits = moved.leaving >= limits.share_floor and leaving > most_out
    entries = moved.entering >= limits.share_floor and entering > most_in and not moved.filling
    all_leave = moved.leaving + moved.explained >= moved.acknowledged and not moved.entering
    emptied = moved.acknowledged >= limits.share_floor <= moved.leaving and all_leave
    name, most = moved.audience, moved.acknowledged
    verdicts = [
        _share("max_exit_share", name, exits, moved.leaving, most, limits.max_exit_share, "leave", windows, most_out),
        _share(
            "max_entry_share", name, entries, moved.entering, most, limits.max_entry_share, "enter", windows, most_in
        ),
    ]
    if emptied:
        told = f"audience {name} goes from {most:,} people to nobody"
        verdicts.append(Verdict("audience_empty", True, 0, limits.share_floor, name, told))
    return verdicts


def _share(
    guard: str, audience: str, tripped: bool, count: int, base: int, limit: float, verb: str, windows: int, most: float
) -> Verdict:
    share = count / base
    over = f", {most:.2f} over {windows} windows" if windows > 1 else ""
    told = (
        f"{count:,} people {verb} audience {audience}, {share:.0%} of {base:,} (limits.guards.{guard} = {limit}{over})"
    )
    return Verdict(guard, tripped, round(share, 4), round(most, 4), audience, told if tripped else "")
