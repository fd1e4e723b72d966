"""Reads webhook bodies: when it happened, whom it was about, whether it can be used. One SQL over all of a step.

The person is read at these JSON paths, the first that holds text or a whole number:

- ``cio_id``: ``data.identifiers.cio_id``, ``identifiers.cio_id``, ``customer.cio_id``, ``cio_id``;
- e-mail: ``data.identifiers.email``, ``identifiers.email``, ``customer.email``, ``email``;
- id: ``data.identifiers.id``, ``identifiers.id``, ``customer.id``, and ``id`` where there is no e-mail either: at the
  top it is as often the event's own, an order's say, as the person's.

``cio_`` before a ``cio_id`` is no part of it: Customer.io's own calls want it in the place of an id (Track and App API,
"customer_id"), so an id that has it is that person's ``cio_id`` too.

Reporting events always have the first one (Customer.io, "Reporting webhooks"); a journey's body is what its author
wrote. Ids compare as they are written, e-mails without case (Customer.io, "Identifying people").
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from cio_activation.customerio import casting
from cio_activation.customerio.inbox import SKEW_S, Waiting

MAX_ID_BYTES = 150
MAX_EMAIL = 254
METRIC = "json_extract_string(body, '$.metric')"
"""SQL over ``raw.moments``: the metric of a reporting event."""


def table(waiting: Sequence[Waiting]) -> pa.Table:
    """Return the events as the relation ``arrived_events`` that :data:`READ` reads."""
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


def compared_email(value: str) -> str:
    """Return the SQL of an e-mail as it is compared: trimmed, lower case; NULL if nothing is left.

    Made for columns of everybody: looking at both ends first costs a third of trimming them all (measured).
    """
    ends = f"({value})[1] > ' ' AND ({value})[-1] > ' '"
    return f"lower(CASE WHEN {ends} THEN {value} ELSE nullif(trim({value}, E' \\t\\r\\n'), '') END)"


def _text(*paths: str) -> str:
    """Return the first of the JSON paths that holds text or a whole number, trimmed; NULL if none does."""
    found = [
        f"CASE WHEN json_type(json, '$.{path}') IN ('VARCHAR', 'UBIGINT', 'BIGINT') "
        f"THEN nullif(trim(json_extract_string(json, '$.{path}'), E' \\t\\r\\n'), '') END"
        for path in paths
    ]
    return f"coalesce({', '.join(found)}, NULL)"


_PREFIXED = "regexp_full_match(any_id, 'cio_[0-9A-Za-z]+')"
_STAMP = "coalesce(json_extract_string(json, '$.timestamp'), json_extract_string(json, '$.occurred_at'))"
READ = f"""
WITH parsed AS (
    SELECT
        *,
        CASE WHEN json_type(TRY_CAST(raw_text AS JSON)) = 'OBJECT' THEN TRY_CAST(raw_text AS JSON) END AS json,
        make_timestamp(CAST(received * 1000000 AS BIGINT)) AS received_at
    FROM arrived_events
),
read AS (
    SELECT
        *,
        CASE
            WHEN {_STAMP} IS NOT NULL THEN {casting.event_time(_STAMP)}
            -- A journey's body may be without a time: the time of its first try is the next best.
            ELSE make_timestamp(CAST(coalesce(signed_at, received) * 1000000 AS BIGINT))
        END AS occurred_at,
        regexp_replace(
            {_text("data.identifiers.cio_id", "identifiers.cio_id", "customer.cio_id", "cio_id")}, '^cio_(.)', '\\1'
        ) AS given_cio_id,
        {_text("data.identifiers.id", "identifiers.id", "customer.id")} AS given_id,
        {_text("id")} AS bare_id,
        lower({_text("data.identifiers.email", "identifiers.email", "customer.email", "email")}) AS given_email
    FROM parsed
),
-- What cannot be an e-mail or an id of Customer.io is nobody's name, and is never asked for.
plausible AS (
    SELECT
        *,
        CASE WHEN regexp_full_match(given_email, '[^\\s@]+@[^\\s@]+') AND length(given_email) <= {MAX_EMAIL}
            THEN given_email END AS email,
        CASE WHEN strlen(given_id) <= {MAX_ID_BYTES} THEN given_id END AS proper_id
    FROM read
),
called AS (
    SELECT
        *,
        coalesce(
            proper_id,
            CASE WHEN given_id IS NULL AND email IS NULL AND strlen(bare_id) <= {MAX_ID_BYTES} THEN bare_id END
        ) AS any_id
    FROM plausible
),
named AS (
    SELECT
        *,
        coalesce(given_cio_id, CASE WHEN {_PREFIXED} THEN any_id[5:] END) AS cio_id,
        CASE WHEN NOT {_PREFIXED} THEN any_id END AS external_id
    FROM called
)
SELECT
    source,
    event_id,
    kind,
    cio_id,
    CASE WHEN cio_id IS NOT NULL THEN 'cio_id' END AS named_by,
    external_id,
    email,
    occurred_at,
    coalesce(
        TRY_CAST(json_extract_string(json, '$.data.machine') AS BOOLEAN)
            OR TRY_CAST(json_extract_string(json, '$.data.prefetched') AS BOOLEAN),
        false
    ) AS machine,
    delivery_id,
    CASE
        WHEN json IS NULL THEN 'no JSON object'
        WHEN coalesce(cio_id, external_id, email) IS NULL THEN 'names nobody'
        WHEN occurred_at IS NULL THEN 'unparsable timestamp'
        -- A clock that is wrong by days would make this the newest moment for ever.
        WHEN occurred_at > received_at + to_seconds({SKEW_S:.0f}) THEN 'time in the future'
    END AS problem,
    json AS body,
    received_at,
    raw_text
FROM named
"""
