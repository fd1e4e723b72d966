"""Landing people: one raw CSV becomes ``raw.people`` in one transaction, or nothing changes.

Stage -> quarantine -> check -> publish. A bad cell is quarantined and NULL, its person stays; a line that is not
CSV, a row without ``cio_id``, a second row of the same ``cio_id`` and a row that breaks the schema are quarantined
and left out. A file that is shorter than the export said, or that lost too many people, publishes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cio_activation.activation.windows import Window
from cio_activation.customerio import files
from cio_activation.customerio.client import CustomerIO
from cio_activation.customerio.exports import KIND, Poll, fetch, give_up
from cio_activation.customerio.files import RawFile
from cio_activation.customerio.landing import (
    LAYER,
    Staged,
    create_view,
    ensure_tables,
    outdate_live,
    refuse_bad_rows,
    refuse_breaches,
    stage,
)
from cio_activation.errors import ContractError
from cio_activation.runtime import Runtime
from cio_activation.transport.http import Pacer
from cio_activation.warehouse import change_log, published, quarantine
from cio_activation.warehouse.sessions import YIELD_S, Connection
from cio_activation.warehouse.sql import scalar
from cio_activation.warehouse.tables import PEOPLE, PEOPLE_CURRENT

NEXT = "raw.people_next"


@dataclass(frozen=True)
class PeoplePull:
    """What one daily window's people snapshot came to."""

    window_key: str
    rows: int
    """People published (people the file holds, if superseded)."""
    changed: int = 0
    """People who are new or whose content differs from the last snapshot."""
    departed: int = 0
    """People of the last snapshot who are no longer there: deleted or merged away in Customer.io."""
    quarantined: dict[str, int] = field(default_factory=dict)
    validated: int = 0
    sha256: str = ""
    export_id: int | None = None
    reused: bool = False
    """The window's raw file was landed again; nothing was asked of Customer.io."""
    superseded: bool = False
    """A newer window is published already, so this one changed nothing."""
    calls: int = 0


def utc_now() -> datetime:
    """Return this machine's present time, naive UTC: stamps observations, decides nothing."""
    return datetime.now(UTC).replace(tzinfo=None)


def pull_people(
    runtime: Runtime,
    window: Window,
    pacer: Pacer | None = None,
    refresh: bool = False,
    poll: Poll | None = None,
    run_id: str = "",
    clock: Callable[[], datetime] = utc_now,
) -> PeoplePull:
    """Export everyone's attributes from Customer.io and publish them as ``raw.people``.

    A window that has its file lands it again, unless ``refresh`` asks for a new snapshot. A window older than the
    newest published one publishes nothing, and cannot be exported: an export shows the present.
    """
    home = runtime.settings.activation_home
    with runtime.warehouse.read() as con:
        old = published.superseded(con, PEOPLE, window)
        file = files.retained(con, home, window, KIND)
    if old:
        if file is None or refresh:
            raise ContractError(
                f"window {window.key} is older than the last published one and has no raw people file: an export "
                "shows today's state, so a past window cannot be exported; materialize the newest window instead"
            )
        return PeoplePull(window.key, file.rows, sha256=file.sha256, reused=True, superseded=True)

    if file is not None and not refresh:
        return land(runtime, window, file, run_id=run_id, reused=True)

    async def ask() -> tuple[RawFile, int, int]:
        async with CustomerIO(runtime.settings, pacer) as client:
            fetched, export_id = await fetch(runtime, client, window, poll or Poll(), clock, refresh=refresh)
            return fetched, export_id, client.calls.total

    file, export_id, calls = asyncio.run(ask())
    return land(runtime, window, file, run_id=run_id, export_id=export_id, calls=calls)


def land(
    runtime: Runtime,
    window: Window,
    file: RawFile,
    *,
    run_id: str = "",
    reused: bool = False,
    export_id: int | None = None,
    calls: int = 0,
) -> PeoplePull:
    """Publish one raw people file, all or nothing; a file that cannot be believed is put aside."""
    try:
        with runtime.warehouse.write(yield_s=YIELD_S) as con:
            quarantine.clear(con, LAYER, window)
            ensure_tables(con, runtime.activation)
            staged = stage(con, runtime.activation, window, NEXT, PEOPLE, file.path, file.observed_at)
            refuse_bad_rows(con, runtime.activation, window, NEXT)
            validated = refuse_breaches(con, runtime.activation, window, NEXT)
            _believe(con, runtime, window, file, staged)
            rows, changed, departed = _swap(con)
            outdate_live(con, file.observed_at)
            create_view(con, runtime.activation)
            change_log.note(con, PEOPLE_CURRENT, None)
            published.publish(con, PEOPLE, window, rows, run_id)
            counts = quarantine.counts(con, LAYER, window)
    except ContractError:
        give_up(runtime, window, file)
        raise
    return PeoplePull(
        window.key,
        rows,
        changed,
        departed,
        counts,
        validated,
        file.sha256,
        export_id,
        reused=reused,
        calls=calls,
    )


def _believe(con: Connection, runtime: Runtime, window: Window, file: RawFile, staged: Staged) -> None:
    """Refuse a snapshot that is cut off or implausibly small; ContractError says what to do."""
    seen = staged.rows + staged.malformed
    if seen < file.rows:
        raise ContractError(
            f"the people file of window {window.key} is cut off: {seen:,} rows, but the export has {file.rows:,}; "
            "run it again: the next run asks for a new export"
        )
    if staged.malformed and not _ends_with_newline(file):
        raise ContractError(
            f"the people file of window {window.key} ends in the middle of a line; "
            "run it again: the next run asks for a new export"
        )
    share = runtime.activation.limits.guards.min_snapshot_share
    before = published.rows_of(con, PEOPLE, window.lane.value)
    rows = int(str(scalar(con, f"SELECT count(*) FROM {NEXT}")))
    if before and rows < share * before:
        raise ContractError(
            f"the people snapshot of window {window.key} has {rows:,} people, less than {share:.0%} of the "
            f"{before:,} published before; if so many really left, lower limits.guards.min_snapshot_share for one "
            "run, and run it again: the next run asks for a new export"
        )


def _ends_with_newline(file: RawFile) -> bool:
    with file.path.open("rb") as raw:
        raw.seek(-1, 2)
        return raw.read(1) in (b"\n", b"\r")


def _swap(con: Connection) -> tuple[int, int, int]:
    """Make the staged table ``raw.people``; return people, how many changed, how many departed."""
    rows, changed = con.execute(f"SELECT count(*), count(*) FILTER (_changed) FROM {NEXT}").fetchall()[0]
    departed = scalar(
        con, f"SELECT count(*) FROM {PEOPLE} AS p WHERE NOT EXISTS (FROM {NEXT} AS n WHERE n.cio_id = p.cio_id)"
    )
    for column in ("_bad", "_row", "_changed"):
        con.execute(f"ALTER TABLE {NEXT} DROP COLUMN {column}")
    con.execute(f"DROP TABLE {PEOPLE}")
    con.execute(f"ALTER TABLE {NEXT} RENAME TO people")
    return int(rows), int(changed), int(str(departed))
