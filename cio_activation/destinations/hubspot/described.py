"""What HubSpot tells people of a property of ours: its label, and who answers for it, in the description.

Catalog: ``told:<property>`` -> the label and the description as the activation last had them. As with the names of
lists, what changed here since is written, and what somebody changed there is left until it changes here. A description
that is empty there is ours to write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cio_activation.activation.models import Property
from cio_activation.delivery.catalog import TOLD

_PARTS = ("label", "description")


def description(prop: Property) -> str:
    """Return the description: what it holds, and, of what is declared, who answers for it in which version."""
    says = f"{prop.description.rstrip('. ')}."
    if not prop.deliver:  # humans write it: nobody declared it
        return prop.description
    reviewed = f" Last reviewed {prop.reviewed}." if prop.reviewed is not None else ""
    return f"{says} Owner: {prop.owner}. Version {prop.version}.{reviewed} Written by cio_activation."


def changes(prop: Property, found: Mapping[str, Any], given: Sequence[str] | None) -> dict[str, str]:
    """Return what is to be changed of the property ``found``; ``given``: its ``told:`` entry, None of an older home."""
    changed = {}
    for part, ours, before in zip(_PARTS, _ours(prop), given or (None, None), strict=True):
        there = str(found.get(part) or "")
        as_first_made = before is None and part == "description" and there == prop.description
        if there != ours and (not there or as_first_made or before not in (None, ours)):
            changed[part] = ours
    return changed


def entry(prop: Property) -> dict[str, list[str]]:
    """Return the entry that notes what is written now."""
    return {f"{TOLD}{prop.name}": list(_ours(prop))}


def differences(name: str, prop: Property, found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return how the label and the description that are there differ from ours, each with its mend."""
    where, (label, text) = f"properties.{prop.name}", _ours(prop)
    told = []
    if (there := str(found.get("label") or "")) != label:
        mend = f"label it {label!r} there" + (f", or change {where}.label" if prop.deliver else "")
        told.append((f"HubSpot labels {name} {there!r}, and it is {label!r} here", mend))
    if str(found.get("description") or "") != text:
        mend = "empty it there, and the next schema step writes ours"
        mend += f"; to take over what it says, change {where}.description" if prop.deliver else ""
        told.append((f"HubSpot's description of {name} was changed there", mend))
    return told


def _ours(prop: Property) -> tuple[str, str]:
    return prop.label, description(prop)
