"""Sharing one plan between workers: while the holder of a step's lease sends, others may send parts of it.

The holder opens its plan in the journal. Every batch is claimed there, by its number in the plan file, in the same
commit as the intents of its operations: a batch has one sender, and a sender that dies leaves exactly what a killed
run leaves. A claim is refused once the plan is closed, so a run that lost its lease cannot go on sending either.

A helper needs the journal, the plan file and the vendor's credential; it never opens the warehouse. It relies on a
step keeping nothing in memory between ``prepare`` and ``send``.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from cio_activation.delivery.destination import Context, Operation
from cio_activation.errors import CioActivationError
from cio_activation.journal.attempts import Journal, Provenance
from cio_activation.journal.leases import is_held
from cio_activation.journal.schema import batches, helpers, leases, plans


class PlanClosed(CioActivationError):
    """The plan takes no more claims: its run stopped, or another run took over the step."""


@dataclass(frozen=True)
class OpenPlan:
    """What a helper has to know about a plan that is being sent. Times are seconds since the epoch."""

    plan_id: str
    destination: str
    step: str
    lane: str
    window_key: str
    window_start: float
    window_end: float
    path: Path
    batch_size: int
    activation: str
    """Fingerprint: only a worker with the same activation reads the same operations the same way."""
    catalog: Mapping[str, Any]


@dataclass(frozen=True)
class Help:
    """What all helpers of a plan did: the batches they claimed, the operations in them, and how those ended."""

    numbers: frozenset[int]
    operations: int
    ends: Counter[str]
    reasons: Counter[str]


def offer(where: Provenance, context: Context, path: Path, batch_size: int) -> OpenPlan:
    """Return what a helper has to know about the plan at ``path``."""
    assert context.window is not None
    return OpenPlan(
        plan_id=where.plan_id,
        destination=where.destination,
        step=where.step,
        lane=where.lane,
        window_key=where.window_key,
        window_start=context.window.start.timestamp(),
        window_end=where.window_end,
        path=path.absolute(),
        batch_size=batch_size,
        activation=context.activation.fingerprint(),
        catalog=context.catalog,
    )


def open_plan(journal: Journal, plan: OpenPlan) -> None:
    """Let the plan's batches be claimed, by its own run and by helpers."""
    row = plan.__dict__ | {"path": str(plan.path), "catalog": json.dumps(dict(plan.catalog)), "open": True}
    with journal.transaction() as con:
        con.execute(sa.insert(plans).values(row))


def find_plan(journal: Journal, destination: str, step: str) -> OpenPlan | None:
    """Return the step's open plan, if one is being sent now."""
    query = sa.select(plans).where(plans.c.destination == destination, plans.c.step == step, plans.c.open)
    with journal.engine.connect() as con:
        row = con.execute(query).mappings().first()
    if row is None:
        return None
    named = {name: row[name] for name in OpenPlan.__dataclass_fields__}
    return OpenPlan(**named | {"path": Path(row["path"]), "catalog": json.loads(row["catalog"])})


def claim(
    journal: Journal, number: int, batch: Sequence[Operation], provenance: Provenance
) -> tuple[list[Operation], list[Operation]] | None:
    """Claim batch ``number`` and record the intent to send it, in one commit; None if another worker has it.

    Returns (to send, already created elsewhere) as ``Journal.intend`` does. Raises PlanClosed.
    """
    with journal.transaction() as con:
        _hold_open(con, provenance.plan_id)
        mine = {"plan_id": provenance.plan_id, "number": number, "worker": provenance.worker, "claimed_at": time.time()}
        if not journal.insert_if_absent(con, batches, mine):
            return None
        free, taken = journal.intend_in(con, batch, provenance)
        if provenance.worker is not None:
            _count_claimed(con, provenance, len(batch), len(taken))
    return free, taken


def claimed_numbers(journal: Journal, plan_id: str) -> set[int]:
    """Return the numbers of the plan's batches that some worker has."""
    with journal.engine.connect() as con:
        return set(con.execute(sa.select(batches.c.number).where(batches.c.plan_id == plan_id)).scalars())


