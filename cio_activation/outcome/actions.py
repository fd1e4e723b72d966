"""What people are asked to do: open, late, done, taken back; by audience, by who acts; and taking back by a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cio_activation.errors import ConfigError
from cio_activation.warehouse import change_log
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import timestamp

WITHDRAWN = "withdrawn"
"""The act, and the exit's reason, of what a person of ours had taken back."""
LATE = "late"
"""Open or taken up, and past its due time."""
STATES = ("open", LATE, "taken_up", "done", "withdrawn", "expired", "deleted")
NOBODY = "(nobody)"

_ACTIONS = """SELECT x.destination, x.kind, x.audience, x.record_id, x.cio_id, x.entry_id,
    coalesce(o.email, x.owner_id) AS owner, x.due_at, x.opened_at, x.ended_at, x.end_reason, x.attempt, s.outcome,
    CASE WHEN x.ended_at IS NULL AND x.due_at < {now} THEN 'late' ELSE x.status END AS state, e.escalated
FROM delivery.actions AS x
LEFT JOIN (
    SELECT entry_id, destination, string_agg(does, ', ' ORDER BY step) AS escalated FROM audience.escalations
    GROUP BY ALL
) AS e ON e.entry_id = x.entry_id AND e.destination = x.destination AND x.kind IN ('task', 'activity')
LEFT JOIN feedback.owners AS o ON o.destination = x.destination AND o.owner_id = x.owner_id
LEFT JOIN (
    SELECT destination, kind, record_id, arg_max(detail, happened_at) AS outcome
    FROM feedback.acts WHERE act = 'outcome' GROUP BY ALL
) AS s ON s.destination = x.destination AND s.kind = x.kind AND s.record_id = x.record_id"""


@dataclass(frozen=True)
class Load:
    """What one person has on the desk."""

    owner: str
    """E-mail address where the CRM told one, else its id."""
    open: int
    late: int
    done: int
    """Of all time."""


def actions(
    con: Connection, now: datetime, *, audience: str | None = None, states: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return the actions, those due first on top; ``now`` (naive UTC) is what tells which are late.

    ``states``: of ``STATES``; none means whatever is not ended.
    """
    wanted = list(states) or ["open", LATE, "taken_up"]
    if unknown := sorted(set(wanted) - set(STATES)):
        raise ConfigError(f"{', '.join(unknown)}: no such state; there are {', '.join(STATES)}")
    found = con.execute(
        f"""SELECT * FROM ({_ACTIONS.format(now=timestamp(now))})
        WHERE state IN (SELECT unnest(?)) AND (audience = ? OR CAST(? AS VARCHAR) IS NULL)
        ORDER BY due_at NULLS LAST, destination, record_id""",
        [wanted, audience, audience],
    )
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def by_audience(con: Connection, now: datetime) -> dict[str, dict[str, int]]:
    """Return audience -> state -> actions."""
    counted: dict[str, dict[str, int]] = {}
    for audience, state, count in con.execute(
        f"SELECT audience, state, count(*) FROM ({_ACTIONS.format(now=timestamp(now))}) GROUP BY ALL ORDER BY ALL"
    ).fetchall():
        counted.setdefault(str(audience), {})[str(state)] = int(count)
    return counted


def escalated(con: Connection, now: datetime) -> dict[str, dict[str, int]]:
    """Return what followed for open actions that nobody had touched in time -> audience -> actions."""
    counted: dict[str, dict[str, int]] = {}
    for steps, audience, count in con.execute(
        f"""SELECT escalated, audience, count(*) FROM ({_ACTIONS.format(now=timestamp(now))})
        WHERE escalated IS NOT NULL AND ended_at IS NULL GROUP BY ALL ORDER BY ALL"""
    ).fetchall():
        counted.setdefault(str(steps), {})[str(audience)] = int(count)
    return counted


def outcomes(con: Connection, now: datetime) -> dict[str, dict[str, int]]:
    """Return audience -> what humans said came of it -> actions; of audiences without any nothing."""
    counted: dict[str, dict[str, int]] = {}
    for audience, outcome, count in con.execute(
        f"""SELECT audience, outcome, count(*) FROM ({_ACTIONS.format(now=timestamp(now))})
        WHERE outcome IS NOT NULL GROUP BY ALL ORDER BY ALL"""
    ).fetchall():
        counted.setdefault(str(audience), {})[str(outcome)] = int(count)
    return counted


def load(con: Connection, now: datetime) -> list[Load]:
    """Return what everybody has on the desk, the fullest first."""
    return [
        Load(str(owner or NOBODY), int(open_now), int(late), int(done))
        for owner, open_now, late, done in con.execute(
            f"""SELECT owner, count(*) FILTER (ended_at IS NULL), count(*) FILTER (state = 'late'),
                count(*) FILTER (state = 'done')
            FROM ({_ACTIONS.format(now=timestamp(now))}) GROUP BY owner ORDER BY 2 DESC, 1"""
        ).fetchall()
    ]


def withheld_by_code(con: Connection, days: int) -> dict[str, dict[str, int]]:
    """Return code -> day -> people withheld by it in all audiences, of the last ``days`` daily windows decided."""
    counted: dict[str, dict[str, int]] = {}
    for code, day, people in con.execute(
        """SELECT code, CAST(as_of AS DATE) AS day, sum(people) FROM audience.counts
        WHERE decision = 'withheld' AND lane = 'daily'
            AND as_of > (SELECT max(as_of) FROM audience.counts WHERE lane = 'daily') - to_days(CAST(? AS INTEGER))
        GROUP BY ALL ORDER BY ALL""",
        [days],
    ).fetchall():
        counted.setdefault(str(code), {})[f"{day}"] = int(people)
    return counted


def take_back(con: Connection, audience: str, now: datetime, why: str, who: str) -> Mapping[str, int]:
    """End the entries of ``audience`` that have an action nobody took up; return destination -> actions.

    The lane's next run takes the actions back, as a plan like any other, and the cooldown begins. Raises ConfigError if
    there are none.
    """
    chosen = "FROM delivery.actions WHERE audience = ? AND ended_at IS NULL AND status = 'open'"
    counts = con.execute(f"SELECT destination, count(*) {chosen} GROUP BY ALL ORDER BY ALL", [audience]).fetchall()
    if not counts:
        raise ConfigError(
            f"{audience} has no open action that nobody took up; `cio-activation actions` lists what there is"
        )
    con.execute(
        f"""INSERT INTO feedback.acts BY NAME
        SELECT destination, kind, record_id, entry_id, audience, cio_id, '{WITHDRAWN}' AS act, ? AS happened_at,
            ? AS detail, ? AS seen_at {chosen}""",
        [now, f"{who}: {why}", now, audience],
    )
    change_log.note(con, "feedback.acts", f"SELECT cio_id {chosen}", [audience])
    return {str(destination): int(count) for destination, count in counts}
