"""A sheet that people work off: a row a person, a mark an audience, a to-do an entry."""

from cio_activation.destinations.sheet.destination import DESTINATION

__all__ = ["DESTINATION"]
