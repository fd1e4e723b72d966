"""Stops a run when the company's daily tokens are spent, instead of hammering until the firewall answers.

A 429 of Pipedrive means either a full burst window or an empty daily budget, and its ``retry-after`` is useless
for the latter (seen live). The undocumented header ``x-daily-ratelimit-token-remaining`` tells them apart; it may
be missing, then a long unbroken row of 429 is taken for an empty budget. Traffic that goes on after 429 gets the
token blocked by the vendor's firewall (its page on rate limiting).
"""

from __future__ import annotations

from collections.abc import Mapping

from cio_activation.activation.models import Activation, Lane
from cio_activation.destinations.pipedrive.config import NAME, settings_of
from cio_activation.journal.days import Meter, Told, header_number
from cio_activation.transport.errors import Stop
from cio_activation.transport.http import Pacer

MOST_REFUSALS = 16
"""429 answers in a row, over all connections of one client, before the run stops."""
_SPENT = "the company's daily API tokens are spent; they come back at midnight of the vendor's server"


def meter(activation: Activation) -> Meter:
    """Return how Pipedrive counts by the day: tokens. The zone of its midnight is not documented; UTC is taken."""
    settings = settings_of(activation)
    live = activation.lane_audiences(Lane.REALTIME, NAME) or activation.lane_properties(Lane.REALTIME, NAME)
    return Meter(
        unit="tokens",
        zone="UTC",
        ours=settings.daily_tokens,
        share=settings.rate_share,
        realtime_reserve=settings.realtime_reserve if live else 0.0,
        read=read_headers,
    )


def read_headers(headers: Mapping[str, str]) -> Told:
    """Return what an answer says of the two seconds and of the day; the latter is undocumented and may be missing."""
    return Told(
        header_number(headers, "x-ratelimit-remaining"),
        header_number(headers, "x-ratelimit-limit"),
        header_number(headers, "x-daily-ratelimit-token-remaining"),
        header_number(headers, "x-daily-ratelimit-token-limit"),
    )


class BudgetPacer:
    """A pacer around the shared one that also knows Pipedrive's daily budget."""

    def __init__(self, pacer: Pacer) -> None:
        self._pacer = pacer
        self._refusals = 0
        self._stopped: str | None = None

    async def acquire(self, vendor: str, bucket: str, cost: float, daily: float = 0.0) -> None:
        """Wait for the shared pacer; raises Stop once the budget is known to be spent."""
        if self._stopped is None:
            await self._pacer.acquire(vendor, bucket, cost, daily)
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
            self._pacer.spent(vendor)
        elif self._refusals >= MOST_REFUSALS:
            self._stopped = f"{self._refusals} answers of 429 in a row; {_SPENT}, or another integration uses the burst"

    def spent(self, vendor: str) -> None:
        """Learn that the budget is used up."""
        self._stopped = _SPENT
        self._pacer.spent(vendor)
