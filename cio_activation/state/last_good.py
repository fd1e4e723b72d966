"""What breaks the state's contract leaves what was there: a value its last good one, a row the last good row.

So a value out of range neither takes a person away nor keeps the person's other values from moving, also when the
definitions changed and every row is derived into a new table: columns of the old one are taken over where they still
have the same name and type.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from cio_activation.activation.models import PropertyType
from cio_activation.activation.windows import Window
from cio_activation.state.contract import LAYER
from cio_activation.state.dwell import Before
from cio_activation.state.sql import StateSql
from cio_activation.warehouse import quarantine, stale
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier, literal, timestamp
from cio_activation.warehouse.tables import STALE_CELLS, split
from cio_activation.warehouse.validation import Breach

_FILLED = "filled_rows"


def refuse(
    con: Connection,
    statements: StateSql,
    window: Window,
    relation: str,
    breaches: Sequence[Breach],
    people: str | None = None,
) -> dict[str, int]:
    """Refuse what ``breaches`` name in the derived rows of ``relation``; return their number by reason.

    The marks of the lane's table, of ``people`` (a SELECT of ``cio_id``; None: everybody), become what they say. People
    whose row was refused are in ``quarantine.REFUSED`` if there are any such breaches.
    """
    cells, rows = _divided(statements, breaches)
    _mark(con, statements, window, breaches, people)
    if cells:
        _fill(con, statements, window, relation, cells)
    quarantine.refuse(con, LAYER, window, relation, rows)
    return dict(sorted(Counter(breach.reason for breach in breaches).items()))


def retain_rows(con: Connection, statements: StateSql, relation: str, people: str) -> None:
    """Add the last good rows of ``people`` (a SELECT of ``cio_id``) to ``relation``, as far as its columns go.

    A flag that the old row does not have is false: there was no reason yet to set it.
    """
    old = _old_columns(con, statements)
    if not old:
        return
    flags = [p.name for p in statements.properties if p.type is PropertyType.FLAG and p.name not in old]
    listed = [*map(identifier, sorted(old)), *(f"FALSE AS {identifier(name)}" for name in flags)]
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE {_FILLED} AS FROM {relation} LIMIT 0;
        INSERT INTO {_FILLED} BY NAME SELECT {", ".join(listed)} FROM {statements.table()} WHERE cio_id IN ({people})"""
    )
    hashes = ", ".join(f"{sql} AS {identifier(name)}" for name, sql in statements.hashes().items())
    replaced = (
        f"{hashes}, CAST(NULL AS UBIGINT) AS source_hash, coalesce(as_of, {timestamp(statements.as_of)}) AS as_of"
    )
    con.execute(f"INSERT INTO {relation} BY NAME SELECT * REPLACE ({replaced}) FROM {_FILLED}")


def before(con: Connection, statements: StateSql) -> Before:
    """Return the rows that the lane's table has now, as what values with a ``min_dwell`` are kept from."""
    return Before(statements.table(), frozenset(_old_columns(con, statements)))


def _divided(statements: StateSql, breaches: Sequence[Breach]) -> tuple[list[Breach], list[Breach]]:
    """Return the breaches of single values that can be left out of their row, and those that refuse the row.

    A flag is never missing, so a row without one is refused, as is a row without a key and a person twice.
    """
    names = {p.name for p in statements.properties if p.type is not PropertyType.FLAG}
    rows = [b for b in breaches if b.column not in names]
    refused = {b.key for b in rows}
    return [b for b in breaches if b.column in names and b.key not in refused], [
        b for b in breaches if b.column not in names or b.key in refused
    ]


def _fill(con: Connection, statements: StateSql, window: Window, relation: str, cells: Sequence[Breach]) -> None:
    """List ``cells`` of ``relation`` in quarantine and give them their last good values; hash these rows anew.

    ``source_hash`` stays empty, so that the next derivation looks at these people again.
    """
    quarantine.refuse_cells(con, LAYER, window, relation, cells)
    old = _old_columns(con, statements)
    refused = {cell.column for cell in cells}
    values = ", ".join(
        f"CASE WHEN list_contains(r.names, {literal(name)}) THEN {f'o.{identifier(name)}' if name in old else 'NULL'} "
        f"ELSE n.{identifier(name)} END AS {identifier(name)}"
        for name in (p.name for p in statements.properties)
        if name in refused
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE {_FILLED} AS
        SELECT n.* REPLACE ({values}, CAST(NULL AS UBIGINT) AS source_hash)
        FROM {relation} AS n
        JOIN (SELECT key, list("column") AS names FROM {quarantine.CELLS} GROUP BY key) AS r ON r.key = n.cio_id
        LEFT JOIN {_last_rows(statements, old)} AS o ON o.cio_id = n.cio_id"""
    )
    hashes = ", ".join(f"{sql} AS {identifier(name)}" for name, sql in statements.hashes().items())
    con.execute(f"DELETE FROM {relation} WHERE cio_id IN (SELECT cio_id FROM {_FILLED})")
    con.execute(f"INSERT INTO {relation} BY NAME SELECT * REPLACE ({hashes}) FROM {_FILLED}")


def _mark(
    con: Connection, statements: StateSql, window: Window, breaches: Sequence[Breach], people: str | None
) -> None:
    """Set the marks of the lane's table, of ``people`` (a SELECT; None: everybody), to what ``breaches`` say."""
    quarantine.list_breaches(con, [b for b in breaches if b.key is not None], "state_breaches")
    table, as_of = statements.table(), timestamp(window.as_of)
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE {stale.MARKS} AS
        SELECT b.key AS cio_id, CASE WHEN b."column" <> 'cio_id' THEN b."column" END AS "column", b.reason,
            coalesce(m.since, {as_of}) AS since,
            CASE WHEN m.cio_id IS NULL THEN o.as_of ELSE m.last_good_at END AS last_good_at
        FROM state_breaches AS b
        LEFT JOIN {_last_rows(statements, _old_columns(con, statements))} AS o ON o.cio_id = b.key
        LEFT JOIN {STALE_CELLS} AS m ON m.relation = {literal(table)} AND m.cio_id = b.key
            AND m."column" IS NOT DISTINCT FROM CASE WHEN b."column" <> 'cio_id' THEN b."column" END"""
    )
    stale.replace(con, table, people)


def _old_columns(con: Connection, statements: StateSql) -> set[str]:
    """Return the columns that the table has as the lane wants them, by name and type; none without a table."""
    wanted = statements.columns()
    rows = con.execute(
        "SELECT column_name, data_type FROM information_schema.columns "
        "WHERE table_catalog = current_database() AND table_schema = ? AND table_name = ?",
        [*split(statements.table())],
    ).fetchall()
    return {str(name) for name, kind in rows if wanted.get(str(name)) == str(kind)}


def _last_rows(statements: StateSql, old: set[str]) -> str:
    """Return the relation of the last rows; of nobody if there is no table yet."""
    return (
        statements.table()
        if old
        else "(SELECT CAST(NULL AS VARCHAR) AS cio_id, CAST(NULL AS TIMESTAMP) AS as_of LIMIT 0)"
    )
