"""The step ``list/<audience>``: members of one MANUAL list, by record id, entries and exits in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cio_activation.activation.models import Audience, Lane
from cio_activation.delivery.destination import FOUND_DONE, AbsoluteStep, Context, Step
from cio_activation.delivery.links import fold_members, membership_changes, membership_movements
from cio_activation.destinations.common.kinds import ADD, MEMBERSHIPS, REMOVE
from cio_activation.destinations.common.records import GONE
from cio_activation.destinations.hubspot import list_api
from cio_activation.destinations.hubspot.config import NAME
from cio_activation.destinations.hubspot.contact_links import LinksStep
from cio_activation.destinations.hubspot.gone import forget_gone, has_unsettled
from cio_activation.destinations.hubspot.known_lists import RETIRED
from cio_activation.destinations.hubspot.properties import PropertiesStep
from cio_activation.journal.operations import End, Kind, Operation, Result, person_claim
from cio_activation.transport.errors import Rejected
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.sessions import Connection

BATCH = 1_000
"""Ids in one call. HubSpot documents no maximum; should it refuse this many, the refused batch is halved."""


class MembersStep(AbsoluteStep):
    """Keeps one audience's list equal to its members who have a contact."""

    kinds: tuple[Kind, ...] = MEMBERSHIPS

    def __init__(self, audience: Audience) -> None:
        self._audience, self.audience = audience, audience.name
        self.name = f"list/{audience.name}"
        self.lane: Lane | None = audience.lane
        self.description = f"Members of HubSpot's list for '{audience.label}'."
        self.after: tuple[str, ...] = (f"properties_{audience.lane.value}",)
        self.needs: tuple[str, ...] = (f"audience/{audience.name}",)
        self.batch_size = BATCH
        self.concurrency = 4

    def reads(self, context: Context) -> tuple[str, ...]:  # noqa: ARG002
        """Compare members, links and what the list acknowledged."""
        return ("audience.memberships", "delivery.links", "delivery.members")

    def refresh(self, con: Connection, context: Context) -> None:
        """Keep what was acknowledged with the list it was acknowledged for; one that was made anew starts empty."""
        list_id = context.catalog.get(f"list:{self.audience}")
        if list_id is not None:
            hand_over(con, context.catalog, self.audience, str(list_id))

    def plan(self, con: Connection, context: Context) -> str | None:  # noqa: ARG002
        """Compare the members with those HubSpot acknowledged for the list as it is now."""
        return membership_changes(NAME, self.audience, context.scope, enter=ADD, leave=REMOVE)

    def objects(self, context: Context) -> tuple[str, ...]:  # noqa: ARG002
        """Need the list."""
        return (f"list:{self.audience}",)

    def movements(self, con: Connection, context: Context, planned: str) -> str | None:  # noqa: ARG002
        """Count who enters and who leaves the list."""
        return membership_movements(NAME, self.audience, planned, enter=ADD, leave=REMOVE)

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:
        """Add and remove in one call; who is in (or out) already is as good as added (or removed)."""
        list_id = context.catalog.get(f"list:{self.audience}")
        if list_id is None:
            return _later(batch, "the list is not made yet: run the schema step")
        try:
            return await change(client, str(list_id), batch)
        except Rejected as error:
            if error.status != 404:
                raise
            return _later(batch, "the list is gone: the schema step makes it again", error)

    async def look_up(self, client: VendorClient, context: Context, unanswered: Sequence[Operation]) -> list[Result]:
        """Read the contacts' lists, 100 a call, and see who is on this one as wanted."""
        list_id = str(context.catalog.get(f"list:{self.audience}"))
        lists, _ = await list_api.lists_of(client, list(dict.fromkeys(str(o.record_id) for o in unanswered)))
        on_it = {record_id for record_id, its_lists in lists.items() if list_id in its_lists}
        return [
            Result(o.operation_id, End.DELIVERED, FOUND_DONE)
            for o in unanswered
            if str(o.record_id) in lists and (str(o.record_id) in on_it) is o.kind.enters
        ]

    def fold(self, con: Connection, context: Context, finished: str) -> None:  # noqa: ARG002
        """Note acknowledged members; forget links to records that are gone."""
        fold_members(con, NAME, self.kinds, finished)
        forget_gone(con, finished)

    def follow_up(self, con: Connection, context: Context) -> Sequence[Step]:
        """Look for those at once whose contact was found gone; write to, and list, what has taken its place."""
        if self.lane is None or not has_unsettled(con):
            return ()
        activation = context.activation
        return (LinksStep(activation, self.lane), PropertiesStep(activation, self.lane), MembersStep(self._audience))


