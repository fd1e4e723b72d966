"""One operation of an activity, or a note: what is written, what a human did meanwhile, and how it ended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cio_activation.activation.actions import ActionPriority
from cio_activation.activation.models import Audience
from cio_activation.delivery.destination import UNLEARNED, Context
from cio_activation.delivery.outreach import Status
from cio_activation.destinations.common.actions.declared import ActionType, claim_of, marker
from cio_activation.destinations.common.actions.handing import HAD_BY, NO_OWNER
from cio_activation.destinations.common.actions.markup import paragraphs
from cio_activation.destinations.common.actions.texts import ended_line, text_of
from cio_activation.destinations.common.records import GONE
from cio_activation.destinations.pipedrive.activity_calls import ActivityCalls, SeenActivity, due_body
from cio_activation.destinations.pipedrive.api import GONE_STATUS, PipedriveApi
from cio_activation.destinations.pipedrive.config import NAME, ActivityOptions, PipedriveAudience
from cio_activation.journal.operations import Cause, End, Operation, Result
from cio_activation.transport.errors import Rejected
from cio_activation.transport.http import VendorClient

TYPE, PRIORITY = "activity_type:", "activity_priority:"
"""Catalog: ``activity_type:<key>`` -> its name, of those in use; ``activity_priority:medium`` -> its number."""
ADOPTED = "found at the vendor"
"""Reason of a write whose answer got lost and that was found done."""
_HANDLED = "a human has dealt with it already"
_PROPERTY = re.compile(r"\b(owner_id|type|participants|org_id|due_date|due_time|subject|note)\b")


def activity_options(audience: Audience) -> ActivityOptions | None:
    """Return how an audience asks for an activity; None: not at all."""
    declared = audience.deliver.get(NAME)
    return declared.activity if isinstance(declared, PipedriveAudience) else None


ACTIVITY = ActionType(NAME, "activity", activity_options)


@dataclass(frozen=True)
class Words:
    """Subject and note as they are written."""

    subject: str
    note: str
    """HTML."""

    @property
    def shown(self) -> str:
        """What an answer that shows just this shares with it."""
        return SeenActivity("", None, None, False, None, False, self.subject, self.note).shown


class Sending:
    """Sends operations of one type through one client."""

    type: ActionType = ACTIVITY

    def __init__(self, client: VendorClient, context: Context, calls: ActivityCalls | None = None) -> None:
        self._calls, self._persons, self._context = calls or ActivityCalls(client), PipedriveApi(client), context

    async def send(self, operation: Operation) -> Result:
        """Send one operation, and say how it ended."""
        try:
            if operation.kind == self.type.opens:
                return await self._open(operation)
            there = await self._calls.get(str(operation.record_id))
            if operation.kind == self.type.changes:
                return await self._change(operation, there)
            if operation.kind == self.type.assigns:
                return await self._assign(operation, there)
            if operation.kind == self.type.raises:
                return await self._raise(operation, there)
            if operation.kind == self.type.withdraws:
                return await self._withdraw(operation, there)
            return await self._tell(operation, there)
        except Rejected as error:
            return _refused(self.type, operation, error)

    async def settle(self, operation: Operation) -> Result:
        """Return the end of a write whose answer was lost: DELIVERED if it is seen to be done, else RETRY.

        What is not told apart here from a human's edit would be taken for one by the next write.
        """
        there = None if operation.kind == self.type.tells else await self._calls.get(str(operation.record_id))
        if operation.kind == self.type.withdraws:
            deleted = there is None and operation.payload["on_end"] == "delete"
            if deleted or (there is not None and there.done and there.ended_by_us):
                return delivered(operation, ADOPTED)
        is_theirs = there is not None and there.owner_id == operation.payload.get("owner_id")
        if operation.kind == self.type.assigns and is_theirs:
            return delivered(operation, ADOPTED)
        if operation.kind == self.type.changes and there is not None:
            words = self._words(operation)
            if words is not None and there.shown == words.shown:
                return delivered(operation, ADOPTED, shown=there.shown)
        return Result(operation.operation_id, End.RETRY, UNLEARNED)

    async def find(self, operation: Operation, linked: str | None) -> Result | None:
        """Return what was made without an answer: it has our marker, and is with the person it was made for, or now is.

        Whatever a human made of it since is theirs: it is taken to show what we wrote.
        """
        its = marker(claim_of(self.type.word, operation.payload))
        for person in dict.fromkeys(p for p in (operation.target, linked) if p):
            async for activity in self._calls.of_person(person):
                if its in activity.words:
                    words = self._words(operation)
                    observed = _observed(activity) | ({} if words is None else {"shown": words.shown})
                    return Result(operation.operation_id, End.DELIVERED, ADOPTED, activity.record_id, observed=observed)
        return None

    async def _open(self, operation: Operation) -> Result:
        words = self._words(operation)
        assert words is not None
        if (why := self._lacking(operation)) is not None:
            return Result(operation.operation_id, End.REJECTED, why, cause=Cause.SCHEMA)
        person = await self._persons.living_person(str(operation.target))
        if person is None:
            return Result(operation.operation_id, End.REJECTED, GONE, observed={"gone": True})
        made = await self._calls.create(self._body(operation, words, person))
        return Result(operation.operation_id, End.DELIVERED, record_id=made.record_id, observed=_observed(made))

    def _options(self, operation: Operation) -> ActivityOptions:
        options = activity_options(self._context.activation.audiences[operation.payload["audience"]])
        assert options is not None
        return options

    def _lacking(self, operation: Operation) -> str | None:
        """Return what the company lacks to make it."""
        key = self._options(operation).type
        return None if TYPE + key in self._context.catalog else f"there is no activity type {key!r} in use in Pipedrive"

    def _body(self, operation: Operation, words: Words, person: Mapping[str, Any]) -> dict[str, Any]:
        """Return what it is made with."""
        body: dict[str, Any] = {
            "subject": words.subject,
            "note": words.note,
            "type": self._options(operation).type,
            "participants": [{"person_id": person["id"], "primary": True}],
        }
        if (priority := self._context.catalog.get(PRIORITY + self._options(operation).priority)) is not None:
            body["priority"] = priority
        if (organization := person.get("org_id")) is not None:
            body["org_id"] = organization
        if (owner := operation.payload.get("owner_id")) is not None:
            body["owner_id"] = int(owner)
        if (due_at := operation.payload.get("due_at")) is not None:
            body |= due_body(due_at)
        return body

    async def _change(self, operation: Operation, there: SeenActivity | None) -> Result:
        words = self._words(operation)
        assert words is not None
        if there is None or there.done:
            return left_to_feedback(operation)
        if there.shown == words.shown:
            return delivered(operation, shown=there.shown)
        if _edited(operation, there):
            return delivered(operation, status=Status.TAKEN_UP)
        written = await self._calls.update(there.record_id, {"subject": words.subject, "note": words.note})
        return delivered(operation, shown=written.shown)

    async def _raise(self, operation: Operation, there: SeenActivity | None) -> Result:
        """Set the highest priority; not on what a human took up."""
        if there is None or there.done or _edited(operation, there):
            return left_to_feedback(operation)
        if (priority := self._context.catalog.get(PRIORITY + ActionPriority.HIGH)) is None:
            return Result(operation.operation_id, End.DELIVERED, "Pipedrive shows no priority that reads high")
        await self._calls.update(there.record_id, {"priority": priority})
        return Result(operation.operation_id, End.DELIVERED)

    async def _assign(self, operation: Operation, there: SeenActivity | None) -> Result:
        """Give it to somebody else: not what a human took up, or gave to somebody meanwhile."""
        to = str(operation.payload["owner_id"])
        if there is None or there.done or _edited(operation, there):
            return left_to_feedback(operation)
        if there.owner_id not in (operation.payload.get(HAD_BY), to):
            chosen = {"owner_id": there.owner_id, "chosen": True}
            return Result(operation.operation_id, End.DELIVERED, _HANDLED, observed=chosen)
        if there.owner_id != to:
            there = await self._calls.update(there.record_id, {"owner_id": int(to)})
        lost = NO_OWNER if there.owner_id != to else None
        return Result(operation.operation_id, End.DELIVERED, lost, observed={"owner_id": there.owner_id})

    async def _withdraw(self, operation: Operation, there: SeenActivity | None) -> Result:
        if there is None:
            return delivered(operation, status=Status.DELETED)
        if there.done:
            return delivered(operation) if there.ended_by_us else delivered(operation, status=Status.DONE)
        if _edited(operation, there):
            return delivered(operation, status=Status.TAKEN_UP)
        if operation.payload["on_end"] == "delete":
            await self._calls.delete(there.record_id)
            return delivered(operation)
        written = await self._calls.update(there.record_id, {"done": True, "note": _with_end(operation, there)})
        return delivered(operation, shown=written.shown)

    async def _tell(self, operation: Operation, there: SeenActivity | None) -> Result:
        if there is None:
            return delivered(operation, status=Status.DELETED)
        if there.ended_by_us:  # told already, and the answer got lost
            return delivered(operation)
        if there.done:
            return delivered(operation, status=Status.DONE)
        await self._calls.update(there.record_id, {"note": _with_end(operation, there)})
        return delivered(operation)

    def _words(self, operation: Operation) -> Words | None:
        """Return what we write; None if the audience is not there any more to say it."""
        payload, activation = operation.payload, self._context.activation
        audience = activation.audiences.get(payload["audience"])
        options = None if audience is None else activity_options(audience)
        if audience is None or options is None:
            return None
        text = text_of(activation, audience, options, payload, claim_of(self.type.word, payload))
        return Words(" ".join(text.subject.split()), paragraphs((*text.lines, text.marker)))


def _observed(activity: SeenActivity) -> dict[str, Any]:
    due = None if activity.due_at is None else activity.due_at.isoformat()
    return {"owner_id": activity.owner_id, "due_at": due, "shown": activity.shown}


def _edited(operation: Operation, there: SeenActivity) -> bool:
    """Return whether a human wrote into it since our last write."""
    known = operation.payload.get("shown")
    return known is not None and there.shown != known


def _with_end(operation: Operation, there: SeenActivity) -> str:
    return there.note + paragraphs([ended_line(operation.payload["reason"])])


def delivered(
    operation: Operation, reason: str | None = None, *, status: Status | None = None, shown: str | None = None
) -> Result:
    """Return the end of a write; ``status``: what a human had made of it before we came, which stands."""
    told = {"status": None if status is None else str(status), "shown": shown}
    return Result(
        operation.operation_id, End.DELIVERED, reason, observed={k: v for k, v in told.items() if v is not None}
    )


def left_to_feedback(operation: Operation) -> Result:
    """Return that nothing is left to bring up to date: what a human did is heard by the next reading of actions."""
    return Result(operation.operation_id, End.UNNEEDED, _HANDLED)


def _refused(kind: ActionType, operation: Operation, error: Rejected) -> Result:
    """Return a refusal with what the answer says is wrong; never its text, it may quote values."""
    if operation.record_id is not None and error.status in GONE_STATUS:  # between our reading and our writing
        gone = operation.kind != kind.changes
        return delivered(operation, status=Status.DELETED) if gone else left_to_feedback(operation)
    body: Mapping[str, Any] = error.body if isinstance(error.body, dict) else {}
    named = sorted(set(_PROPERTY.findall(str(body.get("error", "")))))
    reason = " ".join(str(word) for word in (error.status, body.get("code")) if word)
    if "owner_id" in named:
        reason += ": its owner cannot be given work in Pipedrive (deactivated, or no user of the company any more)"
    elif named:
        reason += f": {', '.join(named)}"
    return Result(
        operation.operation_id, End.REJECTED, reason,
        status=error.status, request_id=error.request_id, cause=Cause.SCHEMA if named == ["type"] else None,
    )  # fmt: skip
