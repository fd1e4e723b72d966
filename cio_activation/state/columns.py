"""Names and SQL types of what the state room reads and writes, all read off the activation."""

from __future__ import annotations

from collections.abc import Mapping

from cio_activation.activation.models import Activation, AttributeType, Lane, PropertyType

ATTRIBUTE_SQL: Mapping[AttributeType, str] = {
    AttributeType.TEXT: "VARCHAR",
    AttributeType.NUMBER: "DOUBLE",
    AttributeType.MONEY: "DOUBLE",
    AttributeType.INTEGER: "BIGINT",
    AttributeType.TIMESTAMP: "TIMESTAMP",
    AttributeType.DATE: "DATE",
    AttributeType.BOOLEAN: "BOOLEAN",
}
PROPERTY_SQL: Mapping[PropertyType, str] = {
    PropertyType.ENUM: "VARCHAR",
    PropertyType.TEXT: "VARCHAR",
    PropertyType.FLAG: "BOOLEAN",
    PropertyType.DATE: "DATE",
    PropertyType.NUMBER: "DOUBLE",
}
SNAPSHOT, LIVE, GONE = "raw.people", "raw.people_live", "raw.people_gone"
"""The newest daily export; who was fetched since; whom Customer.io was found not to know since."""
_SOURCES: Mapping[Lane, str] = {Lane.DAILY: SNAPSHOT, Lane.REALTIME: "raw.people_current"}


def source(lane: Lane) -> str:
    """Return the relation of people that ``lane`` decides from.

    The daily lane reads only the daily snapshot, so that a day's state is a function of that day's export.
    """
    return _SOURCES[lane]


def table(lane: Lane) -> str:
    """Return the name of the lane's state table."""
    return f"state.{lane.value}_properties"


def attribute_types(activation: Activation) -> dict[str, str]:
    """Return attribute name -> SQL type of its column in the people relations."""
    return {a.name: ATTRIBUTE_SQL[a.type] for a in activation.attributes.values()}


def property_types(activation: Activation, lane: Lane) -> dict[str, str]:
    """Return property name -> SQL type of its column in the lane's state table."""
    return {p.name: PROPERTY_SQL[p.type] for p in activation.lane_properties(lane)}


def gate_lanes(lane: Lane | None) -> tuple[Lane, ...]:
    """Return the lanes whose properties an audience of ``lane`` may use; all lanes for None.

    A daily audience reads daily state only: real-time state has moved on by the time a day is decided.
    """
    return (Lane.DAILY,) if lane is Lane.DAILY else (Lane.DAILY, Lane.REALTIME)
