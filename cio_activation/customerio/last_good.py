"""What we refuse keeps what was there: refused cells their last good value, refused rows their last good row.

A cell or row that cannot be read says nothing about its person. So the newest row known of that person fills in, from
the last snapshot or from the real-time lane, and the value is marked in ``raw.stale_cells`` until it can be read again.
"""

from __future__ import annotations

from datetime import datetime

from cio_activation.activation.models import Activation
from cio_activation.activation.windows import Window
from cio_activation.customerio.observations import observed
from cio_activation.customerio.people_table import columns, content_hash
from cio_activation.warehouse import stale
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier, literal, scalar, timestamp
from cio_activation.warehouse.tables import (
    MEMBERSHIP_CHANGES,
    PEOPLE,
    PEOPLE_GONE,
    PEOPLE_LIVE,
    STALE_CELLS,
)

REFUSED_CELLS = "refused_cells"
"""Temporary table: ``cio_id``, ``column``, ``reason`` of cells of the staged table that were refused."""
REFUSED_LINES = "refused_lines"
"""Temporary table, one row per refused line: the ``cio_id`` it is known to be about, NULL if that cannot be read."""
_LAST_GOOD = "last_good_rows"
_MENDED = "mended_rows"
_RETAINED = "retained_rows"
ABSENT = "absent from a snapshot with lines that cannot be read"
_BOOKKEEPING = ("content_hash", "changed_at")


def fill(
    con: Connection, activation: Activation, window: Window, table: str, previous: str, until: datetime | None
) -> None:
    """Give the refused cells of ``table`` their last good values, and list their marks in ``stale.MARKS``.

    ``previous`` is what ``table`` was compared with; rows of the real-time lane observed after ``until`` do not count.
    """
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE {stale.MARKS}
        (cio_id VARCHAR, "column" VARCHAR, reason VARCHAR, since TIMESTAMP, last_good_at TIMESTAMP)"""
    )
    if not scalar(con, f"SELECT count(*) FROM {REFUSED_CELLS}"):
        return
    known = _known(con, activation, until, f"SELECT cio_id FROM {REFUSED_CELLS}")
    con.execute(f"CREATE OR REPLACE TEMP TABLE {_LAST_GOOD} AS {known}")
    con.execute(f"CREATE OR REPLACE TEMP TABLE {_MENDED} AS {_mended(activation, window, table, previous)}")
    con.execute(f"DELETE FROM {table} WHERE cio_id IN (SELECT cio_id FROM {_MENDED})")
    con.execute(f"INSERT INTO {table} BY NAME SELECT * FROM {_MENDED}")
    con.execute(f"INSERT INTO {stale.MARKS} {_marks_of_cells(window)}")


def retain_rows(
    con: Connection, activation: Activation, window: Window, table: str, observed_at: datetime, unchanged: str
) -> int:
    """Add to the snapshot ``table`` the last good rows of people whom a refused line can be about; return how many.

    ``unchanged`` is a SELECT of people of the snapshot who are not in ``table``, because their row stands as it is.

    Absence means something in a complete snapshot only. While every refused line tells its person, these persons alone
    stay. Else anybody absent may be one of them: all stay, but for those whom the real-time lane was told are gone, and
    that lane is to ask for each of the others.
    """
    if not scalar(con, f"SELECT count(*) FROM {REFUSED_LINES}"):
        return 0
    nameless = scalar(con, f"SELECT count(*) FROM {REFUSED_LINES} WHERE cio_id IS NULL")
    named = "" if nameless else f"AND k.cio_id IN (SELECT cio_id FROM {REFUSED_LINES})"
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE {_RETAINED} AS SELECT k.* FROM ({_known(con, activation, observed_at)}) AS k
        WHERE NOT EXISTS (FROM {table} AS n WHERE n.cio_id = k.cio_id) {named} AND k.cio_id NOT IN ({unchanged})
        AND NOT EXISTS (FROM {PEOPLE_GONE} AS g WHERE g.cio_id = k.cio_id AND g.observed_at >= k.observed_at)"""
    )
    con.execute(
        f"""INSERT INTO {table} BY NAME SELECT k.* EXCLUDE (relation), NULL AS _bad, NULL AS _row,
            p.content_hash IS DISTINCT FROM k.content_hash AS _changed
        FROM {_RETAINED} AS k LEFT JOIN {PEOPLE} AS p ON p.cio_id = k.cio_id"""
    )
    con.execute(f"INSERT INTO {stale.MARKS} {_marks_of_rows(window)}")
    if nameless:
        con.execute(
            f"""INSERT INTO {MEMBERSHIP_CHANGES} SELECT NULL, cio_id, external_id, 'absent', ? FROM {_RETAINED}
            WHERE cio_id NOT IN (SELECT cio_id FROM {MEMBERSHIP_CHANGES} WHERE cio_id IS NOT NULL)""",
            [observed_at],
        )
    return int(str(scalar(con, f"SELECT count(*) FROM {_RETAINED}")))


