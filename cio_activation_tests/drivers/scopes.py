"""Holds, in every test: what is derived, decided or planned for a few is what would be for everybody.

A plugin over all tests: it computes each narrowed look for everybody too, on the same connection and before anything is
written, and fails the test where they differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.windows import Window
from cio_activation.audience import candidates, members, step
from cio_activation.audience.inputs import Inputs
from cio_activation.delivery import deferred, plan, run, scopes
from cio_activation.delivery.destination import Context, Stages, Step
from cio_activation.destinations.pipedrive import matching
from cio_activation.identity import resolve
from cio_activation.state import derive
from cio_activation.warehouse.scope import EVERYONE, Scope, gather
from cio_activation.warehouse.sessions import Connection


@pytest.fixture(scope="session", autouse=True)
def few_come_out_like_all() -> Iterator[None]:
    """Compute each narrowed look for everybody too, and fail the test where they differ."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(derive._Derivation, "_find_candidates", _find_candidates)
        patch.setattr(members, "decide", _decide)
        patch.setattr(candidates, "add", _add)
        patch.setattr(run.planning, "make_plan", _make_plan)
        patch.setattr(resolve, "_scoped", _scoped)
        patch.setattr(matching.LinksStep, "refresh", _match)
        yield


def _find_candidates(self: Any, scope: Scope) -> tuple[int, int]:
    tables, whole = ("candidates", "removed"), {}
    if not scope.is_everyone:
        _really_find(self, EVERYONE)
        whole = {table: _rows(self.con, f"FROM {table}") for table in tables}
    found = _really_find(self, scope)
    for table, rows in whole.items():
        assert _rows(self.con, f"FROM {table}") == rows, f"{self.table}: few were not enough, {table}"
    return found


def _decide(con: Connection, inputs: Inputs) -> step.Decided:
    whole = None
    if not inputs.scope.is_everyone:
        whole = _decided(con, step.decide(con, replace(inputs, scope=EVERYONE)))
    found = step.decide(con, inputs)
    if whole is not None:
        few = _decided(con, found)
        assert few == whole, f"{inputs.audience.name}: few were not enough: {whole - few} against {few - whole}"
    return found


def _add(con: Connection, inputs: Inputs) -> None:
    if not inputs.scope.is_everyone:
        before = _rows(con, f"FROM {candidates.ENTRANTS}")
        _really_add(con, replace(inputs, scope=EVERYONE))
        whole = _rows(con, f"FROM {candidates.ENTRANTS}")
        con.execute(f"DELETE FROM {candidates.ENTRANTS}")
        for (cio_id,), times in before.items():
            con.execute(f"INSERT INTO {candidates.ENTRANTS} SELECT ? FROM range(?)", [cio_id, times])
        _really_add(con, inputs)
        few = _rows(con, f"FROM {candidates.ENTRANTS}")
        assert few == whole, f"{inputs.audience.name}: few were not enough, who may enter: {whole - few}, {few - whole}"
        return
    _really_add(con, inputs)


def _decided(con: Connection, found: step.Decided) -> Counter[tuple[Any, ...]]:
    return _rows(con, "FROM decided") if found.people else Counter()


def _scoped(con: Connection, activation: Activation, window: Window, run_id: str) -> resolve.IdentityResult:
    found = _really_few(con, activation, window, run_id)
    if window.lane is Lane.DAILY:  # beside a landing that is not resolved yet, the real-time lane knows a part only
        assert resolve.count_missed(con, activation, window) == 0, "identity: few were not enough"
    return found


def _make_plan(con: Connection, its_step: Step, destination: str, context: Context, *rest: Any) -> Any:
    if not context.scope.is_everyone:
        its_step.refresh(con, context)
        gather(con, context.scope, its_step.reads(context))
        everybody = replace(context, scope=EVERYONE)
        if isinstance(its_step, Stages):
            its_step.stage(con, everybody)
            its_step.stage(con, context)
        whole = its_step.plan(con, everybody)
        # Whose turn has not come is left where they are, with what is known to be wanted of them.
        waiting = deferred.waiting(destination, its_step.name, context.scope)
        whole = whole and f"SELECT * FROM ({whole}) WHERE cio_id NOT IN (SELECT cio_id FROM ({waiting}))"
        few = its_step.plan(con, context)
        assert few is not None
        assert whole is not None
        assert _rows(con, few) == _rows(con, whole), f"{destination}/{its_step.name}: few were not enough"
    return _really_plan(con, its_step, destination, context, *rest)


def _match(self: matching.LinksStep, con: Connection, context: Context) -> None:
    quiet = scopes.is_quiet(con, self, "pipedrive", context, matching.WATCHED)
    _really_match(self, con, context)
    if quiet:
        before = [_rows(con, query) for query in _MATCHED]
        self.match(con, context)
        assert [_rows(con, query) for query in _MATCHED] == before, f"{self.name}: somebody was to be matched anew"


_MATCHED = (
    "SELECT * EXCLUDE (linked_at) FROM delivery.links WHERE destination = 'pipedrive'",
    "FROM delivery.key_clashes WHERE destination = 'pipedrive'",
    "FROM delivery.gone_records WHERE destination = 'pipedrive'",
)
_really_match = matching.LinksStep.refresh
_really_add = candidates.add
_really_plan = plan.make_plan
_really_few = resolve._scoped
_really_find = derive._Derivation._find_candidates


def _rows(con: Connection, select: str) -> Counter[tuple[Any, ...]]:
    return Counter(con.execute(select).fetchall())
