"""The sandbox's own record of what arrived and what was answered: the witness that tests and the demo read."""

from __future__ import annotations

import json
import re
import threading
import zlib
from collections import Counter, deque
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any

KEEP_ENTRIES = 20_000
"""Log entries retained with bodies; counts are never dropped."""


PACK_ABOVE = 2_000
"""Bytes. Bodies are stored as they came, longer ones packed: parsed, ten thousand batch calls would fill gigabytes."""


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
    request_body: bytes = b""
    response_body: bytes | None = None
    """None where nothing was answered, or too much to keep."""

    def __post_init__(self) -> None:
        self.request_body = _packed(self.request_body)
        self.response_body = None if self.response_body is None else _packed(self.response_body)

    @property
    def request(self) -> Any:
        """The request's JSON, parsed anew at every look."""
        return _loads(self.request_body)

    @property
    def response(self) -> Any:
        """The answer's JSON, parsed anew at every look."""
        return None if self.response_body is None else _loads(self.response_body)

    def shown(self) -> dict[str, Any]:
        """Return the entry as the control surface shows it."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if not f.name.endswith("_body")}
        return {**plain, "request": self.request, "response": self.response}


def _packed(body: bytes) -> bytes:
    """Return a body as it is stored: one byte that says how, then the bytes."""
    return b"z" + zlib.compress(body, 1) if len(body) > PACK_ABOVE else b"=" + body


def _loads(stored: bytes) -> Any:
    body = zlib.decompress(stored[1:]) if stored[:1] == b"z" else stored[1:]
    try:
        return json.loads(body) if body.strip() else None
    except (ValueError, UnicodeDecodeError):
        return f"<{len(body)} bytes>"


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

    @property
    def last(self) -> int:
        """The number of the newest entry, 0 before the first."""
        return self._number

    def since(self, number: int, vendor: str | None, limit: int | None) -> list[Entry]:
        """Return entries after ``number``, of one vendor if given, the first ``limit`` of them."""
        with self._lock:
            found = (e for e in self.entries if e.number > number and vendor in (None, e.vendor))
            return list(islice(found, limit))

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