def _known(con: Connection, activation: Activation, until: datetime | None, people: str | None = None) -> str:
    """Return the SELECT of the newest row known of everybody (of ``people``), with the ``relation`` that holds it."""
    names = ", ".join(identifier(n) for n in (*(c.name for c in columns(activation)), *_BOOKKEEPING))
    live = PEOPLE_LIVE if until is None else f"(FROM {PEOPLE_LIVE} WHERE observed_at <= {timestamp(until)})"
    # By their place, so that of everybody else nothing but the key is read.
    places = f"AND p.rowid IN (SELECT rowid FROM {PEOPLE} WHERE cio_id IN ({people})) " if people else ""
    return (
        f"SELECT {names}, {observed(con, 'p')} AS observed_at, {literal(PEOPLE)} AS relation FROM {PEOPLE} AS p "
        f"WHERE NOT EXISTS (FROM {live} AS l WHERE l.cio_id = p.cio_id) {places}"
        f"UNION ALL SELECT {names}, observed_at, {literal(PEOPLE_LIVE)} FROM {live} AS r"
        f"{f' WHERE cio_id IN ({people})' if people else ''}"
    )


def _mended(activation: Activation, window: Window, table: str, previous: str) -> str:
    """Return the SELECT of the rows of ``table`` with refused cells, these filled in, hashed and compared anew."""
    filled = ", ".join(
        f"CASE WHEN list_contains(r.names, {literal(c.name)}) THEN g.{name} ELSE t.{name} END AS {name}"
        for c in columns(activation)[1:]
        for name in [identifier(c.name)]
    )
    return f"""
        WITH refused AS (SELECT cio_id, list("column") AS names FROM {REFUSED_CELLS} GROUP BY cio_id),
        filled AS (
            SELECT t.* REPLACE ({filled})
            FROM {table} AS t JOIN refused AS r ON r.cio_id = t.cio_id
            LEFT JOIN {_LAST_GOOD} AS g ON g.cio_id = t.cio_id
        ),
        hashed AS (SELECT * REPLACE ({content_hash(activation)} AS content_hash) FROM filled)
        SELECT n.* REPLACE (
            CASE WHEN p.content_hash = n.content_hash THEN p.changed_at
                ELSE {timestamp(window.as_of)} END AS changed_at,
            p.content_hash IS DISTINCT FROM n.content_hash AS _changed)
        FROM hashed AS n LEFT JOIN {previous} AS p ON p.cio_id = n.cio_id"""


def _marks_of_cells(window: Window) -> str:
    """Return the marks of refused cells: what stood already is stale since then, the rest since this window."""
    return f"""
        SELECT r.cio_id, r."column", r.reason, coalesce(m.since, {timestamp(window.as_of)}),
            CASE WHEN m.cio_id IS NULL THEN g.observed_at ELSE m.last_good_at END
        FROM {REFUSED_CELLS} AS r
        LEFT JOIN {_LAST_GOOD} AS g ON g.cio_id = r.cio_id
        LEFT JOIN {STALE_CELLS} AS m
            ON m.relation = g.relation AND m.cio_id = r.cio_id AND (m."column" IS NULL OR m."column" = r."column")"""


def _marks_of_rows(window: Window) -> str:
    """Return the marks of retained rows: of the row as a whole, and those that its cells had."""
    return f"""
        SELECT k.cio_id, NULL, {literal(ABSENT)}, coalesce(m.since, {timestamp(window.as_of)}), k.observed_at
        FROM {_RETAINED} AS k
        LEFT JOIN {STALE_CELLS} AS m ON m.relation = k.relation AND m.cio_id = k.cio_id AND m."column" IS NULL
        UNION ALL
        SELECT m.cio_id, m."column", m.reason, m.since, m.last_good_at
        FROM {_RETAINED} AS k JOIN {STALE_CELLS} AS m ON m.relation = k.relation AND m.cio_id = k.cio_id
        WHERE m."column" IS NOT NULL"""
