"""The shape of ``raw.people`` and how one CSV becomes rows of it: columns by declaration, never by sniffing.

Files come from exports (daily) and from our own attribute calls (real-time); both go through the same SQL.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cio_activation.activation.models import Activation, AttributeType, EpochUnit
from cio_activation.customerio.casting import reason, trimmed, typed, typed_text
from cio_activation.customerio.files import UnusableFile
from cio_activation.warehouse.sessions import SqlError, scratch
from cio_activation.warehouse.sql import identifier, literal, timestamp
from cio_activation.warehouse.tables import SQL_TYPE

IDENTIFIERS = ("cio_id", "id", "email")
REJECTS = "people_rejects"
"""Temporary table of lines that are not well-formed CSV, filled by the read itself."""
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Column:
    """One typed column: its name in the warehouse, the Customer.io attribute it comes from, and how it is read."""

    name: str
    source: str | None
    type: AttributeType
    unit: EpochUnit | None = None


def columns(activation: Activation) -> tuple[Column, ...]:
    """Return the columns of ``raw.people`` that carry data, in order; a profile field without a source stays NULL."""
    profile = activation.profile
    text = AttributeType.TEXT
    return (
        Column("cio_id", "cio_id", text),
        Column("external_id", "id", text),
        Column("email", "email", text),
        Column("phone", profile.phone, text),
        Column("first_name", profile.first_name, text),
        Column("last_name", profile.last_name, text),
        *(Column(a.name, a.source, a.type, a.unit) for a in activation.attributes.values()),
    )


def sources(activation: Activation) -> tuple[str, ...]:
    """Return the Customer.io attributes to ask for, each once: identifiers, profile, then the declared ones."""
    named = (c.source for c in columns(activation) if c.source is not None)
    return tuple(dict.fromkeys((*IDENTIFIERS, *named)))


def table_ddl(activation: Activation, table: str) -> str:
    """Return the statement that creates ``table`` in the shape of ``raw.people`` if it is missing."""
    typed_columns = ", ".join(f"{identifier(c.name)} {SQL_TYPE[c.type]}" for c in columns(activation))
    return (
        f"CREATE TABLE IF NOT EXISTS {table} "
        f"({typed_columns}, content_hash UBIGINT, changed_at TIMESTAMP, observed_at TIMESTAMP, received_hash UBIGINT)"
    )


def read_header(path: Path, activation: Activation) -> list[str]:
    """Return the file's column names; UnusableFile names every declared one that is missing or ambiguous."""
    if is_packed(path):
        _require_whole(path)
    opener = gzip.open if is_packed(path) else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as lines:
            header = next(csv.reader(lines, strict=True), [])
    except csv.Error:
        raise UnusableFile(f"{path.name}: the header line cannot be read") from None
    given = Counter(header)
    missing = [s for s in sources(activation) if given[s] == 0]
    double = [s for s in sources(activation) if given[s] > 1]
    if missing and (kind := _seems(path, any(given[s] for s in sources(activation)))):
        raise UnusableFile(f"{path.name} is no CSV of people: {kind}")
    if missing:
        raise UnusableFile(
            f"{path.name} has no column {', '.join(missing)}; check the names under `attributes` and `profile` in "
            "the activation against Customer.io (Data Index)"
        )
    if double:
        raise UnusableFile(f"{path.name} has the column {', '.join(double)} more than once")
    return header


def require_readable(path: Path, header: Sequence[str]) -> None:
    """Raise UnusableFile if DuckDB cannot read the file to its end; else what failed was not the file's fault."""
    try:
        with scratch() as con:
            con.execute(f"SELECT count(COLUMNS(*)) FROM {csv_rows(path, len(header))}").fetchall()
    except SqlError:
        raise UnusableFile(
            f"{path.name} cannot be read to its end: line ends are mixed, a quote stays open, or a line never ends"
        ) from None


def _require_whole(path: Path) -> None:
    """Raise UnusableFile if a gzip archive is cut off or damaged; its own checksum tells."""
    try:
        with gzip.open(path) as packed:
            while packed.read(1 << 20):
                pass
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise UnusableFile(f"{path.name} is an archive that is cut off or damaged") from None


def _seems(path: Path, has_columns: bool) -> str:
    """Say what a file that lacks columns is, as far as its first bytes tell; empty if it is a CSV of people."""
    with path.open("rb") as raw:
        start = raw.read(64)
    if not start.strip():
        return "it is empty"
    if start.startswith(b"PK"):
        return "it is a zip archive, and exports are plain or gzip"
    if start.lstrip()[:1] in (b"<", b"{", b"["):
        return "it is a page or an error message"
    return "" if has_columns else "its first line has none of the columns that were asked for"


def received_hash(header: Sequence[str], activation: Activation) -> str:
    """Return the 64-bit hash expression over a row's cells as received, in the order they are asked for."""
    place = {name: f"_{index}" for index, name in enumerate(header)}
    return f"hash({', '.join(place[s] for s in sources(activation))})"


