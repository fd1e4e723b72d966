"""HubSpot: contacts linked by e-mail and keyed by ``cio_id``, their properties, and static lists."""

from cio_activation.destinations.hubspot.destination import DESTINATION

__all__ = ["DESTINATION"]
