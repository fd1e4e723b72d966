"""Which values are older than their rows, because what came last was refused: the last good ones stand.

Each table that retains last good values replaces its own marks with its rows; readers ask here. Times are naive UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, timestamp
from cio_activation.warehouse.tables import PEOPLE, PEOPLE_CURRENT, PEOPLE_LIVE, STALE_CELLS

MARKS = "stale_marks"
"""Temporary table of marks to set: the columns of ``raw.stale_cells`` without ``relation``."""


@dataclass(frozen=True)
class Stale:
    """How many values of some tables are stale, and of these how many for too long."""

    cells: int = 0
    overdue: int = 0


def replace(con: Connection, relation: str, people: str | None = None) -> None:
    """Set the marks of ``relation`` (of ``people``, a SELECT of ``cio_id``) to those in ``MARKS``."""
    among = "" if people is None else f" AND cio_id IN ({people})"
    con.execute(f"DELETE FROM {STALE_CELLS} WHERE relation = ?{among}", [relation])
    con.execute(
        f"""INSERT INTO {STALE_CELLS}
        SELECT {literal(relation)}, cio_id, "column", min(reason), min(since), min(last_good_at)
        FROM {MARKS} GROUP BY cio_id, "column\""""
    )


def forget_without_row(con: Connection, relation: str) -> None:
    """Drop the marks of people who have no row in ``relation`` any more."""
    con.execute(
        f"DELETE FROM {STALE_CELLS} WHERE relation = ? AND cio_id NOT IN "
        f"(SELECT cio_id FROM {relation} WHERE cio_id IN (SELECT cio_id FROM {STALE_CELLS}))",
        [relation],
    )


def marks(relation: str, only: str = "") -> str:
    """Return the SELECT of ``cio_id`` and ``column`` of what is stale in ``relation``, a table or the people view.

    ``only``: a condition over ``raw.stale_cells``.
    """
    such = f" AND {only}" if only else ""
    if relation != PEOPLE_CURRENT:
        return f'SELECT cio_id, "column" FROM {STALE_CELLS} WHERE relation = {literal(relation)}{such}'
    live = f"SELECT cio_id FROM {PEOPLE_LIVE} WHERE cio_id IN (SELECT cio_id FROM {STALE_CELLS})"
    return f"{marks(PEOPLE_LIVE, only)} UNION ALL {marks(PEOPLE, only)} AND cio_id NOT IN ({live})"


def never_read(relation: str) -> str:
    """Return the SELECT of ``cio_id`` and ``names``, the columns of ``relation`` of which no value was ever read.

    There NULL does not mean that the person has none.
    """
    such = marks(relation, "last_good_at IS NULL")
    return f'SELECT cio_id, list_sort(array_agg("column")) AS names FROM ({such}) GROUP BY cio_id'


def count(con: Connection, relations: Sequence[str], as_of: datetime, last_good_for: timedelta) -> Stale:
    """Return how many values of ``relations`` are stale, and how many have been for longer than ``last_good_for``."""
    among = ", ".join(map(literal, relations))
    cells, overdue = con.execute(
        f"SELECT count(*), count(*) FILTER (since <= {timestamp(as_of - last_good_for)}) "
        f"FROM {STALE_CELLS} WHERE relation IN ({among})"
    ).fetchall()[0]
    return Stale(int(cells), int(overdue))
