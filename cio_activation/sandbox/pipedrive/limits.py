"""Pipedrive's limits: burst per token, search, the company's daily token budget, the firewall behind them.

Figures from the vendor's page on rate limiting: burst in a rolling 2 s by plan, 10 searches per 2 s on every
plan, 30,000 tokens x plan factor x seats a day.
"""

from __future__ import annotations

import math
import time
import uuid
from collections import deque
from dataclasses import dataclass

from starlette.responses import Response

from cio_activation.sandbox.pipedrive.envelope import reply
from cio_activation.sandbox.server.core import Clock
from cio_activation.sandbox.server.rolling_window import RollingWindow

BASE_TOKENS = 30_000
WINDOW_S = 2.0
SEARCHES = 10
POST_PUT_PER_DAY = 10_000
DAY_S = 86_400

_BLOCKED = (
    b"<!DOCTYPE html><html><head><title>Access denied</title></head><body><h1>Error 1015</h1>"
    b"<p>You are being rate limited</p></body></html>"
)


@dataclass(frozen=True)
class Plan:
    """What a plan allows: calls per 2 s, the factor of the daily tokens, custom fields, deals per seat."""

    burst: int
    factor: int
    custom_fields: int
    deals_per_seat: int
    visibilities: tuple[int, ...]


PLANS = {
    "lite": Plan(20, 1, 30, 2_500, (1, 3)),
    "growth": Plan(40, 2, 100, 5_000, (1, 3)),
    "premium": Plan(100, 5, 300, 15_000, (1, 3, 5, 7)),
    "ultimate": Plan(120, 7, 500, 20_000, (1, 3, 5, 7)),
}


class Limits:
    """Admits calls and counts. Burst runs on real time, the day on the sandbox's clock (midnight UTC)."""

    def __init__(self, clock: Clock, plan: Plan, seats: int, *, limited: bool) -> None:
        self.limited = limited
        self.daily_tokens = BASE_TOKENS * plan.factor * seats
        self.daily_headers = True
        """The two daily headers are undocumented and at times missing: tests switch them off."""
        self.hammer_after, self.hammer_s, self.block_s = 20, 10.0, 30.0
        """More 429 than ``hammer_after`` in ``hammer_s`` block the token for ``block_s`` (real seconds)."""
        self._clock = clock
        self._burst = RollingWindow(plan.burst, WINDOW_S)
        self._search = RollingWindow(SEARCHES, WINDOW_S)
        self._refusals: deque[float] = deque()
        self._blocked_until = 0.0
        self._day = self._today()
        self._used = 0
        self._writes = 0

    def _today(self) -> int:
        return int(self._clock.now() // DAY_S)

    def _turn(self) -> None:
        if (today := self._today()) != self._day:
            self._day, self._used, self._writes = today, 0, 0

    @property
    def used_today(self) -> int:
        """Tokens spent since midnight UTC."""
        self._turn()
        return self._used

    @property
    def remaining_today(self) -> int:
        """Tokens left until midnight UTC."""
        return max(0, self.daily_tokens - self.used_today)

    def burn(self, tokens: int) -> None:
        """Spend tokens as another integration of the same company would."""
        self._turn()
        self._used += tokens

    def forgive(self) -> None:
        """Lift the firewall's block."""
        self._blocked_until = 0.0
        self._refusals.clear()

    def admit(self, cost: int, method: str, *, search: bool) -> Response | None:
        """Return the refusal of a call that costs ``cost`` tokens, or None after having charged it.

        A call that fails later costs all the same (what the vendor does is not documented).
        """
        self._turn()
        if not self.limited:
            self._charge(cost, method)
            return None
        if time.monotonic() < self._blocked_until:
            return Response(_BLOCKED, 403, media_type="text/html")
        if self._burst.remaining == 0 or (search and self._search.remaining == 0):
            window = self._search if search and self._search.remaining == 0 else self._burst
            wait = max(1, math.ceil(window.resets_in))
            return self._refuse("request over limit", {"retry-after": str(wait)})
        if self._used >= self.daily_tokens:
            # Seen live: the header is there, and useless.
            return self._refuse("daily token budget is used up", {"retry-after": "1"})
        self._burst.take()
        if search:
            self._search.take()
        self._charge(cost, method)
        return None

    def _charge(self, cost: int, method: str) -> None:
        self._used += cost
        self._writes += method in ("POST", "PUT")

    def _refuse(self, text: str, headers: dict[str, str]) -> Response:
        now = time.monotonic()
        self._refusals.append(now)
        while self._refusals[0] < now - self.hammer_s:
            self._refusals.popleft()
        if len(self._refusals) > self.hammer_after:
            self._blocked_until = now + self.block_s
        answer = reply({"success": False, "error": text, "code": "ERR_RATE_LIMIT"}, 429)
        answer.headers.update(headers)
        return answer

    def decorate(self, response: Response, *, search: bool) -> None:
        """Add the rate headers; a search shows the tighter of its two windows."""
        if response.media_type == "text/html":
            return
        window = self._search if search and self._search.remaining < self._burst.remaining else self._burst
        headers = response.headers
        headers["x-ratelimit-limit"] = str(window.limit)
        headers["x-ratelimit-remaining"] = str(window.remaining)
        headers["x-ratelimit-reset"] = str(math.ceil(window.resets_in))
        headers["x-daily-requests-left"] = str(max(0, POST_PUT_PER_DAY - self._writes))
        if self.daily_headers:
            headers["x-daily-ratelimit-token-limit"] = str(self.daily_tokens)
            headers["x-daily-ratelimit-token-remaining"] = str(self.remaining_today)


def correlation_id() -> str:
    """Return a fresh ``x-correlation-id``."""
    return str(uuid.uuid4())
