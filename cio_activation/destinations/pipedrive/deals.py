"""The steps ``deal/<audience>``: a deal made once an entry, or the one there is moved forward."""

from __future__ import annotations

from collections.abc import Sequence

from cio_activation.activation.models import Audience
from cio_activation.delivery.destination import AbsoluteStep, Context
from cio_activation.destinations.common.actions.step import ActionStep, RetiredActionsStep
from cio_activation.destinations.pipedrive.activities import fold_gone, linked_now, not_made
from cio_activation.destinations.pipedrive.api import CONCURRENCY, TOKENS
from cio_activation.destinations.pipedrive.config import NAME
from cio_activation.destinations.pipedrive.deal_sending import DEAL, SendingDeals
from cio_activation.journal.operations import Operation, Result
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.sessions import Connection, Warehouse


class _Deals(AbsoluteStep):
    """What both steps send, and how they find what was made without an answer."""

    batch_size = 1
    concurrency = CONCURRENCY
    tokens_per_call = TOKENS["deals.create"] + TOKENS["persons.get"]

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:
        """Send each operation of ``batch`` (of one)."""
        sending = SendingDeals(client, context)
        return [await sending.send(operation) for operation in batch]

    async def recover(self, client: VendorClient, context: Context, open: Sequence[Operation]) -> list[Result]:
        """Find out what became of each: a creation among the person's deals, never by search."""
        making = [o for o in open if o.kind.creates]
        links = linked_now(context, [o.cio_id for o in making]) if making else {}
        known = _known(context) if making else set()
        sending = SendingDeals(client, context)
        found = [await sending.settle(o) for o in open if not o.kind.creates]
        lost: list[Operation] = []
        for operation in making:
            adopted = await sending.find(operation, links.get(operation.cio_id), known)
            if adopted is None:
                lost.append(operation)
            else:
                known.add(str(adopted.record_id))
                found.append(adopted)
        return found + await not_made(client, lost, links)


class DealStep(_Deals, ActionStep):
    """The deals of one audience."""

    def __init__(self, audience: Audience, after: Sequence[str]) -> None:
        super().__init__(DEAL, audience, after)

    def fold(self, con: Connection, context: Context, finished: str) -> None:
        """Keep what became of them; whose person was found gone is looked for again."""
        super().fold(con, context, finished)
        fold_gone(con, finished)


class RetiredDealsStep(_Deals, RetiredActionsStep):
    """``retired_deals``: lets go of the deals of audiences that ask for none any more; they stay as they are."""

    def __init__(self, declared: Sequence[Audience]) -> None:
        super().__init__(DEAL, declared)


def _known(context: Context) -> set[str]:
    """Return the deals that we know to be ours."""
    with Warehouse(
        context.settings.warehouse_path, memory_limit=context.settings.activation_duckdb_memory
    ).read() as con:
        rows = con.execute(
            "SELECT record_id FROM delivery.actions WHERE destination = ? AND kind = ?", [NAME, DEAL.word]
        ).fetchall()
    return {str(record_id) for (record_id,) in rows}
