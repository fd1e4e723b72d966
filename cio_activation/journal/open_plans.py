"""Plans that are being sent: whoever lost its step's lease to another run cannot go on sending.

A run opens its plan before its first batch, and every batch's intents are committed only while the plan is open. The
next run of the step, which holds the lease by then, closes what it finds: after that every open attempt of the step is
a dead process's, fit for recovery.
"""

from __future__ import annotations

import sqlalchemy as sa

from cio_activation.errors import CioActivationError
from cio_activation.journal.engine import JournalDatabase
from cio_activation.journal.schema import open_plans


class PlanClosed(CioActivationError):
    """Nothing more may be sent for the plan: another run took over its step."""


def open_plan(journal: JournalDatabase, plan_id: str, destination: str, step: str) -> None:
    """Let the plan's batches be sent."""
    with journal.transaction() as con:
        con.execute(sa.insert(open_plans).values(plan_id=plan_id, destination=destination, step=step))


def close_plans(journal: JournalDatabase, destination: str, step: str) -> None:
    """Close whatever plans of the step are open. The caller holds the step's lease."""
    mine = (open_plans.c.destination == destination) & (open_plans.c.step == step)
    with journal.transaction() as con:
        con.execute(sa.delete(open_plans).where(mine))


def require_open(con: sa.Connection, plan_id: str) -> None:
    """Hold the plan open until the caller's commit: whoever closes it then sees every intent there will ever be.

    Raises PlanClosed.
    """
    query = sa.select(open_plans.c.plan_id).where(open_plans.c.plan_id == plan_id).with_for_update(read=True)
    if con.execute(query).first() is None:
        raise PlanClosed("the plan was closed: its run stopped, or another run took over this step")
