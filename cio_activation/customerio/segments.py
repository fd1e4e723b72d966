"""Segment memberships of one lane: compare the snapshot just read with the last one, publish who is in and since when.

Customer.io's membership has no join time and no history, so entry and exit are the difference of two snapshots.
A segment that is still building, or whose member count does not agree, retains its last good snapshot and is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cio_activation.activation.models import Lane
from cio_activation.activation.windows import Window
from cio_activation.customerio import files, segment_changes
from cio_activation.customerio.client import CustomerIO
from cio_activation.customerio.files import RawFile
from cio_activation.customerio.members import Reading, members_sql, read_segments
from cio_activation.customerio.people import utc_now
from cio_activation.runtime import Runtime
from cio_activation.transport import event_loop
from cio_activation.transport.http import Pacer
from cio_activation.warehouse import change_log, published, quarantine, tombstones
from cio_activation.warehouse.sessions import YIELD_S, Connection
from cio_activation.warehouse.sql import scalar
from cio_activation.warehouse.tables import MEMBERSHIP_CHANGES, MEMBERSHIPS, SEGMENTS, SEGMENTS_UNEXPLAINED

LAYER = "memberships"


@dataclass(frozen=True)
class SegmentSnapshot:
    """One segment after a pull. ``retained`` says why the last good snapshot stands; None if this is a new one."""

    segment: int
    name: str
    members: int
    entered: int = 0
    left: int = 0
    retained: str | None = None


@dataclass(frozen=True)
class SegmentsPull:
    """What one window's segments came to. ``rows`` counts memberships over all segments of the lane."""

    window_key: str
    rows: int = 0
    entered: int = 0
    left: int = 0
    segments: tuple[SegmentSnapshot, ...] = ()
    retained: dict[str, str] = field(default_factory=dict)
    """Segment -> why its last good snapshot was retained."""
    quarantined: dict[str, int] = field(default_factory=dict)
    set_aside: tuple[str, ...] = ()
    """Why answers could not be used; they are listed in ``raw.files_set_aside``."""
    reused: bool = False
    superseded: bool = False
    calls: int = 0
    segment_changes: tuple[str, ...] = ()
    """What changed about segments beside ordinary coming and going, as sentences without their end."""


def pull_segments(
    runtime: Runtime,
    window: Window,
    pacer: Pacer | None = None,
    refresh: bool = False,
    run_id: str = "",
    clock: Callable[[], datetime] = utc_now,
) -> SegmentsPull:
    """Read the members of every segment that the window's lane uses and publish them as ``raw.memberships``.

    A daily window that has its files publishes them again, unless ``refresh`` asks for a new snapshot; a real-time
    window always takes a new one. A window older than the lane's newest published one publishes nothing.
    """
    readings = retained_readings(runtime, window) if not refresh else None
    with runtime.warehouse.read() as con:
        old = published.superseded(con, MEMBERSHIPS, window)
        seen = segment_changes.seen(con, window.lane)
    if old:  # members are known for the present only, so there is nothing to ask for either
        return SegmentsPull(window.key, superseded=True)
    if readings is not None:
        return publish(runtime, window, readings, clock(), run_id=run_id, reused=True)

    async def ask() -> tuple[list[Reading], int]:
        audiences = runtime.activation.lane_audiences(window.lane)
        async with CustomerIO(runtime.settings, pacer) as client:
            return await read_segments(runtime, client, window, audiences, clock, seen=seen), client.calls.total

    found, calls = event_loop.run(ask())
    return publish(runtime, window, found, clock(), run_id=run_id, calls=calls)


def retained_readings(runtime: Runtime, window: Window) -> list[Reading] | None:
    """Return a daily window's raw files, one per segment in use; None unless all of them are there and whole."""
    if window.lane is not Lane.DAILY:
        return None
    wanted = runtime.activation.segments(window.lane)
    home = runtime.settings.activation_home
    with runtime.warehouse.read() as con:
        found = {s: files.retained(con, home, window, files.segment_kind(s)) for s in wanted}
    if not found or any(file is None for file in found.values()):
        return None
    return [Reading(segment, files.segment_kind(segment), file) for segment, file in found.items()]


