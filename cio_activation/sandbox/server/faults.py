"""Planned misbehaviour: which request it strikes, and how."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any


@dataclass
class Fault:
    """One planned misbehaviour, used up after ``times`` matching requests.

    ``path`` is a glob over the path. ``when`` says whether it strikes before the vendor's own work (nothing is
    applied) or after it (the work is done, the answer is lost). ``kind``: ``status`` answers ``status`` with
    ``body``/``headers``; ``reset`` sends a TCP RST; ``close`` ends the connection without an answer; ``truncate``
    cuts the true answer's body in half; ``delay`` waits ``delay_s`` and then goes on; ``html`` answers
    ``status`` (403) with a firewall's HTML page.
    """

    kind: str
    vendor: str = "*"
    method: str = "*"
    path: str = "*"
    when: str = "before"
    status: int = 500
    delay_s: float = 0.0
    times: int = 1
    skip: int = 0
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def matches(self, vendor: str, method: str, path: str) -> bool:
        """Tell whether this fault is meant for the request."""
        return fnmatchcase(vendor, self.vendor) and fnmatchcase(method, self.method) and fnmatchcase(path, self.path)


class Faults:
    """The planned faults, in order; the first that matches and is not used up strikes."""

    def __init__(self) -> None:
        self.planned: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, **values: Any) -> None:
        """Plan a fault (fields of :class:`Fault`)."""
        with self._lock:
            self.planned.append(Fault(**values))

    def clear(self) -> None:
        """Drop every planned fault."""
        with self._lock:
            self.planned.clear()

    def take(self, vendor: str, method: str, path: str) -> Fault | None:
        """Return the fault that strikes this request, using it up."""
        with self._lock:
            for fault in self.planned:
                if fault.times > 0 and fault.matches(vendor, method, path):
                    if fault.skip > 0:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    return fault
        return None
