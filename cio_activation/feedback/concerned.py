"""Which destinations are asked before a window of a lane is decided."""

from __future__ import annotations

from cio_activation.activation.models import Activation, Lane
from cio_activation.delivery.destination import Destination
from cio_activation.delivery.outreach import HearsBack


def concerned(activation: Activation, destination: Destination, lane: Lane) -> bool:
    """Return whether an audience of ``lane`` makes a human act, whom this destination knows something of."""
    if destination.name not in activation.destinations or not isinstance(destination, HearsBack):
        return False
    return any(a.asks() or a.respect_handled for a in activation.lane_audiences(lane))