def publish(
    runtime: Runtime,
    window: Window,
    readings: Sequence[Reading],
    noted_at: datetime,
    *,
    run_id: str = "",
    reused: bool = False,
    calls: int = 0,
) -> SegmentsPull:
    """Make the readings the lane's memberships in one transaction; returns what changed per segment.

    ``noted_at`` (naive UTC) stamps the changes of the real-time lane, which ``live.py`` works off.
    """
    with runtime.warehouse.write(yield_s=YIELD_S) as con:
        quarantine.clear(con, LAYER, window)
        if window.lane is Lane.REALTIME:
            _note_unexplained(con, readings, noted_at)
        snapshots = tuple(_publish_one(con, runtime, window, reading, noted_at) for reading in readings)
        _note_names(con, readings, noted_at)
        changes = _note_changes(con, runtime, window.lane, readings, snapshots, noted_at)
        _drop_unused(con, window, [r.segment for r in readings], noted_at)
        rows = int(str(scalar(con, f"SELECT count(*) FROM {MEMBERSHIPS} WHERE lane = ?", [window.lane.value])))
        published.publish(con, MEMBERSHIPS, window, rows, run_id)
        counts = quarantine.counts(con, LAYER, window)
    return SegmentsPull(
        window.key,
        rows,
        sum(s.entered for s in snapshots),
        sum(s.left for s in snapshots),
        snapshots,
        {f"{s.segment} {s.name}": s.retained for s in snapshots if s.retained},
        counts,
        tuple(reason for reading in readings for reason in reading.set_aside),
        reused=reused,
        calls=calls,
        segment_changes=tuple(str(change) for change in changes),
    )


def _note_changes(
    con: Connection,
    runtime: Runtime,
    lane: Lane,
    readings: Sequence[Reading],
    snapshots: Sequence[SegmentSnapshot],
    noted_at: datetime,
) -> list[segment_changes.Change]:
    listed = [reading.listed for reading in readings if reading.listed is not None]
    sizes = [segment_changes.Sizes(s.segment, s.members, s.entered, s.left) for s in snapshots if s.retained is None]
    names = {reading.segment: reading.name for reading in readings}
    found = segment_changes.note(con, lane, listed, noted_at)
    return found + segment_changes.note_sizes(con, lane, sizes, names, runtime.activation.limits.alerts, noted_at)


def _note_unexplained(con: Connection, readings: Sequence[Reading], noted_at: datetime) -> None:
    open_ = [reading.segment for reading in readings if not reading.explained]
    con.execute(f"DELETE FROM {SEGMENTS_UNEXPLAINED} WHERE NOT list_contains(?::BIGINT[], segment_id)", [open_])
    con.execute(
        f"INSERT INTO {SEGMENTS_UNEXPLAINED} SELECT s, ? FROM (SELECT unnest(?::BIGINT[]) AS s) "
        f"WHERE s NOT IN (SELECT segment_id FROM {SEGMENTS_UNEXPLAINED})",
        [noted_at, open_],
    )


def _note_names(con: Connection, readings: Sequence[Reading], observed_at: datetime) -> None:
    """Keep how the segments are called, for people who read decisions; a raw file that is read again tells no name."""
    named = [(r.segment, r.name, observed_at) for r in readings if r.name != files.segment_kind(r.segment)]
    for segment, name, at in named:
        con.execute(f"DELETE FROM {SEGMENTS} WHERE segment_id = ?", [segment])
        con.execute(f"INSERT INTO {SEGMENTS} VALUES (?, ?, ?)", [segment, name, at])


def _publish_one(
    con: Connection, runtime: Runtime, window: Window, reading: Reading, noted_at: datetime
) -> SegmentSnapshot:
    lane, segment = window.lane.value, reading.segment
    if reading.file is not None:
        files.retain(con, runtime.settings.activation_home, window, reading.file)
        _compare(con, window, segment, reading.file)
    elif reading.places:
        _compare_few(con, window, segment, reading.places)
    else:
        return SegmentSnapshot(segment, reading.name, _members(con, lane, segment), retained=reading.retained)
    tombstones.drop(con, "difference", where="change = 'entered'")
    con.execute(
        f"DELETE FROM {MEMBERSHIPS} WHERE lane = ? AND segment_id = ? "
        "AND cio_id IN (SELECT cio_id FROM difference WHERE change = 'left')",
        [lane, segment],
    )
    con.execute(
        f"INSERT INTO {MEMBERSHIPS} SELECT ?, ?, cio_id, ?, ? FROM difference WHERE change = 'entered'",
        [lane, segment, window.as_of, window.key],
    )
    if window.lane is Lane.REALTIME:
        con.execute(
            f"INSERT INTO {MEMBERSHIP_CHANGES} SELECT ?, cio_id, external_id, change, ? FROM difference",
            [segment, noted_at],
        )
    change_log.note(con, change_log.members_of(window.lane), "SELECT cio_id FROM difference")
    found = dict(con.execute("SELECT change, count(*) FROM difference GROUP BY change").fetchall())
    return SegmentSnapshot(
        segment, reading.name, _members(con, lane, segment), int(found.get("entered", 0)), int(found.get("left", 0))
    )


