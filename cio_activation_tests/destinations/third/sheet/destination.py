"""The sheet as a destination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from cio_activation.destinations.sheet.config import NAME, SheetAccess, SheetAudience, SheetSettings
from cio_activation.destinations.sheet.steps import MarksStep, RowsStep, TodosStep
from pydantic import BaseModel

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.settings import Settings
from cio_activation.delivery.destination import Context, Step
from cio_activation.transport.http import Pacer, VendorClient


class Sheet:
    """Implements ``delivery.destination.Destination``."""

    name = NAME
    settings_model: type[BaseModel] = SheetSettings
    audience_model: type[BaseModel] = SheetAudience

    def steps(self, activation: Activation) -> Sequence[Step]:
        steps: list[Step] = []
        for lane in Lane:
            if activation.lane_properties(lane, NAME):
                steps.append(RowsStep(activation, lane))
                for audience in activation.lane_audiences(lane, NAME):
                    steps.append(MarksStep(audience))
                    options = SheetAudience.model_validate(audience.deliver[NAME] or {})
                    if options.todo is not None:
                        steps.append(TodosStep(audience, options.todo))
        return steps

    def connect(self, settings: Settings, pacer: Pacer) -> AbstractAsyncContextManager[VendorClient]:
        access = settings.access(SheetAccess)
        headers = {"authorization": f"Bearer {access.secret('sheet_token')}"}
        return VendorClient(NAME, access.sheet_url, headers, pacer=pacer, backoff_s=settings.vendor_backoff_s)

    def limits(self, activation: Activation) -> Mapping[str, tuple[float, float]]:
        return {"default": (100.0, 1.0)}

    async def ensure_schema(self, client: VendorClient, context: Context) -> Mapping[str, Any]:
        options = context.activation.destinations[NAME]
        assert isinstance(options, SheetSettings)
        await client.request("PUT", f"/pages/{options.page}", operation="pages.put", json={}, repeatable=True)
        return {"page": options.page}

    async def check(self, client: VendorClient, context: Context) -> list[str]:
        return []


DESTINATION = Sheet()
