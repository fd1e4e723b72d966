"""The steps ``outreach_flags_<lane>``: in Customer.io a person is marked while humans are asked to act for them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from cio_activation.activation.models import Lane
from cio_activation.delivery.destination import AbsoluteStep, Context, Step
from cio_activation.destinations.customerio import failures
from cio_activation.destinations.customerio.desired import changes, prefix_of
from cio_activation.destinations.customerio.track import (
    ACTIVE,
    AUDIENCE,
    BATCH,
    OUTCOME,
    UNTIL,
    TrackClient,
    Update,
    update,
)
from cio_activation.journal.operations import End, Kind, Operation, Result
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.tables import OUTREACH_FLAGS

MARK = Kind(name="mark_outreach", told="told Customer.io who asks a human to act")
"""Writes the attributes of one person, or takes them back. What was acknowledged is in a table of its own."""
_INSTANT = "instant"
"""Key of ``Result.observed``: the timestamp that the write carried."""


class OutreachFlagsStep(AbsoluteStep):
    """Keeps the attributes of people equal to the actions that are open, whichever lane and CRM these are of.

    Both lanes have such a step and both look at everybody concerned: people with an open action, and people who were
    marked. These are as many as humans can work through, so it names no table to look at few by.
    """

    kinds: tuple[Kind, ...] = (MARK,)
    after: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    batch_size, concurrency = BATCH, 2
    follows_actions = True

    def __init__(self, lane: Lane) -> None:
        self.lane: Lane | None = lane
        self.name = f"outreach_flags_{lane}"
        self.description = (
            "Attributes in Customer.io of people whom somebody is asked to act for: whether, for which audience and "
            "until when. Segments and journeys leave them alone meanwhile."
        )

    async def prepare(self, client: VendorClient, context: Context) -> list[dict[str, Any]]:
        """Read once a day which writes were taken and then not applied."""
        assert isinstance(client, TrackClient)
        return await failures.read(client.pacer, context) if self.lane is Lane.DAILY else []

    def absorb(self, con: Connection, context: Context, rows: Sequence[Mapping[str, Any]]) -> None:  # noqa: ARG002
        """Put these in doubt, so that they are planned again."""
        failures.note(con, rows)

    def predecessors(self, context: Context) -> Sequence[Step]:  # noqa: ARG002
        """Settle what a daily run left without an answer: whom it marked may have to be unmarked within the hour.

        Not the other way round, or two runs would wait for each other's lease.
        """
        return (OutreachFlagsStep(Lane.DAILY),) if self.lane is Lane.REALTIME else ()

    def plan(self, con: Connection, context: Context) -> str:  # noqa: ARG002
        """Compare the open actions with what Customer.io was last told."""
        return changes(context.activation, MARK.name)

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:  # noqa: ARG002
        """Update the batch's people in one request."""
        now = now_s()
        updates = [Update(o.cio_id, o.payload, max(now, _after(o) + 1)) for o in batch]
        refused = await update(client, updates)
        return [
            Result(
                o.operation_id,
                End.REJECTED if place in refused else End.DELIVERED,
                f"207 {refused[place].reason} {refused[place].field}".strip() if place in refused else None,
                record_id=o.cio_id,
                status=207 if refused else 200,
                observed={_INSTANT: updates[place].instant},
            )
            for place, o in enumerate(batch)
        ]

    def fold(self, con: Connection, context: Context, finished: str) -> None:  # noqa: ARG002
        """Note what Customer.io took, as it orders writes: by their timestamps; and whose outcome is not known.

        Of two writes of one second nobody knows which stands, and of an attempt without an answer not whether it does:
        both are in doubt, and the next plan writes again, later than either.
        """
        values = ", ".join(
            f"json_extract_string(payload, '$.' || {prefix_of('payload')} || '{name}') AS {column}"
            for name, column in ((ACTIVE, "active"), (AUDIENCE, "audience"), (UNTIL, "until"), (OUTCOME, "outcome"))
        )
        con.execute(
            f"""CREATE OR REPLACE TEMP TABLE told AS
            SELECT f.cio_id, f.prefix,
                   CASE WHEN f.sure THEN coalesce(try_cast(f.active AS BOOLEAN), false) ELSE s.active END AS active,
                   CASE WHEN f.sure THEN nullif(f.audience, '') ELSE s.audience END AS audience,
                   CASE WHEN f.sure THEN try_cast(f.until AS BIGINT) ELSE s.until END AS until,
                   CASE WHEN f.sure THEN nullif(f.outcome, '') ELSE s.outcome END AS outcome,
                   greatest(f.instant, s.written_at) AS written_at,
                   CASE WHEN NOT f.sure THEN true WHEN f.instant > coalesce(s.written_at, 0) THEN false
                        ELSE s.in_doubt OR s.active IS DISTINCT FROM try_cast(f.active AS BOOLEAN)
                            OR s.audience IS DISTINCT FROM nullif(f.audience, '')
                            OR s.until IS DISTINCT FROM try_cast(f.until AS BIGINT)
                            OR s.outcome IS DISTINCT FROM nullif(f.outcome, '') END AS in_doubt,
                   s.failed_at, f.sure AND f.active = '' AS removed
            FROM (
                SELECT cio_id, {prefix_of("payload")} AS prefix, {values}, "end" = 'delivered' AS sure,
                       coalesce(CAST(json_extract(observed, '$.{_INSTANT}') AS BIGINT),
                                CAST(ceil(epoch(ended_at)) AS BIGINT)) AS instant
                FROM {finished} WHERE "end" IN ('delivered', 'retry')
            ) AS f
            LEFT JOIN {OUTREACH_FLAGS} AS s ON s.cio_id = f.cio_id AND s.prefix = f.prefix
            WHERE NOT f.sure OR f.instant >= coalesce(s.written_at, 0)
            QUALIFY row_number() OVER (PARTITION BY f.cio_id, f.prefix ORDER BY f.instant DESC, f.sure) = 1"""
        )
        same = "s.cio_id = t.cio_id AND s.prefix = t.prefix"
        con.execute(f"DELETE FROM {OUTREACH_FLAGS} AS s USING told AS t WHERE {same}")
        con.execute(f"INSERT INTO {OUTREACH_FLAGS} BY NAME SELECT * EXCLUDE (removed) FROM told WHERE NOT removed")
        con.execute("DROP TABLE told")


def now_s() -> int:
    """Return the present instant in whole seconds, by this machine's clock."""
    return int(time.time())


def _after(operation: Operation) -> int:
    """Return the instant of the last write to the person; 0 if there was none."""
    return int(operation.keys.get("after") or 0)
