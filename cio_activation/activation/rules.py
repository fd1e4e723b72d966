"""From a property as written to its rule: which one it is, whether it fits its attributes, what it gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise

from cio_activation.activation.draft import Draft
from cio_activation.activation.durations import format_duration
from cio_activation.activation.file import PropertyFile
from cio_activation.activation.models import (
    AttributeType,
    Case,
    Cases,
    DaysSince,
    ExpectNext,
    Flag,
    PropertyType,
    Rule,
    Tiers,
    Value,
)
from cio_activation.activation.problems import Path

LONGEST_DAYS = 36_500
"""Largest edge in days: a hundred years."""

LONGEST_DWELL = timedelta(days=365)
"""Of a bucket: one that waits for longer would say nothing of today."""

_INSTANTS = (AttributeType.TIMESTAMP, AttributeType.DATE)
_NUMBERS = (AttributeType.NUMBER, AttributeType.INTEGER, AttributeType.MONEY)
_VALUE_TYPES = {
    **dict.fromkeys(_INSTANTS, PropertyType.DATE),
    **dict.fromkeys(_NUMBERS, PropertyType.NUMBER),
    AttributeType.TEXT: PropertyType.TEXT,
}
_EXPECT_LABELS = ("before", "open", "due", "overdue")


@dataclass(frozen=True)
class Ruled:
    """A rule with what follows from it: the type a destination must store, the closed set, a sentence."""

    rule: Rule
    type: PropertyType
    labels: tuple[str, ...]
    sentence: str


def read_rule(draft: Draft, path: Path, written: PropertyFile) -> Ruled | None:
    """Return the one rule of the property at ``path``, or None with its problems noted."""
    given = [name for name in _READERS if getattr(written, name) is not None]
    if len(given) != 1:
        draft.problems.add(
            path,
            f"has the rules {', '.join(given)}; keep one, a property has exactly one rule"
            if given
            else f"has no rule; add one of {', '.join(_READERS)}",
        )
        return None
    read, companions = _READERS[given[0]]
    stray = [
        key for key in ("edges", "labels", "otherwise") if getattr(written, key) is not None and key not in companions
    ]
    for key in stray:
        draft.problems.add((*path, key), f"does not go with {given[0]}; remove it")
    ruled = read(draft, path, written)
    return None if stray or ruled is None else _dwelling(draft, path, written, ruled)


def _dwelling(draft: Draft, path: Path, written: PropertyFile, ruled: Ruled) -> Ruled | None:
    """Return ``ruled`` with its ``min_dwell`` in its sentence, or None with the problem noted."""
    span, at = written.min_dwell, (*path, "min_dwell")
    if not timedelta(0) <= span <= LONGEST_DWELL:
        told = f"must be a span from 0m to {format_duration(LONGEST_DWELL)}, such as 30m; or leave it out"
        draft.problems.add(at, told)
        return None
    if span and ruled.type not in (PropertyType.ENUM, PropertyType.FLAG):
        draft.problems.add(at, "goes with buckets and flags only; a plain value is shown as it is, so leave it out")
        return None
    lasting = f" A change counts once it has lasted {format_duration(span)}." if span else ""
    return replace(ruled, sentence=ruled.sentence + lasting)


def _days_since(draft: Draft, path: Path, written: PropertyFile) -> Ruled | None:
    attribute = str(written.days_since)
    found = draft.attribute((*path, "days_since"), attribute, _INSTANTS)
    buckets = _buckets(draft, path, written)
    if buckets is None:
        return None
    edges, labels = buckets
    for edge in edges:
        if not edge.is_integer() or not 0 <= edge <= LONGEST_DAYS:
            draft.problems.add((*path, "edges"), f"{edge:g} is not a whole number of days from 0 to {LONGEST_DAYS}")
            return None
    if found is None:
        return None
    days = tuple(int(edge) for edge in edges)
    starts = [0, *(day + 1 for day in days)]
    spans = [*(f"{start} to {end}" for start, end in zip(starts, days, strict=False)), f"{starts[-1]} and more"]
    told = ", ".join(f"{label} ({span})" for label, span in zip(labels, spans, strict=True))
    rule = DaysSince(attribute=attribute, edges=days, labels=labels)
    return Ruled(rule, PropertyType.ENUM, labels, f"Whole days since {_said(attribute)}: {told}.")


def _tiers(draft: Draft, path: Path, written: PropertyFile) -> Ruled | None:
    attribute = str(written.tiers)
    found = draft.attribute((*path, "tiers"), attribute, _NUMBERS)
    buckets = _buckets(draft, path, written)
    if buckets is None or found is None:
        return None
    edges, labels = buckets
    told = ", ".join(f"{label} (from {edge:,g})" for label, edge in zip(labels[1:], edges, strict=True))
    rule = Tiers(attribute=attribute, edges=edges, labels=labels)
    sentence = f"{_said(attribute).capitalize()} in tiers: {labels[0]} (below {edges[0]:,g}), {told}."
    return Ruled(rule, PropertyType.ENUM, labels, sentence)


def _buckets(draft: Draft, path: Path, written: PropertyFile) -> tuple[tuple[float, ...], tuple[str, ...]] | None:
    edges, labels = written.edges, written.labels
    for key, value in (("edges", edges), ("labels", labels)):
        if not value:
            draft.problems.add((*path, key), "is missing; this rule needs edges and one label more than edges")
    if not edges or not labels:
        return None
    good = draft.labels((*path, "labels"), labels)
    if not all(map(math.isfinite, edges)) or any(low >= high for low, high in pairwise(edges)):
        draft.problems.add((*path, "edges"), f"{_listed(edges)} must be numbers that grow from one to the next")
        good = False
    if len(labels) != len(edges) + 1:
        draft.problems.add(
            (*path, "labels"),
            f"{len(edges)} edges make {len(edges) + 1} ranges, but there are {len(labels)} labels; write one for each",
        )
        good = False
    return (edges, labels) if good else None


def _expect_next(draft: Draft, path: Path, written: PropertyFile) -> Ruled | None:
    told = written.expect_next
    if told is None:
        return None
    at = (*path, "expect_next")
    found = [
        draft.attribute((*at, "from"), told.since, _INSTANTS),
        draft.attribute((*at, "every"), told.every, (AttributeType.NUMBER, AttributeType.INTEGER)),
    ]
    if told.fallback_by is not None:
        found.append(draft.attribute((*at, "fallback_by"), told.fallback_by, (AttributeType.TEXT,)))
    labels = written.labels if written.labels is not None else _EXPECT_LABELS
    good = draft.labels((*path, "labels"), labels)
    if len(labels) != len(_EXPECT_LABELS):
        draft.problems.add((*path, "labels"), f"must be four, for {', '.join(_EXPECT_LABELS)}; or leave it out")
        good = False
    if told.open > timedelta(0) or told.close < timedelta(0):
        draft.problems.add(at, "open must not be positive and close must not be negative, such as open: -3d, close: 7d")
        good = False
    if not good or None in found:
        return None
    rule = ExpectNext(**told.model_dump(), labels=labels)
    sentence = (
        f"Where the next order stands, expected {_said(told.every)} after {_said(told.since)}: {labels[0]}, "
        f"{labels[1]} (from {format_duration(-told.open)} before it), {labels[2]} (until "
        f"{format_duration(told.close)} after it), {labels[3]}."
    )
    return Ruled(rule, PropertyType.ENUM, labels, sentence)


def _flag(draft: Draft, path: Path, written: PropertyFile) -> Ruled | None:
    when = str(written.flag)
    if not _condition(draft, (*path, "flag"), when):
        return None
    return Ruled(Flag(when=when), PropertyType.FLAG, (), f"True when {when}.")


def _cases(draft: Draft, path: Path, written: PropertyFile) -> Ruled | None:
    cases = written.cases or ()
    if not cases:
        draft.problems.add((*path, "cases"), "is empty; write at least one {label: ..., when: ...}")
        return None
    good = [_condition(draft, (*path, "cases", n, "when"), case.when) for n, case in enumerate(cases)]
    last = (written.otherwise,) if written.otherwise is not None else ()
    labels = tuple(dict.fromkeys((*(case.label for case in cases), *last)))
    good.append(draft.labels((*path, "cases"), labels))
    if not all(good):
        return None
    rule = Cases(cases=tuple(Case(label=c.label, when=c.when) for c in cases), otherwise=written.otherwise)
    told = "; ".join(f"{case.label} when {case.when}" for case in cases)
    ending = f"otherwise {written.otherwise}" if last else "otherwise no value"
    return Ruled(rule, PropertyType.ENUM, labels, f"The first that holds: {told}; {ending}.")


def _value(draft: Draft, path: Path, written: PropertyFile) -> Ruled | None:
    attribute, at = str(written.value), (*path, "value")
    found = draft.attribute(at, attribute, tuple(AttributeType))
    if found is None:
        return None
    if found.type not in _VALUE_TYPES:
        draft.problems.add(at, f"{attribute!r} is of type {found.type}; write flag: {attribute}")
        return None
    sentence = f"{_said(attribute).capitalize()}, as Customer.io holds it."
    return Ruled(Value(attribute=attribute), _VALUE_TYPES[found.type], (), sentence)


def _condition(draft: Draft, path: Path, text: str) -> bool:
    """Tell whether ``text`` is an expression over attributes; a property never reads another one."""
    properties = set(draft.file.properties) - set(draft.attributes)
    expression = draft.expression(path, text, {a.name: a.type for a in draft.attributes.values()}, None, properties)
    if expression is None:
        return False
    others = sorted(expression.columns & properties)
    for name in others:
        draft.problems.add(path, f"{name!r} is a property; a property's rule reads attributes only")
    return not others


def _said(attribute: str) -> str:
    return attribute.replace("_", " ")


def _listed(numbers: Sequence[float]) -> str:
    return "[" + ", ".join(f"{number:g}" for number in numbers) + "]"


_Reader = Callable[[Draft, Path, PropertyFile], Ruled | None]
_READERS: dict[str, tuple[_Reader, tuple[str, ...]]] = {
    "days_since": (_days_since, ("edges", "labels")),
    "tiers": (_tiers, ("edges", "labels")),
    "expect_next": (_expect_next, ("labels",)),
    "flag": (_flag, ()),
    "cases": (_cases, ("otherwise",)),
    "value": (_value, ()),
}
"""Rule -> how it is read, and the keys that go with it."""
