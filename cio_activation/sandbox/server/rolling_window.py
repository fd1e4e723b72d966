"""A rate limit as vendors count it: units in a window that rolls."""

from __future__ import annotations

import time
from collections import deque


class RollingWindow:
    """At most ``limit`` units in any ``seconds`` of real time."""

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit, self.seconds = limit, seconds
        self._hits: deque[tuple[float, int]] = deque()

    def take(self, units: int = 1) -> bool:
        """Use ``units`` if they fit; False leaves the window as it was."""
        self._drop()
        if self.used + units > self.limit:
            return False
        self._hits.append((time.monotonic(), units))
        return True

    @property
    def used(self) -> int:
        """Units used in the window that ends now."""
        self._drop()
        return sum(units for _, units in self._hits)

    @property
    def remaining(self) -> int:
        """Units left now."""
        return max(0, self.limit - self.used)

    @property
    def resets_in(self) -> float:
        """Seconds until the oldest use leaves the window."""
        self._drop()
        return max(0.0, self._hits[0][0] + self.seconds - time.monotonic()) if self._hits else 0.0

    def _drop(self) -> None:
        edge = time.monotonic() - self.seconds
        while self._hits and self._hits[0][0] <= edge:
            self._hits.popleft()
