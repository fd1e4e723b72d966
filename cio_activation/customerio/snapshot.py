"""A people snapshot against the one before: who differs as received, who is absent; everybody else's row stands.

The cells of a row are hashed as they come, before any is read as a type, and compared with what was hashed when the
person was last landed. Only whose cells differ are typed, checked and written. Of a person with something that was
refused, filled in or there twice no hash is retained, so that they differ in each snapshot. All are landed anew where
nothing can be compared: the first snapshot, another way of reading cells, and while most of them differ anyway.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path

from cio_activation.activation.models import Activation
from cio_activation.activation.windows import Window
from cio_activation.customerio import contract
from cio_activation.customerio.casting import trimmed
from cio_activation.customerio.landing import DOUBLES, malformed, stage
from cio_activation.customerio.last_good import REFUSED_CELLS
from cio_activation.customerio.people_table import (
    columns,
    csv_rows,
    next_rows_sql,
    read_header,
    read_sql,
    received_hash,
    require_readable,
    sources,
)
from cio_activation.warehouse import stale, tombstones
from cio_activation.warehouse.sessions import Connection, SqlError
from cio_activation.warehouse.sql import scalar
from cio_activation.warehouse.tables import PEOPLE, PEOPLE_SNAPSHOT, STALE_CELLS

ABSENT = "absent_people"
"""Temporary table: the ``cio_id`` of people of ``raw.people`` whom no row of the file is about."""
CHANGED = "changed_people"
"""Temporary table: the ``cio_id`` of people of whom something else is known now, filled by :func:`publish`."""
WHOLE_FROM = 0.3
"""Share of differing rows from which on the next snapshot is landed as a whole: everybody's in one go is cheaper."""
_ARRIVED = "arrived_rows"
_DEPARTED = "departed_people"
_TOUCHED = "touched_people"
_TWICE = "people_there_twice"
_WHOLE = "raw.people_next"
_DIFFERING = "people_differing"


@dataclass(frozen=True)
class Snapshot:
    """A file that was read and compared. ``table`` holds its rows: everybody's, or of those only who differ."""

    table: str
    reading: str
    is_whole: bool
    is_new: bool
    """There was none that was read in the same way."""
    known: int
    """People there were before."""
    unchanged: int
    """Of them, people whose row stands as it is."""
    rows: int
    """Rows of the file that are well-formed."""
    differing: int
    malformed: int

    def unchanged_people(self) -> str:
        """Return the SELECT of the ``cio_id`` of those whose row stands as it is."""
        if self.is_whole:
            return "SELECT CAST(NULL AS VARCHAR) AS cio_id WHERE FALSE"
        others = f"SELECT cio_id FROM {ABSENT} UNION ALL SELECT cio_id FROM {_TOUCHED}"
        return f"SELECT cio_id FROM {PEOPLE} WHERE cio_id NOT IN ({others})"


@dataclass(frozen=True)
class Published:
    """What publishing a snapshot came to."""

    rows: int
    changed: int
    departed: int


def read(con: Connection, activation: Activation, window: Window, path: Path, *, whole: bool = False) -> Snapshot:
    """Read a people file and type whose rows differ from the last snapshot, or everybody's with ``whole``.

    UnusableFile if it is no CSV of people from one end to the other.
    """
    reading = _reading(con, activation)
    known = _count(con, PEOPLE)
    before = con.execute(f"SELECT reading, differing FROM {PEOPLE_SNAPSHOT}").fetchall()
    is_new = not known or not before or before[0][0] != reading
    if whole or is_new or before[0][1] >= WHOLE_FROM:
        staged = stage(con, activation, window, _WHOLE, PEOPLE, path, None)
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {ABSENT} AS "
            f"SELECT p.cio_id FROM {PEOPLE} AS p WHERE NOT EXISTS (FROM {_WHOLE} AS n WHERE n.cio_id = p.cio_id)"
        )
        differing = 0 if is_new else _count(con, f"{_WHOLE} WHERE _changed")
        return Snapshot(_WHOLE, reading, True, is_new, known, 0, staged.rows, differing, staged.malformed)
    rows, differing = _compare(con, activation, path)
    unchanged = _stage_differing(con, activation, window, path, known=known, same=rows - differing)
    return Snapshot(_DIFFERING, reading, False, False, known, unchanged, rows, differing, malformed(con))


