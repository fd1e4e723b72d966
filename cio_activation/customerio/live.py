"""The real-time lane's people: attributes of those who entered or left a segment, fetched 100 a call.

Who changed is written down when the memberships are published and struck off only when the attributes are
landed, so a run that dies in between loses nobody. A person whom Customer.io no longer knows is noted as gone.
"""

from __future__ import annotations

import asyncio
import csv
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cio_activation.activation.models import Lane
from cio_activation.activation.windows import Window
from cio_activation.customerio import files, moment_people, segment_changes, segments
from cio_activation.customerio.answers import Fetched, Identifiers
from cio_activation.customerio.client import AT_ONCE, ATTRIBUTES_PER_CALL, CustomerIO
from cio_activation.customerio.files import RawFile
from cio_activation.customerio.landing import (
    LAYER,
    ensure_tables,
    refuse_bad_rows,
    refuse_breaches,
    stage,
)
from cio_activation.customerio.last_good import fill
from cio_activation.customerio.members import read_segments
from cio_activation.customerio.moment_sources import people_of_moments
from cio_activation.customerio.observations import observed
from cio_activation.customerio.people import utc_now
from cio_activation.customerio.people_table import sources
from cio_activation.customerio.segment_shortcut import SegmentShortcut, read_shortcut
from cio_activation.runtime import Runtime
from cio_activation.transport import event_loop
from cio_activation.transport.http import Pacer
from cio_activation.transport.time_slice import TimeSlice
from cio_activation.warehouse import change_log, published, quarantine, stale
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import scalar
from cio_activation.warehouse.stale import Stale
from cio_activation.warehouse.tables import (
    MEMBERS_CHECKED,
    MEMBERSHIP_CHANGES,
    MEMBERSHIPS,
    PEOPLE,
    PEOPLE_CURRENT,
    PEOPLE_GONE,
    PEOPLE_LIVE,
    STALE_CELLS,
)

PEOPLE_PER_RUN = 10_000
"""People fetched in one run at most: 100 calls, 10 seconds at Customer.io's rate. The rest wait for the next run."""
STALE_AT_ONCE = 20_000
"""More members than these are looked at again bit by bit, by the runs that come anyway."""
STALE_BESIDE_NEWS = 200
"""Members that a run with news looks at again beside it, two calls: whoever waits, they are not forgotten."""
BESIDE_NEWS_EVERY = timedelta(seconds=30)
"""How often a run with news does so. Finding out who is due goes through everybody, and a cart waits meanwhile."""
_STAGED = "raw.people_fetched"


@dataclass(frozen=True)
class LivePull:
    """What one real-time run came to."""

    window_key: str
    rows: int = 0
    """People whose attributes were fetched and landed."""
    changed: int = 0
    gone: int = 0
    """People whom Customer.io no longer knows: deleted or merged away."""
    waiting: int = 0
    """People who changed or are unknown, and names of moments, left for the next run."""
    stale: int = 0
    """Members that are to be looked at again, and were not; beside news, as the last look at all of them had it."""
    members: int = 0
    entered: int = 0
    left: int = 0
    stale_values: int = 0
    """Values of people's real-time rows that are older than the row, because what came last cannot be read."""
    stale_overdue: int = 0
    """Those of them that have been so for longer than ``workspace.last_good_for``."""
    retained: dict[str, str] = field(default_factory=dict)
    quarantined: dict[str, int] = field(default_factory=dict)
    set_aside: tuple[str, ...] = ()
    """Why answers about segments could not be used; they are listed in ``raw.files_set_aside``."""
    asked: int = 0
    """Ids and e-mails of moments that Customer.io was asked about, as the warehouse knows nobody so named."""
    named: dict[str, int] = field(default_factory=dict)
    """Moments that got their person by the answers, by what led there."""
    superseded: bool = False
    calls: int = 0
    fingerprints: dict[str, str] = field(default_factory=dict)
    """Segment -> what the sensor sees of it while nothing has changed; see ``segment_probe``."""
    segment_changes: tuple[str, ...] = ()
    """What changed about segments beside ordinary coming and going; see ``segment_changes``."""

    @property
    def defers(self) -> bool:
        """Whether the lane's next run should come at once: the rest is news, or will be done in half a minute."""
        return self.waiting > 0 or 0 < self.stale <= STALE_AT_ONCE


