"""Planning and folding of field values: desired rows against the shadow, by stored hash, then by column.

A *desired* relation has ``cio_id``, ``record_id`` (NULL: no record yet), ``row_hash`` and one VARCHAR column per
delivered field, under logical names. The *shadow* holds the same as last acknowledged by the destination, with
``whole_hash`` over person, record and row hash; NULL where all columns have to be compared. Only rows whose hash
differs are compared column by column; only changed columns are sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cio_activation.delivery import ownership
from cio_activation.delivery.apart import REFUSED, UNWRITTEN
from cio_activation.delivery.destination import EXIT
from cio_activation.journal.operations import Kind, names_sql, person_claim_sql
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier, literal

UNKNOWN = "chr(1)"
"""SQL for what a shadow holds where nothing is known of the destination: differs from every value, NULL too."""
DIFFERING = "differing"
"""Name by which the desired rows of those who differ may refer to them (see :func:`changes`)."""
_MAPPED = "CAST(to_json(map_from_entries(list_transform(changed, lambda e: {k: e.k, v: e.v}))) AS VARCHAR)"
_BEFORE = """CAST(to_json(map_from_entries(list_transform(
    list_filter(changed, lambda e: e.b IS NOT NULL AND e.b <> chr(1)), lambda e: {k: e.k, v: e.b}))) AS VARCHAR)"""
# Of a finished operation ``f``, by column: a payload is parsed once for all of them.
_GIVEN, _VALUES = 'f."@given"', 'f."@values"'


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
        cio_id VARCHAR, record_id VARCHAR, whole_hash UBIGINT, acked_at TIMESTAMP, plan_columns VARCHAR,
        in_doubt VARCHAR)"""
    )
    present = {row[0] for row in con.execute(f"DESCRIBE {table}").fetchall()}
    if "doubt" in present:  # as release 0.1.0 called it
        con.execute(f"ALTER TABLE {table} RENAME COLUMN doubt TO in_doubt")
    con.execute(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS in_doubt VARCHAR")
    # DuckDB 1.5 lets no transaction alter a table that it has written to: first all that alters, and what a shadow from
    # before person and record were part of the hash had is dropped in the next run.
    if {"row_hash", "whole_hash"} <= present:
        con.execute(f"ALTER TABLE {table} DROP COLUMN row_hash")
    con.execute(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS whole_hash UBIGINT")
    missing = [c for c in columns if _column(c) not in present]
    for column in missing:
        con.execute(f"ALTER TABLE {table} ADD COLUMN {identifier(_column(column))} VARCHAR")
    if "row_hash" in present and "whole_hash" not in present:
        con.execute(f"UPDATE {table} AS s SET whole_hash = {_whole_hash('s')}")
    if missing:
        con.execute(f"UPDATE {table} SET whole_hash = NULL")
    return table


def shadow_columns(con: Connection, destination: str, lane: str) -> tuple[str, ...]:
    """Return the names of the fields the lane ever wrote, also of those that left the activation since."""
    found = con.execute(
        "SELECT column_name FROM duckdb_columns() WHERE schema_name = 'delivery' AND table_name = ? ORDER BY 1",
        [f"shadow_{destination}_{lane}"],
    ).fetchall()
    return tuple(str(name)[2:] for (name,) in found if str(name).startswith("p_"))


def shadow_column(name: str) -> str:
    """Return SQL for the shadow's column of the field ``name``."""
    return identifier(_column(name))


@dataclass(frozen=True)
class ValueKinds:
    """The kinds by which a destination's fields are written."""

    create: Kind
    update: Kind
    clear: Kind


@dataclass(frozen=True)
class Keep:
    """The fields of one step whose values stay as a human changed them."""

    destination: str
    step: str
    columns: tuple[str, ...]


def changes(
    desired: str,
    shadow: str,
    columns: Sequence[str],
    *,
    kinds: ValueKinds,
    keys: str,
    priority: str = "0",
    keep: Keep | None = None,
    hashes: str | None = None,
    acked: str | None = None,
) -> str:
    """Return the plan SELECT for field values.

    ``keys`` and ``priority`` are SQL expressions over ``d`` (the desired row). Of ``kinds``, those without a record are
    created, the others updated. Rows that hash differently but hold the same values (a new column that is empty) plan
    nothing.
    A record the shadow does not know gets every field, empty ones too: what it holds in them is not known.
    A value that ran into a conflict is planned again only when it is another value.

    ``hashes`` is a SELECT of everybody's ``cio_id, record_id, row_hash`` and whatever else leads to a row, where that
    is cheaper than ``desired``. ``desired`` may then name :data:`DIFFERING`, what ``hashes`` gives of those who
    differ, and give their rows only. ``acked`` is a relation of those rows of the shadow that can be of anybody in
    ``hashes``, where that is not everybody; so it is in :func:`clears`, with each row's place as ``@place``.
    """
    kept = keep.columns if keep else ()
    create, update = literal(kinds.create.name), literal(kinds.update.name)
    previous = "json_extract_string(keys, '$.previous_record')"
    # Another record than the shadow's (or the first one): nothing the shadow holds is true of it.
    fresh = "s.record_id IS DISTINCT FROM d.record_id"
    entries = ", ".join(_entry(c, fresh, kept=c in kept) for c in columns)
    payload = f"list_filter([{entries}], lambda e: e.c)"
    conflict = _conflicts(keep) if keep and kept else ""
    chosen = desired if hashes else f"SELECT * FROM ({desired}) SEMI JOIN {DIFFERING} USING (cio_id)"
    # First who differs, by hashes alone: the columns of both sides are only read for them.
    return f"""
    SELECT kind, cio_id, record_id, CAST(NULL AS VARCHAR) AS target,
           {_MAPPED} AS payload, {_BEFORE} AS before, in_doubt,
           keys, row_hash, priority, kind AS batch_group,
           CASE WHEN kind = {create} THEN {person_claim_sql("cio_id", previous)} END AS claim
    FROM (
        WITH {DIFFERING} AS MATERIALIZED ({differing(hashes or desired, acked or shadow, "*" if hashes else "cio_id")})
        SELECT CASE WHEN d.record_id IS NULL THEN {create} ELSE {update} END AS kind,
               d.cio_id, d.record_id, d.row_hash, {keys} AS keys, CAST({priority} AS INTEGER) AS priority,
               {payload} AS changed, {_in_doubt(keep)} AS in_doubt
        FROM ({chosen}) AS d
        LEFT JOIN ({rows_of(shadow, DIFFERING)}) AS s ON s.cio_id = d.cio_id {conflict}
    ) AS c
    WHERE len(changed) > 0 OR kind = {create}"""


def differing(rows: str, shadow: str, columns: str = "cio_id") -> str:
    """Return a SELECT of the ``rows`` (``cio_id, record_id, row_hash``) that the shadow does not hold like that.

    One 64-bit number stands for all three: of the shadow nothing else is read, and joining numbers takes two thirds
    of joining texts. That a changed row meets the number of any of ten million others has a probability of 5e-13.
    """
    listed = ", ".join(f"d.{c.strip()}" for c in columns.split(","))
    return f"SELECT {listed} FROM ({rows}) AS d ANTI JOIN {shadow} AS s ON s.whole_hash = {_whole_hash('d')}"


def _whole_hash(row: str, record_id: str | None = None) -> str:
    """Return SQL for the hash of person, record and values of ``row``; NULL without a hash of the values."""
    record = record_id or f"{row}.record_id"
    return f"CASE WHEN {row}.row_hash IS NOT NULL THEN hash({row}.cio_id, {record}, {row}.row_hash) END"


def rows_of(table: str, people: str) -> str:
    """Return a SELECT of the rows of ``table`` that are of ``people`` (a relation of ``cio_id``): a few of many.

    By place: a scan that filters by ``rowid`` reads the other columns of the rows that pass only.
    """
    return f"SELECT * FROM {table} WHERE rowid IN (SELECT rowid FROM {table} SEMI JOIN {people} USING (cio_id))"


def _entry(column: str, fresh: str, *, kept: bool) -> str:
    """Return a struct: k name, v desired value, b acknowledged value, c whether it has to be written."""
    value, acked = f"d.{identifier(column)}", f"s.{identifier(_column(column))}"
    same = f"coalesce(k.{identifier('is_' + column)}, false) AND k.{identifier(column)} IS NOT DISTINCT FROM {value}"
    differs = (
        f"CASE WHEN {fresh} THEN d.record_id IS NOT NULL OR {value} IS NOT NULL "
        f"ELSE {value} IS DISTINCT FROM {acked} OR {_is_in_doubt(column)} END"
    )
    before = f"CASE WHEN NOT ({fresh}) THEN {acked} END"
    return f"{{k: {literal(column)}, v: {value}, b: {before}, c: ({differs}){f' AND NOT ({same})' if kept else ''}}}"


def _conflicts(keep: Keep) -> str:
    """Return a join ``k``: of the record's remembered conflicts, one column per field, and whether there is one."""
    picked = ", ".join(
        f"bool_or(field = {literal(c)}) AS {identifier('is_' + c)}, "
        f"any_value(ours) FILTER (field = {literal(c)}) AS {identifier(c)}"
        for c in keep.columns
    )
    known = f"SELECT cio_id, record_id, {picked} FROM ({ownership.known(keep.destination, keep.step)}) GROUP BY ALL"
    return f"LEFT JOIN ({known}) AS k ON k.cio_id = d.cio_id AND k.record_id = d.record_id"


def _in_doubt(keep: Keep | None) -> str:
    """Return SQL for the payloads sent since the acknowledgement in ``s`` whose outcome was never learned: ours too."""
    if not keep or not keep.columns:
        return "CAST(NULL AS VARCHAR)"
    return f"""(SELECT CAST(to_json(list(CAST(g.payload AS JSON) ORDER BY g.intent_at)) AS VARCHAR)
        FROM delivery.ledger AS g
        WHERE g.destination = {literal(keep.destination)} AND g.step = {literal(keep.step)} AND g."end" = 'retry'
          AND g.cio_id = s.cio_id AND (s.acked_at IS NULL OR g.intent_at > s.acked_at))"""


def clears(
    desired: str,
    shadow: str,
    columns: Sequence[str],
    *,
    kinds: ValueKinds,
    keep: Keep | None = None,
    acked: str | None = None,
) -> str:
    """Return the plan SELECT that empties every field of people who are no longer desired (deleted, suppressed)."""
    rows = acked or f'(SELECT cio_id, rowid AS "@place" FROM {shadow})'
    entries = ", ".join(
        f"{{k: {literal(c)}, v: CAST(NULL AS VARCHAR), b: s.{identifier(_column(c))}, q: {_is_in_doubt(c)}}}"
        for c in columns
    )
    payload = f"list_filter([{entries}], lambda e: (e.b IS NOT NULL AND e.b <> {UNKNOWN}) OR e.q)"
    return f"""
    SELECT {literal(kinds.clear.name)} AS kind, cio_id, record_id, CAST(NULL AS VARCHAR) AS target,
           {_MAPPED} AS payload, {_BEFORE} AS before, in_doubt,
           '{{}}' AS keys, CAST(NULL AS UBIGINT) AS row_hash, {EXIT} AS priority,
           {literal(kinds.update.name)} AS batch_group
    FROM (
        WITH gone AS MATERIALIZED (
            SELECT k."@place" AS place FROM {rows} AS k ANTI JOIN ({desired}) AS d ON k.cio_id = d.cio_id)
        SELECT s.cio_id, s.record_id, {payload} AS changed, {_in_doubt(keep)} AS in_doubt
        FROM {shadow} AS s WHERE s.rowid IN (SELECT place FROM gone)
    ) AS c
    WHERE len(changed) > 0"""


def fold_values(con: Connection, shadow: str, columns: Sequence[str], kinds: Sequence[Kind], finished: str) -> None:
    """Lay the delivered payloads over the shadow; a cleared person's row goes away.

    What was left as a human changed it was not written, and the shadow does not pretend it was: its column stays, but
    the row's hash says that the row was dealt with. Nor was what the vendor refused, or what was left out of a first
    write; of such a row all columns are compared again by every plan until they are written.

    The shadow's other columns are kept up as well: what was written to a field that left the activation, or moved to
    the other lane, is still there. What was in doubt stays so where it was not written.
    """
    empties = names_sql(kinds, lambda kind: kind.empties)
    made = names_sql(kinds, lambda kind: kind.creates)
    written = [str(row[0])[2:] for row in con.execute(f"DESCRIBE {shadow}").fetchall() if str(row[0]).startswith("p_")]
    every = [*columns, *sorted(set(written) - set(columns))]
    places = [(c, f"[{number}]", identifier(_column(c))) for number, c in enumerate(every, start=1)]
    # A record that is new to us, but not new: what it holds where we wrote nothing is not known. A field that nothing
    # delivers is none of our business there.
    met = f"s.record_id IS DISTINCT FROM coalesce(f.result_record_id, f.record_id) AND f.kind NOT IN {made}"
    pick = "".join(
        f", CASE WHEN {_GIVEN}{place} AND NOT {_was_kept(c)} AND NOT {was_refused(c)} THEN {_VALUES}{place} "
        f"WHEN NOT {_was_kept(c)} AND ({met if c in columns else 'false'} OR {_observed(UNWRITTEN, c)}) THEN {UNKNOWN} "
        f"ELSE s.{column} END AS {column}"
        for c, place, column in places
    )
    refused = f"(json_exists(f.observed, '$.{REFUSED}') OR json_exists(f.observed, '$.{UNWRITTEN}'))"
    doubts = ", ".join(
        f"CASE WHEN {_is_in_doubt(c)} AND (NOT {_GIVEN}{place} OR {was_refused(c)}) THEN {literal(f'|{c}|')} END"
        for c, place, _ in places
        if c in columns
    )
    partial = f"s.in_doubt IS NOT NULL AND NOT ({met}) AND (f.row_hash IS NULL OR coalesce({refused}, false))"
    paths = ", ".join(literal(f"$.{c}") for c in every) or "'$'"
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE acked AS
        SELECT f.cio_id, coalesce(f.result_record_id, f.record_id) AS record_id,
               CASE WHEN NOT coalesce({refused}, false)
                    THEN {_whole_hash("f", "coalesce(f.result_record_id, f.record_id)")} END AS whole_hash,
               CASE WHEN f."end" = 'delivered' THEN f.ended_at ELSE s.acked_at END AS acked_at,
               CASE WHEN {partial} THEN nullif(concat('', {doubts or "NULL"}), '') END AS in_doubt{pick},
               f.kind IN {empties} AND NOT coalesce({refused}, false) AS emptied
        FROM (
            SELECT *, json_exists(payload, [{paths}]) AS "@given", json_extract_string(payload, [{paths}]) AS "@values"
            FROM {finished}
        ) AS f
        LEFT JOIN {shadow} AS s ON s.cio_id = f.cio_id
        WHERE (f."end" = 'delivered' OR (f."end" = 'unneeded' AND json_exists(f.observed, '$.{ownership.CONFLICTS}')))
          AND f.kind IN {names_sql(kinds, lambda kind: kind.writes_fields)}
        QUALIFY row_number() OVER (PARTITION BY f.cio_id ORDER BY f.intent_at DESC) = 1"""
    )
    con.execute(f"DELETE FROM {shadow} WHERE cio_id IN (SELECT cio_id FROM acked)")
    con.execute(f"INSERT INTO {shadow} BY NAME SELECT * EXCLUDE (emptied) FROM acked WHERE NOT emptied")
    con.execute("DROP TABLE acked")


def was_refused(name: str) -> str:
    """Return SQL over a finished operation ``f``: the field was refused, or left out."""
    return f"({_observed(REFUSED, name)} OR {_observed(UNWRITTEN, name)})"


def _observed(key: str, name: str) -> str:
    return f"coalesce(json_exists(f.observed, {literal(f'$.{key}.{name}')}), false)"


def _was_kept(name: str) -> str:
    return _observed(ownership.CONFLICTS, name)


def _is_in_doubt(column: str) -> str:
    """Return SQL for: it is not known whether the record holds what was last acknowledged (see ``in_doubt``)."""
    return f"contains(coalesce(s.in_doubt, ''), {literal(f'|{column}|')})"


def _column(name: str) -> str:
    """Field columns carry a prefix, so that no property name can collide with the shadow's own columns."""
    return f"p_{name}"
