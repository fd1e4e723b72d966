"""The queue of refused operations and fields: what waits, what is due; and a summary of it.

What was refused is tried again when its cause can have changed: another value (that is another question), another
schema at the destination, what the refusal itself names as its cause (see ``due``), or time: 1, 2, 4, 8 days, and after
five tries (then it counts as parked) every 30 days, without end.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cio_activation.delivery import unmatched
from cio_activation.delivery.apart import REFUSED
from cio_activation.delivery.catalog import ADVICE, TOLD
from cio_activation.delivery.destination import NOT_MADE, UNLEARNED, Context
from cio_activation.journal.operations import Cause
from cio_activation.warehouse import change_log
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, scalar, timestamp

MAX_ATTEMPTS = 5
"""Tries of what is refused before it is parked, that is tried rarely."""
PARKED_DAYS = 30
"""As-of days between the tries of what is parked; they never end."""
UNANSWERED = 5
"""Attempts of an operation in a row without an answer that have it listed, and looked up where that can be done; each
run goes on trying it."""
AT_ONCE = "TIMESTAMP '1970-01-01'"
"""SQL of a next try that is due whenever the next plan is made."""


@dataclass(frozen=True)
class Refused:
    """What one reason keeps from being delivered, of one step."""

    destination: str
    step: str
    field: str | None
    """The one field that is refused, the others go out; None: the operation as a whole."""
    reason: str
    operations: int
    people: int
    parked: int
    """Tried so often that they are now tried every 30 days only."""
    next_try_at: datetime | None
    """As-of (naive UTC) from which on the first of them is tried again."""


def catalog_hash(catalog: Mapping[str, Any]) -> str:
    """Return a hash of what is known of a destination's schema."""
    text = json.dumps(dict(catalog), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _cause_hash(catalog: Mapping[str, Any]) -> str:
    """Return a hash of a catalog's ids; what it only tells (advice, a yes or no) mends nothing that was rejected."""
    ids = {k: v for k, v in catalog.items() if k != ADVICE and not k.startswith(TOLD) and not isinstance(v, bool)}
    return catalog_hash(ids)


def waiting(destination: str, step: str, context: Context, as_of: datetime) -> str:
    """Return a SELECT of the operation ids that are not due at ``as_of``."""
    return f"""SELECT operation_id FROM delivery.rejected AS r
    WHERE field IS NULL AND {_of(destination, step)} AND {_not_due(destination, context, as_of)}"""


def waiting_fields(destination: str, step: str, context: Context, as_of: datetime, planned: str) -> str:
    """Return a SELECT (operation_id, field) of what ``planned`` would write and is refused and not due at ``as_of``."""
    return f"""SELECT p.operation_id, r.field FROM {planned} AS p
    JOIN delivery.rejected AS r ON r.cio_id = p.cio_id
    WHERE r.field IS NOT NULL AND {_of(destination, step)} AND {_not_due(destination, context, as_of)}
      AND json_exists(p.payload, '$.' || r.field) AND {_value_hash("p.payload", "r.field")} = r.value_hash"""


def forget_unwanted(con: Connection, destination: str, step: str, wanted: str) -> None:
    """Drop from the queue what is not in ``wanted`` any more (the value moved on, the person left)."""
    con.execute(
        f"""DELETE FROM delivery.rejected AS r WHERE {_of(destination, step)} AND CASE
            WHEN field IS NULL THEN operation_id NOT IN (SELECT operation_id FROM {wanted})
            ELSE NOT EXISTS (
                SELECT 1 FROM {wanted} AS w WHERE w.cio_id = r.cio_id AND json_exists(w.payload, '$.' || r.field)
                  AND {_value_hash("w.payload", "r.field")} = r.value_hash) END"""
    )


def queue(con: Connection, destination: str, step: str, context: Context, finished: str) -> None:
    """Queue what ``finished`` refused, with a delay that doubles, in as-of time; drop what went through."""
    unlearned = scalar(con, f"SELECT count(*) FROM {finished} AS u WHERE {_is_unlearned('u')}")
    of_fields = f"json_exists(observed, '$.{REFUSED}')"
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE queued AS
        WITH refusals AS (
            SELECT *, CAST(NULL AS VARCHAR) AS field, CAST(NULL AS VARCHAR) AS value_hash,
                   json_extract_string(observed, '$.cause') AS cause, CAST(NULL AS INTEGER) AS unanswered
            FROM {finished} WHERE "end" = 'rejected' AND NOT coalesce({of_fields}, false)
            UNION ALL BY NAME
            SELECT * REPLACE (json_extract_string(observed, '$.{REFUSED}.' || field || '.reason') AS reason),
                   {_value_hash("payload", "field")} AS value_hash,
                   json_extract_string(observed, '$.{REFUSED}.' || field || '.cause') AS cause
            FROM (SELECT *, unnest(json_keys(observed, '$.{REFUSED}')) AS field FROM {finished} WHERE {of_fields})
            {f"UNION ALL BY NAME {_unanswered(finished)}" if unlearned else ""}
        )
        SELECT f.operation_id, f.destination, f.step, f.lane, f.kind, f.cio_id, f.target, f.reason, f.field,
               f.value_hash, f.cause, coalesce(f.result_record_id, f.record_id) AS record_id,
               coalesce(json_extract_string(f.observed, '$.carried_for'), h.cio_id) AS rival,
               f.ended_at AS refused_at, coalesce(f.unanswered, coalesce(r.attempts, 0) + 1) AS attempts,
               f.window_end AS tried_window_end,
               f.unanswered IS NOT NULL AS unanswered
        FROM refusals AS f
        LEFT JOIN delivery.rejected AS r ON r.field IS NOT DISTINCT FROM f.field AND r.destination = f.destination
            AND CASE WHEN f.field IS NULL THEN r.operation_id = f.operation_id
                ELSE r.step = f.step AND r.cio_id = f.cio_id AND r.value_hash = f.value_hash END
        LEFT JOIN delivery.links AS h ON f.cause = {literal(Cause.CLASH)} AND h.destination = f.destination
            AND h.record_id = f.result_record_id AND h.cio_id <> f.cio_id
        QUALIFY row_number() OVER (PARTITION BY f.cio_id, f.operation_id, f.field ORDER BY h.cio_id) = 1"""
    )
    con.execute(
        f"""DELETE FROM delivery.rejected AS r WHERE {_of(destination, step)} AND EXISTS (
            SELECT 1 FROM {finished} AS f WHERE (f."end" <> 'retry' OR {_is_unlearned("f")}) AND CASE
                WHEN r.field IS NULL THEN f.operation_id = r.operation_id
                ELSE f.cio_id = r.cio_id AND json_exists(f.payload, '$.' || r.field) END)"""
    )
    con.execute(
        f"""INSERT INTO delivery.rejected BY NAME
        SELECT * EXCLUDE (unanswered), {literal(_cause_hash(context.catalog))} AS catalog_hash,
               CASE WHEN unanswered THEN {AT_ONCE}
                    WHEN cause = {literal(Cause.CLASH)} THEN tried_window_end + INTERVAL 1 SECOND
                    ELSE tried_window_end + INTERVAL 1 DAY * CASE
                   WHEN attempts < {MAX_ATTEMPTS} THEN CAST(pow(2, attempts - 1) AS INT) ELSE {PARKED_DAYS} END
                   END AS next_try_at
        FROM queued"""
    )
    con.execute("DROP TABLE queued")


def often_unanswered(con: Connection, operations: Sequence[str]) -> set[str]:
    """Return those of ``operations`` that one more attempt without an answer has listed, or that are listed for it."""
    asked = f"SELECT unnest([{', '.join(literal(o) for o in operations)}]::VARCHAR[]) AS operation_id"
    query = f"SELECT operation_id FROM ({_times_unanswered(asked)}) WHERE times >= {UNANSWERED - 1}"
    return {str(operation_id) for (operation_id,) in con.execute(query).fetchall()}


def queue_anew(con: Connection, destination: str | None = None) -> int:
    """Make everything in the queue (of one destination) due with the next plan, as if new; return how much that is.

    Whose record was deleted is looked for again, too.
    """
    where = "true" if destination is None else f"destination = {literal(destination)}"
    rows = con.execute(f"SELECT count(*) FROM delivery.rejected WHERE {where}").fetchall()
    con.execute(f"UPDATE delivery.rejected SET attempts = 0, next_try_at = {AT_ONCE} WHERE {where}")
    lost = f"SELECT destination, cio_id FROM ({unmatched.listed_gone()}) WHERE {where}"
    con.execute(f"CREATE OR REPLACE TEMP TABLE sought AS {lost}")
    con.execute(
        """UPDATE delivery.links AS l SET looked_up_email = NULL, looked_up_phone = NULL FROM sought AS s
        WHERE l.record_id IS NULL AND l.destination = s.destination AND l.cio_id = s.cio_id"""
    )
    for (name,) in con.execute("SELECT DISTINCT destination FROM sought ORDER BY 1").fetchall():
        change_log.note(con, f"delivery.{name}", f"SELECT cio_id FROM sought WHERE destination = {literal(name)}")
    con.execute("DROP TABLE sought")
    return int(rows[0][0])


def _of(destination: str, step: str) -> str:
    return f"r.destination = {literal(destination)} AND r.step = {literal(step)}"


def _not_due(destination: str, context: Context, as_of: datetime) -> str:
    """Return SQL for: neither time nor its cause makes ``r`` due.

    What misses a field or option waits for the next look of the schema step, which makes or restores them; the
    catalog may look the same afterwards. Who clashes with somebody waits until either of the two changed, or the other
    let go of the record; and for the next window: what a colleague changed of the record shows in no table here.
    """
    schema = f"""r.cause IS NOT DISTINCT FROM {literal(Cause.SCHEMA)} AND EXISTS (
        SELECT 1 FROM delivery.catalog AS c
        WHERE c.destination = {literal(destination)} AND c.checked_at > r.refused_at)"""
    stands = """EXISTS (
        SELECT 1 FROM identity.persons AS o
        WHERE o.cio_id = r.rival AND NOT coalesce(o.changed_at > r.tried_window_end, false))
        AND NOT EXISTS (
            SELECT 1 FROM identity.persons AS o WHERE o.cio_id = r.cio_id AND o.changed_at > r.tried_window_end)
        AND NOT EXISTS (
            SELECT 1 FROM delivery.links AS l WHERE l.destination = r.destination AND l.cio_id = r.rival
              AND l.record_id IS DISTINCT FROM r.record_id)"""
    return f"""r.next_try_at > {timestamp(as_of)}
      AND coalesce(r.catalog_hash = {literal(_cause_hash(context.catalog))}, true)
      AND NOT ({schema}) AND (r.cause IS DISTINCT FROM {literal(Cause.CLASH)} OR ({stands}))"""


def _is_unlearned(row: str) -> str:
    return f"""({row}."end" = 'retry' AND {row}.reason IN ({literal(UNLEARNED)}, {literal(NOT_MADE)}))"""


def _unanswered(finished: str) -> str:
    """Return a SELECT of those in ``finished`` that got no answer ``UNANSWERED`` times in a row, or more often.

    By the ledger, which has these attempts already.
    """
    asked = f"SELECT operation_id FROM {finished} AS u WHERE {_is_unlearned('u')}"
    return f"""
    SELECT f.* REPLACE ('no answer, ' || n.times || ' times in a row' AS reason), n.times AS unanswered
    FROM {finished} AS f JOIN ({_times_unanswered(asked)}) AS n ON n.operation_id = f.operation_id
    WHERE {_is_unlearned("f")} AND n.times >= {UNANSWERED}"""


def _times_unanswered(asked: str) -> str:
    """Return a SELECT (operation_id, times) of how often each of ``asked`` got no answer since it last got one."""
    return f"""
    SELECT g.operation_id, CAST(count(*) FILTER (g.intent_at > coalesce(last.answered_at, TIMESTAMP '1970-01-01'))
                                AS INTEGER) AS times
    FROM delivery.ledger AS g
    LEFT JOIN (
        SELECT operation_id, max(intent_at) AS answered_at FROM delivery.ledger AS a
        WHERE NOT {_is_unlearned("a")} AND operation_id IN ({asked})
        GROUP BY operation_id
    ) AS last ON last.operation_id = g.operation_id
    WHERE {_is_unlearned("g")} AND g.operation_id IN ({asked})
    GROUP BY g.operation_id"""


def _value_hash(payload: str, field: str) -> str:
    return f"coalesce(md5(json_extract_string({payload}, '$.' || {field})), '')"


def summary(con: Connection) -> list[Refused]:
    """Return what stands in the queue by destination, step and reason, the most first."""
    rows = con.execute(
        f"""SELECT destination, step, field, coalesce(reason, '(none given)'), count(*), count(DISTINCT cio_id),
                  count(*) FILTER (attempts >= {MAX_ATTEMPTS} AND cause IS DISTINCT FROM {literal(Cause.CLASH)}),
                  min(next_try_at)
        FROM delivery.rejected GROUP BY ALL ORDER BY 5 DESC, 1, 2, 4, 3"""
    ).fetchall()
    return [Refused(*row) for row in rows]


def operations(con: Connection) -> list[dict[str, Any]]:
    """Return every queued operation: who (``cio_id`` only), what, why, how often tried, when next."""
    names = ("destination", "step", "field", "reason", "cio_id", "kind", "target", "attempts", "next_try_at")
    rows = con.execute(
        f"SELECT {', '.join(names)} FROM delivery.rejected "
        "ORDER BY destination, step, reason, cio_id, operation_id, field"
    ).fetchall()
    return [dict(zip(names, row, strict=True)) for row in rows]
