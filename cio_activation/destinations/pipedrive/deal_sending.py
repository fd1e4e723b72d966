"""One operation of a deal: forward only, never after a human moved it, never reopened; archived ones are left alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from cio_activation.activation.actions import filled
from cio_activation.activation.models import Audience
from cio_activation.delivery.destination import UNLEARNED, Context
from cio_activation.delivery.outreach import Status
from cio_activation.destinations.common.actions.declared import ActionType
from cio_activation.destinations.common.actions.texts import ended_line
from cio_activation.destinations.common.records import GONE
from cio_activation.destinations.pipedrive.activity_sending import ADOPTED, delivered, left_to_feedback
from cio_activation.destinations.pipedrive.api import PipedriveApi
from cio_activation.destinations.pipedrive.config import NAME, DealEnd, DealMode, DealOptions, PipedriveAudience
from cio_activation.destinations.pipedrive.deal_calls import DealCalls, SeenDeal
from cio_activation.journal.operations import Cause, End, Operation, Result
from cio_activation.transport.errors import Rejected
from cio_activation.transport.http import VendorClient

STAGE, USER = "deal_stage:", "user"
"""Catalog: ``deal_stage:<audience>`` -> ``{pipeline, stage, before}`` (ids; stages before it), and the token's user."""


def deal_options(audience: Audience) -> DealOptions | None:
    """Return how an audience asks for a deal; None: not at all."""
    declared = audience.deliver.get(NAME)
    return declared.deal if isinstance(declared, PipedriveAudience) else None


_ENDS = (DealEnd.WON, DealEnd.LOST)
DEAL = ActionType(NAME, "deal", deal_options, assigned=False)