def read_sql(rows: str, header: Sequence[str], activation: Activation) -> str:
    """Return the query that types ``rows`` (a relation of cells ``_0``, ``_1``, ... named by ``header``).

    Typed columns, ``received_hash``, ``_bad`` (places of unreadable cells), ``_row`` (JSON). ``_bad`` is a text such as
    ``7,9,``, the positions of columns whose cell is not empty and could not be read; ``_row`` holds the cells as
    received, only for such a row and for one without a ``cio_id``.
    """
    place = {name: f"_{index}" for index, name in enumerate(header)}
    cells = [place[s] for s in sources(activation)]
    trims: list[str] = []
    values: list[str] = []
    marks: list[str] = []
    for index, column in enumerate(columns(activation)):
        cell = "CAST(NULL AS VARCHAR)" if column.source is None else place[column.source]
        name, text = identifier(column.name), f"t{index}"
        if column.name == "cio_id":
            trims.append(f"{trimmed(cell)} AS {text}")
            values.append(f"{text} AS {name}")
        elif column.type is AttributeType.TEXT:
            values.append(f"{typed(column.type, cell)} AS {name}")
        else:
            trims.append(f"{trimmed(cell)} AS {text}")
            values += [f"{typed_text(column.type, text, column.unit)} AS {name}", text]
            marks.append(f"CASE WHEN {text} IS NOT NULL AND {name} IS NULL THEN '{index},' ELSE '' END")
    pairs = ", ".join(f"{literal(s)}, {place[s]}" for s in sources(activation))
    names = ", ".join(identifier(c.name) for c in columns(activation))
    bad = " || ".join(marks) or "''"
    # One level for each thing computed once: trimmed cells, values, marks. Within a level DuckDB computes it per use.
    trimmed_cells = f"SELECT {', '.join([*cells, *trims])} FROM {rows}"
    typed_cells = f"SELECT {', '.join([*cells, *values])} FROM ({trimmed_cells})"
    marked = f"SELECT *, {bad} AS _bad FROM ({typed_cells})"
    shown = f"_bad <> '' OR {identifier('cio_id')} IS NULL"
    row = f"CASE WHEN {shown} THEN CAST(json_object({pairs}) AS VARCHAR) END"
    return f"SELECT {names}, {received_hash(header, activation)} AS received_hash, _bad, {row} AS _row FROM ({marked})"


def bad_cells(activation: Activation) -> str:
    """Return a VALUES list of (position, column, reason) for every column that can be unreadable."""
    rows = [
        f"('{i}', {literal(c.name)}, {literal(reason(c.type))})"
        for i, c in enumerate(columns(activation))
        if c.type is not AttributeType.TEXT
    ]
    return ", ".join(rows or ["('', '', '')"])


def content_hash(activation: Activation) -> str:
    """Return the 64-bit hash expression over all data columns."""
    return f"hash({', '.join(identifier(c.name) for c in columns(activation))})"


def next_rows_sql(
    received: str, previous: str, activation: Activation, as_of: datetime, observed_at: datetime | None
) -> str:
    """Return the SELECT of the rows to land of the ``received`` query: hash and times added.

    ``changed_at`` is carried over from ``previous`` while the hash is equal. ``observed_at`` None: as the snapshot.
    """
    seen = "CAST(NULL AS TIMESTAMP)" if observed_at is None else timestamp(observed_at)
    return (
        f"WITH received AS ({received}), "
        f"hashed AS (SELECT *, {content_hash(activation)} AS content_hash FROM received) "
        f"SELECT n.* EXCLUDE (received_hash, _bad, _row), "
        f"CASE WHEN p.content_hash = n.content_hash THEN p.changed_at ELSE {timestamp(as_of)} END AS changed_at, "
        f"{seen} AS observed_at, n.received_hash, nullif(n._bad, '') AS _bad, n._row, "
        f"p.content_hash IS DISTINCT FROM n.content_hash AS _changed "
        f"FROM hashed AS n LEFT JOIN {previous} AS p ON p.cio_id = n.cio_id"
    )


def csv_rows(path: Path, width: int, *, note_rejects: bool = True) -> str:
    """Return the table function call; columns are named by position, since names may differ by case alone.

    Lines that are not well-formed are left out and, with ``note_rejects``, listed in ``REJECTS``.
    """
    names = ", ".join(f"'_{index}': 'VARCHAR'" for index in range(width))
    compression = "gzip" if is_packed(path) else "none"
    rejects = (
        f"store_rejects = true, rejects_table = '{REJECTS}', rejects_scan = '{REJECTS}_scan', rejects_limit = 0"
        if note_rejects
        else "ignore_errors = true"
    )
    return (
        f"read_csv({literal(str(path))}, auto_detect = false, header = true, columns = {{{names}}}, "
        f"delim = ',', quote = '\"', escape = '\"', strict_mode = true, null_padding = false, "
        f"compression = '{compression}', max_line_size = 16777216, {rejects})"
    )


def is_packed(path: Path) -> bool:
    """Return whether a file is a gzip archive, whose own checksum tells whether it is whole."""
    with path.open("rb") as raw:
        return raw.read(2) == _GZIP
