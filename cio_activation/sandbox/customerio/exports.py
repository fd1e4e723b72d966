"""Exports of the Customer.io stand-in: requested, pending for a while, then a CSV behind a signed link.

Facts: fact sheet section 3. The file is a snapshot of the instant it was asked for; ``total`` is 0 until done; the
link lasts 15 minutes of the vendors' time and carries its own signature, so that an ``Authorization`` header
beside it is refused, as object stores do.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from cio_activation.sandbox.customerio.spoilt_files import SPOILT
from cio_activation.sandbox.world.condition import Condition
from cio_activation.sandbox.world.facts import ATTRIBUTES, IDENTITY
from cio_activation.sandbox.world.snapshot import Snapshot

LINK_SECONDS = 15 * 60
_SIGNING = b"sandbox-export-links"


@dataclass
class Export:
    """One export. ``ready_at`` is monotonic time of this machine, all other times are the vendors'."""

    id: int
    created_at: int
    description: str
    content: bytes
    rows: int
    ready_at: float
    fails: bool
    seconds: float
    downloads: int = 0

    @property
    def status(self) -> str:
        """pending, done or failed."""
        if time.monotonic() < self.ready_at:
            return "pending"
        return "failed" if self.fails else "done"

    def shown(self) -> dict[str, Any]:
        """Return the export as the API shows it."""
        updated_at = self.created_at + (int(self.seconds) if self.status != "pending" else 0)
        return {
            "id": self.id,
            "deduplicate_id": f"{self.id}:{updated_at}",
            "type": "customers",
            "failed": self.status == "failed",
            "description": self.description,
            "downloads": self.downloads,
            "created_at": self.created_at,
            "updated_at": updated_at,
            "user_id": 1,
            "user_email": "owner@example.com",
            "total": self.rows if self.status == "done" else 0,
            "status": self.status,
        }


def csv_columns(attributes: list[str]) -> list[str]:
    """Return the columns: the identifiers and the named attributes.

    The order is no order a reader may rely on, but always the same.
    """
    return sorted({*IDENTITY, *attributes}, key=lambda name: hashlib.md5(name.encode()).digest())


def write_csv(snapshot: Snapshot, condition: Condition, attributes: list[str] | None) -> tuple[bytes, int]:
    """Return people as UTF-8 CSV, and how many; absent attributes are empty cells.

    ``attributes`` None: every attribute anybody has.
    """
    named = [*ATTRIBUTES, *snapshot.custom_names(condition)] if attributes is None else attributes
    columns = csv_columns(named)
    head = io.StringIO(newline="")
    csv.writer(head, lineterminator="\n").writerow(columns)
    out, rows = io.BytesIO(), 0
    out.write(head.getvalue().encode())
    for people, lines in snapshot.lines(columns, condition):
        out.write(lines.encode())
        rows += people
    return out.getvalue(), rows


class Exports:
    """All exports of the workspace."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        """Real seconds until an export is ready."""
        self.failing = 0
        """How many of the next exports will fail."""
        self.spoiling: list[str] = []
        """How the files of the next exports come, a name of ``SPOILT`` each; sound ones after that."""
        self._all: dict[int, Export] = {}

    def create(self, content: bytes, rows: int, now: float, description: str) -> Export:
        """Take one more export in."""
        number = 4001 + len(self._all)
        content = SPOILT[self.spoiling.pop(0)](content) if self.spoiling else content
        fails = self.failing > 0
        self.failing -= fails
        export = Export(
            number, int(now), description, content, rows, time.monotonic() + self.seconds, fails, self.seconds
        )
        self._all[number] = export
        return export

    def get(self, number: int) -> Export | None:
        """Return one export."""
        return self._all.get(number)

    def shown(self) -> list[dict[str, Any]]:
        """Return all exports, newest first."""
        return [export.shown() for export in reversed(self._all.values())]

    def link(self, export: Export, base: str, now: float) -> str:
        """Return a signed link to a finished export, good for 15 minutes from ``now``."""
        expires = int(now) + LINK_SECONDS
        query = urlencode({"Expires": expires, "Signature": _sign(export.id, expires)})
        return f"{base.rstrip('/')}/export-files/customers-{export.id}.csv?{query}"

    def fetch(self, number: int, expires: str, signature: str, now: float) -> Export | None:
        """Return the export behind a link; None when the link is expired, forged or of an unfinished export."""
        export = self.get(number)
        if export is None or export.status != "done" or not expires.isdigit() or int(expires) < now:
            return None
        if not hmac.compare_digest(_sign(number, int(expires)), signature):
            return None
        export.downloads += 1
        return export


def _sign(number: int, expires: int) -> str:
    return hmac.new(_SIGNING, f"{number}:{expires}".encode(), hashlib.sha256).hexdigest()
