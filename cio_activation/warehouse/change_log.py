"""Who was touched by a change of a table, by turns: lets the real-time lane look at few where most stand still.

Every writer of a table that the real-time lane decides or plans from notes whom it touched, in the transaction that
changes the table. A reader that remembers at which turn it last looked finds here whom it has to look at again. What
is not known any more counts as everybody, so forgetting costs time and never a change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, scalar

MANY = 10_000
"""People touched at once from which on everybody is noted: looking at all is as fast, and the notes stay few."""
KEPT = 100_000
"""Notes kept at most."""


def next_turn(con: Connection) -> int:
    """Return the next number in the order of publications, notes and looks. Writers are one at a time."""
    query = """SELECT greatest(
        (SELECT coalesce(max(turn), 0) FROM meta.published), (SELECT coalesce(max(turn), 0) FROM meta.moved),
        (SELECT coalesce(max(turn), 0) FROM delivery.looked)) + 1"""
    return int(str(scalar(con, query)))


def note(con: Connection, about: str, people: str | None, parameters: Sequence[Any] = ()) -> None:
    """Note that a change of the table ``about`` touched ``people``, a SELECT of ``cio_id``; None: everybody."""
    turn = next_turn(con)
    if people is not None:
        con.execute(
            f"INSERT INTO meta.moved SELECT DISTINCT ?, ?, cio_id FROM ({people}) WHERE cio_id IS NOT NULL LIMIT ?",
            [turn, about, *parameters, MANY],
        )
    noted = scalar(con, "SELECT count(*) FROM meta.moved WHERE turn = ?", [turn])
    if people is None or noted == MANY:
        con.execute("DELETE FROM meta.moved WHERE about = ?", [about])  # everybody says it all
        con.execute("INSERT INTO meta.moved VALUES (?, ?, NULL)", [turn, about])
    if int(str(scalar(con, "SELECT count(*) FROM meta.moved"))) > KEPT:
        _forget(con)


def since(con: Connection, turn: int, tables: Sequence[str]) -> str | None:
    """Return a SELECT of the ``cio_id`` of those touched after ``turn`` in any of ``tables``; None: everybody."""
    named = f"(about IS NULL OR about IN ({', '.join(map(literal, tables))}))"
    touched = f"FROM meta.moved WHERE turn > {turn} AND {named}"
    if scalar(con, f"SELECT count(*) {touched} AND cio_id IS NULL"):
        return None
    return f"SELECT cio_id {touched}"


def _forget(con: Connection) -> None:
    """Forget the older half; whoever has not read it must look at everybody."""
    until = scalar(con, "SELECT CAST(median(turn) AS BIGINT) FROM meta.moved")
    con.execute("DELETE FROM meta.moved WHERE turn <= ?", [until])
    con.execute("INSERT INTO meta.moved VALUES (?, NULL, NULL)", [until])
