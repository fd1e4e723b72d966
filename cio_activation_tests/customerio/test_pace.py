"""Customer.io's ten calls a second: never an eleventh of ours, also where the network delays some."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

from cio_activation.activation.models import Lane
from cio_activation.customerio.client import CustomerIO
from cio_activation.customerio.limits import customerio_pacer
from cio_activation.journal.attempts import Journal
from cio_activation.sandbox.build import build_sandbox
from cio_activation.transport.http import Pacer
from cio_activation_tests.drivers import access
from cio_activation_tests.drivers.stand_ins.customerio import small_world

LATE_S = 0.05
"""What the network adds to every other call, here in seconds: more than twice what was seen."""
CALLS = 30


class Delayed:
    """A pacer after whose leave every other call is late."""

    def __init__(self, pacer: Pacer) -> None:
        self._pacer, self._calls = pacer, 0
        self.observe, self.spent = pacer.observe, pacer.spent

    async def acquire(self, vendor: str, bucket: str, cost: float, daily: float = 0.0) -> None:
        await self._pacer.acquire(vendor, bucket, cost, daily)
        self._calls += 1
        if self._calls % 2:
            await asyncio.sleep(LATE_S)


def test_calls_that_arrive_unevenly_are_never_refused(tmp_path: Path) -> None:
    sandbox = build_sandbox(small_world(10), vendors=("customerio",))
    sandbox.urls.update(hubspot="http://127.0.0.1:9", pipedrive="http://127.0.0.1:9")
    settings = access.settings(tmp_path, sandbox.environment())

    async def call(pacer: Pacer) -> int:
        async with CustomerIO(settings, pacer) as client:
            await asyncio.gather(*(client.segments() for _ in range(CALLS)))
            return client.calls.throttled

    try:
        with closing(Journal(f"sqlite:///{tmp_path / 'journal.sqlite'}")) as journal:
            assert asyncio.run(call(Delayed(customerio_pacer(journal, str(Lane.DAILY))))) == 0
        assert sandbox.shared.log.throttled("customerio") == 0
    finally:
        sandbox.stop()
