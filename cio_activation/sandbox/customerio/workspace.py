"""What all parts of the Customer.io stand-in look at: the world at the workspace's present instant."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from cio_activation.sandbox.customerio.activity_log import ActivityLog
from cio_activation.sandbox.customerio.answers import Refusal
from cio_activation.sandbox.customerio.exports import Exports
from cio_activation.sandbox.customerio.filters import BadFilter, compile_filter
from cio_activation.sandbox.customerio.webhooks import Webhooks
from cio_activation.sandbox.world.condition import Condition
from cio_activation.sandbox.world.segments import Segment
from cio_activation.sandbox.world.snapshot import Snapshot
from cio_activation.sandbox.world.world import World


class Workspace:
    """One workspace: a world, the instant it is seen at (the vendors' time, unless frozen by hand), what it sends.

    ``export_seconds``: real seconds an export stays pending.
    """

    def __init__(self, world: World, now: Callable[[], float], export_seconds: float) -> None:
        self.world = world
        self.now = now
        self.exports = Exports(export_seconds)
        self.webhooks = Webhooks(now)
        self.activities = ActivityLog(self.instant)
        self.quota_left = True
        """False: the App API answers 429 without ``Retry-After``."""
        self.spoilt_pages = 0
        """How many of the next pages of members have a row that is none."""
        self.frozen_at: float | None = None

    def instant(self) -> float:
        """Return the instant the workspace shows, seconds since the epoch."""
        return self.now() if self.frozen_at is None else self.frozen_at

    async def snapshot(self) -> Snapshot:
        """Return everyone at the present instant, without blocking the other vendors."""
        return await asyncio.to_thread(self.world.at, self.instant())

    def visible(self, segment: Segment, snapshot: Snapshot) -> Condition:
        """Return the condition of being a member the API shows: while a segment is being built, only a part is."""
        member = snapshot.member(segment.id)
        if segment.state == "finished":
            return member
        return snapshot.member(segment.id, snapshot.how_many(member) * (segment.progress or 0) // 100)

    def filter(self, given: Any, snapshot: Snapshot, path: str) -> Condition:
        """Return the condition a filter stands for; refuses one outside the language."""

        def members(segment: int) -> Condition:
            return self.visible(self.world.segments[segment], snapshot)

        try:
            return compile_filter(given, members, path)
        except BadFilter as error:
            raise Refusal(400, str(error)) from error
