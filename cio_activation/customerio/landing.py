"""Steps of landing people that the daily snapshot and the real-time fetch share; each is SQL over a staged table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cio_activation.activation.models import Activation
from cio_activation.activation.windows import Window
from cio_activation.customerio.contract import NOT_CELLS, people_schema, readable
from cio_activation.customerio.last_good import REFUSED_CELLS, REFUSED_LINES
from cio_activation.customerio.observations import observed
from cio_activation.customerio.people_table import (
    REJECTS,
    bad_cells,
    columns,
    csv_rows,
    next_rows_sql,
    read_header,
    read_sql,
    require_readable,
    table_ddl,
)
from cio_activation.warehouse import quarantine, stale, tombstones
from cio_activation.warehouse.sessions import Connection, SqlError
from cio_activation.warehouse.sql import identifier, scalar
from cio_activation.warehouse.tables import (
    PEOPLE,
    PEOPLE_CURRENT,
    PEOPLE_GONE,
    PEOPLE_LIVE,
    PEOPLE_SNAPSHOT,
    SQL_TYPE,
    split,
)
from cio_activation.warehouse.validation import validate

LAYER = "raw"
DOUBLES = "people_doubles"
"""Temporary table of rows of the staged table that another one of the same person was taken for: ``place``, ``cio_id``.
"""


@dataclass(frozen=True)
class Staged:
    """What reading a file gave: rows read, and lines that are not well-formed."""

    rows: int
    malformed: int


def ensure_tables(con: Connection, activation: Activation) -> None:
    """Create the people tables and view in the activation's shape, or bring older ones into it.

    A column that the activation newly declares starts as NULL, until its person is next landed.
    """
    for table in (PEOPLE, PEOPLE_LIVE):
        con.execute(table_ddl(activation, table))
        if _reshape(con, table, activation):  # what it has now is not what the last snapshot was read as
            con.execute(f"UPDATE {PEOPLE_SNAPSHOT} SET reading = NULL")
    create_view(con, activation)


def create_view(con: Connection, activation: Activation) -> None:
    """(Re)create ``raw.people_current``: the real-time row where there is one, else the snapshot's.

    Rows of ``people_live`` and ``people_gone`` are always younger than the snapshot (see ``outdate_live``), so the
    latest observation is found by two anti joins against small tables, without sorting everyone.
    """
    names = ", ".join(identifier(n) for n in (*(c.name for c in columns(activation)), "content_hash", "changed_at"))
    con.execute(
        f"CREATE OR REPLACE VIEW {PEOPLE_CURRENT} AS "
        f"SELECT {names}, {observed(con, 'p')} AS observed_at FROM {PEOPLE} AS p "
        f"WHERE NOT EXISTS (FROM {PEOPLE_LIVE} AS l WHERE l.cio_id = p.cio_id) "
        f"AND NOT EXISTS (FROM {PEOPLE_GONE} AS g WHERE g.cio_id = p.cio_id) "
        f"UNION ALL SELECT {names}, observed_at FROM {PEOPLE_LIVE}"
    )


def outdate_live(con: Connection, observed_at: datetime) -> None:
    """Drop real-time rows that a snapshot of ``observed_at`` outdates, those of people it no longer has included."""
    con.execute(f"DELETE FROM {PEOPLE_LIVE} WHERE observed_at <= ?", [observed_at])
    con.execute(f"DELETE FROM {PEOPLE_GONE} WHERE observed_at <= ?", [observed_at])
    stale.forget_without_row(con, PEOPLE_LIVE)


def stage(
    con: Connection,
    activation: Activation,
    window: Window,
    target: str,
    previous: str,
    path: Path,
    observed_at: datetime | None,
) -> Staged:
    """Read a people CSV into ``target``, typed and hashed, compared with ``previous``.

    ``observed_at`` None: when the snapshot was. UnusableFile if it is no CSV of people from one end to the other.
    """
    header = read_header(path, activation)
    received = read_sql(csv_rows(path, len(header)), header, activation)
    try:
        con.execute(
            f"CREATE OR REPLACE TABLE {target} AS "
            f"{next_rows_sql(received, previous, activation, window.as_of, observed_at)}"
        )
    except SqlError:
        require_readable(path, header)
        raise
    rows = scalar(con, f"SELECT count(*) FROM {target}")
    tombstones.drop(con, target)
    return Staged(int(str(rows)), malformed(con))


def malformed(con: Connection) -> int:
    """Return how many lines of the file that was read last are not well-formed."""
    return int(str(scalar(con, f"SELECT count(DISTINCT line) FROM {REJECTS}")))


def refuse_bad_rows(
    con: Connection, activation: Activation, window: Window, table: str, path: Path, known: str = PEOPLE
) -> None:
    """Move what cannot be used from ``table`` into quarantine: lines, rows without a key, doubles; note bad cells.

    Lists for ``last_good`` what was refused. A line of ``path`` that is no CSV is known to be about a person if what
    stands in the place of the ``cio_id`` is one of ``known`` (a relation) that no row has.
    """

    def enter(rows: str) -> None:
        quarantine.enter(con, LAYER, window, f"SELECT {rows}")

    enter(
        "NULL, NULL, 'malformed line', 'line ' || line || ': ' || min(error_type::VARCHAR), "
        f"trim(min(csv_line), E'\\r\\n') FROM {REJECTS} GROUP BY line"
    )
    place = read_header(path, activation).index("cio_id") + 1
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE {REFUSED_LINES} AS
        SELECT p.cio_id
        FROM (
            SELECT given, given NOT IN (SELECT cio_id FROM {table} WHERE cio_id IS NOT NULL) AS has_no_row
            FROM (
                SELECT trim(string_split(min(csv_line), ',')[{place}], E' "\\t\\r\\n') AS given
                FROM {REJECTS} GROUP BY line
            )
        ) AS l
        LEFT JOIN {known} AS p ON p.cio_id = l.given AND l.has_no_row
        UNION ALL
        SELECT NULL FROM {table} WHERE cio_id IS NULL"""
    )
    enter(f"NULL, 'cio_id', 'missing cio_id', NULL, _row FROM {table} WHERE cio_id IS NULL")
    con.execute(f"DELETE FROM {table} WHERE cio_id IS NULL")
    # The smallest content hash wins, so that the order of the file's lines decides nothing.
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {DOUBLES} AS "
        f"SELECT rowid AS place, cio_id FROM {table} "
        f"WHERE cio_id IN (SELECT cio_id FROM {table} GROUP BY cio_id HAVING count(*) > 1) "
        f"QUALIFY row_number() OVER (PARTITION BY cio_id ORDER BY content_hash, rowid) > 1"
    )
    enter(
        "cio_id, 'cio_id', 'duplicate cio_id', 'another row of the same person was taken', "
        f"coalesce(_row, CAST(to_json(t) AS VARCHAR)) FROM {table} AS t WHERE t.rowid IN (SELECT place FROM {DOUBLES})"
    )
    con.execute(f"DELETE FROM {table} WHERE rowid IN (SELECT place FROM {DOUBLES})")
    cells = (
        f"FROM (SELECT cio_id, _row, unnest(string_split(_bad, ',')) AS place FROM {table} WHERE _bad IS NOT NULL) "
        f"JOIN (VALUES {bad_cells(activation)}) AS cell(place, name, reason) USING (place)"
    )
    enter(f"cio_id, cell.name, cell.reason, NULL, _row {cells}")
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {REFUSED_CELLS} AS "
        f'SELECT cio_id, cell.name AS "column", cell.reason AS reason {cells}'
    )


