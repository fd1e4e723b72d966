"""When a request is sent again, and after how long: tenacity's loop around one call, the vendor's own words first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential_jitter,
    wait_random,
)

from cio_activation.transport.errors import OutcomeUnknown, Retryable, VendorError
from cio_activation.transport.policy import policy_for

LONGEST_WAIT_S = 120.0
"""A vendor that asks for a longer pause is not waited for: the rest is deferred to a later run."""
_WIDEST_BACKOFF_S = 60.0
T = TypeVar("T")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of ``Retry-After``, a number or an HTTP date (RFC 9110, 10.2.3); None if absent."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass  # not a number: then it should be a date
    try:
        instant = parsedate_to_datetime(text)
    except ValueError:
        return None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return max(0.0, (instant - datetime.now(UTC)).total_seconds())


def asks_too_long(error: VendorError) -> bool:
    """Return whether the vendor named a pause longer than one run waits."""
    return error.retry_after_s is not None and error.retry_after_s > LONGEST_WAIT_S


async def retrying(call: Callable[[], Awaitable[T]], *, attempts: int, backoff_s: float, repeatable: bool) -> T:
    """Await ``call`` up to ``attempts`` times and return its result; raises its last error.

    Sent again: what was surely not applied, and, if ``repeatable``, what has an unknown outcome. Waits as long as
    the vendor says, else exponentially from ``backoff_s`` with jitter, longer for statuses that ask for longer waits.
    """

    def again(error: BaseException) -> bool:
        kinds = (Retryable, OutcomeUnknown) if repeatable else (Retryable,)
        return isinstance(error, kinds) and not asks_too_long(error)

    backoff = wait_exponential_jitter(multiplier=backoff_s, max=_WIDEST_BACKOFF_S, jitter=backoff_s)
    spread = wait_random(0, backoff_s)

    def pause(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if not isinstance(error, VendorError):
            return 0.0
        if error.retry_after_s is not None:
            return error.retry_after_s + spread(state)  # or all workers come back at once
        return backoff(state) * (policy_for(error.status).backoff_factor if error.status else 1.0)

    loop = AsyncRetrying(stop=stop_after_attempt(attempts), wait=pause, retry=retry_if_exception(again), reraise=True)
    return await loop(call)