def pull_live(
    runtime: Runtime,
    window: Window,
    pacer: Pacer | None = None,
    also: Sequence[str] = (),
    older_than: timedelta | None = None,
    limit: int = PEOPLE_PER_RUN,
    run_id: str = "",
    clock: Callable[[], datetime] = utc_now,
    time_slice: TimeSlice | None = None,
) -> LivePull:
    """Poll the real-time segments, then fetch the attributes of people who entered, left or are unknown.

    ``also`` names further people (``cio_id``) to fetch, for example those a moment was about; ``older_than`` adds
    present members whose attributes were observed longer ago than that (zero: every one of them). Who changed last
    comes first; ``time_slice`` leaves the others to the next run.
    """
    if window.lane is not Lane.REALTIME:
        raise ValueError(f"window {window.key} is not of the real-time lane")
    with runtime.warehouse.read() as con:
        if published.superseded(con, MEMBERSHIPS, window):
            return LivePull(window.key, superseded=True)
        used = list(runtime.activation.segments(Lane.REALTIME))
        before = read_shortcut(con, window, used)
        seen = segment_changes.seen(con, Lane.REALTIME)
    wish = _Wish(tuple(also), older_than, limit, time_slice)
    return event_loop.run(_pull(runtime, window, pacer, wish, before, seen, run_id, clock))


@dataclass(frozen=True)
class _Wish:
    also: tuple[str, ...]
    older_than: timedelta | None
    limit: int
    time_slice: TimeSlice | None


async def _pull(
    runtime: Runtime,
    window: Window,
    pacer: Pacer | None,
    wish: _Wish,
    before: SegmentShortcut,
    seen: Mapping[int, datetime],
    run_id: str,
    clock: Callable[[], datetime],
) -> LivePull:
    async with CustomerIO(runtime.settings, pacer) as client:
        audiences = runtime.activation.lane_audiences(Lane.REALTIME)
        readings = await read_segments(runtime, client, window, audiences, clock, before, seen=seen)
        pulled = segments.publish(runtime, window, readings, clock(), run_id=run_id)
        observed_at = clock()
        people, total, urgent, questions = _due(runtime, wish, observed_at)
        answers = await moment_people.ask(client, questions)
        known = {person.cio_id for person in people}
        found = [person for person in answers.found if person.cio_id not in known]
        if wish.time_slice is not None and (before.news or wish.also):
            wish.time_slice.shorten()  # a webhook's person waits for this run's next steps; the others for the next run
        people, total, urgent = [*found, *people], total + len(found), urgent + len(found)
        asked, fetched = await _fetch(client, people, wish.time_slice)
        calls = client.calls.total
    rows, changed, counts, named, old = _land(runtime, window, asked, fetched, answers, observed_at, run_id)
    return LivePull(
        window.key,
        rows,
        changed,
        len(fetched.gone),
        max(0, urgent - len(asked)) + questions.waiting,
        total - max(urgent, len(asked)),
        pulled.rows,
        pulled.entered,
        pulled.left,
        old.cells,
        old.overdue,
        pulled.retained,
        counts | pulled.quarantined | named.quarantined,
        pulled.set_aside,
        len(questions.ids) + len(questions.emails),
        named.named,
        calls=calls,
        fingerprints={str(reading.segment): reading.fingerprint for reading in readings if reading.fingerprint},
        segment_changes=pulled.segment_changes,
    )


def _due(runtime: Runtime, wish: _Wish, now: datetime) -> tuple[list[Identifiers], int, int, moment_people.Questions]:
    """Return whom to fetch now, how many there are in all and of the urgent first two kinds, and names to ask for.

    In order: whom a webhook or ``wish`` named; who changed, of both the last one first; unknown members; members to
    fetch again, the oldest observation first.
    """
    with runtime.warehouse.write() as con:
        ensure_tables(con, runtime.activation)
        con.execute(
            "CREATE OR REPLACE TEMP TABLE named AS "
            f"SELECT cio_id, external_id, noted_at, change = 'moment' AS told FROM {MEMBERSHIP_CHANGES} "
            "UNION ALL SELECT unnest(?::VARCHAR[]), NULL, CAST('infinity' AS TIMESTAMP), TRUE",
            [list(wish.also)],
        )
        left = _still_stale(con, wish, now)
        _find_due(con, wish, now, people_of_moments(runtime.activation, now), everybody=left is None)
        total, urgent = con.execute(
            "SELECT count(*), count(*) FILTER (noted_at IS NOT NULL OR observed_at IS NULL) FROM due"
        ).fetchall()[0]
        rows = con.execute(
            "SELECT cio_id, external_id FROM due "
            "ORDER BY told DESC, noted_at DESC NULLS LAST, observed_at NULLS FIRST, cio_id LIMIT ?",
            [min(wish.limit, urgent + STALE_BESIDE_NEWS) if urgent else wish.limit],
        ).fetchall()
        if left is None:
            con.execute(f"DELETE FROM {MEMBERS_CHECKED}")
            con.execute(f"INSERT INTO {MEMBERS_CHECKED} VALUES (?, ?)", [now, total - max(urgent, len(rows))])
        asked = moment_people.questions(con, now)
    return [Identifiers(str(c), e) for c, e in rows], int(total) + (left or 0), int(urgent), asked


