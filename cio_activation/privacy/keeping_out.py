"""Takes people who were forgotten out of what Customer.io still sends: their profile lives on there.

The tables leave them out as they land (``warehouse.tombstones``). The files they land from are cleaned here, once each.
"""

from __future__ import annotations

from pathlib import Path

from cio_activation.customerio.files import part_of, settle
from cio_activation.privacy import files
from cio_activation.runtime import Runtime
from cio_activation.warehouse import tombstones
from cio_activation.warehouse.sessions import Connection, SqlError
from cio_activation.warehouse.sql import literal
from cio_activation.warehouse.tables import FILES

_MARK = "cleaned"
"""File beside the raw ones: whatever is older than it was looked through."""


def clean(runtime: Runtime) -> int:
    """Take forgotten people out of the raw files that came since the last call; return how many were written anew."""
    with runtime.warehouse.read() as con:
        if not tombstones.any_made(con):
            return 0
        newest = con.execute(f"SELECT path FROM {FILES}").fetchall()
    mark = runtime.settings.raw_dir / _MARK
    since = mark.stat().st_mtime if mark.is_file() else 0.0
    home, rewritten, begun = runtime.settings.activation_home, 0, part_of(mark)
    begun.parent.mkdir(parents=True, exist_ok=True)
    begun.touch()  # its time is from before the look: what comes meanwhile is looked at again
    for (relative,) in newest:
        path = home / str(relative)
        if not path.is_file() or path.stat().st_mtime < since:
            continue
        with runtime.warehouse.read() as con:
            people = _forgotten_in(con, path)
        if people and (fewer := files.take_out(path, people, people)):
            with runtime.warehouse.write() as con:
                files.keep_books(con, home, path, fewer)
            rewritten += 1
    settle(begun, mark)
    return rewritten


def _forgotten_in(con: Connection, path: Path) -> list[str]:
    """Return the ``cio_id`` of those in a raw file who were forgotten; of one that cannot be read nobody is known."""
    read = f"read_json_auto({literal(str(path))})" if path.suffix == ".jsonl" else (
        f"read_csv({literal(str(path))}, all_varchar = true, header = true, ignore_errors = true)"
    )  # fmt: skip
    try:
        rows = con.execute(
            f"SELECT DISTINCT cio_id FROM {read} WHERE {tombstones.is_forgotten(con, 'cio_id')}"
        ).fetchall()
    except SqlError:
        return []
    return [str(cio_id) for (cio_id,) in rows]
