"""The steps ``activity/<audience>``: what people are asked to do, made once an entry, brought up to date, taken back.

One activity a call, five tokens; the person, or the activity, is read just before for one more: a reading of a hundred
at once would be old by the time the last one is written, and what somebody wrote meanwhile would be lost.
"""

from __future__ import annotations

from collections.abc import Sequence

from cio_activation.activation.models import Audience
from cio_activation.delivery.destination import NOT_MADE, AbsoluteStep, Context
from cio_activation.delivery.unmatched import note_gone
from cio_activation.destinations.common.actions.step import ActionStep, RetiredActionsStep
from cio_activation.destinations.pipedrive.activity_sending import ACTIVITY, Sending
from cio_activation.destinations.pipedrive.api import CONCURRENCY, MAX_IDS, TOKENS, PipedriveApi
from cio_activation.destinations.pipedrive.config import NAME
from cio_activation.destinations.pipedrive.matching import release
from cio_activation.destinations.pipedrive.mirrored import mark_deleted
from cio_activation.journal.operations import End, Operation, Result
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.sessions import Connection, Warehouse


class SendsActions(AbsoluteStep):
    """What steps of actions send, and how they find what was made without an answer."""

    batch_size = 1
    concurrency = CONCURRENCY
    tokens_per_call = TOKENS["activities.create"] + TOKENS["activities.get"]
    sending: type[Sending] = Sending

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:
        """Send each operation of ``batch`` (of one)."""
        sending = self.sending(client, context)
        return [await sending.send(operation) for operation in batch]

    async def recover(self, client: VendorClient, context: Context, open: Sequence[Operation]) -> list[Result]:
        """Find out what became of each: a creation by its marker among the person's activities, never by search."""
        making = [o for o in open if o.kind.creates]
        links = linked_now(context, [o.cio_id for o in making]) if making else {}
        sending = self.sending(client, context)
        found = [await sending.settle(o) for o in open if not o.kind.creates]
        lost: list[Operation] = []
        for operation in making:
            adopted = await sending.find(operation, links.get(operation.cio_id))
            if adopted is None:
                lost.append(operation)
            else:
                found.append(adopted)
        return found + await not_made(client, lost, links)


class ActivityStep(SendsActions, ActionStep):
    """The activities of one audience."""

    def __init__(self, audience: Audience, after: Sequence[str]) -> None:
        super().__init__(ACTIVITY, audience, after)

    def fold(self, con: Connection, context: Context, finished: str) -> None:
        """Keep what became of them; whose person was found gone is looked for again."""
        super().fold(con, context, finished)
        fold_gone(con, finished)


class RetiredActivitiesStep(SendsActions, RetiredActionsStep):
    """``retired_activities``: takes back the open ones of audiences that ask for none any more."""

    def __init__(self, declared: Sequence[Audience]) -> None:
        super().__init__(ACTIVITY, declared)


def fold_gone(con: Connection, finished: str) -> None:
    """Let go of the persons for whom nothing could be made because they are gone."""
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE pd_lost AS
        SELECT cio_id, target AS record_id, max(ended_at) AS lost_at FROM {finished}
        WHERE target IS NOT NULL AND "end" = 'rejected' AND json_exists(observed, '$.gone') GROUP BY ALL"""
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE pd_gone AS SELECT l.cio_id, l.record_id, max(f.window_end) AS noticed_at
        FROM pd_lost AS l JOIN {finished} AS f ON f.cio_id = l.cio_id AND f.target = l.record_id GROUP BY ALL"""
    )
    note_gone(con, NAME, "pd_gone")
    mark_deleted(con, "SELECT record_id AS person_id FROM pd_lost")
    release(con, "pd_lost")
    con.execute("DROP TABLE pd_lost; DROP TABLE pd_gone")


def linked_now(context: Context, people: Sequence[str]) -> dict[str, str]:
    """Return who is linked to which person now: a merge moved the activities to another since."""
    with Warehouse(
        context.settings.warehouse_path, memory_limit=context.settings.activation_duckdb_memory
    ).read() as con:
        rows = con.execute(
            """SELECT cio_id, record_id FROM delivery.links
            WHERE destination = ? AND record_id IS NOT NULL AND cio_id IN (SELECT unnest(?::VARCHAR[]))""",
            [NAME, sorted(set(people))],
        ).fetchall()
    return {str(cio_id): str(record_id) for cio_id, record_id in rows}


async def not_made(client: VendorClient, lost: Sequence[Operation], links: dict[str, str]) -> list[Result]:
    """Return RETRY for the creations that are nowhere to be found.

    Not of a person that is gone and still linked: it may have been merged, and the activity be with the survivor, which
    the mirror has to learn first. Such an attempt stays in doubt, and nothing is made meanwhile.
    """
    asked = list(dict.fromkeys(str(o.target) for o in lost))
    api, living = PipedriveApi(client), set[str]()
    for start in range(0, len(asked), MAX_IDS):
        living |= await api.living(asked[start : start + MAX_IDS])
    return [
        Result(o.operation_id, End.RETRY, NOT_MADE)
        for o in lost
        if o.target in living or links.get(o.cio_id) != o.target
    ]
