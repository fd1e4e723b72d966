"""The steps of actions, but for the vendor's calls: ``task/<audience>``, and ``retired_tasks``."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

from cio_activation.activation.models import Audience, Lane
from cio_activation.delivery.destination import AbsoluteStep, Context, Step
from cio_activation.destinations.common.actions.declared import ActionType
from cio_activation.destinations.common.actions.folding import fold_actions
from cio_activation.destinations.common.actions.planning import READS, plan_audience, plan_retired
from cio_activation.journal.operations import Kind
from cio_activation.warehouse.sessions import Connection, Warehouse
from cio_activation.warehouse.sql import literal


class ActionStep(AbsoluteStep):
    """The actions of one audience: made once an entry, brought up to date, taken back when their reason ends.

    A vendor's step adds ``send`` and ``recover``: a creation that got no answer is looked for by its marker, among the
    actions of the person's record, before it is tried again.
    """

    late_creation_doubles = True

    def __init__(self, kind: ActionType, audience: Audience, after: Sequence[str]) -> None:
        self.type, self.audience = kind, audience
        self.kinds: tuple[Kind, ...] = kind.kinds
        self.lane: Lane | None = audience.lane
        self.name = f"{kind.word}/{audience.name}"
        self.description = f"What people are asked to do for '{audience.label}': one {kind.word} an entry."
        self.after: tuple[str, ...] = tuple(after)
        self.needs: tuple[str, ...] = (f"audience/{audience.name}",)

    def reads(self, context: Context) -> tuple[str, ...]:  # noqa: ARG002
        """Compare entries and assignments with what was acknowledged."""
        return READS

    def plan(self, con: Connection, context: Context) -> str | None:  # noqa: ARG002
        """Return what to make, to bring up to date and to take back."""
        return plan_audience(self.type, self.audience, context.scope)

    def fold(self, con: Connection, context: Context, finished: str) -> None:  # noqa: ARG002
        """Keep what became of them."""
        fold_actions(con, self.type, finished)


class RetiredActionsStep(AbsoluteStep):
    """Takes back what is open of audiences that left the activation, or ask for no such action any more."""

    def __init__(self, kind: ActionType, declared: Sequence[Audience]) -> None:
        self.type = kind
        self.kinds: tuple[Kind, ...] = kind.kinds
        self.lane: Lane | None = Lane.DAILY
        self.name = f"retired_{kind.word}s" if kind.word != "activity" else "retired_activities"
        self.description = f"Takes back open ones ({kind.word}) of audiences that ask for none any more."
        self.after: tuple[str, ...] = ()
        self.needs: tuple[str, ...] = ()
        self._declared = tuple(a.name for a in declared)

    def predecessors(self, context: Context) -> Sequence[Step]:
        """Return the steps of audiences that ask for none any more: what was made and never answered is found first."""
        there = ", ".join(literal(f"{self.type.word}/{name}") for name in self._declared) or "NULL"
        with Warehouse(
            context.settings.warehouse_path, memory_limit=context.settings.activation_duckdb_memory
        ).read() as con:
            rows = con.execute(
                f"""SELECT DISTINCT step FROM delivery.plans WHERE destination = {literal(self.type.destination)}
                AND starts_with(step, {literal(self.type.word + "/")}) AND coalesce(step NOT IN ({there}), TRUE)
                ORDER BY step"""
            ).fetchall()
        return [self._named(str(name)) for (name,) in rows]

    def _named(self, name: str) -> Step:
        former: Any = copy(self)  # a vendor's own, which sends
        former.name, former.late_creation_doubles = name, True
        return former  # type: ignore[no-any-return]

    def reads(self, context: Context) -> tuple[str, ...]:  # noqa: ARG002
        """Compare entries with what was acknowledged."""
        return ("audience.memberships", "delivery.actions")

    def plan(self, con: Connection, context: Context) -> str | None:  # noqa: ARG002
        """Return what to take back."""
        return plan_retired(self.type, self._declared, context.scope)

    def fold(self, con: Connection, context: Context, finished: str) -> None:  # noqa: ARG002
        """Keep what became of them."""
        fold_actions(con, self.type, finished)
