"""A people export as one resumable errand: ask, remember the id, wait, fetch the link, download, retain.

The id is stored before the first poll, so a run that dies is resumed by the next one instead of asking again:
Customer.io has no idempotency key, and every request makes another export.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cio_activation.activation.windows import Window
from cio_activation.customerio import files
from cio_activation.customerio.answers import Export
from cio_activation.customerio.client import CustomerIO, LinkExpired
from cio_activation.customerio.files import RawFile
from cio_activation.customerio.people_table import sources
from cio_activation.errors import ContractError
from cio_activation.runtime import Runtime
from cio_activation.transport.errors import Rejected
from cio_activation.warehouse.tables import EXPORTS

KIND = "people"
FILE = "people.csv"
_LINKS = 3
"""Signed links asked for before giving up on a file."""


@dataclass(frozen=True)
class Poll:
    """How an export is waited for: a widening interval in seconds, and a limit."""

    first_s: float = 0.2
    factor: float = 1.5
    widest_s: float = 30.0
    limit: timedelta = timedelta(hours=6)


async def fetch(
    runtime: Runtime, client: CustomerIO, window: Window, poll: Poll, clock: Callable[[], datetime], *, refresh: bool
) -> tuple[RawFile, int]:
    """Return the window's people file, newly downloaded and retained, and the id of the export it came from."""
    export_id, requested_at = await _reserve(runtime, client, window, clock, refresh=refresh)
    try:
        done = await _wait(client, export_id, poll)
    except _Unusable as problem:
        _set_status(runtime, window, export_id, "failed")
        raise ContractError(
            f"export {export_id} of window {window.key} {problem}; see Data & Integrations > Exports in Customer.io, "
            "then run again: the next run asks for a new export"
        ) from None
    folder = runtime.raw_folder(window.lane.value, window.key)
    final = folder / FILE
    part = files.part_of(final)
    sha256 = await _download(client, export_id, part)
    files.settle(part, final)
    file = RawFile(KIND, final, sha256, done.total, requested_at)
    with runtime.warehouse.write() as con:
        files.retain(con, runtime.settings.activation_home, window, file)
        con.execute(
            f"UPDATE {EXPORTS} SET status = 'done' WHERE window_key = ? AND export_id = ?", [window.key, export_id]
        )
    return file, export_id


def give_up(runtime: Runtime, window: Window, file: RawFile, reason: str) -> None:
    """Set a file that cannot be believed aside (as ``.refused``), so that who asks next asks for a new export."""
    with runtime.warehouse.write() as con:
        files.set_aside(con, runtime.settings.activation_home, window, file, reason)
        con.execute(f"UPDATE {EXPORTS} SET status = 'failed' WHERE window_key = ?", [window.key])


class _Unusable(Exception):
    """An export that will not give a file; says why."""


async def _reserve(
    runtime: Runtime, client: CustomerIO, window: Window, clock: Callable[[], datetime], *, refresh: bool
) -> tuple[int, datetime]:
    """Return the export to wait for and when it was requested: the one an earlier run stored, else a new one."""
    if not refresh:
        with runtime.warehouse.read() as con:
            stored = con.execute(
                f"SELECT export_id, requested_at FROM {EXPORTS} WHERE window_key = ? AND status <> 'failed' "
                "ORDER BY requested_at DESC, export_id DESC LIMIT 1",
                [window.key],
            ).fetchall()
        if stored:
            return int(stored[0][0]), stored[0][1]
    # Before the request: the snapshot cannot be older than this.
    requested_at = clock()
    export = await client.request_export(sources(runtime.activation))
    with runtime.warehouse.write() as con:
        con.execute(f"INSERT INTO {EXPORTS} VALUES (?, ?, ?, 'pending')", [window.key, export.id, requested_at])
    return export.id, requested_at


async def _wait(client: CustomerIO, export_id: int, poll: Poll) -> Export:
    """Poll until the export is done; raises _Unusable if it failed, vanished or takes too long."""
    waited, pause = 0.0, poll.first_s
    while True:
        try:
            export = await client.export(export_id)
        except Rejected as error:
            if error.status == 404:
                raise _Unusable("is no longer known to Customer.io") from None
            raise
        if export.status == "done":
            return export
        if export.status == "failed":
            raise _Unusable("failed in Customer.io")
        if waited >= poll.limit.total_seconds():
            raise _Unusable(f"was not done after {poll.limit}")
        await asyncio.sleep(pause)
        waited += pause
        pause = min(pause * poll.factor, poll.widest_s)


async def _download(client: CustomerIO, export_id: int, part: Path) -> str:
    """Fetch the file through a link asked for only now, and asked for again if it is too late."""
    for attempt in range(1, _LINKS + 1):
        link = await client.download_link(export_id)
        try:
            return await client.download(link, part)
        except LinkExpired:
            if attempt == _LINKS:
                raise
    raise AssertionError("unreachable")


def _set_status(runtime: Runtime, window: Window, export_id: int, status: str) -> None:
    with runtime.warehouse.write() as con:
        con.execute(
            f"UPDATE {EXPORTS} SET status = ? WHERE window_key = ? AND export_id = ?", [status, window.key, export_id]
        )