def publish(con: Connection, window: Window, snapshot: Snapshot, observed_at: datetime) -> Published:
    """Make the snapshot ``raw.people`` and fill ``CHANGED``; the marks of stale cells are to be set after it."""
    table = snapshot.table
    con.execute(
        f"UPDATE {table} SET received_hash = NULL WHERE cio_id IN "
        f"(SELECT cio_id FROM {REFUSED_CELLS} UNION ALL SELECT cio_id FROM {DOUBLES})"
    )
    before = f"SELECT cio_id FROM {PEOPLE}"
    if not snapshot.is_whole:
        before = f"SELECT cio_id FROM {ABSENT} UNION ALL SELECT cio_id FROM {_TOUCHED}"
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {_DEPARTED} AS "
        f"SELECT p.cio_id FROM ({before}) AS p WHERE NOT EXISTS (FROM {table} AS n WHERE n.cio_id = p.cio_id)"
    )
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {CHANGED} AS SELECT cio_id FROM {table} WHERE _changed "
        f"UNION SELECT cio_id FROM {_DEPARTED} "
        f"UNION SELECT cio_id FROM {STALE_CELLS} UNION SELECT cio_id FROM {stale.MARKS}"
    )
    changed = _count(con, f"{table} WHERE _changed")
    if snapshot.is_whole:
        for column in ("_bad", "_row", "_changed"):
            con.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        con.execute(f"DROP TABLE {PEOPLE}")
        con.execute(f"ALTER TABLE {table} RENAME TO people")
    else:
        con.execute(f"DELETE FROM {PEOPLE} WHERE cio_id IN ({before} UNION ALL SELECT cio_id FROM {table})")
        con.execute(f"INSERT INTO {PEOPLE} BY NAME SELECT * EXCLUDE (_bad, _row, _changed) FROM {table}")
        con.execute(f"DROP TABLE {table}")
    con.execute(f"DELETE FROM {PEOPLE_SNAPSHOT}")
    share = snapshot.differing / max(snapshot.rows, 1)
    con.execute(
        f"INSERT INTO {PEOPLE_SNAPSHOT} VALUES (?, ?, ?, ?)", [observed_at, window.key, snapshot.reading, share]
    )
    return Published(_count(con, PEOPLE), changed, _count(con, _DEPARTED))


def _reading(con: Connection, activation: Activation) -> str:
    """Return a hash of all that decides what the same cells become: columns, casts, contract, release, DuckDB."""
    told = (
        read_sql("given", sources(activation), activation),
        [(c.name, c.source, c.type.value, c.unit) for c in columns(activation)],
        (contract.MAX_TEXT, contract.EARLIEST, contract.LATEST, contract.LARGEST_NUMBER),
        metadata.version("cio_activation"),
        scalar(con, "SELECT version()"),
    )
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def _compare(con: Connection, activation: Activation, path: Path) -> tuple[int, int]:
    """Fill ``_ARRIVED`` and ``ABSENT``; return the rows of the file, and how many of them differ.

    ``_ARRIVED`` has a row for each of the file: its cells, if it differs.
    """
    header = read_header(path, activation)
    place = {name: f"_{index}" for index, name in enumerate(header)}
    cells = ", ".join(f"n.{place[s]}" for s in sources(activation))
    rows = csv_rows(path, len(header))
    try:
        with _in_this_order(con):
            con.execute(
                f"""CREATE OR REPLACE TEMP TABLE {_ARRIVED} AS
                SELECT
                    CASE WHEN n.received_hash IS NOT NULL AND p.received_hash IS DISTINCT FROM n.received_hash
                        THEN [{cells}] END AS cells,
                    CASE WHEN n.received_hash IS NULL THEN p.cio_id END AS absent
                FROM (
                    SELECT {trimmed(place["cio_id"])} AS given, {received_hash(header, activation)} AS received_hash, *
                    FROM {rows}
                ) AS n
                FULL JOIN (SELECT cio_id, received_hash FROM {PEOPLE}) AS p ON p.cio_id = n.given"""
            )
    except SqlError:
        require_readable(path, header)
        raise
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {ABSENT} AS SELECT absent AS cio_id FROM {_ARRIVED} WHERE absent IS NOT NULL"
    )
    count = f"SELECT count(*) FILTER (absent IS NULL), count(cells) FROM {_ARRIVED}"
    total, differing = con.execute(count).fetchall()[0]
    return int(total), int(differing)


