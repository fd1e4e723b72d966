"""The step ``removed_fields`` of Pipedrive: dropped properties are set to null, one call and five tokens a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cio_activation.activation.models import Activation, OnConflict
from cio_activation.delivery.destination import Context
from cio_activation.delivery.ownership import examine
from cio_activation.destinations.common.records import GONE
from cio_activation.destinations.common.removed_fields import RemovedFieldsStep
from cio_activation.destinations.pipedrive.api import CONCURRENCY, TOKENS, PipedriveApi
from cio_activation.destinations.pipedrive.config import NAME, settings_of
from cio_activation.destinations.pipedrive.values import held_text
from cio_activation.journal.operations import End, Operation, Result
from cio_activation.transport.errors import Rejected
from cio_activation.transport.http import VendorClient

_GONE_STATUS = (404, 410)


class RemovedPersonFieldsStep(RemovedFieldsStep):
    """Empties what we wrote; where the destination keeps what humans changed, that is read first and stays."""

    concurrency = CONCURRENCY
    tokens_per_call = TOKENS["persons.update"]

    def __init__(self, activation: Activation) -> None:
        super().__init__(NAME, settings_of(activation).on_removal)

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:
        """Send each operation of ``batch`` (of one)."""
        api = PipedriveApi(client)
        results: list[Result] = []
        for operation in batch:
            try:
                results += await _send(api, context, operation)
            except Rejected as error:
                gone = error.status in _GONE_STATUS
                results.append(
                    Result(
                        operation.operation_id, End.REJECTED, GONE if gone else f"refused with {error.status}",
                        status=error.status, request_id=error.request_id, observed={"gone": True} if gone else {},
                    )
                )  # fmt: skip
        return results


async def _send(api: PipedriveApi, context: Context, operation: Operation) -> list[Result]:
    codes = {name: str(context.catalog[f"field:{name}"]) for name in operation.payload}
    current: dict[str, dict[str, Any]] = {}
    keeps = settings_of(context.activation).on_conflict is OnConflict.KEEP
    if keeps:
        person = await api.person(str(operation.record_id), list(codes.values()))
        values = person.get("custom_fields") or {}
        current[operation.operation_id] = {
            name: held_text(name, values.get(code), context.catalog) for name, code in codes.items()
        }
    examined = examine([operation], codes if keeps else (), current)
    written = []
    for one in examined.write:
        await api.update_person(str(one.record_id), {codes[name]: None for name in one.payload})
        written.append(Result(one.operation_id, End.DELIVERED))
    return examined.told(written)
