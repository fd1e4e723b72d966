"""The steps ``note/<audience>``: what people should know about a contact, where a task would be too much.

A note has no owner, no due time and no status: when its reason ends a line says so, or it is deleted. Nothing is asked
about notes before a window is decided: they are never done, and what somebody wrote into one is seen when it is next
written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from cio_activation.activation.models import Activation, Audience
from cio_activation.delivery.destination import AbsoluteStep, Context, Step
from cio_activation.destinations.common.actions.declared import ActionType, action_claim
from cio_activation.destinations.common.actions.step import ActionStep, RetiredActionsStep
from cio_activation.destinations.common.actions.texts import Text, text_of
from cio_activation.destinations.hubspot import api, task_api, task_changes, task_recovery
from cio_activation.destinations.hubspot.config import NAME, note_of, noting_audiences, options_of
from cio_activation.destinations.hubspot.contact_links import LinksStep
from cio_activation.destinations.hubspot.gone import forget_gone, has_unsettled
from cio_activation.destinations.hubspot.properties import PropertiesStep
from cio_activation.destinations.hubspot.task_api import NOTES
from cio_activation.destinations.hubspot.task_creation import NewTask, create
from cio_activation.destinations.hubspot.task_rows import wire
from cio_activation.destinations.hubspot.task_text import body_of
from cio_activation.errors import ContractError
from cio_activation.journal.operations import Operation, Result
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal

NOTE = ActionType(NAME, "note", note_of, assigned=False)


class SendsNotes(AbsoluteStep):
    """What steps of notes send, and how they find what was made without an answer."""

    batch_size = api.MAX_BATCH
    concurrency = api.CONCURRENCY

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:
        """Make, change, take back, or tell; a batch is of one kind."""
        kind = batch[0].kind
        if kind == NOTE.opens:
            return await create(client, [_new(context.activation, o) for o in batch])
        if kind == NOTE.changes:
            return await task_changes.change(client, batch, lambda o: _words(context.activation, o), NOTES)
        if kind == NOTE.withdraws:
            return await task_changes.withdraw(client, batch, NOTES)
        return await task_changes.tell(client, batch, NOTES)

    async def recover(self, client: VendorClient, context: Context, open: Sequence[Operation]) -> list[Result]:  # noqa: ARG002
        """Look creations up among the notes of their contact; give the rest back."""
        return await task_recovery.recover(client, open, NOTES)


class NotesStep(SendsNotes, ActionStep):
    """The notes of one audience."""

    def __init__(self, audience: Audience) -> None:
        before = f"list/{audience.name}" if options_of(audience).list else f"properties_{audience.lane.value}"
        super().__init__(NOTE, audience, (before,))

    def fold(self, con: Connection, context: Context, finished: str) -> None:
        """Keep what became of them; part people from contacts that were found gone."""
        super().fold(con, context, finished)
        made = f"SELECT * REPLACE (target AS record_id) FROM {finished} WHERE kind = {literal(NOTE.opens.name)}"
        forget_gone(con, f"({made})")

    def follow_up(self, con: Connection, context: Context) -> Sequence[Step]:
        """Look for those at once whose contact was found gone, and write about what has taken its place."""
        if not has_unsettled(con):
            return ()
        activation, lane = context.activation, self.audience.lane
        return (LinksStep(activation, lane), PropertiesStep(activation, lane), NotesStep(self.audience))


class RetiredNotesStep(SendsNotes, RetiredActionsStep):
    """Says in the notes of audiences that ask for none any more that their reason ended."""

    def __init__(self, activation: Activation) -> None:
        super().__init__(NOTE, noting_audiences(activation))


def _text(activation: Activation, operation: Operation) -> Text:
    audience = activation.audiences[operation.payload["audience"]]
    options = note_of(audience)
    if options is None:
        raise ContractError(f"the audience {audience.name} asks for no note in HubSpot. This is a defect")
    claim = operation.claim or action_claim(NOTE.word, str(operation.payload["entry_id"]))
    text = text_of(activation, audience, options.as_text(audience), operation.payload, claim)
    return replace(text, subject="")  # a note has none, and its seal is taken over what is there


def _words(activation: Activation, operation: Operation) -> dict[str, str]:
    return {NOTES.body: body_of(_text(activation, operation))}


def _new(activation: Activation, operation: Operation) -> NewTask:
    """Return the note of an entry, filed under the instant of that."""
    entered = wire(datetime.fromisoformat(str(operation.payload["entered_at"])))
    properties = _words(activation, operation) | {task_api.DUE: entered}
    return NewTask(operation, str(operation.target), _text(activation, operation).marker, properties, NOTES)
