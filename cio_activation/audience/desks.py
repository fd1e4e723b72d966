"""Who can act: the owners of the CRMs with their due time and what they have on the desk, and each place's chain.

Few rows (users of a CRM), so worked out here and handed to the decision as the temporary table ``desks``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cio_activation.activation.actions import AUDIENCE_OWNER, NOBODY, RECORD_OWNER, Ask, Queue, Rotation
from cio_activation.activation.models import Activation, Audience
from cio_activation.activation.working_time import Capacity
from cio_activation.audience.opening import Hours, day_of
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, scalar, timestamp
from cio_activation.warehouse.tables import ROTATIONS

TABLE = "desks"
_ROTATED = 2_000
"""Turns given in one window at most, where desks are limited; more people than that wait for the next one."""


@dataclass(frozen=True)
class Owner:
    """A user of a CRM who can be given work now."""

    owner_id: str
    email: str | None
    zone: str | None

    @property
    def desk(self) -> str:
        """What the same human has in every CRM, as far as the address tells."""
        return self.email or self.owner_id


@dataclass(frozen=True)
class Chain:
    """Who acts in one place: the record's owner if it goes first, and who is there if that one cannot."""

    record_owner: bool
    source: str | None = None
    """``named``, ``rotation``, ``queue``, ``nobody``; None: nobody can."""
    owners: tuple[str, ...] = ()
    """The id of whoever is named; of a rotation the ids in turn, one for each who enters."""
    again: bool = False
    """Of a rotation: it begins anew after the last turn; else nobody is left then."""
    queue: str | None = None
    wait_for_opening: bool = False


@dataclass(frozen=True)
class Desks:
    """What deciding an audience with an action knows of those who act."""

    chains: Mapping[str, Chain]
    """By destination, in the order of the route."""
    planned_at: datetime
    """Naive UTC: what due times are counted from."""


def prepare(
    con: Connection, activation: Activation, audience: Audience, as_of: datetime, planned_at: datetime
) -> Desks:
    """Fill ``desks``, one row a destination and owner: due time, whether it is open, places free (NULL: no limit).

    The row without an owner is for a queue, or nobody.
    """
    asks = audience.asks()
    start = max(as_of, planned_at)
    load = _load(con, activation, as_of)
    owners = {place: _owners(con, place) for place in asks}
    rows = [
        row
        for place, ask in asks.items()
        for row in _rows(activation, place, ask, [*owners[place].values()], load, start)
    ]
    _fill(con, rows)
    free = {(str(r[0]), str(r[1])): r[6] for r in rows}
    chains = {place: _chain(con, audience, place, ask, owners[place], free) for place, ask in asks.items()}
    return Desks(chains, start)