def _still_stale(con: Connection, wish: _Wish, now: datetime) -> int | None:
    """Return how many members the last look at all of them left for later, if this run need not look itself."""
    if wish.older_than is None or wish.older_than < BESIDE_NEWS_EVERY or not scalar(con, "SELECT count(*) FROM named"):
        return None
    found = con.execute(
        f"SELECT stale FROM {MEMBERS_CHECKED} WHERE checked_at > ? AND checked_at <= ?", [now - BESIDE_NEWS_EVERY, now]
    ).fetchone()
    return None if found is None else int(found[0])


def _find_due(con: Connection, wish: _Wish, now: datetime, also: str, *, everybody: bool) -> None:
    """Fill ``due``: of ``named``, and with ``everybody`` of the members who are unknown or to be looked at again.

    ``also`` is a SELECT of who counts as a member without being in a segment.
    """
    con.execute(
        "CREATE OR REPLACE TEMP TABLE members AS SELECT DISTINCT cio_id "
        f"FROM (SELECT cio_id FROM {MEMBERSHIPS} WHERE lane = 'realtime' UNION ALL {also}) "
        "WHERE ? AND cio_id IS NOT NULL",
        [everybody],
    )
    # Everybody's rows are gone through once: a workspace has many more people than its segments members.
    con.execute(
        "CREATE OR REPLACE TEMP TABLE known AS "
        f"SELECT cio_id, external_id, observed_at FROM {PEOPLE_CURRENT} "
        "WHERE cio_id IN (SELECT cio_id FROM members UNION ALL SELECT cio_id FROM named)"
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE due AS "
        "WITH wanted AS ("
        "  SELECT cio_id, external_id, noted_at, told FROM named"
        "  UNION ALL SELECT cio_id, NULL, NULL, FALSE FROM members"
        f"   WHERE cio_id NOT IN (SELECT cio_id FROM known) AND cio_id NOT IN (SELECT cio_id FROM {PEOPLE_GONE})"
        "  UNION ALL SELECT cio_id, NULL, NULL, FALSE FROM known WHERE observed_at < ?"
        ") SELECT w.cio_id, coalesce(max(w.external_id), max(k.external_id)) AS external_id, "
        "max(w.noted_at) AS noted_at, bool_or(w.told) AS told, max(k.observed_at) AS observed_at "
        "FROM wanted AS w LEFT JOIN known AS k ON k.cio_id = w.cio_id GROUP BY w.cio_id",
        [datetime(1, 1, 1) if wish.older_than is None else now - wish.older_than],
    )


async def _fetch(
    client: CustomerIO, people: Sequence[Identifiers], time_slice: TimeSlice | None
) -> tuple[list[Identifiers], Fetched]:
    """Ask for people in their order, as far as ``time_slice`` lasts; return who was asked for, and the answers."""
    batches = iter([people[s : s + ATTRIBUTES_PER_CALL] for s in range(0, len(people), ATTRIBUTES_PER_CALL)])
    asked: list[Identifiers] = []
    answers: list[Fetched] = []

    async def work() -> None:
        for batch in batches:
            answers.append(await client.attributes_of(batch))
            asked.extend(batch)
            if time_slice is not None and await time_slice.is_over():
                return

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return asked, Fetched(
        tuple(person for answer in answers for person in answer.people),
        tuple(cio_id for answer in answers for cio_id in answer.gone),
    )


