"""The pacer Customer.io's calls go through: its own limits, shared by all processes through the journal."""

from __future__ import annotations

from cio_activation.journal.engine import JournalDatabase
from cio_activation.journal.rates import SharedPacer

RATE_SHARE = 0.8
"""Ours of the limit. Used whole, two calls that the network brings closer together make an eleventh of a second."""
LIMITS = {"default": (10.0 * RATE_SHARE, 1.0)}
"""Bucket -> (requests, seconds). App API: 10 requests a second (Customer.io's API overview)."""


def customerio_pacer(journal: JournalDatabase, lane: str) -> SharedPacer:
    """Return the pacer of one lane of this process."""
    return SharedPacer(journal, {"customerio": LIMITS}, lane)
