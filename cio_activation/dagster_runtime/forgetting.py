"""Takes people out of what Dagster keeps of its runs: their events, and what they printed.

Nothing of ours writes a person there, so this finds somebody only where a vendor's or a library's own words did. Looks
through the files of a Dagster that keeps them in SQLite; a PostgreSQL is not searched.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import dagster as dg

from cio_activation.dagster_runtime.storage import HOME
from cio_activation.privacy import files

_DATABASES = (".db", ".db-wal", ".db-shm")


def clean(home: Path, names: Sequence[str]) -> int:
    """Take whoever bears one of ``names`` out of Dagster's files, those in ``home``/dagster if none are configured.

    Lines that were printed go one by one; a run whose events name somebody goes as a whole, by Dagster's own API.
    Returns how many files and runs that were.
    """
    folder = Path(os.environ.get(HOME, "").strip() or home / "dagster").expanduser()
    if not names or not folder.is_dir():
        return 0
    wanted = [name.encode() for name in names]
    cleaned, runs, databases = 0, set[str](), set[Path]()
    for path in files.all_of(folder):
        if path.suffix not in _DATABASES:
            cleaned += bool(files.take_out(path, (), names))
        elif _holds(path, wanted):
            databases.add(path.with_suffix(".db"))
            if path.parent.name == "runs" and path.stem != "index":
                runs.add(path.stem)
    if runs:
        with dg.DagsterInstance.from_config(str(folder)) as instance:
            for run in sorted(runs):
                instance.delete_run(run)
    for path in sorted(databases):
        if path.is_file():
            with closing(sqlite3.connect(path)) as con:
                con.execute("VACUUM")
                con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return cleaned + len(runs)


def _holds(path: Path, names: Sequence[bytes]) -> bool:
    content = path.read_bytes()
    return any(name in content for name in names)
