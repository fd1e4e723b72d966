"""Writes a DuckDB file anew, so that nothing deleted stays in pages that are free.

DuckDB gives no deleted byte back by itself: it reuses the page some day.
"""

from __future__ import annotations

import os
from pathlib import Path

import duckdb

from cio_activation.warehouse.bounds import SpillFolder
from cio_activation.warehouse.instance import Config


def rewrite(path: Path, config: Config) -> None:
    """Write the database at ``path`` anew and put it in the place of the old one, which nobody may have open.

    Whoever dies on the way leaves the old file whole, and a ``.new`` one that the next call overwrites.
    """
    fresh = path.with_name(f"{path.name}.new")
    for left in (fresh, fresh.with_name(f"{fresh.name}.wal")):
        left.unlink(missing_ok=True)
    spill = SpillFolder(path)
    with duckdb.connect(":memory:", config=config | {"temp_directory": str(spill.path)}) as con:
        con.execute(f"ATTACH {_quoted(path)} AS old")
        con.execute("CHECKPOINT old")  # what its log holds goes into the file, and the log away
        con.execute(f"ATTACH {_quoted(fresh)} AS fresh")
        con.execute("COPY FROM DATABASE old TO fresh")
        con.execute("CHECKPOINT fresh")
        con.execute("DETACH fresh")
        con.execute("DETACH old")
    spill.remove()
    with fresh.open("rb") as written:
        os.fsync(written.fileno())
    os.replace(fresh, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _quoted(path: Path) -> str:
    place = str(path).replace("'", "''")
    return f"'{place}'"
