"""What Pipedrive documents that a value of a field may be; whatever is beyond it would sink its whole request."""

from __future__ import annotations

from collections.abc import Mapping

from cio_activation.activation.models import Lane, PropertyType
from cio_activation.delivery.destination import Context, Limit
from cio_activation.destinations.pipedrive.config import NAME

VARCHAR_MAX, TEXT_MAX = 255, 65_000
"""Characters. Help centre: "up to 255"; of a large text field "about 65k", of which we stay on the safe side."""
NUMBER_BELOW = 1e14
"""The help centre's ceiling of 14 digits."""


def value_limits(context: Context, lane: Lane) -> Mapping[str, Limit]:
    """Return property name -> limit for the lane's properties; a hand-made large text field takes longer texts."""
    found: dict[str, Limit] = {}
    for prop in context.activation.lane_properties(lane, NAME):
        if prop.type is PropertyType.TEXT:
            large = context.catalog.get(f"type:{prop.name}") == "text"
            found[prop.name] = Limit(longest=TEXT_MAX if large else VARCHAR_MAX)
        elif prop.type is PropertyType.NUMBER:
            found[prop.name] = Limit(below=NUMBER_BELOW)
    return found
