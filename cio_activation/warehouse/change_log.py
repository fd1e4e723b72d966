"""Whom a change of a table touched, in a numbered order: who reads the table next need look at these only.

Every writer of a table that the lanes decide or plan from notes whom it touched, in the transaction that changes the
table. A reader that remembers at which sequence it last looked finds here whom it has to look at again. What is not
known any more counts as everybody, so forgetting costs time and never a change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cio_activation.activation.models import Lane
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import filled, literal, scalar
from cio_activation.warehouse.tables import CHANGE_LOG, MEMBERSHIPS

MANY = 10_000
"""More people touched at once are noted as everybody, where there are not many more: all are read as fast."""
MANY_SHARE = 0.1
"""Of all people, where that is more than ``MANY``: then so many are named."""
RETAINED = 4
"""Notes retained at most, in times as many as a change may touch by name."""
LEAST_RETAINED = 200_000
"""Or so many, if that is more: a push folds 50,000 people between two looks of the real-time lane."""


_TOUCHED = "touched_now"


def members_of(lane: Lane) -> str:
    """Return what the change log calls the members of a lane's segments: one table, of which a lane reads its own."""
    return f"{MEMBERSHIPS}/{lane.value}"


def next_sequence(con: Connection) -> int:
    """Return the next number in the order of publications, notes and looks. Writers are one at a time."""
    query = f"""SELECT greatest(
        (SELECT coalesce(max(sequence), 0) FROM meta.published),
        (SELECT coalesce(max(sequence), 0) FROM {CHANGE_LOG}),
        (SELECT coalesce(max(sequence), 0) FROM delivery.scopes)) + 1"""
    return int(str(scalar(con, query)))


def newest(con: Connection) -> int:
    """Return the sequence of the newest note; 0 if there is none."""
    return int(str(scalar(con, f"SELECT coalesce(max(sequence), 0) FROM {CHANGE_LOG}")))


def tables_since(con: Connection, sequence: int) -> set[str | None]:
    """Return the tables that were changed after ``sequence``; None among them: any may have been."""
    found = con.execute(f"SELECT DISTINCT table_name FROM {CHANGE_LOG} WHERE sequence > {sequence}").fetchall()
    return {name for (name,) in found}


def note(con: Connection, table: str, people: str | None, parameters: Sequence[Any] = ()) -> None:
    """Note that a change of ``table`` touched ``people``, a SELECT of ``cio_id``; None: everybody."""
    many = _many(con)
    if people is not None:
        select = f"SELECT DISTINCT cio_id FROM ({people}) WHERE cio_id IS NOT NULL LIMIT ?"
        touched = filled(con, _TOUCHED, select, [*parameters, many + 1])
        if not touched:  # as nearly always: then no more is asked
            return
        if touched > many:
            people = None
    sequence = next_sequence(con)
    if people is None:
        con.execute(f"DELETE FROM {CHANGE_LOG} WHERE table_name = ?", [table])  # everybody says it all
        con.execute(f"INSERT INTO {CHANGE_LOG} VALUES (?, ?, NULL)", [sequence, table])
    else:
        con.execute(f"INSERT INTO {CHANGE_LOG} SELECT ?, ?, cio_id FROM {_TOUCHED}", [sequence, table])
    if int(str(scalar(con, f"SELECT count(*) FROM {CHANGE_LOG}"))) > max(LEAST_RETAINED, RETAINED * many):
        _forget(con)


def since(con: Connection, sequence: int, tables: Sequence[str]) -> str | None:
    """Return a SELECT of the ``cio_id`` of those touched after ``sequence`` in any of ``tables``; None: everybody."""
    return touched(everybody(con), sequence, tables)


def everybody(con: Connection) -> list[tuple[int, str | None]]:
    """Return the notes of changes that touched everybody: sequence and table; None: any table."""
    found = con.execute(f"SELECT sequence, table_name FROM {CHANGE_LOG} WHERE cio_id IS NULL").fetchall()
    return [(int(sequence), table) for sequence, table in found]


def touched(everybody: Sequence[tuple[int, str | None]], sequence: int, tables: Sequence[str]) -> str | None:
    """Return what :func:`since` does, by the notes that :func:`everybody` found: for who asks for many readers."""
    if any(noted > sequence and (table is None or table in tables) for noted, table in everybody):
        return None
    named = ", ".join(map(literal, tables)) or "NULL"
    return f"SELECT cio_id FROM {CHANGE_LOG} WHERE sequence > {sequence} AND table_name IN ({named})"


def _many(con: Connection) -> int:
    """Return how many people may be touched by name."""
    people = scalar(con, "SELECT coalesce(max(rows), 0) FROM meta.published WHERE name = 'identity.persons'")
    return max(MANY, int(MANY_SHARE * int(str(people))))


def _forget(con: Connection) -> None:
    """Forget the older half; whoever has not read it must look at everybody."""
    until = scalar(con, "SELECT CAST(median(sequence) AS BIGINT) FROM meta.change_log")
    con.execute("DELETE FROM meta.change_log WHERE sequence <= ?", [until])
    con.execute("INSERT INTO meta.change_log VALUES (?, NULL, NULL)", [until])
