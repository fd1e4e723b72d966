"""The steps ``note/<audience>``: what people should know about somebody, where an activity would be too much.

Notes are v1's: twenty tokens a list, ten a write. A note has neither owner nor due time, and is never done: when its
reason ends a line says so, or it is deleted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from cio_activation.activation.models import Audience
from cio_activation.delivery.destination import Context
from cio_activation.destinations.common.actions.declared import ActionType, action_claim
from cio_activation.destinations.common.actions.markup import paragraphs
from cio_activation.destinations.common.actions.note_options import NoteOptions
from cio_activation.destinations.common.actions.step import ActionStep, RetiredActionsStep
from cio_activation.destinations.common.actions.texts import text_of
from cio_activation.destinations.pipedrive.activities import SendsActions, fold_gone
from cio_activation.destinations.pipedrive.activity_calls import ActivityCalls, SeenActivity
from cio_activation.destinations.pipedrive.activity_sending import Sending, Words
from cio_activation.destinations.pipedrive.answers import next_start, page_of, record_of
from cio_activation.destinations.pipedrive.api import GONE_STATUS, PAGE, TOKENS
from cio_activation.destinations.pipedrive.config import NAME, PipedriveAudience
from cio_activation.journal.operations import Operation
from cio_activation.transport.errors import Rejected
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.sessions import Connection


def note_options(audience: Audience) -> NoteOptions | None:
    """Return how an audience asks for a note; None: not at all."""
    declared = audience.deliver.get(NAME)
    return declared.note if isinstance(declared, PipedriveAudience) else None


NOTE = ActionType(NAME, "note", note_options, assigned=False)


class NoteCalls(ActivityCalls):
    """Calls about notes, told like activities: the content is the note, and what says that its reason ended is done."""

    async def create(self, body: Mapping[str, Any]) -> SeenActivity:
        """Create a note. Never repeated: a lost answer leaves the outcome unknown."""
        answer = await self._client.request(
            "POST", "/v1/notes", operation="notes.create", json=dict(body), repeatable=False
        )
        return _seen(record_of(self._client, "notes.create", answer))

    async def get(self, record_id: str) -> SeenActivity | None:
        """Return a note; None if it is gone."""
        try:
            answer = await self._client.request("GET", f"/v1/notes/{record_id}", operation="notes.get", params=None)
        except Rejected as error:
            if error.status not in GONE_STATUS:
                raise
            return None
        row = record_of(self._client, "notes.get", answer)
        return _seen(row) if row.get("active_flag", True) else None

    async def update(self, record_id: str, body: Mapping[str, Any]) -> SeenActivity:
        """Set what a note says."""
        answer = await self._client.request(
            "PUT", f"/v1/notes/{record_id}", operation="notes.update", json={"content": body["note"]}, repeatable=True
        )
        return _seen(record_of(self._client, "notes.update", answer))

    async def delete(self, record_id: str) -> None:
        """Delete a note; one that is gone already is as it should be."""
        try:
            await self._client.request("DELETE", f"/v1/notes/{record_id}", operation="notes.delete", repeatable=True)
        except Rejected as error:
            if error.status not in GONE_STATUS:
                raise

    async def of_person(self, person_id: str) -> AsyncIterator[SeenActivity]:
        """Yield the notes of a person, newest first."""
        params: dict[str, Any] = {"person_id": person_id, "sort": "add_time DESC", "limit": PAGE, "start": 0}
        while True:
            answer = await self._client.request("GET", "/v1/notes", operation="notes.list", params=params)
            for row in page_of(self._client, "notes.list", answer)[0]:
                yield _seen(row)
            if (following := next_start(answer)) is None:
                return
            params["start"] = following


class _SendingNotes(Sending):
    """Sends notes."""

    type = NOTE

    def __init__(self, client: VendorClient, context: Context) -> None:
        super().__init__(client, context, NoteCalls(client))

    def _lacking(self, operation: Operation) -> str | None:  # noqa: ARG002
        return None

    def _body(self, operation: Operation, words: Words, person: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        return {"content": words.note, "person_id": person["id"]}

    def _words(self, operation: Operation) -> Words | None:
        payload, activation = operation.payload, self._context.activation
        audience = activation.audiences.get(payload["audience"])
        options = None if audience is None else note_options(audience)
        if audience is None or options is None:
            return None
        text = text_of(
            activation, audience, options.as_text(audience), payload, action_claim(NOTE.word, payload["entry_id"])
        )
        return Words("", paragraphs((*text.lines, text.marker)))


class NoteStep(SendsActions, ActionStep):
    """The notes of one audience."""

    sending = _SendingNotes
    tokens_per_call = TOKENS["notes.create"] + TOKENS["notes.get"]

    def __init__(self, audience: Audience, after: Sequence[str]) -> None:
        super().__init__(NOTE, audience, after)

    def fold(self, con: Connection, context: Context, finished: str) -> None:
        """Keep what became of them; whose person was found gone is looked for again."""
        super().fold(con, context, finished)
        fold_gone(con, finished)


class RetiredNotesStep(SendsActions, RetiredActionsStep):
    """``retired_notes``: says in the notes of audiences that ask for none any more that their reason ended."""

    sending = _SendingNotes
    tokens_per_call = NoteStep.tokens_per_call

    def __init__(self, declared: Sequence[Audience]) -> None:
        super().__init__(NOTE, declared)


def _seen(row: Mapping[str, Any]) -> SeenActivity:
    note = SeenActivity(str(row["id"]), None, None, False, None, False, "", str(row.get("content") or ""))
    return SeenActivity(note.record_id, None, None, note.ended_by_us, None, False, "", note.note)
