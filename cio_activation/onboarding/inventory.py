"""What was found in the accounts, for the end of the file and for the command's own summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cio_activation.onboarding.attributes import AttributeFound
from cio_activation.onboarding.draft import Draft
from cio_activation.onboarding.reading import SegmentFound

MOST_LISTED = 60
"""Names of attributes and fields in one list; more say nothing to a reader."""


def inventory(draft: Draft) -> list[str]:
    """Return what was found, as lines."""
    found = draft.found
    lines = ["What was found", "", "Segments, and why an audience starts from them or not (yet):"]
    by_segment = {one.source.segment.id: one.purpose.name for one in draft.audiences}
    for one in found.segments:
        fate = (
            f"audience {by_segment[one.segment.id]}" if one.segment.id in by_segment else draft.why_not[one.segment.id]
        )
        lines.append(f"  {one.segment.id} {one.segment.name}: {counted(one)}; {fate}")
    lines += [
        "How many come and go in a day nothing tells before two days were read: membership has no "
        "times. The check `unchanged` of "
        "the segments' assets tells it from then on.",
        "",
        "Attributes (part of the sample that has them, type by their values; of what may say who "
        "somebody is nothing is told):",
        *(f"  {attribute_line(a)}" for a in found.attributes[:MOST_LISTED]),
    ]
    if len(found.attributes) > MOST_LISTED:
        lines.append(f"  and {len(found.attributes) - MOST_LISTED:,} more, which fewer people have")
    if found.unnamed:
        lines.append(f"  and {found.unnamed:,} whose names look like values of people, not listed")
    for name, survey in found.surveys.items():
        ours = [f for f in survey.fields if f.startswith("cio_")]
        others = [f for f in survey.fields if not f.startswith("cio_")]
        lines += ["", f"{name}, {survey.account}:"]
        lines.append(f"  fields under cio_, ours: {_listed(ours)}")
        lines.append(f"  fields that others added: {_listed(others)}; {survey.builtin_fields:,} are the vendor's own")
        lines.append(f"  users who can be asked to act: {_listed(survey.owners)}")
        lines += [f"  pipeline {p}: {', '.join(stages) or 'no stages'}" for p, stages in survey.pipelines.items()]
        lines += [f"  {what} could not be read: {why}" for what, why in survey.unread.items()]
    return lines


def counted(one: SegmentFound) -> str:
    """Return how many are in a segment, and how that moved while we looked."""
    if one.people is None:
        return "not counted"
    people = f"{one.people:,} people"
    if one.change is None:
        return people
    return f"{people}, {one.change:+,} within {one.apart_s:,.0f} s" if one.change else people


def attribute_line(attribute: AttributeFound) -> str:
    """Return an attribute in words: its fill rate, type, and where its values lie."""
    if attribute.personal:
        return f"{attribute.name}: {attribute.filled:.0%}"
    told = f"{attribute.name}: {attribute.filled:.0%}, {attribute.type}"
    if not attribute.quantiles:
        return told
    days = " days ago" if attribute.type in ("timestamp", "date") else ""
    values = ", ".join(
        f"{_number(attribute.quantiles[share])}" for share in (0.1, 0.5, 0.9) if share in attribute.quantiles
    )
    return f"{told}; a tenth, half and nine tenths lie below {values}{days}"


def summary(draft: Draft) -> dict[str, Any]:
    """Return what was found and drafted as one object; no value of a person is in it."""
    found, sample = draft.found, draft.found.sample
    by_segment = {one.source.segment.id: one.purpose.name for one in draft.audiences}
    return {
        "sample": {
            "people": sample.people,
            "segment": sample.segment.id,
            "of": sample.of,
            "drawn_from": sample.drawn_from,
        },
        "segments": [
            {
                "id": one.segment.id,
                "name": one.segment.name,
                "state": one.segment.state,
                "people": one.people,
                "change": one.change,
                "turnover": None,
                "audience": by_segment.get(one.segment.id),
                "why_not": draft.why_not.get(one.segment.id),
            }
            for one in found.segments
        ],
        "attributes": [
            {
                "name": a.name,
                "filled": round(a.filled, 4),
                "type": None if a.personal else str(a.type),
                "quantiles": {f"{share:g}": value for share, value in a.quantiles.items()},
            }
            for a in found.attributes
        ],
        "attributes_not_listed": found.unnamed,
        "crms": {
            name: {
                "account": s.account,
                "fields_ours": [f for f in s.fields if f.startswith("cio_")],
                "fields_of_others": [f for f in s.fields if not f.startswith("cio_")],
                "builtin_fields": s.builtin_fields,
                "owners": list(s.owners),
                "pipelines": {p: list(stages) for p, stages in s.pipelines.items()},
                "unread": dict(s.unread),
            }
            for name, s in found.surveys.items()
        },
        "left_out": dict(found.missing),
        "properties": [one.name for one in draft.properties],
        "audiences": [one.purpose.name for one in draft.audiences],
        "undecided": list(draft.undecided),
    }


def _number(value: float) -> str:
    return f"{int(value) if value == int(value) else value:,}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_LISTED:,} more" if len(names) > MOST_LISTED else ""
    return (", ".join(names[:MOST_LISTED]) or "none") + more
