"""What humans wrote of an outreach on people's records: read in batches, told from what was there before, kept as acts.

An outcome belongs to the newest action of its person in that CRM, and counts only if it was written after that was
made: by the CRM's own instant where it tells one, else by what was read before, else by the day beside it. What is
written more than some days after that ended is not of it: humans write there of work of their own, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.outcomes import Outcome
from cio_activation.delivery.outcomes import OutcomeFields, OutcomesAsked
from cio_activation.warehouse import change_log
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, timestamp

FIELDS, ACTS, REVIEWS = "feedback.outcome_fields", "feedback.acts", "feedback.reviews"
STILL_COMES = timedelta(days=7)
"""So long after an action ended its outcome is still looked for, or a better one."""
_KINDS = "kind IN ('task', 'activity')"


def asked(con: Connection, activation: Activation, destination: str, lane: Lane, as_of: datetime) -> OutcomesAsked:
    """Return whose fields are read: people with an action that is open or ended lately, or marked as active.

    The real-time lane asks about the people of its own audiences.
    """
    place = literal(destination)
    own = ", ".join(literal(a.name) for a in activation.lane_audiences(Lane.REALTIME)) or "NULL"
    condition = f"audience IN ({own})" if lane is Lane.REALTIME else "TRUE"
    active = f""" UNION SELECT record_id FROM {FIELDS} WHERE destination = {place} AND active
        UNION SELECT r.record_id FROM {REVIEWS} AS r JOIN {FIELDS} AS f USING (destination, record_id, outcome)
        WHERE r.destination = {place}"""
    records = con.execute(
        f"""SELECT person_record FROM ({_actions(place)})
        WHERE person_record IS NOT NULL AND {condition} AND (
            ended_at IS NULL OR ended_at > {timestamp(as_of - STILL_COMES)}){active}
        ORDER BY 1"""
    ).fetchall()
    wanted = [str(row[0]) for row in records]
    known = con.execute(
        f"""SELECT record_id, outcome, outcome_on, coalesce(active, FALSE) FROM {FIELDS}
        WHERE destination = {place} AND record_id IN (SELECT unnest(CAST(? AS VARCHAR[])))""",
        [wanted],
    ).fetchall()
    since = con.execute(
        "SELECT max(read_at) FROM feedback.readings WHERE destination = ? AND problem IS NULL", [destination]
    ).fetchall()[0][0]
    return OutcomesAsked(wanted, {str(row[0]): OutcomeFields(*row) for row in known}, since)


def land(
    con: Connection, activation: Activation, destination: str, seen: Sequence[OutcomeFields], as_of: datetime,
    read_at: datetime,
) -> dict[str, int]:  # fmt: skip
    """Keep what the fields hold, and an act for each outcome that is new; return how many of each outcome."""
    register(con, activation, seen)
    place = literal(destination)
    # Of a record that we made, and that was never read since, all that stands there is of this outreach.
    made = f"SELECT record_id FROM delivery.links WHERE destination = {place} AND matched_by = 'created'"
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE said AS
        WITH newest AS (
            SELECT * FROM ({_actions(place)}) WHERE person_record IN (SELECT record_id FROM outcomes_seen)
            QUALIFY row_number() OVER (
                PARTITION BY person_record ORDER BY opened_at DESC, attempt DESC, record_id) = 1
        ), told AS (
            SELECT destination, kind, record_id, max(happened_at) AS told_at,
                arg_max(detail, happened_at) AS told, arg_max(coalesce(until, {_NONE}), happened_at) AS told_until
            FROM {ACTS} WHERE destination = {place} AND act = 'outcome' GROUP BY ALL
        )
        SELECT x.destination, x.kind, x.record_id, x.entry_id, x.audience, x.cio_id, x.person_record,
            s.outcome, s.until,
            -- Of several of one action the newest counts.
            greatest(coalesce(s.set_at, {timestamp(as_of)}), t.told_at + INTERVAL 1 MICROSECOND) AS happened_at
        FROM outcomes_seen AS s
        JOIN newest AS x ON x.person_record = s.record_id
        LEFT JOIN {FIELDS} AS f ON f.destination = {place} AND f.record_id = s.record_id
        LEFT JOIN told AS t ON (t.destination, t.kind, t.record_id) = (x.destination, x.kind, x.record_id)
        WHERE s.counts AND {_in_time("x.ended_at", as_of)}
            AND (t.told IS DISTINCT FROM s.outcome OR t.told_until <> coalesce(s.until, {_NONE}))
            AND CASE WHEN s.set_at IS NOT NULL THEN s.set_at >= x.opened_at
                WHEN f.read_at IS NOT NULL
                THEN f.outcome IS DISTINCT FROM s.outcome OR f.outcome_on IS DISTINCT FROM s.outcome_on
                WHEN s.record_id IN ({made}) THEN TRUE
                ELSE s.outcome_on >= CAST(x.opened_at AS DATE) END"""
    )
    con.execute(
        f"""INSERT INTO {ACTS} BY NAME
        SELECT destination, kind, record_id, entry_id, audience, cio_id, 'outcome' AS act, happened_at, until,
            outcome AS detail, {timestamp(as_of)} AS seen_at FROM said"""
    )
    _list_for_review(con, activation, as_of)
    counts = con.execute("SELECT outcome, count(*) FROM said GROUP BY outcome ORDER BY outcome").fetchall()
    change_log.note(con, ACTS, "SELECT cio_id FROM said")
    con.execute("DROP TABLE said")
    keep(con, destination, read_at)
    return {str(outcome): int(count) for outcome, count in counts}


