"""The step ``retired_lists``: lists of audiences that left the activation are emptied, and deleted after a delay.

Until then a list keeps its name and its id, so that an audience that comes back finds its list again. Somebody whom
we did not put on a list keeps it from being deleted.
"""

from __future__ import annotations

from collections.abc import Sequence

from cio_activation.activation.models import Lane
from cio_activation.delivery.destination import EXIT, AbsoluteStep, Context, Step
from cio_activation.delivery.links import fold_members
from cio_activation.destinations.common.kinds import MEMBERSHIPS, REMOVE
from cio_activation.destinations.hubspot import list_api
from cio_activation.destinations.hubspot.config import NAME, settings_of
from cio_activation.destinations.hubspot.gone import forget_gone
from cio_activation.destinations.hubspot.known_lists import RETIRED
from cio_activation.destinations.hubspot.lists import BATCH, change, hand_over
from cio_activation.journal.operations import End, Kind, Operation, Result
from cio_activation.transport.errors import Rejected
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, timestamp

RETIRE = Kind(name="retire", told="deleted the list")
"""Deletes a list that nobody is on. It is about the list in ``record_id``, not about a person."""
NOT_EMPTY = "the list has members we did not put there: take them off, or delete the list by hand"


class RetiredListsStep(AbsoluteStep):
    """Takes everybody off the lists that are no audience's any more, then deletes them."""

    name = "retired_lists"
    kinds: tuple[Kind, ...] = (REMOVE, RETIRE)
    lane: Lane | None = Lane.DAILY
    description = "Lists of audiences that left the activation: emptied at once, deleted after retire_lists_after."
    after: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    batch_size = BATCH
    concurrency = 4

    def predecessors(self, context: Context) -> Sequence[Step]:
        """Return the steps of the lists' audiences: whom a call put there that was never answered comes off too."""
        retired = [was for key, was in context.catalog.items() if key.startswith(RETIRED) and not was["replaced"]]
        return [_FormerMembersStep(was["audience"]) for was in retired]

    def refresh(self, con: Connection, context: Context) -> None:
        """Note which lists are retired since when, with the members they were left with; forget those taken back."""
        assert context.window is not None
        retired = {k.removeprefix(RETIRED): v for k, v in context.catalog.items() if k.startswith(RETIRED)}
        present = f"destination = {literal(NAME)} AND ended_at IS NULL"
        known = {i for (i,) in con.execute(f"SELECT list_id FROM delivery.retired_lists WHERE {present}").fetchall()}
        for list_id, was in retired.items():
            hand_over(con, context.catalog, f"{RETIRED}{list_id}", list_id)
            if list_id not in known:
                con.execute(
                    "INSERT INTO delivery.retired_lists VALUES (?, ?, ?, ?, ?, NULL)",
                    [NAME, list_id, was["audience"], was["name"], context.window.as_of],
                )
        for list_id in known - retired.keys():  # an audience has it again, or somebody deleted it
            con.execute(f"DELETE FROM delivery.retired_lists WHERE {present} AND list_id = ?", [list_id])

    def plan(self, con: Connection, context: Context) -> str | None:  # noqa: ARG002
        """Return the removals, exits all of them, and the deletions that are due of lists with nobody left."""
        assert context.window is not None
        delay, as_of = settings_of(context.activation).retire_lists_after, context.window.as_of
        due = "false" if delay is None else f"r.since <= {timestamp(as_of - delay)}"
        return f"""
        WITH retired AS (
            SELECT list_id, {literal(RETIRED)} || list_id AS owner, since
            FROM delivery.retired_lists WHERE destination = {literal(NAME)} AND ended_at IS NULL
        ), members AS (
            SELECT m.cio_id, m.record_id, m.audience AS owner
            FROM delivery.members AS m JOIN retired AS r ON m.destination = {literal(NAME)} AND m.audience = r.owner
        )
        SELECT {literal(REMOVE.name)} AS kind, cio_id, record_id, owner AS target, '{{}}' AS payload, '{{}}' AS keys,
               CAST(NULL AS UBIGINT) AS row_hash, {EXIT} AS priority, owner AS batch_group
        FROM members
        UNION ALL
        SELECT {literal(RETIRE.name)}, 'list:' || r.list_id, r.list_id, r.owner, '{{}}', '{{}}', CAST(NULL AS UBIGINT),
               0, {literal(RETIRE.name)}
        FROM retired AS r ANTI JOIN members AS m ON m.owner = r.owner WHERE {due}"""

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:  # noqa: ARG002
        """Take members off one list, or delete lists that are empty; what is gone already is as it should be."""
        if batch[0].kind == RETIRE:
            return [await _retire(client, o) for o in batch]
        try:
            return await change(client, str(batch[0].target).removeprefix(RETIRED), batch)
        except Rejected as error:
            if error.status != 404:
                raise
            return [Result(o.operation_id, End.DELIVERED, status=404, request_id=error.request_id) for o in batch]

    def fold(self, con: Connection, context: Context, finished: str) -> None:  # noqa: ARG002
        """Note who is off, and which lists are deleted."""
        fold_members(con, NAME, self.kinds, finished)
        forget_gone(con, finished)
        con.execute(
            f"""UPDATE delivery.retired_lists AS r SET ended_at = f.ended_at FROM {finished} AS f
            WHERE r.destination = {literal(NAME)} AND r.ended_at IS NULL AND r.list_id = f.record_id
              AND f.kind = {literal(RETIRE.name)} AND f."end" = 'delivered'"""
        )
        con.execute(
            f"""DELETE FROM delivery.hubspot_lists AS l WHERE EXISTS (
                SELECT 1 FROM {finished} AS f
                WHERE f.kind = {literal(RETIRE.name)} AND f."end" = 'delivered' AND f.target = l.audience)"""
        )


class _FormerMembersStep(AbsoluteStep):
    """``list/<audience>`` after its audience left: plans nothing, and still knows what became of what was sent."""

    kinds: tuple[Kind, ...] = MEMBERSHIPS
    lane: Lane | None = None
    description = "What an audience that left the activation has sent."
    after: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    batch_size = BATCH
    concurrency = 1

    def __init__(self, audience: str) -> None:
        self.name = f"list/{audience}"

    def plan(self, con: Connection, context: Context) -> str | None:  # noqa: ARG002
        """Plan nothing."""
        return None

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:
        """Leave everything to the next plan of the retired lists."""
        return await self.recover(client, context, batch)

    def fold(self, con: Connection, context: Context, finished: str) -> None:  # noqa: ARG002
        """Note acknowledged members, as the audience's own step did."""
        fold_members(con, NAME, self.kinds, finished)
        forget_gone(con, finished)


async def _retire(client: VendorClient, operation: Operation) -> Result:
    list_id = str(operation.record_id)
    if await list_api.has_members(client, list_id):
        return Result(operation.operation_id, End.REJECTED, NOT_EMPTY)
    await list_api.delete_list(client, list_id)
    return Result(operation.operation_id, End.DELIVERED)
