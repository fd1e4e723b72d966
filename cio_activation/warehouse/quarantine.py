"""The quarantine: rows that *we* do not take, each with what is wrong with it. Nothing is dropped, all is counted.

One window's entries of one layer are replaced as a whole by a re-run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from cio_activation.activation.windows import Window
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier
from cio_activation.warehouse.tables import QUARANTINE
from cio_activation.warehouse.validation import Breach

REFUSED = "refused"
"""Temporary table of the keys (column ``key``) that the last :func:`refuse` moved; a row without one is NULL."""


CELLS = "refused_values"
"""Temporary table of the breaches (``key``, ``column``, ``reason``) that the last :func:`refuse_cells` listed."""


def enter(con: Connection, layer: str, window: Window, rows: str, parameters: Sequence[Any] = ()) -> None:
    """Enter what ``rows`` selects: ``cio_id``, column, reason, detail and the row as text, in this order."""
    con.execute(
        f"INSERT INTO {QUARANTINE} SELECT ?, ?, ?, * FROM ({rows})",
        [layer, window.lane.value, window.key, *parameters],
    )


def refuse(
    con: Connection,
    layer: str,
    window: Window,
    relation: str,
    breaches: Sequence[Breach],
    *,
    key: str = "cio_id",
    shown: str = "r",
    detail: str | None = None,
) -> dict[str, int]:
    """Move the rows of ``relation`` that ``breaches`` name to quarantine; return the number of breaches by reason.

    Args:
        con: in the transaction that publishes what is left.
        layer: of the entries, as ``window``.
        window: see ``layer``.
        relation: a table with ``cio_id`` and ``key``; where it has several rows of one key, all of them go.
        breaches: one entry each.
        key: the column that breaches name rows by.
        shown: SQL of what an entry holds of its row, as JSON; ``r`` is the row.
        detail: of the entries.

    """
    if not breaches:
        return {}
    list_breaches(con, breaches, "breaches")
    con.execute(f"CREATE OR REPLACE TEMP TABLE {REFUSED} AS SELECT DISTINCT key FROM breaches")
    named = f"r.{identifier(key)}"
    # Not `IN` alone: a row without a key matches nothing.
    keyless = any(breach.key is None for breach in breaches)
    moved = f"({named} IN (SELECT key FROM {REFUSED}){f' OR {named} IS NULL' if keyless else ''})"
    enter(
        con,
        layer,
        window,
        f"""SELECT r.cio_id, b."column", b.reason, ?, r.row
        FROM breaches AS b LEFT JOIN (
            SELECT {named} AS key, min(r.cio_id) AS cio_id, min(CAST(to_json({shown}) AS VARCHAR)) AS row
            FROM {relation} AS r WHERE {moved} GROUP BY ALL
        ) AS r ON r.key IS NOT DISTINCT FROM b.key""",
        [detail],
    )
    con.execute(f"DELETE FROM {relation} AS r WHERE {moved}")
    counts = con.execute("SELECT reason, count(*) FROM breaches GROUP BY reason ORDER BY reason").fetchall()
    con.execute("DROP TABLE breaches")
    return {str(reason): int(count) for reason, count in counts}


def refuse_cells(
    con: Connection, layer: str, window: Window, relation: str, breaches: Sequence[Breach]
) -> dict[str, int]:
    """Enter ``breaches`` of single cells of ``relation``, one row a key; return their number by reason.

    The rows stay as they are: whoever publishes them gives the cells in ``CELLS`` their last good values.
    """
    if not breaches:
        return {}
    list_breaches(con, breaches, CELLS)
    enter(
        con,
        layer,
        window,
        f"""SELECT r.cio_id, b."column", b.reason, NULL, CAST(to_json(r) AS VARCHAR)
        FROM {CELLS} AS b JOIN {relation} AS r ON r.cio_id = b.key""",
    )
    return dict(sorted(Counter(breach.reason for breach in breaches).items()))


def clear(
    con: Connection,
    layer: str,
    window: Window,
    *,
    detail: str | None = None,
    people: str | None = None,
    parameters: Sequence[Any] = (),
) -> None:
    """Drop what an earlier run of the same window put there, so that a re-run counts nothing twice.

    Only entries with this ``detail``, and of these ``people`` (a SELECT of ``cio_id``), if given.
    """
    where, values = _entries(layer, window, people, parameters)
    if detail is not None:
        where, values = f"{where} AND detail = ?", [*values, detail]
    con.execute(f"DELETE FROM {QUARANTINE} WHERE {where}", values)


def carry(con: Connection, layer: str, window: Window, window_key: str, *, but: str) -> None:
    """Enter for ``window`` what the window ``window_key`` of its lane has, but for the people of ``but`` (a SELECT)."""
    con.execute(
        f"INSERT INTO {QUARANTINE} SELECT * REPLACE (? AS window_key) FROM {QUARANTINE} "
        f"WHERE layer = ? AND lane = ? AND window_key = ? AND (cio_id IS NULL OR cio_id NOT IN ({but}))",
        [window.key, layer, window.lane.value, window_key],
    )


def counts(
    con: Connection, layer: str, window: Window, *, people: str | None = None, parameters: Sequence[Any] = ()
) -> dict[str, int]:
    """Return entries per reason, for one layer and window; only those of ``people`` (a SELECT), if given."""
    where, values = _entries(layer, window, people, parameters)
    rows = con.execute(
        f"SELECT reason, count(*) FROM {QUARANTINE} WHERE {where} GROUP BY reason ORDER BY reason", values
    ).fetchall()
    return {str(reason): int(count) for reason, count in rows}


def _entries(layer: str, window: Window, people: str | None, parameters: Sequence[Any]) -> tuple[str, list[Any]]:
    """Return the condition of entries, and its parameters."""
    where = "layer = ? AND lane = ? AND window_key = ?"
    if people is not None:
        where += f" AND cio_id IN ({people})"
    return where, [layer, window.lane.value, window.key, *parameters]


def list_breaches(con: Connection, breaches: Sequence[Breach], table: str) -> None:
    """Fill the temporary ``table``, through Arrow: as parameters, many of them take seconds."""
    import pyarrow as pa

    text = pa.string()
    listed = pa.table(
        {
            "key": pa.array([b.key for b in breaches], text),
            "column": pa.array([b.column for b in breaches], text),
            "reason": pa.array([b.reason for b in breaches], text),
        }
    )
    con.register("given_breaches", listed)
    con.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS FROM given_breaches")
    con.unregister("given_breaches")