def refuse_breaches(con: Connection, activation: Activation, window: Window, table: str) -> int:
    """Check the changed rows of ``table`` against the raw schema; return how many were checked.

    A row that is nobody's goes into quarantine; of a row with a value that cannot be, that cell is refused like one
    that cannot be read. ContractError if a column is wrong as a whole.
    """
    verdict = validate(con, f"SELECT {readable(activation)} FROM {table} WHERE _changed", people_schema(activation))
    cells = [b for b in verdict.breaches if b.column not in NOT_CELLS]
    if quarantine.refuse(con, LAYER, window, table, [b for b in verdict.breaches if b.column in NOT_CELLS]):
        con.execute(f"INSERT INTO {REFUSED_LINES} SELECT NULL FROM {quarantine.REFUSED}")
    if quarantine.refuse_cells(con, LAYER, window, table, cells):
        con.execute(
            f"INSERT INTO {REFUSED_CELLS} "
            f'SELECT key, "column", reason FROM {quarantine.CELLS} WHERE key IN (SELECT cio_id FROM {table})'
        )
    return verdict.rows


def _reshape(con: Connection, table: str, activation: Activation) -> bool:
    """Bring the columns of ``table`` into the activation's shape; return whether any was another."""
    rows = con.execute(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = ? AND table_name = ?",
        [*split(table)],
    ).fetchall()
    found = {str(column): str(kind) for column, kind in rows}
    wanted = {c.name: SQL_TYPE[c.type] for c in columns(activation)} | {"received_hash": "UBIGINT"}
    fixed = {"content_hash", "changed_at", "observed_at"}
    dropped = [column for column, kind in found.items() if column not in fixed and wanted.get(column) != kind]
    added = [column for column, kind in wanted.items() if found.get(column) != kind]
    for column in dropped:
        con.execute(f"ALTER TABLE {table} DROP COLUMN {identifier(column)}")
    for column in added:
        con.execute(f"ALTER TABLE {table} ADD COLUMN {identifier(column)} {wanted[column]}")
    return bool(dropped or added)
