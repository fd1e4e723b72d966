"""The step ``removed_fields`` of HubSpot: dropped properties are emptied by record id, 100 contacts a call."""

from __future__ import annotations

from collections.abc import Sequence

from cio_activation.activation.models import Activation, OnConflict
from cio_activation.delivery.destination import Context
from cio_activation.destinations.common.removed_fields import RemovedFieldsStep
from cio_activation.destinations.hubspot import api, writes
from cio_activation.destinations.hubspot.config import NAME, settings_of
from cio_activation.journal.operations import Operation, Result
from cio_activation.transport.http import VendorClient


class RemovedPropertiesStep(RemovedFieldsStep):
    """Empties what we wrote; where the destination keeps what humans changed, that is read first and stays."""

    batch_size = api.MAX_BATCH
    concurrency = api.CONCURRENCY

    def __init__(self, activation: Activation) -> None:
        super().__init__(NAME, settings_of(activation).on_removal)

    async def look_up(self, client: VendorClient, context: Context, unanswered: Sequence[Operation]) -> list[Result]:
        """Read the contacts, 100 a call, and see whether the properties are empty."""
        return await writes.look_up(client, context.activation.workspace.prefix, unanswered)

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:
        """Write one batch of emptied properties."""
        keep = settings_of(context.activation).on_conflict is OnConflict.KEEP
        keeps = sorted({name for o in batch for name in o.payload}) if keep else ()
        return await writes.update(client, context.activation.workspace.prefix, batch, keeps)
