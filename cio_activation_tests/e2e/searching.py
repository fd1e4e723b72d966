"""Looks through everything a home holds: files as they are, unpacked, and what Dagster keeps packed in its databases."""

from __future__ import annotations

import gzip
import sqlite3
import zlib
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path

import duckdb


def files_with(home: Path, words: Collection[str]) -> dict[str, list[str]]:
    """Return each file below ``home`` -> which of ``words`` it holds, whatever their case."""
    wanted = {word: word.lower().encode() for word in words}
    found: dict[str, list[str]] = {}
    for path in sorted(p for p in home.rglob("*") if p.is_file()):
        content = b"\n".join(_contents(path)).lower()
        if hits := [word for word, lowered in wanted.items() if lowered in content]:
            found[path.relative_to(home).as_posix()] = sorted(hits)
    return found


def _contents(path: Path) -> Iterator[bytes]:
    content = path.read_bytes()
    yield content
    if content[:2] == b"\x1f\x8b":
        yield gzip.decompress(content)
    if path.suffix == ".parquet":
        yield str(duckdb.sql(f"FROM read_parquet('{path}')").fetchall()).encode()
    if content.startswith(b"SQLite format 3"):
        yield from _cells(path)


def _cells(path: Path) -> Iterator[bytes]:
    """Give every value of an SQLite file: a page may end in the midst of one; Dagster packs what is long."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as con:
        tables = [name for (name,) in con.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in con.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    if isinstance(value, str):
                        yield value.encode()
                    elif isinstance(value, bytes):
                        yield value
                        if value[:1] == b"\x78":
                            yield zlib.decompress(value)
