"""The lag of HubSpot's search: what was written is found some seconds of real time later."""

from __future__ import annotations

import time
from collections import deque

from cio_activation.sandbox.hubspot.record import Record
from cio_activation.sandbox.hubspot.settings import Settings

Seen = tuple[dict[str, str], tuple[str, ...]]
"""Values and additional e-mails as the index knows them."""


class SearchIndex:
    """Remembers, for records written just now, what they looked like before."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._before: dict[int, list[tuple[float, Seen | None]]] = {}
        self._order: deque[tuple[float, int]] = deque()

    def changed(self, record_id: int, before: Record | None) -> None:
        """Note that a record is about to change; ``before`` None means it did not exist."""
        now = time.monotonic()
        self._forget(now)
        seen = (before.values, before.emails) if before is not None else None
        self._before.setdefault(record_id, []).append((now, seen))
        self._order.append((now, record_id))

    def fresh(self) -> list[int]:
        """Return the records whose last writes search does not show yet."""
        self._forget(time.monotonic())
        return list(self._before)

    def seen(self, record_id: int, current: Record | None) -> Seen | None:
        """Return a record as search sees it now; None when it sees none."""
        if record_id not in self._before:
            return (current.values, current.emails) if current is not None else None
        edge = time.monotonic() - self._settings.search_lag_s
        for written, before in self._before.get(record_id, ()):
            if written > edge:
                return before
        return (current.values, current.emails) if current is not None else None

    def clear(self) -> None:
        """Catch up at once (seeding)."""
        self._before.clear()
        self._order.clear()

    def _forget(self, now: float) -> None:
        edge = now - self._settings.search_lag_s
        while self._order and self._order[0][0] <= edge:
            _, record_id = self._order.popleft()
            recent = [entry for entry in self._before.get(record_id, ()) if entry[0] > edge]
            if recent:
                self._before[record_id] = recent
            else:
                self._before.pop(record_id, None)
