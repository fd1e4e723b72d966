"""The sandbox's own record of what arrived and what was answered: the witness that tests and the demo read."""

from __future__ import annotations

import re
import threading
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

KEEP_ENTRIES = 20_000
"""Log entries kept with bodies; counts are kept for ever."""


@dataclass
class Entry:
    """One request as it arrived and what was answered."""

    number: int
    vendor: str
    method: str
    path: str
    template: str
    query: str
    status: int | None
    at: float
    real_at: float
    fault: str | None = None
    request: Any = None
    response: Any = None


class RequestLog:
    """Every request, in order of arrival; counts by (vendor, method, path template, status)."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=KEEP_ENTRIES)
        self.counts: Counter[tuple[str, str, str, int | None]] = Counter()
        self._number = 0
        self._lock = threading.Lock()

    def add(self, **values: Any) -> Entry:
        """Append one entry and count it."""
        with self._lock:
            self._number += 1
            entry = Entry(number=self._number, **values)
            self.entries.append(entry)
            self.counts[entry.vendor, entry.method, entry.template, entry.status] += 1
        return entry

    def calls(self, vendor: str) -> dict[str, int]:
        """Return calls of a vendor per ``METHOD template``."""
        totals: Counter[str] = Counter()
        for (name, method, template, _status), count in self.counts.items():
            if name == vendor:
                totals[f"{method} {template}"] += count
        return dict(sorted(totals.items()))

    def throttled(self, vendor: str) -> int:
        """Return how many 429 a vendor answered."""
        return sum(n for (name, _m, _t, status), n in self.counts.items() if name == vendor and status == 429)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self.entries.clear()
            self.counts.clear()


_ID = re.compile(r"^(\d+|[0-9a-f]{40}|[0-9a-f-]{36}|[0-9a-f]{8,}|.*@.*|.*%40.*|cio_.*)$")
_NAMED = frozenset({"name", "export-files"})
"""Path parts whose next part is a name of somebody's choosing."""
_VERSION = re.compile(r"^(v\d+|20\d\d-\d\d(-beta)?)$")


def template_of(path: str) -> str:
    """Return ``path`` with ids and versions' dates replaced, so that calls can be counted: ``/lists/{id}/...``."""
    parts = path.split("/")
    return "/".join(
        "{name}" if before in _NAMED else "{id}" if part and not _VERSION.match(part) and _ID.match(part) else part
        for before, part in zip(["", *parts], parts, strict=False)
    )
