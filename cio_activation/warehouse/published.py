"""Which window a table was last published for: the guard that keeps an old window from overwriting newer state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cio_activation.activation.windows import Window
from cio_activation.warehouse import change_log
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import scalar


def newest(con: Connection, name: str, lane: str | None = None) -> datetime | None:
    """Return the end (naive UTC) of the newest window (of ``lane``) that published ``name``, None if none did."""
    value = scalar(
        con,
        "SELECT max(window_end) FROM meta.published WHERE name = ? AND (lane = ? OR CAST(? AS VARCHAR) IS NULL)",
        [name, lane, lane],
    )
    return value if isinstance(value, datetime) else None


def rows_of(con: Connection, name: str, lane: str) -> int | None:
    """Return how many rows the newest publication of ``name`` in ``lane`` had, None if there was none."""
    found = con.execute("SELECT rows FROM meta.published WHERE name = ? AND lane = ?", [name, lane]).fetchall()
    return int(found[0][0]) if found else None


@dataclass(frozen=True)
class Publication:
    """A lane's newest publication of a table: of which window, on what basis, and up to where it had read."""

    window_key: str
    window_end: datetime
    """Naive UTC."""
    basis: str | None
    sequence: int
    """In the order of the change log."""


def last(con: Connection, name: str, lane: str) -> Publication | None:
    """Return the newest publication of ``name`` in ``lane``; None: there is none that says all this."""
    query = """SELECT window_key, window_end, basis, sequence FROM meta.published
        WHERE name = ? AND lane = ? AND sequence IS NOT NULL"""
    rows = con.execute(query, [name, lane]).fetchall()
    return Publication(str(rows[0][0]), rows[0][1], rows[0][2], int(rows[0][3])) if rows else None


def of_lane(con: Connection, lane: str, begin: str) -> dict[str, Publication]:
    """Return the newest publications in ``lane`` of what has a name with this ``begin``, by name.

    One that does not say on what it was made has no basis.
    """
    query = """SELECT name, window_key, window_end, basis, coalesce(sequence, 0) FROM meta.published
        WHERE lane = ? AND starts_with(name, ?)"""
    return {str(row[0]): Publication(*row[1:]) for row in con.execute(query, [lane, begin]).fetchall()}


def superseded(con: Connection, name: str, window: Window) -> bool:
    """Return whether a window of its lane newer than ``window`` has published ``name``; the same may publish again.

    Per lane, because a table that both lanes write (memberships, persons) has a newest window in each.
    """
    last = newest(con, name, window.lane.value)
    return last is not None and window.as_of < last


def changed_since(con: Connection, name: str, window: Window, basis: str, tables: Sequence[str]) -> str | None:
    """Return a SELECT of whom a change of ``tables`` touched since ``window`` last published ``name``; None: anybody.

    Anybody also if the clock moved (another window published last) or the definitions did (another ``basis``).
    """
    last = con.execute(
        "SELECT sequence FROM meta.published WHERE name = ? AND lane = ? AND window_end = ? AND basis = ?",
        [name, window.lane.value, window.as_of, basis],
    ).fetchall()
    return change_log.since(con, int(last[0][0]), tables) if last else None


def publish(
    con: Connection, name: str, window: Window, rows: int, run_id: str = "", *, basis: str | None = None
) -> None:
    """Record that ``window`` is now its lane's newest published window of ``name``, made on ``basis``."""
    publish_all(con, window, [Made(name, rows, change_log.next_sequence(con), basis)], run_id)


@dataclass(frozen=True)
class Made:
    """What is to be published: how many rows, and up to where of the change log it was made."""

    name: str
    rows: int
    sequence: int
    basis: str | None = None


def publish_all(con: Connection, window: Window, made: Sequence[Made], run_id: str = "") -> None:
    """Record that ``window`` is now its lane's newest published window of all that was ``made``."""
    if not made:
        return
    lane, here = window.lane.value, (window.key, window.as_of, run_id)
    names = ", ".join("?" * len(made))
    con.execute(f"DELETE FROM meta.published WHERE lane = ? AND name IN ({names})", [lane, *(one.name for one in made)])
    rows = [(one.name, lane, *here, one.rows, one.sequence, one.basis) for one in made]
    con.execute(
        "INSERT INTO meta.published (name, lane, window_key, window_end, run_id, rows, sequence, basis) "
        f"VALUES {', '.join(['(?, ?, ?, ?, ?, ?, ?, ?)'] * len(rows))}",
        [value for row in rows for value in row],
    )
