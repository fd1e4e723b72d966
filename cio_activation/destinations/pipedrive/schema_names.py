"""Logical names of the fields that are not properties, and the labels of audiences."""

from __future__ import annotations

from cio_activation.activation.models import Activation
from cio_activation.destinations.pipedrive.config import NAME, settings_of

ID, AUDIENCES = "id", "audiences"
"""Logical names of the two fields that are not properties: our external id, and the audiences a person is in."""


def audiences_field(activation: Activation) -> str:
    """Return the name that the activation gives the field of audiences."""
    return settings_of(activation).audience_field or f"{activation.workspace.prefix}audiences"


def audience_labels(activation: Activation) -> dict[str, str]:
    """Return audience name -> label for every audience delivered to Pipedrive."""
    return {a.name: a.label for a in activation.audiences.values() if NAME in a.deliver}
