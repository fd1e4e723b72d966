"""Names and SQL types of what the state room reads and writes, all read off the activation."""

from __future__ import annotations

from collections.abc import Mapping

from cio_activation.activation.models import Activation, Lane
from cio_activation.warehouse.tables import PEOPLE, PEOPLE_CURRENT, SQL_TYPE

_SOURCES: Mapping[Lane, str] = {Lane.DAILY: PEOPLE, Lane.REALTIME: PEOPLE_CURRENT}


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
    return {a.name: SQL_TYPE[a.type] for a in activation.attributes.values()}


def property_types(activation: Activation, lane: Lane) -> dict[str, str]:
    """Return property name -> SQL type of its column in the lane's state table."""
    return {p.name: SQL_TYPE[p.type] for p in activation.lane_properties(lane)}


def gate_lanes(lane: Lane | None) -> tuple[Lane, ...]:
    """Return the lanes whose properties an audience of ``lane`` may use; all lanes for None.

    A daily audience reads daily state only: real-time state has moved on by the time a day is decided.
    """
    return (Lane.DAILY,) if lane is Lane.DAILY else (Lane.DAILY, Lane.REALTIME)
