"""The pacer a destination's calls go through: its own limits, shared by all processes through the journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cio_activation.activation.models import Activation
from cio_activation.delivery.destination import Destination, meters
from cio_activation.journal.engine import JournalDatabase
from cio_activation.journal.rates import SharedPacer


def pacer_for(
    activation: Activation, journal: JournalDatabase, destination: Destination, lane: str, catalog: Mapping[str, Any]
) -> SharedPacer:
    """Return the pacer of one lane of this process for ``destination``; ``catalog`` is what its schema step stored."""
    limits = {destination.name: destination.limits(activation)} if destination.name in activation.destinations else {}
    return SharedPacer(journal, limits, lane, meters(activation, (destination,), catalog))
