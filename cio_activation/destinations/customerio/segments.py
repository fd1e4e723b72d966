"""Source segments that ask for our own attributes: people would leave them, and come back, for ever.

Whoever is marked would lose eligibility by the mark itself, be taken back from the human, be unmarked and enter again.
Journeys and messages are what the attributes are for, by segments that no audience starts from.
"""

from __future__ import annotations

import json
from typing import Any

from cio_activation.customerio.client import CustomerIO
from cio_activation.delivery.destination import Context
from cio_activation.destinations.customerio.config import settings_of
from cio_activation.destinations.customerio.desired import attributes
from cio_activation.transport.errors import VendorError
from cio_activation.transport.http import Pacer


async def advice(pacer: Pacer, context: Context) -> list[str]:
    """Return a sentence for each audience whose source segment names one of the attributes. One read a segment.

    ``conditions`` of a segment are not in every document of the API: where they are not shown nothing is said.
    """
    if context.settings.customerio_app_api_key is None:
        return []
    prefix = settings_of(context.activation).attribute_prefix
    names = [f"{prefix}{name}" for name in attributes(context.activation)]
    using: dict[int, list[str]] = {}
    for audience in context.activation.audiences.values():
        if audience.segment:
            using.setdefault(audience.segment, []).append(audience.name)
    told = []
    async with CustomerIO(context.settings, pacer) as vendor:
        for segment, audiences in sorted(using.items()):
            try:
                found, _ = await vendor.read(f"/v1/segments/{segment}", "segments.one", "segment")
            except VendorError:
                continue  # that it cannot be read is told by the check of the source
            if named := [name for name in names if _names(found.get("conditions"), name)]:
                told.append(
                    f"segment {segment}, from which {', '.join(audiences)} come, asks for {', '.join(named)}: that is "
                    "what we write there, so people would leave it when they are marked and enter again when they are "
                    "not. Take the condition out of this segment and use it in journeys, or in another segment"
                )
    return told


def _names(conditions: Any, name: str) -> bool:
    """Return whether ``conditions``, whatever their shape, have ``name`` as a value or a key."""
    return f'"{name}"' in json.dumps(conditions)
