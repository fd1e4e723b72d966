"""Brings a destination's fields, options and lists up to the activation, under a lease of its own."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from typing import Any

from cio_activation.activation.models import Lane
from cio_activation.delivery import catalog, definitions
from cio_activation.delivery.accounts import require_account
from cio_activation.delivery.destination import Context, Destination
from cio_activation.delivery.pacing import pacer_for
from cio_activation.delivery.resync import refill
from cio_activation.journal.attempts import Journal
from cio_activation.journal.leases import lease
from cio_activation.runtime import Runtime
from cio_activation.transport import event_loop


def run_schema(runtime: Runtime, destination: Destination, max_age: timedelta | None = None) -> Mapping[str, Any]:
    """Create or extend what the activation needs at the destination; store and return the catalog.

    With ``max_age``, a stored catalog of this activation that is no older is taken as it is, without a call.
    Raises ConfigError, before anything is written, if the credential opens another account than this home's.
    """
    previous = catalog.load(runtime.warehouse, destination.name)
    if max_age is not None and catalog.is_fresh(runtime, destination.name, max_age):
        return previous
    context = Context(runtime.settings, runtime.activation, None, previous)
    with closing(Journal(runtime.settings.journal)) as journal:

        async def work() -> Mapping[str, Any]:
            pacer = pacer_for(runtime.activation, journal, destination, str(Lane.DAILY), previous)
            async with destination.connect(runtime.settings, pacer) as client:
                await require_account(runtime, destination, client, context, again=True)
                return await destination.ensure_schema(client, context)

        with lease(journal, f"{destination.name}/schema"):
            found = event_loop.run(work())
    there = {key: value for key, value in found.items() if key != definitions.FOUND}
    with runtime.warehouse.write() as con:
        definitions.replace(con, destination.name, found.get(definitions.FOUND, ()))
    found = refill(runtime, destination.name, there)
    catalog.store(runtime, destination.name, found)
    return found