def _land(
    runtime: Runtime,
    window: Window,
    people: Sequence[Identifiers],
    fetched: Fetched,
    answers: moment_people.Answers,
    observed_at: datetime,
    run_id: str,
) -> tuple[int, int, dict[str, int], moment_people.Named, Stale]:
    """Publish what was fetched into ``raw.people_live``, and find the people of the moments that ``answers`` are about.

    Returns people landed, people changed, quarantine counts of people, what finding those came to, and how many values
    of the real-time rows are stale.
    """
    if not people:
        with runtime.warehouse.write() as con:
            named = moment_people.settle(con, window, answers, observed_at)
            return 0, 0, {}, named, _stale(con, runtime, window)
    file = _write_file(runtime, window, fetched, observed_at)
    asked = [p.cio_id for p in people]
    with runtime.warehouse.write() as con:
        quarantine.clear(con, LAYER, window, people="SELECT unnest(?::VARCHAR[])", parameters=[asked])
        files.retain(con, runtime.settings.activation_home, window, file)
        stage(con, runtime.activation, window, _STAGED, PEOPLE_CURRENT, file.path, observed_at)
        refuse_bad_rows(con, runtime.activation, window, _STAGED, file.path)
        refuse_breaches(con, runtime.activation, window, _STAGED)
        fill(con, runtime.activation, window, _STAGED, PEOPLE_CURRENT, None)
        rows, changed = _merge(con, fetched.gone, observed_at)
        named = moment_people.settle(con, window, answers, observed_at)
        con.execute(
            f"DELETE FROM {MEMBERSHIP_CHANGES} WHERE noted_at <= ? AND cio_id IN (SELECT unnest(?::VARCHAR[]))",
            [observed_at, asked],
        )
        total = int(str(scalar(con, f"SELECT count(*) FROM {PEOPLE_LIVE}")))
        published.publish(con, PEOPLE_LIVE, window, total, run_id)
        counts = quarantine.counts(con, LAYER, window, people="SELECT unnest(?::VARCHAR[])", parameters=[asked])
        old = _stale(con, runtime, window)
    return rows, changed, counts, named, old


def _stale(con: Connection, runtime: Runtime, window: Window) -> Stale:
    return stale.count(con, [PEOPLE_LIVE], window.as_of, runtime.activation.workspace.last_good_for)


def _merge(con: Connection, gone: Sequence[str], observed_at: datetime) -> tuple[int, int]:
    # A daily snapshot may have been asked for after these people were: then it knows better.
    con.execute(
        f"""DELETE FROM {_STAGED} WHERE cio_id IN (SELECT p.cio_id FROM {PEOPLE} AS p
        WHERE p.cio_id IN (SELECT cio_id FROM {_STAGED}) AND {observed(con, "p")} > ?)""",
        [observed_at],
    )
    rows, changed = con.execute(f"SELECT count(*), count(*) FILTER (_changed) FROM {_STAGED}").fetchall()[0]
    # A value that can be read again may decide something, though it is what it was.
    differ = (
        f"SELECT cio_id FROM {_STAGED} WHERE _changed OR cio_id IN (SELECT cio_id FROM {STALE_CELLS}) "
        "UNION ALL SELECT unnest(?::VARCHAR[])"
    )
    change_log.note(con, PEOPLE_CURRENT, differ, [list(gone)])
    con.execute(f"DELETE FROM {PEOPLE_LIVE} WHERE cio_id IN (SELECT cio_id FROM {_STAGED})")
    con.execute(f"INSERT INTO {PEOPLE_LIVE} BY NAME SELECT * EXCLUDE (_bad, _row, _changed) FROM {_STAGED}")
    con.execute(f"DELETE FROM {PEOPLE_GONE} WHERE cio_id IN (SELECT cio_id FROM {_STAGED})")
    stale.replace(con, PEOPLE_LIVE, f"SELECT cio_id FROM {_STAGED}")
    con.execute(f"DROP TABLE {_STAGED}")
    lost = [list(gone)]
    con.execute(f"DELETE FROM {PEOPLE_LIVE} WHERE cio_id IN (SELECT unnest(?::VARCHAR[]))", lost)
    con.execute(f"DELETE FROM {PEOPLE_GONE} WHERE cio_id IN (SELECT unnest(?::VARCHAR[]))", lost)
    con.execute(f"INSERT INTO {PEOPLE_GONE} SELECT unnest(?::VARCHAR[]), ?", [list(gone), observed_at])
    stale.forget_without_row(con, PEOPLE_LIVE)
    return int(rows), int(changed)


def _write_file(runtime: Runtime, window: Window, fetched: Fetched, observed_at: datetime) -> RawFile:
    """Write the answers as a CSV of the export's shape, so that one casting serves both lanes."""
    names = sources(runtime.activation)
    final = _free_name(runtime.raw_folder(window.lane.value, window.key))
    part = files.part_of(final)
    with part.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(names)
        writer.writerows([person.attributes.get(name, "") for name in names] for person in fetched.people)
        out.flush()
        os.fsync(out.fileno())
    files.settle(part, final)
    return RawFile(f"attributes:{final.stem}", final, files.sha256_of(final), len(fetched.people), observed_at)


def _free_name(folder: Path) -> Path:
    """Return the folder's next attributes file: a real-time window may be run many times, twice at once too."""
    number = len(list(folder.glob("attributes-*.csv"))) + 1
    return folder / f"attributes-{number:05d}-{uuid.uuid4().hex[:8]}.csv"
