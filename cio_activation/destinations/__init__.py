"""The destinations this installation knows. Another one is a package of its own and one line here."""

from __future__ import annotations

from cio_activation.delivery.destination import Destination
from cio_activation.destinations.customerio.destination import DESTINATION as CUSTOMERIO
from cio_activation.destinations.hubspot.destination import DESTINATION as HUBSPOT
from cio_activation.destinations.pipedrive.destination import DESTINATION as PIPEDRIVE

DESTINATIONS: tuple[Destination, ...] = (
    HUBSPOT,
    PIPEDRIVE,
    CUSTOMERIO,
)
