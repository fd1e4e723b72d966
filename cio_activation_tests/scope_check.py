"""Holds, in every test: what is decided or planned for few is what would be for everybody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from cio_activation.audience import members, step
from cio_activation.audience.inputs import Inputs
from cio_activation.delivery import plan, run
from cio_activation.delivery.destination import Context, Step
from cio_activation.warehouse.sessions import Connection


@pytest.fixture(scope="session", autouse=True)
def few_come_out_like_all() -> Iterator[None]:
    """Compute each narrowed decision and plan for everybody too, and fail the run where they differ."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(members, "decide", _decide)
        patch.setattr(run.planning, "make_plan", _make_plan)
        yield


def _decide(con: Connection, inputs: Inputs) -> None:
    whole = None
    if inputs.among is not None:
        step.decide(con, replace(inputs, among=None))
        whole = _rows(con, "FROM decided")
    step.decide(con, inputs)
    if whole is not None:
        assert _rows(con, "FROM decided") == whole, f"{inputs.audience.name}: few were not enough"


def _make_plan(con: Connection, its_step: Step, destination: str, context: Context, *rest: Any) -> plan.Plan:
    if context.among is not None:
        whole = its_step.plan(con, replace(context, among=None))
        few = its_step.plan(con, context)
        assert few is not None
        assert whole is not None
        assert _rows(con, few) == _rows(con, whole), f"{destination}/{its_step.name}: few were not enough"
    return _real(con, its_step, destination, context, *rest)


_real = plan.make_plan


def _rows(con: Connection, select: str) -> Counter[tuple[Any, ...]]:
    return Counter(con.execute(select).fetchall())
