"""Takes people out of files: raw ones as the vendor sent them, plans, and what stands beside them.

A file that names nobody of them is not touched; any other is written anew beside itself and put in its own place.
Everything about nobody else stays byte for byte, where the format has lines.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from cio_activation.customerio.files import part_of, settle, sha256_of
from cio_activation.customerio.people_table import is_packed
from cio_activation.warehouse.sessions import Connection, scratch
from cio_activation.warehouse.sql import identifier, literal, scalar
from cio_activation.warehouse.tables import FILES

_WORD = re.compile(rb"""[^\s",;:{}\[\]\\]+""")
"""What stands between the marks of CSV and JSON: an id, an address or a number is one such word."""
_EMPTY = {"payload": "'{}'", "keys": "'{}'"}
"""Columns of a plan that are never NULL."""


def all_of(*folders: Path) -> Iterator[Path]:
    """Yield every file below ``folders``; one half-written by somebody who died is one, too."""
    for folder in folders:
        yield from sorted(path for path in folder.rglob("*") if path.is_file())


def take_out(path: Path, people: Collection[str], identifiers: Collection[str]) -> int:
    """Take out of the file at ``path`` whatever is about ``people``; return how many rows or lines that were."""
    if path.suffix == ".parquet":
        return _of_parquet(path, people, identifiers)
    return _of_lines(path, frozenset(value.lower().encode() for value in identifiers))


def keep_books(con: Connection, home: Path, path: Path, fewer: int) -> None:
    """Have the books of raw files know what ``path`` is now: it has ``fewer`` rows."""
    con.execute(
        f"UPDATE {FILES} SET sha256 = ?, rows = rows - ? WHERE path = ?",
        [sha256_of(path), fewer, path.relative_to(home).as_posix()],
    )


def _of_parquet(path: Path, people: Collection[str], identifiers: Collection[str]) -> int:
    """Delete the rows of ``people``; in others' rows, empty the text that names one, as what a record held before."""
    rows = f"read_parquet({literal(str(path))}, file_row_number = true)"
    with scratch() as con:
        con.execute("CREATE TEMP TABLE people AS SELECT unnest(?::VARCHAR[]) AS cio_id", [sorted(people)])
        con.execute(
            "CREATE TEMP TABLE names AS SELECT unnest(?::VARCHAR[]) AS word",
            [sorted({value.lower() for value in identifiers})],
        )
        described = con.execute(f"DESCRIBE FROM {rows}").fetchall()
        texts = [str(name) for name, kind, *_ in described if kind == "VARCHAR" and name != "cio_id"]
        con.execute("CREATE TEMP TABLE named (line BIGINT, name VARCHAR)")
        for name in texts:
            con.execute(f"INSERT INTO named {_worded_sql(rows, name)}")
        theirs = "coalesce(cio_id IN (SELECT cio_id FROM people), FALSE)"
        touched = f"FROM {rows} WHERE {theirs} OR file_row_number IN (SELECT line FROM named)"
        count = int(str(scalar(con, f"SELECT count(*) {touched}")))
        if not count:
            return 0
        found = {str(name) for (name,) in con.execute("SELECT DISTINCT name FROM named").fetchall()}
        emptied = ", ".join(
            f"CASE WHEN file_row_number IN (SELECT line FROM named WHERE name = {literal(name)}) "
            f"THEN {_EMPTY.get(name, 'NULL')} ELSE {identifier(name)} END AS {identifier(name)}"
            for name in texts
            if name in found
        )
        replaced = f" REPLACE ({emptied})" if emptied else ""
        part = part_of(path)
        con.execute(
            f"COPY (SELECT * EXCLUDE (file_row_number){replaced} FROM {rows} WHERE NOT {theirs} "
            f"ORDER BY file_row_number) TO {literal(str(part))} (FORMAT parquet, COMPRESSION zstd)"
        )
    _sync(part)
    settle(part, path)
    return count


def _worded_sql(rows: str, name: str) -> str:
    """Return the rows (``line``) of which the text ``name`` has one of ``names`` as a word."""
    words = f"regexp_extract_all(lower({identifier(name)}), {literal(_WORD.pattern.decode())})"
    return f"""SELECT DISTINCT line, {literal(name)}
        FROM (SELECT file_row_number AS line, unnest({words}) AS word FROM {rows}) SEMI JOIN names USING (word)"""


def _of_lines(path: Path, names: frozenset[bytes]) -> int:
    packed = is_packed(path)
    with _opened(path, packed) as lines:
        found = sum(_names_one(record, names) for record in _records(lines))
    if not found:
        return 0
    part = part_of(path)
    with _opened(path, packed) as lines, _written(part, packed) as out:
        for record in _records(lines):
            if not _names_one(record, names):
                out.write(record)
    _sync(part)
    shutil.copymode(path, part)
    settle(part, path)
    return found


def _records(lines: BinaryIO) -> Iterator[bytes]:
    """Yield lines; those that belong together because a quote is open in CSV, as one."""
    waiting: list[bytes] = []
    open_quote = False
    for line in lines:
        waiting.append(line)
        open_quote ^= line.count(b'"') % 2 == 1
        if not open_quote or len(waiting) > 1_000:  # a quote that nobody closes is no reason to take all in
            yield b"".join(waiting)
            waiting, open_quote = [], False
    if waiting:
        yield b"".join(waiting)


def _names_one(record: bytes, names: frozenset[bytes]) -> bool:
    return not names.isdisjoint(_WORD.findall(record.lower()))


def _opened(path: Path, packed: bool) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path, "rb")) if packed else path.open("rb")


def _written(path: Path, packed: bool) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path, "wb")) if packed else path.open("wb")


def _sync(path: Path) -> None:
    with path.open("rb") as written:
        os.fsync(written.fileno())
