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

import pyarrow as pa

from cio_activation.activation.models import AttributeType
from cio_activation.activation.windows import Window
from cio_activation.customerio import casting
from cio_activation.customerio.inbox import REMEMBERED_S, SKEW_S, Inbox, Waiting
from cio_activation.customerio.people import utc_now
from cio_activation.customerio.segments import CHANGES, CHANGES_DDL
from cio_activation.delivery.journal import Journal
from cio_activation.runtime import Runtime
from cio_activation.warehouse.store import Connection

TABLE = "raw.moments"
LAYER = "moments"
EVENTS_PER_STEP = 10_000
EVENTS_PER_RUN = 200_000
"""Events landed by one run: some seconds. The rest wait for the next run, which the sensor asks for at once."""
TELLING = ("clicked", "converted", "unsubscribed", "subscribed", "cio_subscription_preferences_changed", "replied")
"""Metrics of reporting events after which a person's attributes are fetched anew. Not ``sent`` and the like: one
campaign to everybody would fetch everybody."""


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


def pull_moments(runtime: Runtime, window: Window) -> MomentsPull:
    """Land what the installation's inbox holds now; see :func:`land_moments`."""
    with closing(Journal(runtime.settings.journal)) as journal:
        return land_moments(runtime, window, Inbox(journal))


def land_moments(
    runtime: Runtime, window: Window, inbox: Inbox, clock: Callable[[], datetime] = utc_now
) -> MomentsPull:
    """Land what ``inbox`` holds now, and drop the bodies there.

    A window older than the newest one lands them too: moments are facts with times of their own, not a picture of the
    window. ``clock`` (naive UTC) stamps whom to fetch, as ``segments.publish`` does.
    """
    found = MomentsPull(window.key)
    taken = 0
    while taken < EVENTS_PER_RUN and (waiting := inbox.new(min(EVENTS_PER_STEP, EVENTS_PER_RUN - taken))):
        with runtime.warehouse.write() as con:
            found = _added(found, _land(con, window, waiting, clock()))
        inbox.landed([w.number for w in waiting])
        taken += len(waiting)
    return _added(found, MomentsPull(window.key, waiting=inbox.news().events))


def latest_sql(as_of: str) -> str:
    """Return the query for each person's newest human moment of each kind at ``as_of`` (a SQL TIMESTAMP expression).

    Columns: ``cio_id``, ``kind``, ``occurred_at``, ``event_id``, ``source``, ``body``, ``times`` (how often so far).
    Ties go to the larger event id, so that every order of arrival gives the same rows.
    """
    return (
        "SELECT cio_id, kind, occurred_at, event_id, source, body, times FROM ("
        "  SELECT *, count(*) OVER (PARTITION BY cio_id, kind) AS times, "
        "  row_number() OVER (PARTITION BY cio_id, kind ORDER BY occurred_at DESC, event_id DESC, source) AS place "
        f" FROM {TABLE} WHERE problem IS NULL AND NOT machine AND cio_id IS NOT NULL AND occurred_at <= {as_of}"
        ") WHERE place = 1"
    )


