"""Raw files: what a vendor sent, as it came, with its SHA-256. Landing is repeated from them, not from the API."""

from __future__ import annotations

import hashlib
import os
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cio_activation.activation.windows import Window
from cio_activation.errors import ContractError
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.tables import FILES, FILES_SET_ASIDE


class UnusableFile(ContractError):
    """A raw file that is not what it should be: cut off, damaged, no CSV. Another one may well be."""


@dataclass(frozen=True)
class RawFile:
    """One raw file of one window, known to be whole. ``rows`` is what the vendor said it holds."""

    kind: str
    path: Path
    sha256: str
    rows: int
    observed_at: datetime
    """Naive UTC, by this machine's clock, when the vendor was asked for the snapshot."""


def retained(con: Connection, home: Path, window: Window, kind: str) -> RawFile | None:
    """Return the window's raw file of this kind; None if there is none, or if it is not what was retained."""
    rows = con.execute(
        f"SELECT path, sha256, rows, observed_at FROM {FILES} WHERE lane = ? AND window_key = ? AND kind = ?",
        [window.lane.value, window.key, kind],
    ).fetchall()
    if not rows:
        return None
    relative, sha256, count, observed_at = rows[0]
    path = home / relative
    if not path.is_file() or sha256_of(path) != sha256:
        return None
    return RawFile(kind, path, sha256, int(count), observed_at)


def segment_kind(segment: int) -> str:
    """Return the kind of a segment's members."""
    return f"segment:{segment}"


def observed_at(con: Connection, window: Window, kind: str) -> datetime | None:
    """Return when the window's raw file of this kind was observed; None without one. Does not look at the file."""
    query = f"SELECT max(observed_at) FROM {FILES} WHERE lane = ? AND window_key = ? AND kind = ?"
    found = con.execute(query, [window.lane.value, window.key, kind]).fetchall()[0][0]
    return found if isinstance(found, datetime) else None


def retain(con: Connection, home: Path, window: Window, file: RawFile) -> None:
    """Enter ``file`` as the window's one raw file of its kind."""
    forget(con, window, file.kind)
    con.execute(
        f"INSERT INTO {FILES} VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            window.lane.value,
            window.key,
            file.kind,
            file.path.relative_to(home).as_posix(),
            file.sha256,
            file.rows,
            file.observed_at,
        ],
    )


def forget(con: Connection, window: Window, kind: str) -> None:
    """Take the window's raw file of this kind out of the books."""
    con.execute(
        f"DELETE FROM {FILES} WHERE lane = ? AND window_key = ? AND kind = ?", [window.lane.value, window.key, kind]
    )


def set_aside(con: Connection, home: Path, window: Window, file: RawFile, reason: str) -> Path:
    """Take a file that cannot be used out of the books and list it with its reason; return where it is kept.

    It is renamed first: whoever dies in between finds no file, and asks for one. Its name has its content's hash, so
    that none overwrites another.
    """
    aside = file.path.with_name(f"{file.path.stem}-{file.sha256[:8]}{file.path.suffix}.refused")
    if file.path.exists():
        os.replace(file.path, aside)
    forget(con, window, file.kind)
    relative = aside.relative_to(home).as_posix()
    con.execute(f"DELETE FROM {FILES_SET_ASIDE} WHERE path = ?", [relative])
    con.execute(
        f"INSERT INTO {FILES_SET_ASIDE} VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            window.lane.value,
            window.key,
            file.kind,
            relative,
            file.sha256,
            reason,
            datetime.now(UTC).replace(tzinfo=None),
        ],
    )
    return aside


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def part_of(final: Path) -> Path:
    """Return a name beside ``final`` to write to until the file is whole; two runs at once never share one."""
    return final.with_name(f"{final.name}.{uuid.uuid4().hex[:12]}.part")


def settle(part: Path, final: Path) -> None:
    """Give a written and synced ``part`` its final name, in a way that survives a crash."""
    os.replace(part, final)
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
