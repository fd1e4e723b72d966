"""HubSpot's admission: bearer token, scopes, rate windows and their headers."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from cio_activation.sandbox.hubspot.errors import CORRELATION_HEADER, Refusal, correlation_id, reply
from cio_activation.sandbox.server.rolling_window import RollingWindow

TIERS: dict[str, tuple[int, int]] = {
    "free": (100, 250_000),
    "starter": (100, 250_000),
    "professional": (190, 625_000),
    "enterprise": (190, 1_000_000),
}
"""Requests per 10 s of one app, requests per day of the account (fact sheet, section 9)."""

SEARCHES_PER_SECOND = 5
QUERY_MAX = 16_000
"""Characters of a query string; long ``properties`` lists run into it."""

ALL_SCOPES = frozenset(
    {
        "crm.objects.contacts.read",
        "crm.objects.contacts.write",
        "crm.schemas.contacts.read",
        "crm.schemas.contacts.write",
        "crm.lists.read",
        "crm.lists.write",
        "crm.objects.owners.read",
        "crm.objects.deals.read",
        "crm.objects.deals.write",
    }
)
_READ_POSTS = ("/search", "/batch/read", "/all")


class Limits:
    """Token, scopes and rate windows of one app in one account. ``limited=False`` counts, but never refuses."""

    def __init__(self, tier: str, token: str, scopes: frozenset[str], time_zone: str, *, limited: bool) -> None:
        rolling, self.daily_limit = TIERS[tier]
        self.token, self.scopes, self.limited = token, scopes, limited
        self.rolling = RollingWindow(rolling, 10.0)
        self.searches = RollingWindow(SEARCHES_PER_SECOND, 1.0)
        self.used_today = 0
        self._zone, self._day = ZoneInfo(time_zone), ""

    def admit(self, request: Request, now: float) -> Response | None:
        """Return the refusal of a request, in HubSpot's order: who are you, how often, may you."""
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return _unauthorized().response()
        self._turn_day(now)
        exhausted = self._exhausted(is_search(request.url.path)) if self.limited else None
        if exhausted:
            return _too_many(exhausted)
        self.used_today += 1
        if len(request.url.query) > QUERY_MAX:
            return Refusal(414, None, "URI Too Long").response()
        lacking = _required(request.method, request.url.path) - self.scopes
        if request.url.path.startswith("/crm/limits/") and any(
            s.startswith("crm.objects.") and s.endswith(".read") for s in self.scopes
        ):
            lacking = frozenset()
        return _forbidden(sorted(lacking)).response() if lacking else None

    def headers(self, path: str) -> dict[str, str]:
        """Return the rate headers of an answer; search carries none."""
        if is_search(path):
            return {"x-hubspot-rate-limit-exemptions": "ten-secondly"}
        return {
            "x-hubspot-ratelimit-max": str(self.rolling.limit),
            "x-hubspot-ratelimit-remaining": str(self.rolling.remaining),
            "x-hubspot-ratelimit-interval-milliseconds": "10000",
            "x-hubspot-ratelimit-daily": str(self.daily_limit),
            "x-hubspot-ratelimit-daily-remaining": str(max(0, self.daily_limit - self.used_today)),
        }

    def spend(self, calls: int, kind: str, now: float) -> int:
        """Use up calls as somebody else would: ``rolling`` (same app), ``search`` or ``daily`` (any app)."""
        self._turn_day(now)
        window = {"rolling": self.rolling, "search": self.searches, "daily": None}[kind]
        taken = calls if window is None else min(calls, window.remaining)
        if window is not None and taken:
            window.take(taken)
        self.used_today += taken
        return taken

    def _exhausted(self, search: bool) -> str | None:
        if self.used_today >= self.daily_limit:
            return "DAILY"
        if search:
            return None if self.searches.take() else "SECONDLY"
        return None if self.rolling.take() else "TEN_SECONDLY_ROLLING"

    def _turn_day(self, now: float) -> None:
        day = datetime.fromtimestamp(now, UTC).astimezone(self._zone).date().isoformat()
        if day != self._day:
            self._day, self.used_today = day, 0


def is_search(path: str) -> bool:
    """Tell whether a path is CRM search (not the list search), which has its own limit."""
    return path.startswith("/crm/") and "/objects/" in path and path.endswith("/search")


def _required(method: str, path: str) -> frozenset[str]:
    """Return the scopes a call needs (fact sheet, section 2)."""
    writes = method != "GET" and not path.rstrip("/").endswith(_READ_POSTS)
    if path.startswith("/account-info/"):
        return frozenset()
    if "/lists" in path:
        write_call = writes and not path.endswith("/idmapping")
        return frozenset({"crm.lists.read", "crm.lists.write"} if write_call else {"crm.lists.read"})
    if "/pipelines/" in path or (path.startswith(("/crm/objects/", "/crm/v3/objects/")) and "/deals" in path):
        return frozenset({f"crm.objects.deals.{'write' if writes else 'read'}"})
    if "/properties/" in path:
        return frozenset({f"crm.schemas.contacts.{'write' if writes else 'read'}"})
    if "/owners" in path:
        return frozenset({"crm.objects.owners.read"})
    if "/limits/" in path:
        return frozenset({"crm.objects.contacts.read"})
    return frozenset({f"crm.objects.contacts.{'write' if writes else 'read'}"})


def _unauthorized() -> Refusal:
    return Refusal(
        401,
        "INVALID_AUTHENTICATION",
        "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find more "
        "details at https://developers.hubspot.com/docs/methods/auth/oauth-overview",
    )


def _forbidden(scopes: list[str]) -> Refusal:
    return Refusal(
        403,
        "MISSING_SCOPES",
        "This app hasn't been granted all required scopes to make this call. Read more about required scopes here: "
        "https://developers.hubspot.com/scopes.",
        details=[
            {
                "message": "One or more of the following scopes are required.",
                "context": {"requiredGranularScopes": scopes},
            }
        ],
        extra={"links": {"scopes": "https://developers.hubspot.com/scopes"}},
    )


def _too_many(policy: str) -> Response:
    correlation = correlation_id()
    answer = reply(
        {
            "status": "error",
            "message": f"You have reached your {policy.lower()} limit.",
            "errorType": "RATE_LIMIT",
            "correlationId": correlation,
            "policyName": policy,
        },
        429,
    )
    answer.headers[CORRELATION_HEADER] = correlation
    return answer
