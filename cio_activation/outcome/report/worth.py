"""What audiences brought: outcomes of those let in and those held out, the difference, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cio_activation.activation.models import Activation
from cio_activation.outcome.audiences import COLUMNS, outcomes
from cio_activation.outcome.comparing import compared
from cio_activation.outcome.inference import Interval
from cio_activation.outcome.lift import Lift, Verdict, judge
from cio_activation.outcome.report import charts
from cio_activation.outcome.report.page import Block, Note, Section, Table
from cio_activation.warehouse.sessions import Connection


def lifts(con: Connection, activation: Activation, as_of: datetime) -> list[Lift]:
    """Return the verdicts."""
    return judge(compared(con, activation, as_of))


def section(con: Connection, activation: Activation, as_of: datetime) -> Section:
    """Return the section."""
    judged = lifts(con, activation, as_of)
    blocks: list[Block] = [Note(f"{one.audience}: {one.sentence}", _kind(one.verdict)) for one in judged]
    drawn = {one.audience: _points(one) for one in judged if one.live is not None and one.fixed is not None}
    if drawn:
        blocks.append(
            charts.intervals("More who buy, of 100 let in, against those held out", drawn, "points (of 100 people)")
        )
    money = {one.audience: [("revenue", one.revenue)] for one in judged if one.revenue is not None}
    if money:
        currency = activation.workspace.currency
        blocks.append(charts.intervals("More revenue for each person let in", money, currency))
    rows = [_money(one) for one in judged if one.revenue is not None]
    if rows:
        blocks.append(
            Table(
                ("audience", "revenue a person", "from", "to", "recovered in all", "value of an order", "from", "to"),
                rows,
                f"Money ({activation.workspace.currency}): one look each, no verdict rests on it",
            )
        )
    blocks.append(
        Table(
            COLUMNS,
            [one.shown() for one in outcomes(con, as_of)],
            "Outcomes of first entries",
            "Nobody has entered yet.",
        )
    )
    return Section(
        "Outcomes and verdicts",
        "Everybody counts who was let in, whether or not anybody acted, once measure.within is over. The interval read "
        "any day is wide enough to be looked at every day; that of one look is for the end. docs/worth.md says more.",
        blocks,
    )


def _points(one: Lift) -> Sequence[tuple[str, Interval]]:
    assert one.live is not None
    assert one.fixed is not None
    return [(n, Interval(100 * i.estimate, 100 * i.low, 100 * i.high)) for n, i in (
        ("any day", one.live), ("one look", one.fixed),
    )]  # fmt: skip


def _money(one: Lift) -> tuple[str | float | None, ...]:
    gain, order = one.revenue, one.order_value
    assert gain is not None
    assert one.rates is not None
    values = (order.estimate, order.low, order.high) if order is not None else (None, None, None)
    return (one.audience, gain.estimate, gain.low, gain.high, gain.estimate * one.rates.treated, *values)


def _kind(verdict: Verdict) -> str:
    return {Verdict.WORKS: "good", Verdict.BLOCKED: "bad"}.get(verdict, "")
