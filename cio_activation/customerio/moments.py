"""Lands what the webhook inbox holds into ``raw.moments``: each event once, in whatever order it came.

Arrival says nothing: webhooks come late (retries go on for days), twice and in disorder, and clocks differ. So a moment
is dated by the event itself, ties are broken by its id, and what is derived from moments (:func:`latest_sql`) is the
same for every order of arrival.

The warehouse commits first, then the inbox is told. A run killed in between lands the same events again, which are
known by their ids and change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime

from cio_activation.activation.models import Workspace
from cio_activation.activation.windows import Window
from cio_activation.customerio import moment_body, moment_people, moment_retention
from cio_activation.customerio.inbox import REMEMBERED_S, Inbox, Waiting
from cio_activation.customerio.moment_people import EVENT_NAME, LAYER, TELLS
from cio_activation.customerio.people import utc_now
from cio_activation.journal.attempts import Journal
from cio_activation.runtime import Runtime
from cio_activation.warehouse import change_log, quarantine, tombstones
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.tables import MEMBERSHIP_CHANGES, MOMENTS

EVENTS_PER_STEP = 10_000
EVENTS_PER_RUN = 200_000
"""Events landed by one run: some seconds. The rest wait for the next run, which the sensor asks for at once."""


@dataclass(frozen=True)
class MomentsPull:
    """What one run landed. ``rows`` counts events that were new to the warehouse."""

    window_key: str
    rows: int = 0
    repeated: int = 0
    """Events that an earlier run had landed before it was stopped."""
    machine: int = 0
    """Landed, but not a human's doing."""
    people: int = 0
    """People whose attributes are to be fetched because of them."""
    kinds: dict[str, int] = field(default_factory=dict)
    quarantined: dict[str, int] = field(default_factory=dict)
    waiting: int = 0
    """Events left for the next run."""
    named: dict[str, int] = field(default_factory=dict)
    """Moments without a ``cio_id`` whose person the warehouse knew, by what led there: ``id``, ``email``."""
    unnamed: int = 0
    """Moments whose person Customer.io has to be asked for."""
    dropped: int = 0
    """Moments older than ``workspace.moment_retention``."""


def pull_moments(runtime: Runtime, window: Window) -> MomentsPull:
    """Land what the installation's inbox holds now; see :func:`land_moments`."""
    with closing(Journal(runtime.settings.journal)) as journal:
        return land_moments(runtime, window, Inbox(journal))


def land_moments(
    runtime: Runtime, window: Window, inbox: Inbox, clock: Callable[[], datetime] = utc_now
) -> MomentsPull:
    """Land what ``inbox`` holds now, and drop the bodies there.

    A window older than the newest one lands them too: moments are facts with times of their own, not a snapshot of the
    window. ``clock`` (naive UTC) stamps whom to fetch, as ``segments.publish`` does.
    """
    found = MomentsPull(window.key)
    taken = 0
    while taken < EVENTS_PER_RUN and (waiting := inbox.new(min(EVENTS_PER_STEP, EVENTS_PER_RUN - taken))):
        with runtime.warehouse.write() as con:
            found = _added(found, _land(con, window, waiting, clock()))
        inbox.landed([w.number for w in waiting])
        taken += len(waiting)
    return _added(found, _tidied(runtime, window, inbox, clock()))


def latest_sql(as_of: str, workspace: Workspace) -> str:
    """Return the query for each person's newest human moment of each kind at ``as_of`` (a SQL TIMESTAMP expression).

    Columns: ``cio_id``, ``kind``, ``occurred_at``, ``event_id``, ``source``, ``body``, ``times`` (how often so far).
    Ties go to the larger event id, so that every order of arrival gives the same rows. What is older than ``workspace``
    keeps is not seen, dropped already or not; a body that is, is NULL.
    """
    rows, bodies = moment_retention.cuts_sql(as_of, workspace)
    return (
        "SELECT cio_id, kind, occurred_at, event_id, source, "
        f"CASE WHEN occurred_at >= {bodies} THEN body END AS body, times FROM ("
        "  SELECT *, count(*) OVER (PARTITION BY cio_id, kind) AS times, "
        "  row_number() OVER (PARTITION BY cio_id, kind ORDER BY occurred_at DESC, event_id DESC, source) AS place "
        f" FROM {MOMENTS} WHERE problem IS NULL AND NOT machine AND cio_id IS NOT NULL "
        f" AND occurred_at <= {as_of} AND occurred_at >= {rows}"
        ") WHERE place = 1"
    )


