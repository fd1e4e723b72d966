"""Gives open tasks to somebody else, or raises their priority: what a human took up or gave away is left alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cio_activation.delivery.outreach import Status
from cio_activation.destinations.common.actions.handing import HAD_BY, NO_OWNER
from cio_activation.destinations.hubspot import task_api
from cio_activation.destinations.hubspot.task_api import TASKS
from cio_activation.destinations.hubspot.task_changes import Wanted as Properties
from cio_activation.destinations.hubspot.task_changes import sort_by_hands, update
from cio_activation.destinations.hubspot.task_creation import tried
from cio_activation.destinations.hubspot.task_rows import Task, read
from cio_activation.journal.operations import End, Operation, Result
from cio_activation.transport.http import VendorClient

Wanted = tuple[Operation, Task, Properties]
HANDLED = "a human has dealt with it already"


async def raise_priority(client: VendorClient, batch: Sequence[Operation]) -> list[Result]:
    """Set the highest priority on tasks that are open; one read and one write per 100."""
    open_ones, results = await _open_ones(client, batch)
    return results + await update(client, [(o, task, {task_api.PRIORITY: task_api.HIGH}) for o, task in open_ones])


async def assign(client: VendorClient, batch: Sequence[Operation]) -> list[Result]:
    """Write the owner of tasks that are open, and with whom we left them; one read and one write per 100."""
    open_ones, results = await _open_ones(client, batch)
    wanted: list[Wanted] = []
    for operation, task in open_ones:
        had_by, to = operation.payload.get(HAD_BY), str(operation.payload["owner_id"])
        if task.owner_id not in (had_by, to):
            chosen = {"owner_id": task.owner_id, "chosen": True}
            results.append(Result(operation.operation_id, End.DELIVERED, HANDLED, observed=chosen))
        else:
            wanted.append((operation, task, {task_api.OWNER: to}))
    return results + await _read_back(client, wanted, await update(client, wanted))


async def _open_ones(
    client: VendorClient, batch: Sequence[Operation]
) -> tuple[list[tuple[Operation, Task]], list[Result]]:
    """Return the tasks that nobody took up, and the ends of the others: of those a reading of actions hears."""
    sorted_ = await sort_by_hands(client, batch, TASKS, Status.OPEN)
    ended = [Result(r.operation_id, End.UNNEEDED, HANDLED) if r.end is End.DELIVERED else r for r in sorted_.ended]
    return sorted_.write, ended


async def _read_back(client: VendorClient, wanted: Sequence[Wanted], written: Sequence[Result]) -> list[Result]:
    """Return the ends with what HubSpot made of the owners: what it does not echo is read, for it may drop one."""
    asked = {operation.operation_id: (task.record_id, to[task_api.OWNER]) for operation, task, to in wanted}
    shown = {r.operation_id: (r.observed or {}).get("owner_id") for r in written if r.end is End.DELIVERED}
    unclear = [asked[name][0] for name, owner in shown.items() if owner != asked[name][1]]
    seen = await tried(read(client, unclear)) if unclear else None
    results = []
    for result in written:
        record, to = asked[result.operation_id]
        task = seen.there.get(record) if seen is not None and result.operation_id in shown else None
        owner = task.owner_id if task is not None else shown.get(result.operation_id) or to
        told = {**(result.observed or {}), "owner_id": owner}
        end = replace(result, observed=told, reason=None if owner == to else NO_OWNER)
        results.append(end if result.end is End.DELIVERED else result)
    return results
