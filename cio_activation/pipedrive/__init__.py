"""Carries state fields and audiences into Pipedrive: one PATCH per changed person, matched in a local mirror."""

from cio_activation.pipedrive.destination import DESTINATION

__all__ = ["DESTINATION"]