@contextmanager
def _in_this_order(con: Connection) -> Iterator[None]:
    """Have joins read their right side into memory and stream the left one past it, as they are written.

    By size alone a packed file looks smaller than the people who are known, and would not fit into memory.
    """
    with con.cursor() as other:  # after an error the transaction takes no statement
        other.execute("SET GLOBAL disabled_optimizers = 'build_side_probe_side'")
        try:
            yield
        finally:
            other.execute("RESET GLOBAL disabled_optimizers")


def _stage_differing(
    con: Connection, activation: Activation, window: Window, path: Path, *, known: int, same: int
) -> int:
    """Type the rows that differ; return how many people's rows stand."""
    names = sources(activation)
    cells = ", ".join(f"cells[{index + 1}] AS _{index}" for index in range(len(names)))
    rows = f"(SELECT {cells} FROM {_ARRIVED} WHERE cells IS NOT NULL)"
    _type(con, f"CREATE OR REPLACE TEMP TABLE {_DIFFERING} AS", rows, names, activation, window)
    con.execute(f"DROP TABLE {_ARRIVED}")
    touched = f"SELECT DISTINCT cio_id FROM {_DIFFERING} SEMI JOIN {PEOPLE} USING (cio_id)"
    con.execute(f"CREATE OR REPLACE TEMP TABLE {_TOUCHED} AS {touched}")
    if same > known - _count(con, ABSENT) - _count(con, _TOUCHED):  # a row that is as it was, and another beside it
        _stage_doubles(con, activation, window, path)
        con.execute(f"CREATE OR REPLACE TEMP TABLE {_TOUCHED} AS {touched}")
    unchanged = known - _count(con, ABSENT) - _count(con, _TOUCHED)
    tombstones.drop(con, _DIFFERING)
    return unchanged


def _stage_doubles(con: Connection, activation: Activation, window: Window, path: Path) -> None:
    """Type every row of people whom the file has twice: which one is taken, all of them decide."""
    header = read_header(path, activation)
    rows = csv_rows(path, len(header), note_rejects=False)
    given = trimmed(f"_{header.index('cio_id')}")
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {_TWICE} AS SELECT given FROM (SELECT {given} AS given FROM {rows}) "
        "WHERE given IS NOT NULL GROUP BY given HAVING count(*) > 1"
    )
    con.execute(f"DELETE FROM {_DIFFERING} WHERE cio_id IN (FROM {_TWICE})")
    theirs = f"(FROM {rows} WHERE {given} IN (FROM {_TWICE}))"
    _type(con, f"INSERT INTO {_DIFFERING} BY NAME", theirs, header, activation, window)


def _type(
    con: Connection, statement: str, rows: str, header: Sequence[str], activation: Activation, window: Window
) -> None:
    received = read_sql(rows, header, activation)
    con.execute(f"{statement} {next_rows_sql(received, PEOPLE, activation, window.as_of, None)}")


def _count(con: Connection, relation: str) -> int:
    return int(str(scalar(con, f"SELECT count(*) FROM {relation}")))
