"""Who is audited: people with a record, in an order that only the seed decides, as many as are asked for.

An audit that has to end early has read the beginning of that order, which is a sample too.
"""

from __future__ import annotations

from pathlib import Path

from cio_activation.delivery.outreach import OpenAction, Status
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, scalar


def in_order(destination: str, seed: str, sample: int | None = None) -> str:
    """Return a SELECT of ``cio_id, record_id``: ``sample`` people with a record, drawn by ``seed``; all if None."""
    limit = "" if sample is None else f" LIMIT {sample}"
    # Not DuckDB's own hash, which may be another one in its next release.
    return f"""SELECT cio_id, record_id FROM delivery.links
        WHERE destination = {literal(destination)} AND record_id IS NOT NULL
        ORDER BY md5(concat({literal(f"{destination}/{seed}/")}, cio_id)), cio_id{limit}"""


def choose(con: Connection, destination: str, seed: str, sample: int | None, path: Path) -> int:
    """Write who is audited to ``path``; return how many people have a record at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    con.execute(f"COPY ({in_order(destination, seed, sample)}) TO {literal(str(path))} (FORMAT parquet)")
    everybody = "SELECT count(*) FROM delivery.links WHERE destination = ? AND record_id IS NOT NULL"
    return int(str(scalar(con, everybody, [destination])))


def open_actions(con: Connection, destination: str, path: Path) -> dict[str, list[OpenAction]]:
    """Return the open actions of those who are audited, by ``cio_id``."""
    rows = con.execute(
        f"""SELECT cio_id, kind, record_id, entry_id, about, owner_id, due_at, shown, status FROM delivery.actions
        WHERE destination = ? AND ended_at IS NULL
          AND cio_id IN (SELECT cio_id FROM read_parquet({literal(str(path))})) ORDER BY kind, record_id""",
        [destination],
    ).fetchall()
    found: dict[str, list[OpenAction]] = {}
    for cio_id, kind, record_id, entry_id, about, owner_id, due_at, shown, status in rows:
        one = OpenAction(kind, record_id, entry_id, about, owner_id, due_at, shown, Status(status))
        found.setdefault(str(cio_id), []).append(one)
    return found
