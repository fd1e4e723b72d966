"""How long a step of the real-time lane works before it lets others go first.

One run of a lane goes at a time, and its steps one after another. A step with an hour's worth of calls (everybody was
just linked, a tier was redefined) would hold up every cart that comes meanwhile. So it stops early: soon when another
run of the lane waits, otherwise in time for the steps after it; a last step works until somebody waits. What is
deferred is the next run's, after whom Customer.io told of most recently (``delivery.order``, ``customerio.live``).

Where a run brings news itself, the steps after it carry the same cart on: then a step gives what is deferred a moment
only.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

LEAST_S = 2.0
"""A step works so long whoever waits: even under a stream of news what is deferred gets less."""
MOST_S = 4.0
"""A step works no longer than this, for the steps after it carry the same cart on."""
BRIEF_S = 1.0
"""Or than this, where the run brings news: so long the cart, which went first, waits for the next step."""
ASK_EVERY_S = 0.5

YIELDED = "deferred to the next run of the lane"


class TimeSlice:
    """Measured from the first question on. ``is_awaited`` tells whether another run waits for this one to end."""

    def __init__(self, is_awaited: Callable[[], bool], *, least_s: float = LEAST_S, most_s: float = MOST_S) -> None:
        self._is_awaited, self._least_s, self._most_s = is_awaited, least_s, most_s
        self._followed = most_s < float("inf")
        self._began: float | None = None
        self._asked = float("-inf")

    def shorten(self) -> None:
        """Make it brief where other steps come after: what is most urgent went first, and they carry it on."""
        if self._followed:
            self._least_s, self._most_s = min(self._least_s, BRIEF_S), min(self._most_s, BRIEF_S)

    async def is_over(self) -> bool:
        """Tell whether nothing more should be begun, never the first time; asks who waits at most twice a second."""
        now = time.monotonic()
        if self._began is None:
            self._began = now
            return False
        if now - self._began >= self._most_s:
            return True
        if now - self._began < self._least_s or now - self._asked < ASK_EVERY_S:
            return False
        self._asked = now
        return await asyncio.to_thread(self._is_awaited)
