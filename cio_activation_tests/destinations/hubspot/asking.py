"""What tests of tasks begin with: a portal, and an audience that asks for tasks in it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

from cio_activation.activation.models import AttributeType, Audience, Lane
from cio_activation.delivery.destination import Context
from cio_activation.delivery.outreach import OpenAction, Status
from cio_activation.delivery.report import StepReport
from cio_activation.destinations.hubspot import DESTINATION
from cio_activation.transport.http import Unpaced, VendorClient
from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers.builders import window
from cio_activation_tests.drivers.hubspot import HubSpotBench, audience, make_activation, person

Build = Callable[..., HubSpotBench]
T = TypeVar("T")


ADA, GRACE = "70000001", "70000002"
DUE = datetime(2026, 11, 25, 15, 30)
CREATE, UPDATE, READ = (f"/crm/objects/*/tasks/batch/{verb}" for verb in ("create", "update", "read"))
WHO = {"owner_id": ADA, "due_at": DUE, "inputs": {"spent": 249.9, "plan": "<gold> & more"}}
ONE = {"p00001": WHO}
IN_QUEUE: dict[str, Any] = {"owner_id": None, "queue": "4711"}
PEOPLE = 200


def asks(name: str = "vip", lane: Lane = Lane.DAILY, label: str = "VIP carts", **task: Any) -> Audience:
    """Return an audience that asks for a task, and keeps no list."""
    said = {"subject": "Call about {spent}", "body": "Offer help with the {plan} cart"} | task
    return audience(name, lane, label, list=False, task=said)


def asking(build: Build, people: int = 1, *audiences: Audience, linked: bool = True, **portal: Any) -> HubSpotBench:
    """A portal in which everybody has a contact, and an audience that asks for tasks; ``linked``: that is known here."""
    seed = [{"email": f"person{n}@example.com"} for n in range(1, people + 1)]
    world = build(seed, activation(*audiences), **portal)
    world.persons([person(n) for n in range(1, people + 1)])
    impatient(world)
    world.schema()
    if linked:
        rows = ", ".join(
            f"('hubspot', 'p{n:05d}', '{world.id_of(seed[n - 1]['email'])}')" for n in range(1, people + 1)
        )
        world.sql(f"INSERT INTO delivery.links (destination, cio_id, record_id) VALUES {rows}")
    return world


def turn(world: HubSpotBench) -> StepReport:
    """Run what makes the tasks of the one audience, for the next window."""
    return world.run(only="task/vip")["task/vip"]


def activation(*audiences: Audience, **settings: Any) -> Any:
    """Return an activation whose audiences ask for tasks."""
    types = {"spent": AttributeType.MONEY, "plan": AttributeType.TEXT}
    known = builders.activation(attributes=types).attributes
    return make_activation((), audiences or (asks(),), **settings).model_copy(update={"attributes": known})


def impatient(world: HubSpotBench) -> None:
    """Wait for nobody: the stand-in does at once what it does."""
    world.runtime = world.runtime_with(vendor_settle_s=0.0, vendor_backoff_s=0.005)


def the_task(world: HubSpotBench) -> dict[str, Any]:
    (task,) = world.tasks().values()
    return task


def action(world: HubSpotBench, *columns: str) -> tuple[Any, ...]:
    (row,) = world.query(f"SELECT {', '.join(columns)} FROM delivery.actions")
    return row


def task_calls(world: HubSpotBench, since: int) -> list[str]:
    return [e.path.rsplit("/", 1)[-1] for e in world.entries(since) if "/tasks/batch" in e.path]


def ask(world: HubSpotBench, question: Callable[[VendorClient, Context], Awaitable[T]]) -> T:
    """Ask one question over a client of its own."""
    context = Context(world.runtime.settings, world.activation, window(1))

    async def asked() -> T:
        async with DESTINATION.connect(world.runtime.settings, Unpaced()) as client:
            return await question(client, context)

    return asyncio.run(asked())


def ours(world: HubSpotBench, *numbers: int, status: Status = Status.OPEN) -> list[OpenAction]:
    """Return what the warehouse knows of the tasks of the n-th people."""
    rows = world.query("SELECT cio_id, record_id, entry_id, about, owner_id, due_at, shown FROM delivery.actions")
    known = {row[0]: OpenAction("task", *row[1:], status) for row in rows}
    return [known[f"p{n:05d}"] for n in numbers]