def _land(con: Connection, window: Window, waiting: Sequence[Waiting], now: datetime) -> MomentsPull:
    con.register("arrived_events", _table(waiting))
    con.execute(f"CREATE OR REPLACE TEMP TABLE arrived AS {_READ}")
    con.unregister("arrived_events")
    # A repetition is never further behind than keys are remembered; older rows need not be read.
    since = min(w.event.received_at for w in waiting) - REMEMBERED_S
    con.execute(
        "CREATE OR REPLACE TEMP TABLE fresh AS SELECT a.* FROM arrived AS a "
        f"WHERE NOT EXISTS (FROM {TABLE} AS m WHERE m.source = a.source AND m.event_id = a.event_id "
        f"AND m.received_at >= make_timestamp({int(since * 1_000_000)}))"
    )
    con.execute(
        f"INSERT INTO {TABLE} BY NAME SELECT * EXCLUDE (raw_text, metric), ? AS landed_in FROM fresh", [window.key]
    )
    con.execute(
        "INSERT INTO quarantine.rows SELECT ?, ?, ?, cio_id, NULL, problem, source || ' ' || event_id, raw_text "
        "FROM fresh WHERE problem IS NOT NULL",
        [LAYER, window.lane.value, window.key],
    )
    con.execute(CHANGES_DDL)
    people = con.execute(
        f"INSERT INTO {CHANGES} SELECT NULL, cio_id, max(external_id), 'moment', ? FROM fresh "
        "WHERE problem IS NULL AND NOT machine AND cio_id IS NOT NULL "
        f"AND (source = 'journey' OR metric IN ({', '.join(repr(m) for m in TELLING)})) GROUP BY cio_id",
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


def _table(waiting: Sequence[Waiting]) -> pa.Table:
    events = [w.event for w in waiting]
    return pa.table(
        {
            "source": pa.array([e.source.value for e in events], pa.string()),
            "event_id": pa.array([e.event_id for e in events], pa.string()),
            "kind": pa.array([e.kind for e in events], pa.string()),
            "delivery_id": pa.array([e.delivery_id for e in events], pa.string()),
            "signed_at": pa.array([e.signed_at for e in events], pa.float64()),
            "received": pa.array([e.received_at for e in events], pa.float64()),
            # What is no UTF-8 is no JSON either, and is kept readable in quarantine.
            "raw_text": pa.array([e.body.decode("utf-8", "backslashreplace") for e in events], pa.string()),
        }
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
    )


def _text(*paths: str) -> str:
    """Return the first of the JSON paths that holds text or a number, trimmed; NULL if none does."""
    found = [f"nullif(trim(json_extract_string(json, '$.{path}')), '')" for path in paths]
    return f"coalesce({', '.join(found)}, NULL)"


_STAMP = "coalesce(json_extract_string(json, '$.timestamp'), json_extract_string(json, '$.occurred_at'))"
_READ = f"""
WITH parsed AS (
    SELECT
        *,
        CASE WHEN json_type(TRY_CAST(raw_text AS JSON)) = 'OBJECT' THEN TRY_CAST(raw_text AS JSON) END AS json,
        make_timestamp(CAST(received * 1000000 AS BIGINT)) AS received_at
    FROM arrived_events
),
dated AS (
    SELECT
        *,
        CASE
            WHEN {_STAMP} IS NOT NULL THEN {casting.typed(AttributeType.TIMESTAMP, _STAMP)}
            -- A journey's body may be without a time: the time of its first try is the next best.
            ELSE make_timestamp(CAST(coalesce(signed_at, received) * 1000000 AS BIGINT))
        END AS occurred_at
    FROM parsed
)
SELECT
    source,
    event_id,
    kind,
    {_text("data.identifiers.cio_id", "identifiers.cio_id", "cio_id")} AS cio_id,
    {_text("data.identifiers.id", "identifiers.id")} AS external_id,
    lower({_text("data.identifiers.email", "identifiers.email", "email")}) AS email,
    occurred_at,
    coalesce(
        TRY_CAST(json_extract_string(json, '$.data.machine') AS BOOLEAN)
            OR TRY_CAST(json_extract_string(json, '$.data.prefetched') AS BOOLEAN),
        false
    ) AS machine,
    delivery_id,
    CASE
        WHEN json IS NULL THEN 'no JSON object'
        WHEN coalesce(
            {_text("data.identifiers.cio_id", "identifiers.cio_id", "cio_id")},
            {_text("data.identifiers.id", "identifiers.id")},
            {_text("data.identifiers.email", "identifiers.email", "email")}
        ) IS NULL THEN 'names nobody'
        WHEN occurred_at IS NULL THEN 'unparsable timestamp'
        -- A clock that is wrong by days would make this the newest moment for ever.
        WHEN occurred_at > received_at + to_seconds({SKEW_S:.0f}) THEN 'time in the future'
    END AS problem,
    json AS body,
    received_at,
    raw_text,
    json_extract_string(json, '$.metric') AS metric
FROM dated
"""