def _compare(con: Connection, window: Window, segment: int, file: RawFile) -> None:
    """Fill ``difference`` with who entered and who left by the file; quarantine rows without a ``cio_id``.

    Such a row may be about anybody who is missing, so nobody leaves by a file that has one.
    """
    lane = window.lane.value
    con.execute(f"CREATE OR REPLACE TEMP TABLE received AS {members_sql(file)}")
    quarantine.enter(
        con,
        LAYER,
        window,
        f"SELECT NULL, 'cio_id', 'missing cio_id', 'segment {segment}', CAST(to_json(r) AS VARCHAR) "
        "FROM received AS r WHERE cio_id IS NULL",
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE difference AS "
        "SELECT coalesce(n.cio_id, o.cio_id) AS cio_id, n.external_id, "
        "CASE WHEN o.cio_id IS NULL THEN 'entered' ELSE 'left' END AS change "
        "FROM (SELECT cio_id, min(external_id) AS external_id FROM received WHERE cio_id IS NOT NULL GROUP BY cio_id) "
        f"AS n FULL JOIN (SELECT cio_id FROM {MEMBERSHIPS} WHERE lane = ? AND segment_id = ?) AS o "
        "ON o.cio_id = n.cio_id "
        "WHERE o.cio_id IS NULL OR (n.cio_id IS NULL AND NOT EXISTS (FROM received WHERE cio_id IS NULL))",
        [lane, segment],
    )


def _compare_few(con: Connection, window: Window, segment: int, places: Mapping[str, bool]) -> None:
    """Fill ``difference`` with those of ``places`` (``cio_id`` -> whether inside) who are not where they were."""
    con.execute(
        "CREATE OR REPLACE TEMP TABLE difference AS "
        "SELECT p.cio_id, CAST(NULL AS VARCHAR) AS external_id, "
        "CASE WHEN p.inside THEN 'entered' ELSE 'left' END AS change "
        "FROM (SELECT unnest(?::VARCHAR[]) AS cio_id, unnest(?::BOOLEAN[]) AS inside) AS p "
        f"LEFT JOIN {MEMBERSHIPS} AS o ON o.lane = ? AND o.segment_id = ? AND o.cio_id = p.cio_id "
        "WHERE p.inside <> (o.cio_id IS NOT NULL)",
        [list(places), list(places.values()), window.lane.value, segment],
    )


def _drop_unused(con: Connection, window: Window, used: Sequence[int], noted_at: datetime) -> None:
    """Forget members of segments that no audience of the lane reads any more."""
    unused = "lane = ? AND NOT list_contains(?::BIGINT[], segment_id)"
    if window.lane is Lane.REALTIME:
        con.execute(
            f"INSERT INTO {MEMBERSHIP_CHANGES} "
            f"SELECT segment_id, cio_id, NULL, 'left', ? FROM {MEMBERSHIPS} WHERE {unused}",
            [noted_at, window.lane.value, list(used)],
        )
    leaving = f"SELECT cio_id FROM {MEMBERSHIPS} WHERE {unused}"
    change_log.note(con, change_log.members_of(window.lane), leaving, [window.lane.value, list(used)])
    con.execute(f"DELETE FROM {MEMBERSHIPS} WHERE {unused}", [window.lane.value, list(used)])


def _members(con: Connection, lane: str, segment: int) -> int:
    value = scalar(con, f"SELECT count(*) FROM {MEMBERSHIPS} WHERE lane = ? AND segment_id = ?", [lane, segment])
    return int(str(value))
