"""Checks of what an audience asks of a human: the values its texts show, its route, and people's time zones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cio_activation.activation.actions import HasAsk, ShowsValues
from cio_activation.activation.draft import Draft
from cio_activation.activation.file import AudienceFile
from cio_activation.activation.models import Lane, Property
from cio_activation.activation.problems import Path, meant


def check_asks(
    draft: Draft, name: str, written: AudienceFile, deliver: Mapping[str, Any], properties: Mapping[str, Property]
) -> None:
    """Note placeholders that stand for nothing or for contact data, and a route to where nothing is asked."""
    asks = {place: o.ask for place, o in deliver.items() if isinstance(o, HasAsk) and o.ask is not None}
    for place, options in deliver.items():
        shown = options.placeholders if isinstance(options, ShowsValues) else ()
        if place in asks:
            shown = tuple(dict.fromkeys((*asks[place].placeholders, *shown)))
        _check_placeholders(draft, ("audiences", name, "deliver", place), shown, written.lane, properties)
    for index, place in enumerate(written.route or ()):
        path: Path = ("audiences", name, "route", index)
        if place not in asks:
            offered = ", ".join(asks) or "none"
            draft.problems.add(path, f"{place!r} has no action in this audience (with one: {offered})")
        elif place in (written.route or ())[:index]:
            draft.problems.add(path, f"{place!r} is named twice; keep one of them")


def _check_placeholders(
    draft: Draft, path: Path, shown: Sequence[str], lane: Lane, properties: Mapping[str, Property]
) -> None:
    profile = draft.file.profile
    personal = {"email", profile.phone, profile.first_name, profile.last_name}
    known = (*draft.attributes, *properties)
    for name in shown:
        if name in draft.attributes:
            if draft.attributes[name].source in personal:
                draft.problems.add(
                    path, f"{{{name}}} is contact data, which the record beside the action shows; remove it"
                )
        elif name in properties:
            if lane is Lane.DAILY and properties[name].lane is Lane.REALTIME:
                draft.problems.add(
                    path, f"{{{name}}} is a realtime property; a daily audience reads daily ones, move one of the two"
                )
        elif name not in draft.unsure:
            draft.problems.add(path, f"{{{name}}} is no attribute or property{meant(name, known)}")