def _fill(con: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    import pyarrow as pa

    text = pa.string()
    columns = {"destination": text, "owner_id": text, "desk": text, "email": text, "due_at": pa.timestamp("us"),
               "is_open": pa.bool_(), "free": pa.int64()}  # fmt: skip
    values = zip(*rows, strict=True)
    arrays = {name: pa.array(column, kind) for (name, kind), column in zip(columns.items(), values, strict=True)}
    con.register("desks_now", pa.table(arrays))
    con.execute(f"CREATE OR REPLACE TEMP TABLE {TABLE} AS FROM desks_now")
    con.unregister("desks_now")


def _rows(
    activation: Activation,
    place: str,
    ask: Ask,
    owners: Sequence[Owner],
    load: Mapping[str, tuple[int, int]],
    start: datetime,
) -> list[tuple[Any, ...]]:
    working, workspace_zone = activation.limits.working_time, activation.workspace.timezone
    at = start.replace(tzinfo=UTC)
    known: dict[Hours, tuple[datetime, bool]] = {}
    rows: list[tuple[Any, ...]] = []
    for owner in (None, *owners):
        hours = Hours.of(working, owner.email if owner else None, owner.zone if owner else None, workspace_zone)
        if hours not in known:
            known[hours] = (hours.due(at, ask.due).replace(tzinfo=None), hours.is_open(at))
        due_at, is_open = known[hours]
        free = _free(activation.limits.capacity, *load.get(owner.desk, (0, 0))) if owner is not None else None
        whose = (owner.owner_id, owner.desk, owner.email) if owner is not None else (None, None, None)
        rows.append((place, *whose, due_at, is_open, free))
    return rows


def _free(capacity: Capacity, open_now: int, new_today: int) -> int | None:
    left = [
        most - has
        for most, has in ((capacity.open_per_owner, open_now), (capacity.new_per_owner_per_day, new_today))
        if most is not None
    ]
    return max(0, min(left)) if left else None


def _owners(con: Connection, place: str) -> dict[str, Owner]:
    """Return the active owners of a CRM by their id."""
    found = con.execute(
        "SELECT owner_id, email, timezone FROM feedback.owners WHERE destination = ? AND active ORDER BY owner_id",
        [place],
    ).fetchall()
    return {str(r[0]): Owner(str(r[0]), r[1], r[2]) for r in found}


def _load(con: Connection, activation: Activation, as_of: datetime) -> dict[str, tuple[int, int]]:
    """Return desk -> (open entries, new ones on the workspace's day), over all audiences and CRMs.

    Open is on the desk of who has it now: what a human gave to somebody else is on that one's, what is ended is on
    nobody's, though its entry ends with this very decision, and what a human took up, or is not taken back yet, is on
    theirs after its entry has ended. New is for both: who passes work on has a free place, and
    no more of a day.
    """
    begin, end = day_of(activation.workspace.timezone, as_of)
    found = con.execute(
        f"""WITH given AS (
            SELECT a.entry_id, a.attempt,
                CASE WHEN m.exited_at IS NULL THEN e.entry_id IS NULL
                    ELSE x.entry_id IS NOT NULL AND (x.taken_up OR m.exited_at < {timestamp(as_of)}) END AS is_open,
                a.as_of > {timestamp(begin)} AND a.as_of <= {timestamp(end)} AS is_new,
                coalesce(a.owner_email, a.owner_id) AS given_to, coalesce(o.email, x.owner_id, given_to) AS has_it
            FROM audience.assignments AS a
            JOIN audience.memberships AS m ON m.entry_id = a.entry_id
            LEFT JOIN (
                SELECT DISTINCT entry_id, destination, attempt FROM delivery.actions
                WHERE kind IN ('task', 'activity') AND ended_at IS NOT NULL
            ) AS e ON e.entry_id = a.entry_id AND e.destination = a.destination AND e.attempt = a.attempt
            LEFT JOIN (
                SELECT entry_id, destination, attempt, any_value(owner_id) AS owner_id,
                    bool_or(status = 'taken_up') AS taken_up
                FROM delivery.actions
                WHERE ended_at IS NULL AND owner_id IS NOT NULL GROUP BY ALL
            ) AS x ON x.entry_id = a.entry_id AND x.destination = a.destination AND x.attempt = a.attempt
            LEFT JOIN feedback.owners AS o ON o.destination = x.destination AND o.owner_id = x.owner_id
        )
        SELECT desk, count(DISTINCT (entry_id, attempt)) FILTER (is_open AND desk = has_it),
            count(DISTINCT (entry_id, attempt)) FILTER (is_new)
        FROM (SELECT *, unnest(list_distinct([has_it, given_to])) AS desk FROM given) GROUP BY desk"""
    ).fetchall()
    return {str(desk): (int(open_now), int(new)) for desk, open_now, new in found}


def unread(con: Connection, audience: Audience, window_key: str, places: Sequence[str]) -> tuple[str, ...]:
    """Return the places that were not asked for this window, or could not be."""
    found = con.execute(
        "SELECT destination FROM feedback.readings WHERE lane = ? AND window_key = ? AND problem IS NULL",
        [audience.lane.value, window_key],
    ).fetchall()
    return tuple(sorted(set(places) - {str(r[0]) for r in found}))


def _chain(
    con: Connection,
    audience: Audience,
    place: str,
    ask: Ask,
    owners: Mapping[str, Owner],
    free: Mapping[tuple[str, str], int | None],
) -> Chain:
    by_email = {o.email: o.owner_id for o in owners.values() if o.email}
    record_owner = False
    for one in ask.owners:
        if one == RECORD_OWNER:
            record_owner = True
        elif one == NOBODY:
            return Chain(record_owner, "nobody", wait_for_opening=ask.wait_for_opening)
        elif isinstance(one, Queue):
            return Chain(record_owner, "queue", queue=one.queue, wait_for_opening=ask.wait_for_opening)
        elif isinstance(one, Rotation):
            there = [by_email[e.lower()] for e in one.rotate if e.lower() in by_email]
            if there:
                turns = _turns(there, {o: free[place, o] for o in there}, _given(con, audience, place))
                again = all(free[place, o] is None for o in there)
                return Chain(record_owner, "rotation", turns, again, wait_for_opening=ask.wait_for_opening)
        else:
            email = audience.owner if one == AUDIENCE_OWNER else one
            if email.lower() in by_email:
                return Chain(record_owner, "named", (by_email[email.lower()],), wait_for_opening=ask.wait_for_opening)
    return Chain(record_owner, wait_for_opening=ask.wait_for_opening)


def rotations_given(audience: str, place: str) -> str:
    """Return SQL for how often a rotation gave work: by the assignments there are, and by those no longer kept."""
    mine = f"audience = {literal(audience)} AND destination = {literal(place)}"
    return f"""((SELECT count(*) FROM audience.assignments WHERE {mine} AND owner_from = 'rotation')
        + (SELECT CAST(coalesce(sum(given), 0) AS BIGINT) FROM {ROTATIONS} WHERE {mine}))"""


def _given(con: Connection, audience: Audience, place: str) -> int:
    """Return how many turns of the audience's rotation were given before."""
    return int(str(scalar(con, f"SELECT {rotations_given(audience.name, place)}")))


def _turns(owners: Sequence[str], free: Mapping[str, int | None], given: int) -> tuple[str, ...]:
    """Return whose turn it is, one after the other; whoever has a full desk is passed over."""
    begin = given % len(owners)
    order = [*owners[begin:], *owners[:begin]]
    left = dict(free)
    turns: list[str] = []
    while len(turns) < _ROTATED:
        able = [o for o in order if (room := left[o]) is None or room > 0]
        if not able:
            break
        turns += able
        if all(room is None for room in left.values()):
            break
        left = {o: None if (room := left[o]) is None else room - (o in able) for o in order}
    return tuple(turns)
