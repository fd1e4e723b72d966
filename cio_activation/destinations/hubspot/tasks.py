"""The steps of tasks: ``task/<audience>``, and ``retired_tasks`` for what no audience asks for any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cio_activation.activation.models import Activation, Audience, Lane
from cio_activation.delivery.destination import AbsoluteStep, Context, Step
from cio_activation.destinations.common.actions.declared import ActionType, claim_of
from cio_activation.destinations.common.actions.folding import fold_actions
from cio_activation.destinations.common.actions.step import ActionStep, RetiredActionsStep
from cio_activation.destinations.common.actions.texts import Text, text_of
from cio_activation.destinations.hubspot import api, task_api, task_changes, task_recovery
from cio_activation.destinations.hubspot.config import ASKED, NAME, asking_audiences, options_of, task_of
from cio_activation.destinations.hubspot.contact_links import LinksStep
from cio_activation.destinations.hubspot.gone import forget_gone, has_unsettled
from cio_activation.destinations.hubspot.properties import PropertiesStep
from cio_activation.destinations.hubspot.task_creation import NewTask, create
from cio_activation.destinations.hubspot.task_handing import assign, raise_priority
from cio_activation.destinations.hubspot.task_rows import wire
from cio_activation.destinations.hubspot.task_text import body_of
from cio_activation.errors import ContractError
from cio_activation.journal.operations import Kind, Operation, Result
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal

TASKS = ActionType(NAME, "task", task_of)


class TasksStep(ActionStep):
    """The tasks of one audience."""

    def __init__(self, audience: Audience, after: Sequence[str] = ()) -> None:
        before = f"list/{audience.name}" if options_of(audience).list else f"properties_{audience.lane.value}"
        super().__init__(TASKS, audience, (before, *after))
        options = task_of(audience)
        if options is None:
            raise ContractError(f"the audience {audience.name} asks for no task in HubSpot. This is a defect")
        self._options = options
        self.batch_size = api.MAX_BATCH
        self.concurrency = api.CONCURRENCY

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:
        """Make, change, take back, or tell; a batch is of one kind."""
        kind = batch[0].kind
        if kind == TASKS.opens:
            return await create(client, [self._new(context.activation, o) for o in batch])
        if kind == TASKS.assigns:
            return await assign(client, batch)
        if kind == TASKS.raises:
            return await raise_priority(client, batch)
        if kind == TASKS.changes:
            return await task_changes.change(client, batch, lambda o: self._words(context.activation, o))
        return await take_back(client, batch)

    async def recover(self, client: VendorClient, context: Context, open: Sequence[Operation]) -> list[Result]:  # noqa: ARG002
        """Look creations up; give the rest back."""
        return await task_recovery.recover(client, open)

    def fold(self, con: Connection, context: Context, finished: str) -> None:
        """Keep what became of them; part people from contacts that were found gone."""
        super().fold(con, context, finished)
        made = f"SELECT * REPLACE (target AS record_id) FROM {finished} WHERE kind = {literal(TASKS.opens.name)}"
        forget_gone(con, f"({made})")

    def follow_up(self, con: Connection, context: Context) -> Sequence[Step]:
        """Look for those at once whose contact was found gone, and ask again what has taken its place."""
        if not has_unsettled(con):
            return ()
        activation, lane = context.activation, self.audience.lane
        return (LinksStep(activation, lane), PropertiesStep(activation, lane), TasksStep(self.audience))

    def _text(self, activation: Activation, operation: Operation) -> Text:
        claim = operation.claim or claim_of(TASKS.word, operation.payload)
        return text_of(activation, self.audience, self._options, operation.payload, claim)

    def _words(self, activation: Activation, operation: Operation) -> dict[str, str]:
        text = self._text(activation, operation)
        raised = operation.payload.get("raised")
        priority = task_api.HIGH if raised else self._options.priority.value.upper()
        return {task_api.SUBJECT: text.subject, task_api.BODY: body_of(text), task_api.PRIORITY: priority}

    def _new(self, activation: Activation, operation: Operation) -> NewTask:
        payload = operation.payload
        due = datetime.fromisoformat(str(payload["due_at"] or payload["entered_at"]))
        properties = self._words(activation, operation) | {
            task_api.DUE: wire(due),
            task_api.STATUS: task_api.NOT_STARTED,
            task_api.TYPE: self._options.type.value.upper(),
        }
        for name, given in ((task_api.OWNER, payload["owner_id"]), (task_api.QUEUES, payload["queue"])):
            properties |= {name: str(given)} if given else {}
        mark = self._text(activation, operation).marker
        return NewTask(operation, str(operation.target), mark, properties)


class RetiredTasksStep(RetiredActionsStep):
    """Takes back the open tasks of audiences that ask for none any more."""

    def __init__(self, activation: Activation) -> None:
        super().__init__(TASKS, asking_audiences(activation))
        self.batch_size = api.MAX_BATCH
        self.concurrency = api.CONCURRENCY

    def predecessors(self, context: Context) -> Sequence[Step]:
        """Return the steps of those audiences: what a call made that was never answered is taken back too."""
        there = {a.name for a in asking_audiences(context.activation)}
        names = (key.removeprefix(ASKED) for key in context.catalog if key.startswith(ASKED))
        return [_FormerTasksStep(name) for name in names if name not in there]

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:  # noqa: ARG002
        """Take back, or tell."""
        return await take_back(client, batch)

    async def recover(self, client: VendorClient, context: Context, open: Sequence[Operation]) -> list[Result]:  # noqa: ARG002
        """Give everything back: the next plan reads each task before it writes."""
        return await task_recovery.recover(client, open)


class _FormerTasksStep(AbsoluteStep):
    """``task/<audience>`` after its audience left: plans nothing, and still learns what became of what was sent."""

    kinds: tuple[Kind, ...] = TASKS.kinds
    lane: Lane | None = None
    description = "What an audience that left the activation has sent."
    after: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    batch_size = api.MAX_BATCH
    concurrency = 1
    late_creation_doubles = True

    def __init__(self, audience: str) -> None:
        self.name = f"{TASKS.word}/{audience}"

    def plan(self, con: Connection, context: Context) -> str | None:  # noqa: ARG002
        """Plan nothing."""
        return None

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:
        """Leave everything to the next plan of the retired tasks."""
        return await self.recover(client, context, batch)

    async def recover(self, client: VendorClient, context: Context, open: Sequence[Operation]) -> list[Result]:  # noqa: ARG002
        """Look creations up, as the audience's own step did."""
        return await task_recovery.recover(client, open)

    def fold(self, con: Connection, context: Context, finished: str) -> None:  # noqa: ARG002
        """Keep what became of them."""
        fold_actions(con, TASKS, finished)


async def take_back(client: VendorClient, batch: Sequence[Operation]) -> list[Result]:
    """Withdraw, or tell; a batch is of one kind."""
    if batch[0].kind == TASKS.withdraws:
        return await task_changes.withdraw(client, batch)
    return await task_changes.tell(client, batch)