def _in_time(ended_at: str, as_of: datetime) -> str:
    """Return SQL for: was written while the action was open or shortly after; read late, by the day beside it."""
    now = timestamp(as_of)
    written = f"coalesce(s.set_at, least({now}, coalesce(s.until, {now})))"
    return f"coalesce({written} <= {ended_at} + INTERVAL {STILL_COMES.days} DAY, TRUE)"


_NONE = "TIMESTAMP '1970-01-01'"
"""Stands for no date: an aggregate of the newest passes NULLs over."""


def _list_for_review(con: Connection, activation: Activation, as_of: datetime) -> None:
    """List whom an outcome asks somebody to look at."""
    asking = [
        f"({literal(a.name)}, {literal(str(one))})"
        for a in activation.audiences.values()
        if a.outcomes is not None
        for one, follows in a.outcomes.each().items()
        if follows.review
    ]
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE reviewed AS
        SELECT destination, cio_id, person_record AS record_id, outcome, {timestamp(as_of)} AS noticed_at
        FROM said WHERE (audience, outcome) IN ({", ".join(asking) or "(NULL, NULL)"})"""
    )
    same = "r.destination = n.destination AND r.record_id = n.record_id"
    con.execute(f"DELETE FROM {REVIEWS} AS r USING reviewed AS n WHERE {same}")
    con.execute(f"INSERT INTO {REVIEWS} BY NAME FROM reviewed")
    con.execute("DROP TABLE reviewed")


def _actions(place: str) -> str:
    """Return the SELECT of the actions somebody acts on, with the record that their person has now (merges move it)."""
    return f"""SELECT x.*, coalesce(l.record_id, x.about) AS person_record FROM delivery.actions AS x
        LEFT JOIN delivery.links AS l ON l.destination = x.destination AND l.cio_id = x.cio_id
        WHERE x.destination = {place} AND x.{_KINDS}"""


def register(con: Connection, activation: Activation, seen: Sequence[OutcomeFields]) -> None:
    """Make ``seen`` the temporary table ``outcomes_seen``; ``until``: the begin of the day beside it."""
    import pyarrow as pa

    zone = ZoneInfo(activation.workspace.timezone)
    known = {outcome.value for outcome in Outcome}
    columns = {
        "record_id": pa.array([s.record_id for s in seen], pa.string()),
        "outcome": pa.array([s.outcome for s in seen], pa.string()),
        "outcome_on": pa.array([s.outcome_on for s in seen], pa.date32()),
        "active": pa.array([s.active for s in seen], pa.bool_()),
        "set_at": pa.array([s.set_at for s in seen], pa.timestamp("us")),
        "until": pa.array([_begin(s.outcome_on, zone) for s in seen], pa.timestamp("us")),
        "counts": pa.array([s.outcome in known for s in seen], pa.bool_()),
    }
    con.register("outcomes_now", pa.table(columns))
    con.execute("CREATE OR REPLACE TEMP TABLE outcomes_seen AS SELECT DISTINCT ON (record_id) * FROM outcomes_now")
    con.unregister("outcomes_now")


def keep(con: Connection, destination: str, read_at: datetime) -> None:
    """Keep ``outcomes_seen`` as what was last read, and drop it."""
    con.execute(
        f"""DELETE FROM {FIELDS} WHERE destination = {literal(destination)}
            AND record_id IN (SELECT record_id FROM outcomes_seen)"""
    )
    con.execute(
        f"""INSERT INTO {FIELDS} BY NAME
        SELECT {literal(destination)} AS destination, record_id, outcome, outcome_on, active,
            {timestamp(read_at)} AS read_at FROM outcomes_seen"""
    )
    con.execute("DROP TABLE outcomes_seen")


def _begin(day: date | None, zone: ZoneInfo) -> datetime | None:
    if day is None:
        return None
    return datetime.combine(day, time(), zone).astimezone(UTC).replace(tzinfo=None)