def _tidied(runtime: Runtime, window: Window, inbox: Inbox, now: datetime) -> MomentsPull:
    """Name whom can be named without asking, and drop what is older than anything reads; return what came of it."""
    news = inbox.news()
    workspace = runtime.activation.workspace
    with runtime.warehouse.read() as con:
        unnamed = moment_people.unnamed(con)
        old = moment_retention.any_old(con, workspace, window, news.oldest_at)
    named, dropped = moment_people.Named(), 0
    if unnamed or old:
        with runtime.warehouse.write() as con:
            if unnamed:
                named = moment_people.name_known(con, runtime.activation, window, now)
                unnamed = moment_people.unnamed(con)
            if old:
                dropped = moment_retention.drop_old(con, workspace, window, news.oldest_at)
    return MomentsPull(
        window.key,
        people=named.people,
        quarantined=named.quarantined,
        waiting=news.events,
        named=named.named,
        unnamed=unnamed,
        dropped=dropped,
    )


def _land(con: Connection, window: Window, waiting: Sequence[Waiting], now: datetime) -> MomentsPull:
    con.register("arrived_events", moment_body.table(waiting))
    con.execute(f"CREATE OR REPLACE TEMP TABLE arrived AS {moment_body.READ}")
    con.unregister("arrived_events")
    # A repetition is never further behind than keys are remembered; older rows need not be read.
    since = min(w.event.received_at for w in waiting) - REMEMBERED_S
    con.execute(
        "CREATE OR REPLACE TEMP TABLE fresh AS SELECT a.* FROM arrived AS a "
        f"WHERE NOT EXISTS (FROM {MOMENTS} AS m WHERE m.source = a.source AND m.event_id = a.event_id "
        f"AND m.received_at >= make_timestamp({int(since * 1_000_000)}))"
    )
    tombstones.drop(con, "fresh")
    con.execute(
        f"INSERT INTO {MOMENTS} BY NAME SELECT * EXCLUDE (raw_text), ? AS landed_in, "
        "CASE WHEN cio_id IS NOT NULL THEN landed_in END AS named_in FROM fresh",
        [window.key],
    )
    change_log.note(con, MOMENTS, "SELECT cio_id FROM fresh WHERE problem IS NULL AND NOT machine")
    quarantine.enter(
        con,
        LAYER,
        window,
        f"SELECT cio_id, NULL, problem, {EVENT_NAME}, raw_text FROM fresh WHERE problem IS NOT NULL",
    )
    people = con.execute(
        f"INSERT INTO {MEMBERSHIP_CHANGES} SELECT NULL, cio_id, max(external_id), 'moment', ? FROM fresh "
        f"WHERE problem IS NULL AND cio_id IS NOT NULL AND {TELLS} GROUP BY cio_id",
        [now],
    ).fetchall()[0][0]
    rows, machine = con.execute("SELECT count(*), count(*) FILTER (machine) FROM fresh").fetchall()[0]
    kinds = con.execute("SELECT kind, count(*) FROM fresh GROUP BY kind ORDER BY kind").fetchall()
    problems = con.execute("SELECT problem, count(*) FROM fresh WHERE problem IS NOT NULL GROUP BY ALL").fetchall()
    return MomentsPull(
        window.key,
        int(rows),
        len(waiting) - int(rows),
        int(machine),
        int(people),
        {str(k): int(n) for k, n in kinds},
        {str(p): int(n) for p, n in problems},
    )


def _added(one: MomentsPull, other: MomentsPull) -> MomentsPull:
    def both(a: dict[str, int], b: dict[str, int]) -> dict[str, int]:
        return {name: a.get(name, 0) + b.get(name, 0) for name in sorted({*a, *b})}

    return MomentsPull(
        one.window_key,
        one.rows + other.rows,
        one.repeated + other.repeated,
        one.machine + other.machine,
        one.people + other.people,
        both(one.kinds, other.kinds),
        both(one.quarantined, other.quarantined),
        one.waiting + other.waiting,
        both(one.named, other.named),
        one.unnamed + other.unnamed,
        one.dropped + other.dropped,
    )