class SendingDeals:
    """Sends operations about deals through one client."""

    def __init__(self, client: VendorClient, context: Context) -> None:
        self._calls, self._persons, self._context = DealCalls(client), PipedriveApi(client), context

    async def send(self, operation: Operation) -> Result:
        """Send one operation, and say how it ended."""
        try:
            if operation.kind == DEAL.opens:
                return await self._open(operation)
            if operation.kind == DEAL.tells:
                return delivered(operation)  # whoever moved a deal on knows more than a line would say
            there = await self._calls.get(str(operation.record_id))
            if operation.kind == DEAL.changes:
                return await self._change(operation, there)
            return await self._withdraw(operation, there)
        except Rejected as error:
            code = error.body.get("code") if isinstance(error.body, dict) else None
            why = " ".join(str(word) for word in (error.status, code) if word)
            return _rejected(operation, why, status=error.status, request_id=error.request_id)

    async def settle(self, operation: Operation) -> Result:
        """Return the end of a write whose answer was lost: DELIVERED if it is seen to be done, else RETRY."""
        payload = operation.payload
        if operation.kind == DEAL.withdraws and payload["on_end"] in _ENDS:
            there = await self._calls.get(str(operation.record_id))
            if there is not None and there.status == payload["on_end"]:
                return delivered(operation, ADOPTED, shown=there.shown)
        if operation.kind == DEAL.changes and (options := self._options(operation)) is not None:
            there = await self._calls.get(str(operation.record_id))
            if there is not None and there.value == self._value(options, operation):
                return delivered(operation, ADOPTED, shown=there.shown)
        return Result(operation.operation_id, End.RETRY, UNLEARNED)

    async def find(self, operation: Operation, linked: str | None, known: Collection[str]) -> Result | None:
        """Return the deal that was made, or moved, without an answer; ``known``: those we know of already.

        A deal has no place for a marker that nobody reads. Made by us is what has our title, was made by the token's
        user for the person, and is none that we know of.
        """
        options, place = self._options(operation), self._place(operation)
        for person in dict.fromkeys(p for p in (operation.target, linked) if p):
            if options is not None and options.mode is DealMode.MOVE_EXISTING:
                its = await self._calls.open_ones(person_id=person)
                if len(its) == 1 and place is not None and its[0].stage_id == place["stage"]:
                    return _adopted(operation, its[0])
                continue
            title = None if options is None else self._title(options, operation)
            async for deal in self._calls.all_of_person(person):
                mine = deal.creator_id == str(self._context.catalog.get(USER))
                if mine and deal.record_id not in known and title in (None, deal.title):
                    return _adopted(operation, deal)
        return None

    async def _open(self, operation: Operation) -> Result:
        options, place = self._options(operation), self._place(operation)
        assert options is not None
        if place is None:
            why = f"Pipedrive has no stage {options.stage!r} in a pipeline {options.pipeline!r}"
            return _rejected(operation, why, cause=Cause.SCHEMA)
        person = await self._persons.living_person(str(operation.target))
        if person is None:
            return _rejected(operation, GONE, observed={"gone": True})
        if options.mode is DealMode.MOVE_EXISTING:
            return await self._move(operation, options, place)
        organization, most = person.get("org_id"), options.max_open_per_organization
        if organization is not None and most is not None:
            count = len(await self._calls.open_ones(org_id=organization))
            if count >= most:
                return _rejected(operation, f"organization_full: it has {most} open deals or more already")
        body: dict[str, Any] = {
            "title": self._title(options, operation),
            "person_id": person["id"],
            "pipeline_id": place["pipeline"],
            "stage_id": place["stage"],
        }
        owner = operation.payload.get("owner_id") or person.get("owner_id")
        more = {"org_id": organization, "owner_id": None if owner is None else int(owner)} | self._worth(
            options, operation
        )
        return _made(operation, await self._calls.create(body | {k: v for k, v in more.items() if v is not None}))

    async def _move(self, operation: Operation, options: DealOptions, place: Mapping[str, Any]) -> Result:
        its = await self._calls.open_ones(person_id=operation.target)
        if not its:
            return _rejected(operation, "no_open_deal: there is none to move")
        if len(its) > 1:
            return _rejected(operation, "ambiguous_deal: there are several open ones, and nothing is guessed")
        deal = its[0]
        if deal.pipeline_id != place["pipeline"]:
            return _rejected(operation, "other_pipeline: the open deal is in another pipeline")
        if deal.stage_id not in place["before"]:  # there already, or further
            return _made(operation, deal, status=Status.TAKEN_UP)
        body = {"stage_id": place["stage"]} | self._worth(options, operation)
        return _made(operation, await self._calls.update(deal.record_id, body))

    async def _change(self, operation: Operation, there: SeenDeal | None) -> Result:
        options = self._options(operation)
        assert options is not None
        if there is None or there.status != "open":
            return left_to_feedback(operation)
        if there.archived or _moved(operation, there):
            return delivered(operation, status=Status.TAKEN_UP)
        worth = self._worth(options, operation)
        if not worth or worth["value"] == there.value:
            return delivered(operation, shown=there.shown)
        return delivered(operation, shown=(await self._calls.update(there.record_id, worth)).shown)

    async def _withdraw(self, operation: Operation, there: SeenDeal | None) -> Result:
        if there is None:
            return delivered(operation, status=Status.DELETED)
        if there.status != "open":
            return delivered(operation, status=Status.DONE)
        if there.archived or _moved(operation, there):
            return delivered(operation, status=Status.TAKEN_UP)
        end = operation.payload["on_end"]
        if end not in _ENDS:
            return delivered(operation)
        because = {"lost_reason": ended_line(operation.payload["reason"])} if end == DealEnd.LOST else {}
        written = await self._calls.update(there.record_id, {"status": end} | because)
        return delivered(operation, shown=written.shown)

    def _options(self, operation: Operation) -> DealOptions | None:
        audience = self._context.activation.audiences.get(operation.payload["audience"])
        return None if audience is None else deal_options(audience)

    def _place(self, operation: Operation) -> Mapping[str, Any] | None:
        place: Mapping[str, Any] | None = self._context.catalog.get(STAGE + operation.payload["audience"])
        return place

    def _title(self, options: DealOptions, operation: Operation) -> str:
        label = self._context.activation.audiences[operation.payload["audience"]].label
        return " ".join(filled(options.title or label, _inputs(operation)).split())[:255]

    def _value(self, options: DealOptions, operation: Operation) -> float | None:
        given = _inputs(operation).get(options.value) if options.value else None
        return float(given) if isinstance(given, int | float) else None

    def _worth(self, options: DealOptions, operation: Operation) -> dict[str, Any]:
        value = self._value(options, operation)
        return {} if value is None else {"value": value, "currency": self._context.activation.workspace.currency}


def _inputs(operation: Operation) -> dict[str, Any]:
    return dict((operation.payload.get("evidence") or {}).get("inputs") or {})


def _moved(operation: Operation, there: SeenDeal) -> bool:
    """Return whether a human moved or changed it since our last write."""
    known = operation.payload.get("shown")
    return known is not None and there.shown != known


def _made(operation: Operation, deal: SeenDeal, status: Status | None = None) -> Result:
    observed = {"owner_id": deal.owner_id, "shown": deal.shown} | ({"status": str(status)} if status else {})
    return Result(operation.operation_id, End.DELIVERED, record_id=deal.record_id, observed=observed)


def _adopted(operation: Operation, deal: SeenDeal) -> Result:
    observed = {"owner_id": deal.owner_id, "shown": deal.shown}
    return Result(operation.operation_id, End.DELIVERED, ADOPTED, deal.record_id, observed=observed)


def _rejected(operation: Operation, why: str, **more: Any) -> Result:
    return Result(operation.operation_id, End.REJECTED, why, **more)
