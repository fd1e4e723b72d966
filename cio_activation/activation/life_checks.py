"""Checks of what an audience says about the life of a person in it, and what applies where it says nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from cio_activation.activation.draft import Draft
from cio_activation.activation.durations import format_duration
from cio_activation.activation.file import AudienceFile
from cio_activation.activation.life_cycle import COOLDOWN, EXPIRES_AFTER, Measure
from cio_activation.activation.models import AttributeType, Lane, Property, PropertyType
from cio_activation.activation.moment_checks import check_spans
from cio_activation.activation.ordering import read_order
from cio_activation.activation.problems import Path
from cio_activation.errors import ConfigError

TOUCH_KEYS = (
    "cooldown", "again_after", "exclusive", "hold_while", "respect_unsubscribed", "rank", "holdout", "redraw", "launch",
    "respect_handled", "route",
)  # fmt: skip
"""What only an audience with a human act waits for: suppression and media lists never do."""

_NOBODY_ACTS = "is for audiences with a human act; add an action, or say touch: true if a list is one"


def life_defaults(written: AudienceFile) -> dict[str, Any]:
    """Return what applies to a touch audience that says nothing else."""
    return {
        "cooldown": COOLDOWN if written.cooldown is None else written.cooldown,
        "expires_after": EXPIRES_AFTER if written.expires_after is None else written.expires_after,
        "measure": Measure() if written.measure is None else written.measure,
    }


def check_life(
    draft: Draft, name: str, written: AudienceFile, properties: Mapping[str, Property], *, touch: bool
) -> None:
    """Note what is wrong with gate, expressions, rank and spans, and what a list that asks nobody has no use for."""
    path: Path = ("audiences", name)
    only = written.launch.only if written.launch is not None else None
    for place, text in (
        ((*path, "gate"), written.gate),
        ((*path, "hold_while"), written.hold_while),
        ((*path, "launch", "only"), only),
    ):
        _check_expression(draft, place, text, written.lane, properties)
    if written.rank is not None:
        _check_rank(draft, (*path, "rank"), written.rank, written.lane, properties)
    for key in ("cooldown", "again_after"):
        span = getattr(written, key)
        if span is not None and span < timedelta(0):
            draft.problems.add((*path, key), "must not be negative")
    if touch or written.measure is not None:
        _check_measure(draft, path, written.measure or Measure())
    if not touch:
        for key in TOUCH_KEYS:
            if getattr(written, key) is not None:
                draft.problems.add((*path, key), _NOBODY_ACTS)


def _check_measure(draft: Draft, path: Path, measure: Measure) -> None:
    for key in ("within", "lapsed_after"):
        if getattr(measure, key) < timedelta(days=1):
            draft.problems.add((*path, "measure", key), "must be a day (1d) or more; outcomes are read once a day")
    moment, needed = draft.file.workspace.purchase_moment, measure.within + timedelta(days=2)
    if moment is not None and moment.value is not None and draft.file.workspace.moment_body_retention < needed:
        draft.problems.add(
            path if measure == Measure() else (*path, "measure", "within"),
            f"purchase_moment.value is read from bodies until two days after {format_duration(measure.within)}; "
            f"raise workspace.moment_body_retention to {format_duration(needed)}, or shorten measure.within",
        )


def _vocabulary(
    draft: Draft, properties: Mapping[str, Property]
) -> tuple[dict[str, AttributeType | PropertyType], dict[str, Sequence[str]]]:
    types: dict[str, AttributeType | PropertyType] = {a.name: a.type for a in draft.attributes.values()}
    types |= {p.name: p.type for p in properties.values()}
    return types, {p.name: p.labels for p in properties.values() if p.labels}


def _check_expression(
    draft: Draft, path: Path, text: str | None, lane: Lane, properties: Mapping[str, Property]
) -> None:
    """Note what an expression may not read: a day's decision cannot rest on a value that moves within the day."""
    if text is None:
        return
    expression = draft.expression(path, text, *_vocabulary(draft, properties), moments=True)
    if expression is None:
        return
    check_spans(draft, path, expression)
    if lane is Lane.DAILY:
        _check_lanes(draft, path, sorted(expression.columns & set(properties)), properties)


def _check_rank(draft: Draft, path: Path, text: str, lane: Lane, properties: Mapping[str, Property]) -> None:
    try:
        ranks = read_order(text, *_vocabulary(draft, properties), draft.unsure)
    except ConfigError as error:
        draft.problems.add_all(path, error)
        return
    if lane is Lane.DAILY:
        _check_lanes(draft, path, [rank.name for rank in ranks if not rank.attribute], properties)


def _check_lanes(draft: Draft, path: Path, names: Sequence[str], properties: Mapping[str, Property]) -> None:
    for name in names:
        if properties[name].lane is Lane.REALTIME:
            draft.problems.add(
                path, f"{name!r} is a realtime property; a daily audience reads daily ones, move one of the two"
            )