def join(journal: Journal, plan_id: str, worker: str) -> None:
    """Enter a helper's name; it holds the lease of :func:`helper_lease` before, so that the plan's run waits for it.

    Raises PlanClosed.
    """
    with journal.transaction() as con:
        _hold_open(con, plan_id)
        new = {"plan_id": plan_id, "worker": worker, "operations": 0, "ends": "{}", "reasons": "{}"}
        journal.insert_if_absent(con, helpers, new)


def helper_lease(plan_id: str, worker: str) -> str:
    """Return the name of the lease a helper holds from before its first claim to after its last result."""
    return f"help {plan_id} {worker}"


async def close_plans(journal: Journal, destination: str, step: str, *, wait_s: float = 600.0) -> None:
    """Close what earlier runs of the step left open, and wait until no helper of theirs is sending any more.

    The caller holds the step's lease. Afterwards every open attempt of the step is a dead process's, fit for recovery.
    """
    mine = (plans.c.destination == destination) & (plans.c.step == step)
    with journal.transaction() as con:
        con.execute(sa.update(plans).where(mine).values(open=False))
        left = list(con.execute(sa.select(plans.c.plan_id).where(mine)).scalars())
    for plan_id in left:
        await _helpers_gone(journal, plan_id, wait_s)
        _forget(journal, plan_id)


async def close_plan(journal: Journal, plan_id: str, *, wait_s: float = 600.0) -> Help:
    """Close a plan whose own run has sent all it will, wait for the helpers, and return what they did."""
    with journal.transaction() as con:
        con.execute(sa.update(plans).where(plans.c.plan_id == plan_id).values(open=False))
    await _helpers_gone(journal, plan_id, wait_s)
    theirs = sa.select(batches.c.number).where(batches.c.plan_id == plan_id, batches.c.worker.is_not(None))
    with journal.engine.connect() as con:
        numbers = frozenset(con.execute(theirs).scalars())
        rows = con.execute(sa.select(helpers).where(helpers.c.plan_id == plan_id)).all()
    ends, reasons = Counter[str](), Counter[str]()
    for row in rows:
        ends.update(json.loads(row.ends))
        reasons.update(json.loads(row.reasons))
    _forget(journal, plan_id)
    return Help(numbers, sum(row.operations for row in rows), ends, reasons)


def _hold_open(con: sa.Connection, plan_id: str) -> None:
    """Lock the plan against closing until the commit: whoever closes it then sees every claim there will ever be."""
    query = sa.select(plans.c.open).where(plans.c.plan_id == plan_id).with_for_update(read=True)
    if not con.execute(query).scalar():
        raise PlanClosed("the plan was closed: its run stopped, or another run took over this step")


def _count_claimed(con: sa.Connection, provenance: Provenance, operations: int, unneeded: int) -> None:
    key = (helpers.c.plan_id == provenance.plan_id) & (helpers.c.worker == provenance.worker)
    ends = Counter(json.loads(con.execute(sa.select(helpers.c.ends).where(key).with_for_update()).scalar_one()))
    ends["unneeded"] += unneeded
    more = {"operations": helpers.c.operations + operations, "ends": json.dumps(ends)}
    con.execute(sa.update(helpers).where(key).values(more))


async def _helpers_gone(journal: Journal, plan_id: str, wait_s: float) -> None:
    """Wait until no living helper of the plan is left; a killed one counts as gone at once on its own host."""
    named = leases.c.name.startswith(helper_lease(plan_id, ""), autoescape=True)
    deadline = time.monotonic() + wait_s
    while True:
        with journal.transaction() as con:
            now = journal.now(con)
            living = [r.owner for r in con.execute(sa.select(leases).where(named)) if is_held(r[1], r[2], now)]
        if not living:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{', '.join(living)} still helps to send plan {plan_id}; wait for it, or stop it")
        await asyncio.sleep(0.05)


def _forget(journal: Journal, plan_id: str) -> None:
    with journal.transaction() as con:
        for table in (batches, helpers, plans):
            con.execute(sa.delete(table).where(table.c.plan_id == plan_id))
        con.execute(sa.delete(leases).where(leases.c.name.startswith(helper_lease(plan_id, ""), autoescape=True)))
