"""Landing people: one raw CSV becomes ``raw.people`` in one transaction, or nothing changes.

Compare -> type who differs -> quarantine -> check -> fill in -> publish; see ``snapshot``. What is refused says nothing
about its person: a bad cell is quarantined and keeps its last good value, and a line that is not CSV or a row without
``cio_id`` leaves the row that was there; see ``last_good``. A second row of the same ``cio_id`` is quarantined and left
out. A file that is shorter than the export said, damaged or no CSV is set aside, and another is asked for. One that
lost too many people or cannot be read in too many places is set aside too; there the source has to be mended first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from cio_activation.activation.windows import Window
from cio_activation.customerio import files, snapshot
from cio_activation.customerio.belief import believe
from cio_activation.customerio.client import CustomerIO
from cio_activation.customerio.exports import KIND, Poll, fetch, give_up
from cio_activation.customerio.files import RawFile, UnusableFile
from cio_activation.customerio.landing import (
    LAYER,
    create_view,
    ensure_tables,
    outdate_live,
    refuse_bad_rows,
    refuse_breaches,
)
from cio_activation.customerio.last_good import fill, retain_rows
from cio_activation.errors import ContractError
from cio_activation.runtime import Runtime
from cio_activation.transport import event_loop
from cio_activation.transport.http import Pacer
from cio_activation.transport.progress import working
from cio_activation.warehouse import change_log, published, quarantine, stale
from cio_activation.warehouse.sessions import YIELD_S, Connection
from cio_activation.warehouse.sql import timestamp
from cio_activation.warehouse.tables import FILES_SET_ASIDE, PEOPLE, PEOPLE_CURRENT, PEOPLE_GONE, PEOPLE_LIVE

FILES_PER_RUN = 3
"""Files that one run tries: the first, and two more if those cannot be used."""


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
    retained_rows: int = 0
    """Absent people whose last good row stands, because a line that cannot be read may be theirs."""
    stale_values: int = 0
    """Values that are older than the snapshot, because what it has instead cannot be read."""
    stale_overdue: int = 0
    """Those of them that have been so for longer than ``workspace.last_good_for``."""
    quarantined: dict[str, int] = field(default_factory=dict)
    set_aside: tuple[str, ...] = ()
    """Why files that came before this one could not be used; they are listed in ``raw.files_set_aside``."""
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
    newest published one publishes nothing and asks for nothing: an export shows the present. A file that cannot be
    used is set aside, and another one asked for: FILES_PER_RUN in all.
    """
    home = runtime.settings.activation_home
    with runtime.warehouse.read() as con:
        old = published.superseded(con, PEOPLE, window)
        file = files.retained(con, home, window, KIND)
    if old:
        rows, sha256 = (file.rows, file.sha256) if file is not None else (0, "")
        return PeoplePull(window.key, rows, sha256=sha256, reused=file is not None, superseded=True)

    async def ask(refresh: bool) -> tuple[RawFile, int, int]:
        async with CustomerIO(runtime.settings, pacer) as client:
            fetched, export_id = await fetch(runtime, client, window, poll or Poll(), clock, refresh=refresh)
            return fetched, export_id, client.calls.total

    calls, export_id, aside = 0, None, list[str]()
    while True:
        reused = file is not None and not refresh
        if file is None or refresh:
            file, export_id, made = event_loop.run(ask(refresh))
            calls += made
        try:
            landed = land(runtime, window, file, run_id=run_id, reused=reused, export_id=export_id, calls=calls)
            return replace(landed, set_aside=tuple(aside))
        except UnusableFile as problem:
            aside.append(str(problem))
            if len(aside) == FILES_PER_RUN:
                raise UnusableFile(_none_usable(window, aside)) from None
        file, refresh = None, False


def land(
    runtime: Runtime,
    window: Window,
    file: RawFile,
    *,
    run_id: str = "",
    reused: bool = False,
    export_id: int | None = None,
    calls: int = 0,
    whole: bool = False,
) -> PeoplePull:
    """Publish one raw people file, all or nothing; a file that cannot be believed is set aside.

    ``whole``: everybody is landed anew, also whose cells are as they were.
    """
    activation = runtime.activation
    try:
        with working(f"landing {file.rows:,} people"), runtime.warehouse.write(yield_s=YIELD_S) as con:
            quarantine.clear(con, LAYER, window)
            ensure_tables(con, activation)
            read = snapshot.read(con, activation, window, file.path, whole=whole)
            refuse_bad_rows(con, activation, window, read.table, file.path, snapshot.ABSENT)
            validated = refuse_breaches(con, activation, window, read.table)
            believe(con, activation, window, file, read)
            fill(con, activation, window, read.table, PEOPLE, file.observed_at)
            retained = retain_rows(con, activation, window, read.table, file.observed_at, read.unchanged_people())
            people = snapshot.publish(con, window, read, file.observed_at)
            stale.replace(con, PEOPLE)
            _note(con, read, file.observed_at)
            outdate_live(con, file.observed_at)
            old = stale.count(con, [PEOPLE], window.as_of, activation.workspace.last_good_for)
            create_view(con, activation)
            published.publish(con, PEOPLE, window, people.rows, run_id)
            counts = quarantine.counts(con, LAYER, window)
    except ContractError as problem:
        give_up(runtime, window, file, str(problem))
        raise
    return PeoplePull(
        window.key,
        people.rows,
        people.changed,
        people.departed,
        retained,
        old.cells,
        old.overdue,
        counts,
        validated=validated,
        sha256=file.sha256,
        export_id=export_id,
        reused=reused,
        calls=calls,
    )


def _none_usable(window: Window, reasons: list[str]) -> str:
    told = "; ".join(dict.fromkeys(reasons))
    return (
        f"none of {len(reasons)} people files of window {window.key} could be used ({told}); nothing was published and "
        f"nobody leaves by it. The files are listed in {FILES_SET_ASIDE}; see Data & Integrations > Exports in "
        "Customer.io, then run again: the next run asks for a new export"
    )


def _note(con: Connection, read: snapshot.Snapshot, observed_at: datetime) -> None:
    """Note in the change log of whom something else is known now; where cells are read another way, of everybody."""
    changed = None if read.is_new else f"SELECT cio_id FROM {snapshot.CHANGED}"
    change_log.note(con, PEOPLE, changed)
    outdated = " ".join(
        f"UNION SELECT cio_id FROM {table} WHERE observed_at <= {timestamp(observed_at)}"
        for table in (PEOPLE_LIVE, PEOPLE_GONE)
    )
    change_log.note(con, PEOPLE_CURRENT, None if changed is None else f"{changed} {outdated}")
