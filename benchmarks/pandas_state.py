"""The daily lane's properties in pandas: the same rules of the same activation, as an analyst would write them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from cio_activation.activation.models import (
    Activation,
    AttributeType,
    DaysSince,
    ExpectNext,
    Flag,
    Lane,
    Property,
    PropertyType,
    Tiers,
    Value,
)
from cio_activation.state.median_gaps import SMALLEST_GROUP

Frame = pd.DataFrame


class Ages:
    """Columns of a frame of people, and whole days since its moments."""

    def __init__(self, people: Frame, as_of: datetime) -> None:
        self.people, self.as_of = people, pd.Timestamp(as_of)

    def days(self, attribute: str) -> Any:
        """Whole 24-hour periods since the attribute; NaN where it is missing."""
        return (self.as_of - self.people[attribute]).dt.total_seconds() // 86_400

    def __getattr__(self, name: str) -> Any:
        return self.people[name]


FLAGS: dict[str, Callable[[Ages], Any]] = {
    "orders_count = 1 AND days_since(first_order_at) BETWEEN 21 AND 35": lambda p: (
        p.orders_count.eq(1) & p.days("first_order_at").between(21, 35)
    ),
    "total_spent >= 3000": lambda p: p.total_spent >= 3000,
    "total_spent >= 1200 AND days_since(last_order_at) >= 60": lambda p: (
        (p.total_spent >= 1200) & (p.days("last_order_at") >= 60)
    ),
    "refund_count >= 1 AND days_since(last_refund_at) < 30": lambda p: (
        p.refund_count.ge(1) & (p.days("last_refund_at") < 30)
    ),
}
"""Flags by their text in the activation: a changed one fails here instead of being compared with something else."""


def derive(people: Frame, activation: Activation, as_of: datetime) -> Frame:
    """Return ``cio_id`` and every property of the daily lane."""
    ages = Ages(people, as_of)
    found: dict[str, Any] = {"cio_id": people["cio_id"]}
    for prop in activation.lane_properties(Lane.DAILY):
        found[prop.name] = _value(prop, ages, activation)
    return Frame(found)


def _value(prop: Property, ages: Ages, activation: Activation) -> Any:
    match prop.rule:
        case DaysSince() as rule:
            return _labelled(ages.days(rule.attribute), [e + 1 for e in rule.edges], rule.labels)
        case Tiers() as rule:
            return _labelled(ages.people[rule.attribute], list(rule.edges), rule.labels)
        case ExpectNext() as rule:
            return _expected(rule, ages)
        case Flag() as rule:
            return FLAGS[rule.when](ages).fillna(False).astype(bool)
        case Value() as rule:
            return _plain(prop, ages.people[rule.attribute], activation)
    raise ValueError(f"property {prop.name}: the pandas peer has no {prop.rule.kind}")


def _labelled(values: Any, edges: list[float], labels: tuple[str, ...]) -> Any:
    numbers = values.to_numpy(dtype="float64", na_value=np.nan)
    chosen = np.array([*labels, None], dtype=object)  # place -1 is the missing one
    codes = np.where(np.isnan(numbers), -1, np.digitize(numbers, edges))
    return pd.Series(chosen[codes], index=values.index, dtype="str")


def _expected(rule: ExpectNext, ages: Ages) -> Any:
    people = ages.people
    own = people[rule.every].where(people[rule.every].between(0, 36_500, inclusive="right"))
    everyone = max(1.0, np.floor(own.median() + 0.5))
    gap = own.fillna(everyone)
    if rule.fallback_by:
        groups = own.groupby(people[rule.fallback_by]).agg(["median", "count"])
        medians = np.floor(groups["median"][groups["count"] >= SMALLEST_GROUP] + 0.5).clip(lower=1)
        gap = own.fillna(people[rule.fallback_by].map(medians)).fillna(everyone)
    expected = people[rule.since] + pd.to_timedelta((gap * 86_400_000_000).round().astype("int64"), unit="us")
    as_of = ages.as_of
    conditions = [as_of < expected + rule.open, as_of < expected, as_of < expected + rule.close]
    found = pd.Series(np.select(conditions, list(rule.labels[:-1]), rule.labels[-1]), index=people.index, dtype="str")
    return found.where(expected.notna())


def _plain(prop: Property, values: Any, activation: Activation) -> Any:
    rule = prop.rule
    assert isinstance(rule, Value)
    moments = activation.attributes[rule.attribute].type is AttributeType.TIMESTAMP
    if prop.type is PropertyType.DATE and moments:
        local = values.dt.tz_localize("UTC").dt.tz_convert(activation.workspace.timezone)
        return local.dt.tz_localize(None).dt.normalize()
    return values
