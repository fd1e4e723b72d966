"""What changed about a segment besides who comes and goes in ordinary ways: its name, its conditions, its size.

Noted with the snapshot, so that it is told before an audience is decided by it. Each lane compares with what it saw
last itself: a change that one lane found is news to the other, which has its effect still before it.

``updated_at`` comes with the list of segments that every run reads (App API, "List segments"). ``conditions`` stand in
no published document; a reader of 2026-10 reports them on ``GET /v1/segments/{id}``: they are asked for when
``updated_at`` is another, so an ordinary run makes no call for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cio_activation.activation.alerts import Alerts
from cio_activation.activation.models import Lane
from cio_activation.customerio.answers import Segment
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.tables import SEGMENT_CHANGES, SEGMENT_STATES, SEGMENT_TURNOVER


@dataclass(frozen=True)
class Change:
    """One thing that changed about a segment."""

    segment: int
    name: str
    what: str
    """'name', 'conditions', 'saved', 'size'."""
    before: str
    after: str

    def __str__(self) -> str:
        """The change as a sentence without its end."""
        segment = f'Customer.io\'s segment {self.segment} "{self.name}"'
        return {
            "name": f'Customer.io\'s segment {self.segment} is called "{self.after}" now, "{self.before}" before',
            "conditions": f"{segment} has other conditions",
            "saved": f"{segment} was saved anew at {self.after} UTC, and Customer.io does not tell its conditions",
            "size": f"{segment} went from {self.before} to {self.after} members from one snapshot to the next",
        }[self.what]


@dataclass(frozen=True)
class Sizes:
    """Members of a segment by a new snapshot, and who came and went since the one before."""

    segment: int
    members: int
    entered: int
    departed: int

    @property
    def before(self) -> int:
        """Members by the last snapshot; 0 if there was none."""
        return self.members - self.entered + self.departed


def seen(con: Connection, lane: Lane) -> dict[int, datetime]:
    """Return segment -> the ``updated_at`` that the lane saw last, where Customer.io told one."""
    rows = con.execute(f"SELECT segment_id, updated_at FROM {SEGMENT_STATES} WHERE lane = ?", [lane.value]).fetchall()
    return {int(segment): at for segment, at in rows if at is not None}


def note(con: Connection, lane: Lane, listed: Iterable[Segment], at: datetime) -> list[Change]:
    """Compare segments with what the lane saw last, keep what they are now, append and return what changed."""
    rows = con.execute(
        f"SELECT segment_id, name, updated_at, conditions FROM {SEGMENT_STATES} WHERE lane = ?", [lane.value]
    ).fetchall()
    last = {int(number): Segment(int(number), name, "", updated, told) for number, name, updated, told in rows}
    found: list[Change] = []
    for now in listed:
        before = last.get(now.id)
        if before and before.name == now.name and before.updated_at == now.updated_at:
            continue  # as a rule: nothing is written then
        found += _compare(before, now) if before else []
        con.execute(f"DELETE FROM {SEGMENT_STATES} WHERE lane = ? AND segment_id = ?", [lane.value, now.id])
        # Asked for only where it was saved anew.
        conditions = before.conditions if before and before.updated_at == now.updated_at else now.conditions
        con.execute(
            f"INSERT INTO {SEGMENT_STATES} VALUES (?, ?, ?, ?, ?, ?)",
            [lane.value, now.id, now.name, now.updated_at, conditions, at],
        )
    _append(con, lane, found, at)
    return found


def note_sizes(
    con: Connection, lane: Lane, sizes: Sequence[Sizes], names: dict[int, str], limits: Alerts, at: datetime
) -> list[Change]:
    """Count who came and went under the day, and append and return sizes that changed beyond the limit."""
    found: list[Change] = []
    counted = {
        int(segment): (int(entered), int(departed))
        for segment, entered, departed in con.execute(
            f"SELECT segment_id, entered, departed FROM {SEGMENT_TURNOVER} WHERE lane = ? AND day = ?",
            [lane.value, at.date()],
        ).fetchall()
    }
    for one in sizes:
        quiet = not one.entered and not one.departed and one.segment in counted
        if not one.before or quiet:  # the first snapshot, or nothing to add
            continue
        moved = abs(one.members - one.before)
        if moved >= limits.share_floor and moved > limits.segment_size_change * one.before:
            name = names.get(one.segment, str(one.segment))
            found.append(Change(one.segment, name, "size", f"{one.before:,}", f"{one.members:,}"))
        entered, departed = counted.get(one.segment, (0, 0))
        today = [lane.value, one.segment, at.date()]
        con.execute(f"DELETE FROM {SEGMENT_TURNOVER} WHERE lane = ? AND segment_id = ? AND day = ?", today)
        con.execute(
            f"INSERT INTO {SEGMENT_TURNOVER} VALUES (?, ?, ?, ?, ?, ?)",
            [*today, entered + one.entered, departed + one.departed, one.members],
        )
    _append(con, lane, found, at)
    return found


def _compare(before: Segment, now: Segment) -> list[Change]:
    found = [Change(now.id, now.name, "name", before.name, now.name)] if before.name != now.name else []
    if None in (before.updated_at, now.updated_at) or before.updated_at == now.updated_at:
        return found
    if before.conditions is None or now.conditions is None:
        found.append(Change(now.id, now.name, "saved", str(before.updated_at), str(now.updated_at)))
    elif before.conditions != now.conditions:
        found.append(Change(now.id, now.name, "conditions", before.conditions, now.conditions))
    return found


def _append(con: Connection, lane: Lane, found: Sequence[Change], at: datetime) -> None:
    for one in found:
        con.execute(
            f"INSERT INTO {SEGMENT_CHANGES} VALUES (?, ?, ?, ?, ?, ?, ?)",
            [lane.value, one.segment, one.name, one.what, one.before, one.after, at],
        )
