"""Planning and folding of field values: desired rows against the shadow, by stored hash, then by column.

A *desired* relation has ``cio_id``, ``record_id`` (NULL: no record yet), ``row_hash`` and one VARCHAR column per
delivered field, under logical names. The *shadow* holds the same as last acknowledged by the destination. Only
rows whose hash differs are compared column by column; only changed columns are sent.
"""

from __future__ import annotations

from collections.abc import Sequence

from cio_activation.warehouse.sql import identifier, literal
from cio_activation.warehouse.store import Connection


def shadow_name(destination: str, lane: str) -> str:
    """Return the shadow table's name."""
    return f"delivery.{identifier(f'shadow_{destination}_{lane}')}"


def ensure_shadow(con: Connection, destination: str, lane: str, columns: Sequence[str]) -> str:
    """Create the shadow if needed, add columns the activation gained; return its name.

    A new column starts as NULL and every row's hash is forgotten, so the next plan compares all columns again
    and sends just the new ones. Columns the activation lost stay: what we wrote there is still known.
    """
    table = shadow_name(destination, lane)
    con.execute(
        f"""CREATE TABLE IF NOT EXISTS {table} (
        cio_id VARCHAR, record_id VARCHAR, row_hash UBIGINT, acked_at TIMESTAMP, plan_columns VARCHAR)"""
    )
    present = {row[0] for row in con.execute(f"DESCRIBE {table}").fetchall()}
    missing = [c for c in columns if _column(c) not in present]
    for column in missing:
        con.execute(f"ALTER TABLE {table} ADD COLUMN {identifier(_column(column))} VARCHAR")
    if missing:
        con.execute(f"UPDATE {table} SET row_hash = NULL")
    return table


def changes(desired: str, shadow: str, columns: Sequence[str], *, keys: str, priority: str = "0") -> str:
    """Return the plan SELECT for field values.

    ``keys`` and ``priority`` are SQL expressions over ``d`` (the desired row). Kinds: ``create`` (no record),
    ``update``. Rows that hash differently but hold the same values (a new column that is empty) plan nothing.
    A record the shadow does not know gets every field, empty ones too: what it holds in them is not known.
    """
    # Another record than the shadow's (or the first one): nothing the shadow holds is true of it.
    fresh = "s.record_id IS DISTINCT FROM d.record_id"
    entries = ", ".join(
        f"{{k: {literal(c)}, v: d.{identifier(c)}, c: CASE WHEN {fresh} "
        f"THEN d.record_id IS NOT NULL OR d.{identifier(c)} IS NOT NULL "
        f"ELSE d.{identifier(c)} IS DISTINCT FROM s.{identifier(_column(c))} END}}"
        for c in columns
    )
    payload = f"list_transform(list_filter([{entries}], lambda e: e.c), lambda e: {{k: e.k, v: e.v}})"
    return f"""
    SELECT kind, cio_id, record_id, NULL AS target,
           CAST(to_json(map_from_entries(changed)) AS VARCHAR) AS payload,
           keys, row_hash, priority, kind AS batch_group
    FROM (
        SELECT CASE WHEN d.record_id IS NULL THEN 'create' ELSE 'update' END AS kind,
               d.cio_id, d.record_id, d.row_hash, {keys} AS keys, CAST({priority} AS INTEGER) AS priority,
               {payload} AS changed
        FROM ({desired}) AS d LEFT JOIN {shadow} AS s ON s.cio_id = d.cio_id
        WHERE s.row_hash IS DISTINCT FROM d.row_hash OR s.record_id IS DISTINCT FROM d.record_id
    ) AS c
    WHERE len(changed) > 0 OR kind = 'create'"""


def clears(desired: str, shadow: str, columns: Sequence[str]) -> str:
    """Return the plan SELECT that empties every field of people who are no longer desired (deleted, suppressed)."""
    entries = ", ".join(
        f"{{k: {literal(c)}, v: CAST(NULL AS VARCHAR), c: s.{identifier(_column(c))} IS NOT NULL}}" for c in columns
    )
    payload = f"list_transform(list_filter([{entries}], lambda e: e.c), lambda e: {{k: e.k, v: e.v}})"
    return f"""
    SELECT 'clear' AS kind, cio_id, record_id, NULL AS target,
           CAST(to_json(map_from_entries(changed)) AS VARCHAR) AS payload,
           '{{}}' AS keys, CAST(NULL AS UBIGINT) AS row_hash, 1000 AS priority, 'update' AS batch_group
    FROM (
        SELECT s.cio_id, s.record_id, {payload} AS changed
        FROM {shadow} AS s ANTI JOIN ({desired}) AS d ON s.cio_id = d.cio_id
    ) AS c
    WHERE len(changed) > 0"""


def fold_values(con: Connection, shadow: str, columns: Sequence[str], finished: str) -> None:
    """Lay the delivered payloads over the shadow; a cleared person's row goes away."""
    places = [(literal(f"$.{c}"), identifier(_column(c))) for c in columns]
    pick = "".join(
        f", CASE WHEN json_exists(f.payload, {path}) THEN json_extract_string(f.payload, {path}) "
        f"ELSE s.{column} END AS {column}"
        for path, column in places
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE acked AS
        SELECT f.cio_id, coalesce(f.result_record_id, f.record_id) AS record_id, f.row_hash,
               f.ended_at AS acked_at{pick}, f.kind AS acked_kind
        FROM {finished} AS f LEFT JOIN {shadow} AS s ON s.cio_id = f.cio_id
        WHERE f."end" = 'delivered' AND f.kind IN ('create', 'update', 'stamp', 'clear')
        QUALIFY row_number() OVER (PARTITION BY f.cio_id ORDER BY f.intent_at DESC) = 1"""
    )
    con.execute(f"DELETE FROM {shadow} WHERE cio_id IN (SELECT cio_id FROM acked)")
    con.execute(f"INSERT INTO {shadow} BY NAME SELECT * EXCLUDE (acked_kind) FROM acked WHERE acked_kind <> 'clear'")
    con.execute("DROP TABLE acked")


def _column(name: str) -> str:
    """Field columns carry a prefix, so that no property name can collide with the shadow's own columns."""
    return f"p_{name}"
