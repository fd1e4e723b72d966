"""Stops a run when the company's daily tokens are spent, instead of hammering until the firewall answers.

A 429 of Pipedrive means either a full burst window or an empty daily budget, and its ``retry-after`` is useless
for the latter (seen live). The undocumented header ``x-daily-ratelimit-token-remaining`` tells them apart; it may
be missing, then a long unbroken row of 429 is taken for an empty budget. Traffic that goes on after 429 gets the
token blocked by the vendor's firewall (its page on rate limiting).
"""

from __future__ import annotations

from collections.abc import Mapping

from cio_activation.transport.errors import Stop
from cio_activation.transport.http import Pacer

PATIENCE = 16
"""429 answers in a row, over all connections of one client, before the run stops."""
_SPENT = "the company's daily API tokens are spent; they come back at midnight of the vendor's server"


class BudgetPacer:
    """A pacer around the shared one that also knows Pipedrive's daily budget."""

    def __init__(self, pacer: Pacer) -> None:
        self._pacer = pacer
        self._refusals = 0
        self._stopped: str | None = None

    async def acquire(self, vendor: str, bucket: str, cost: float) -> None:
        """Wait for the shared pacer; raises Stop once the budget is known to be spent."""
        if self._stopped is None:
            await self._pacer.acquire(vendor, bucket, cost)
        if self._stopped is not None:  # a call in flight may have learned it while this one waited
            raise Stop(self._stopped, vendor=vendor, operation="pacing", status=429)

    def observe(self, vendor: str, bucket: str, status: int, headers: Mapping[str, str]) -> None:
        """Learn from one answer."""
        self._pacer.observe(vendor, bucket, status, headers)
        if status != 429:
            self._refusals = 0
            return
        self._refusals += 1
        if headers.get("x-daily-ratelimit-token-remaining", "").strip() == "0":
            self._stopped = _SPENT
        elif self._refusals >= PATIENCE:
            self._stopped = f"{self._refusals} answers of 429 in a row; {_SPENT}, or another integration uses the burst"
