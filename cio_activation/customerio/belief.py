"""Whether a people snapshot can be believed: whole, about as large as the last one, and readable but for a few."""

from __future__ import annotations

from cio_activation.activation.models import Activation
from cio_activation.activation.windows import Window
from cio_activation.customerio.files import RawFile, UnusableFile
from cio_activation.customerio.last_good import REFUSED_CELLS, REFUSED_LINES
from cio_activation.customerio.people_table import is_packed
from cio_activation.customerio.snapshot import Snapshot
from cio_activation.customerio.workspace import require_shared
from cio_activation.errors import ContractError
from cio_activation.warehouse import published
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import scalar
from cio_activation.warehouse.tables import PEOPLE


def believe(con: Connection, activation: Activation, window: Window, file: RawFile, snapshot: Snapshot) -> None:
    """Refuse the snapshot if it cannot be believed; ContractError says what to do."""
    _is_whole(file, snapshot)
    now, shared = con.execute(
        f"SELECT count(*), count(p.cio_id) FROM (SELECT DISTINCT cio_id FROM {snapshot.table}) AS n "
        f"LEFT JOIN (SELECT cio_id FROM {PEOPLE}) AS p ON p.cio_id = n.cio_id"
    ).fetchall()[0]
    unchanged, people = snapshot.unchanged, snapshot.unchanged + int(now)
    told = f"the people export of window {window.key}"
    require_shared(snapshot.known, people, unchanged + int(shared), told)
    _is_large_enough(con, activation, window, people)
    _is_readable(con, activation, window, snapshot)


def _is_whole(file: RawFile, staged: Snapshot) -> None:
    seen = staged.rows + staged.malformed
    if seen < file.rows:
        raise UnusableFile(f"{file.path.name} is cut off: {seen:,} rows, but the export has {file.rows:,}")
    if staged.malformed and not is_packed(file.path) and not _ends_with_newline(file):
        raise UnusableFile(f"{file.path.name} ends in the middle of a line")


def _is_large_enough(con: Connection, activation: Activation, window: Window, rows: int) -> None:
    share = activation.limits.guards.min_snapshot_share
    before = published.rows_of(con, PEOPLE, window.lane.value)
    if before and rows < share * before:
        raise ContractError(
            f"the people snapshot of window {window.key} has {rows:,} people, less than {share:.0%} of the "
            f"{before:,} published before; if so many really left, lower limits.guards.min_snapshot_share for one "
            "run, and run it again: the next run asks for a new export"
        )


def _is_readable(con: Connection, activation: Activation, window: Window, staged: Snapshot) -> None:
    """Refuse a snapshot of whose people too many have a cell or a line that cannot be read."""
    guards = activation.limits.guards
    people = f"SELECT count(DISTINCT cio_id) FROM {REFUSED_CELLS}"
    refused = int(str(scalar(con, f"SELECT ({people}) + (SELECT count(*) FROM {REFUSED_LINES})")))
    if refused <= guards.refused_floor or refused <= guards.max_refused_share * (staged.rows + staged.malformed):
        return
    worst = con.execute(
        f'SELECT "column", reason, count(*) AS cells FROM {REFUSED_CELLS} '
        "GROUP BY ALL ORDER BY cells DESC, 1, 2 LIMIT 3"
    ).fetchall()
    named = "; ".join(f"{column}: {reason}, {cells:,} times" for column, reason, cells in worst) or "malformed lines"
    raise ContractError(
        f"in the people snapshot of window {window.key} {refused:,} people have something that cannot be read, more "
        f"than {guards.max_refused_share:.0%} ({named}), so nothing was published; mend the source or the declared "
        "types, or raise limits.guards.max_refused_share, and run it again: the next run asks for a new export"
    )


def _ends_with_newline(file: RawFile) -> bool:
    with file.path.open("rb") as raw:
        raw.seek(-1, 2)
        return raw.read(1) in (b"\n", b"\r")
