"""The audiences to start with, two or three of them, and of every other segment why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cio_activation.onboarding.meanings import Meaning
from cio_activation.onboarding.properties import Meant, PropertyDraft
from cio_activation.onboarding.purposes import PURPOSES, Purpose, purpose_of
from cio_activation.onboarding.reading import FINISHED, SegmentFound

MOST_ASKING, MOST = 2, 3
"""Audiences with a human act, and audiences at all: a start that people can still read."""


@dataclass(frozen=True, kw_only=True)
class AudienceDraft:
    """One audience: which segment, for what, and how it is narrowed."""

    source: SegmentFound
    purpose: Purpose
    asks: bool
    """Whether a human is asked to act."""
    gate: str | None
    why: str


def chosen(
    segments: Sequence[SegmentFound], meant: Meant, properties: Sequence[PropertyDraft], *, can_ask: bool
) -> tuple[list[AudienceDraft], dict[int, str]]:
    """Return the audiences to start with, and for each other segment why not. ``can_ask``: there is somebody to ask."""
    why_not: dict[int, str] = {}
    candidates: dict[str, list[SegmentFound]] = {}
    for one in segments:
        purpose = purpose_of(one.segment.name)
        if reason := _unfit(one, purpose):
            why_not[one.segment.id] = reason
        elif purpose is not None:
            candidates.setdefault(purpose.name, []).append(one)
    tightest = {
        name: sorted(fit, key=lambda s: (not s.people, s.people or 0, s.segment.id)) for name, fit in candidates.items()
    }
    for fit in tightest.values():
        for other in fit[1:]:
            why_not[other.segment.id] = (
                f"of the same kind as segment {fit[0].segment.id}, which is smaller: one source segment a job"
            )
    begun: list[AudienceDraft] = []
    for purpose in [p for p in PURPOSES if p.name in tightest]:
        source, asks = tightest[purpose.name][0], purpose.asks and can_ask
        if not source.people:
            why_not[source.segment.id] = "nobody is in it now"
        elif asks and sum(one.asks for one in begun) >= MOST_ASKING:
            why_not[source.segment.id] = (
                f"{MOST_ASKING} audiences that ask people to act are enough for a start; add it when these are trusted"
            )
        elif len(begun) >= MOST:
            why_not[source.segment.id] = f"{MOST} audiences are enough for a start; add it when these are trusted"
        else:
            begun.append(_drafted(source, purpose, asks, meant, {p.name: p for p in properties}))
    return begun, why_not


def _unfit(one: SegmentFound, purpose: Purpose | None) -> str | None:
    if one.segment.state != FINISHED:
        return f"Customer.io is still building it ({one.segment.state})"
    if purpose is None and one.segment.manual:
        return "a manual segment: who is in it is put there by hand, and its name does not say for what"
    if purpose is None:
        return "its name does not say what somebody would do about these people"
    if one.people is None:
        return "not counted: there are too many segments"
    return None


def _drafted(
    source: SegmentFound, purpose: Purpose, asks: bool, meant: Meant, properties: Mapping[str, PropertyDraft]
) -> AudienceDraft:
    terms: list[str] = []
    if asks and purpose.urgent and meant.has(Meaning.CART_VALUE) and "cart_value_tier" in properties:
        terms.append(f"{Meaning.CART_VALUE} >= {properties['cart_value_tier'].rule['edges'][0]}")
    if asks and "ltv_tier" in properties:
        terms.append(f"ltv_tier <> '{properties['ltv_tier'].rule['labels'][0]}'")
    why = "by its name; nobody is asked to act for them"
    if asks:
        why = "by its name. The gate: a person's time goes where it is worth it"
        why = why if terms else "by its name; nothing was found to gate it by, so everybody in the segment counts"
    return AudienceDraft(source=source, purpose=purpose, asks=asks, gate=" AND ".join(terms) or None, why=why)
