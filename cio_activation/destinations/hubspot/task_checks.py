"""What can be said of the owners and queues that tasks are asked for, before one is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cio_activation.activation.actions import AUDIENCE_OWNER, NOBODY, RECORD_OWNER, Queue, Rotation
from cio_activation.activation.models import Activation, Audience
from cio_activation.delivery.destination import Context
from cio_activation.delivery.outreach import Owner
from cio_activation.destinations.hubspot import outreach
from cio_activation.destinations.hubspot.config import asking_audiences, task_of
from cio_activation.transport.http import VendorClient

_WORDS = (RECORD_OWNER, AUDIENCE_OWNER, NOBODY)


def owner_problems(activation: Activation, owners: Sequence[Owner]) -> list[str]:
    """Return which people that tasks are asked of by name cannot be given one, each with its mend."""
    return [
        f"audiences.{audience.name}.deliver.hubspot.task.{where}: {email} {why}"
        for audience in asking_audiences(activation)
        for where, email in dict.fromkeys(_named(audience))
        if (why := _why_not(email, owners)) is not None
    ]


async def owner_advice(client: VendorClient, context: Context) -> list[str]:
    """Return what a person may want to know of those who are asked last, and of queues; nothing of it is wrong."""
    asking = asking_audiences(context.activation)
    if not asking:
        return []
    owners = await outreach.owners(client)
    told = [
        f"the owner of audience {a.name}, {a.owner}, cannot be given HubSpot tasks (it {why}): where its chain comes "
        f"to {AUDIENCE_OWNER}, the next one is asked"
        for a in asking
        if AUDIENCE_OWNER in _chain(a) and (why := _why_not(a.owner, owners, mend=False)) is not None
    ]
    return told + [
        f"audience {a.name} asks the queue {one.queue}: HubSpot has no way to look a queue up by its id. Its first "
        "task is read back, and the ledger says so if the queue was not taken"
        for a in asking
        for one in _chain(a)
        if isinstance(one, Queue)
    ]


def _chain(audience: Audience) -> tuple[str | Rotation | Queue, ...]:
    options = task_of(audience)
    return options.owner if options is not None else ()


def _named(audience: Audience) -> Iterator[tuple[str, str]]:
    """Yield whom a task names, and under which key."""
    for one in _chain(audience):
        if isinstance(one, Rotation):
            yield from (("owner", email) for email in one.rotate)
        elif isinstance(one, str) and one not in _WORDS:
            yield "owner", one
    options = task_of(audience)
    if options is not None and options.sla is not None:
        yield from (("sla", email) for email in options.sla.named())


def _why_not(email: str, owners: Sequence[Owner], *, mend: bool = True) -> str | None:
    """Return why nobody with this address can be given a task; None if somebody can."""
    found = [o for o in owners if o.email == email.lower()]
    if any(o.active for o in found):
        return None
    if found:
        return "was deactivated in HubSpot" + ("; name somebody who works there" if mend else "")
    return "is no owner in HubSpot" + ("; invite them there, or name an owner's address" if mend else "")
