"""Reads back the records of those who were drawn, at each destination that can be; the warehouse is closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from cio_activation.activation.models import Lane
from cio_activation.delivery.accounts import require_account
from cio_activation.delivery.destination import Context, Destination, GivesAddresses
from cio_activation.delivery.outreach import OpenAction, SeenAction
from cio_activation.delivery.pacing import pacer_for
from cio_activation.delivery.read_back import Comparable, ReadsBack, SeenRecord
from cio_activation.journal.attempts import Journal
from cio_activation.runtime import Runtime


@dataclass
class Place:
    """What one destination holds of those who were drawn."""

    name: str
    comparable: Comparable
    pages: str | None = None
    """Address of a record without its id; None: the destination does not say."""
    records: Mapping[str, SeenRecord] = field(default_factory=dict)
    """Record id -> what it holds; one that nothing was said of is left out."""
    actions: Mapping[str, SeenAction] = field(default_factory=dict)
    """Id of the action -> what became of it."""
    calls: int = 0


async def read(
    runtime: Runtime,
    destination: Destination,
    context: Context,
    people: Mapping[str, str],
    actions: Sequence[OpenAction],
) -> Place:
    """Read the records ``people`` (record id -> ``cio_id``) and what became of ``actions``."""
    assert isinstance(destination, ReadsBack)
    with closing(Journal(runtime.settings.journal)) as journal:
        pacer = pacer_for(runtime.activation, journal, destination, str(Lane.DAILY), context.catalog)
        async with destination.connect(runtime.settings, pacer) as client:
            await require_account(runtime, destination, client, context)
            place = Place(destination.name, await destination.comparable(client, context))
            if isinstance(destination, GivesAddresses):
                place.pages = await destination.record_pages(client)
            ids, found = list(people), dict[str, SeenRecord]()
            for start in range(0, len(ids), destination.read_at_once):
                batch = {i: people[i] for i in ids[start : start + destination.read_at_once]}
                seen = await destination.records(client, context, batch, place.comparable.fields)
                found |= {one.record_id: one for one in seen}
            place.records = found
            if actions:
                place.actions = {a.record_id: a for a in await destination.actions_back(client, context, actions)}
            place.calls = sum(client.calls.made.values())
            return place
