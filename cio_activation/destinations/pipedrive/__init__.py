"""Carries state fields and audiences into Pipedrive: one PATCH per changed person, matched in a local mirror."""

from cio_activation.destinations.pipedrive.destination import DESTINATION

__all__ = ["DESTINATION"]