async def change(client: VendorClient, list_id: str, batch: Sequence[Operation]) -> list[Result]:
    """Put on a list and take off it whom ``batch`` names, in one call. Raises Rejected with 404 if there is no list."""
    add = [str(o.record_id) for o in batch if o.kind.enters]
    # A record both leaves and enters when its contact went over to another profile: it stays.
    remove = [str(o.record_id) for o in batch if not o.kind.enters and o.record_id not in set(add)]
    reply = await list_api.change_members(client, list_id, add, remove)
    if not reply.silent:
        return [_result(o, reply) for o in batch]
    # Nobody is named. If all were there already that is right; a success that did nothing looks the same.
    lists, missing = await list_api.lists_of(client, list(dict.fromkeys([*add, *remove])))
    reply = replace(reply, missing=missing)
    there = {record_id for record_id, its_lists in lists.items() if list_id in its_lists}
    done = [o for o in batch if str(o.record_id) in missing or _as_wanted(o, lists, there, set(add))]
    return [_result(o, reply) for o in done]  # the others become unknown


def hand_over(con: Connection, catalog: Mapping[str, Any], owner: str, list_id: str) -> None:
    """Let ``owner`` (an audience, or ``retired:<id>``) have the list and the members acknowledged for it.

    What ``owner`` had before goes under its own retired name, or is forgotten where that list is gone: one that was
    made anew starts empty.
    """
    before = _list_of(con, owner)
    if before == list_id:
        return
    if before is not None and f"{RETIRED}{before}" in catalog:
        _rename_owner(con, owner, f"{RETIRED}{before}")
    elif before is not None:
        con.execute("DELETE FROM delivery.hubspot_lists WHERE audience = ?", [owner])
        con.execute("DELETE FROM delivery.members WHERE destination = ? AND audience = ?", [NAME, owner])
        con.execute("DELETE FROM delivery.rejected WHERE destination = ? AND step = ?", [NAME, f"list/{owner}"])
    for other in con.execute("SELECT audience FROM delivery.hubspot_lists WHERE list_id = ?", [list_id]).fetchall():
        _rename_owner(con, str(other[0]), owner)
    if _list_of(con, owner) is None:
        con.execute("INSERT INTO delivery.hubspot_lists VALUES (?, ?)", [owner, list_id])


def _list_of(con: Connection, owner: str) -> str | None:
    rows = con.execute("SELECT list_id FROM delivery.hubspot_lists WHERE audience = ?", [owner]).fetchall()
    return str(rows[0][0]) if rows else None


def _rename_owner(con: Connection, owner: str, heir: str) -> None:
    """Put a list and its acknowledged members under another name; nothing of its old step is left waiting."""
    con.execute("UPDATE delivery.hubspot_lists SET audience = ? WHERE audience = ?", [heir, owner])
    con.execute("UPDATE delivery.members SET audience = ? WHERE destination = ? AND audience = ?", [heir, NAME, owner])
    for table in ("delivery.rejected", "delivery.deferred"):
        con.execute(f"DELETE FROM {table} WHERE destination = ? AND step = ?", [NAME, f"list/{owner}"])


def _as_wanted(operation: Operation, lists: Mapping[str, object], there: set[str], add: set[str]) -> bool:
    """Return whether a contact that was found is on the list, or not on it, as the batch wanted."""
    record_id = str(operation.record_id)
    return record_id in lists and (record_id in there) is (record_id in add)


def _result(operation: Operation, reply: list_api.MembersReply) -> Result:
    missing = str(operation.record_id) in reply.missing
    if missing and operation.kind.enters:
        return Result(
            operation.operation_id, End.REJECTED, GONE, status=reply.status, request_id=reply.request_id,
            frees=person_claim(operation.cio_id),
        )  # fmt: skip
    # A record that is gone is on no list: a removal has what it wants.
    return Result(
        operation.operation_id, End.DELIVERED, status=reply.status, request_id=reply.request_id,
        observed={"gone": "true"} if missing else {},
    )  # fmt: skip


def _later(batch: Sequence[Operation], reason: str, error: Rejected | None = None) -> list[Result]:
    return [
        Result(
            o.operation_id, End.RETRY, reason,
            status=error.status if error else None, request_id=error.request_id if error else None,
        )
        for o in batch
    ]  # fmt: skip
