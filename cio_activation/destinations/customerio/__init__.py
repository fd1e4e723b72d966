"""Customer.io as a destination, the way back: whoever humans were asked to act for is marked there while that lasts."""

from cio_activation.destinations.customerio.destination import DESTINATION

__all__ = ["DESTINATION"]
