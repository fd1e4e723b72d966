"""Checks of outcomes: the names their fields take, and audiences that nobody acts for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cio_activation.activation.actions import HasAsk
from cio_activation.activation.draft import Draft
from cio_activation.activation.file import AudienceFile
from cio_activation.activation.outcomes import HUMAN_FIELDS, Outcomes

KEY = "outreach_outcomes"


def switched_on(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``data``; the key without anything below it says: with all defaults."""
    return {**data, KEY: {}} if KEY in data and data[KEY] is None else dict(data)


def check_names(draft: Draft) -> None:
    """Note properties that are called like one of the fields that humans write."""
    if draft.file.outreach_outcomes is None:
        return
    for name in draft.file.properties:
        if name in HUMAN_FIELDS:
            taken = f"{draft.file.workspace.prefix}{name}"
            draft.problems.add(("properties", name), f"{taken} is the field that humans write ({KEY}); rename it")


def outcomes_of(
    draft: Draft, name: str, written: AudienceFile, deliver: Mapping[str, Any]
) -> dict[str, Outcomes | None]:
    """Return what the model of an audience is given: what follows from outcomes, where somebody is asked to act."""
    common, own = draft.file.outreach_outcomes, written.outcomes
    asks = any(isinstance(options, HasAsk) and options.ask is not None for options in deliver.values())
    if own is not None and common is None:
        draft.problems.add(("audiences", name, "outcomes"), f"is read where {KEY} stands; add it")
    if own is not None and not asks:
        draft.problems.add(("audiences", name, "outcomes"), "is for audiences with an action; add one, or remove it")
    if common is None or not asks:
        return {"outcomes": None}
    return {"outcomes": common if own is None else own.over(common)}
