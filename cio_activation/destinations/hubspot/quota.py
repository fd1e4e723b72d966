"""HubSpot's own count: what its headers say is left, and when its day turns.

Headers and limits as in the fact sheet, section 9: the daily limit is shared by all apps of an account and starts anew
at midnight of the account's time zone. Search answers carry no such header.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from cio_activation.activation.models import Activation, Lane
from cio_activation.destinations.common.people import lane_is_delivered
from cio_activation.destinations.hubspot.config import NAME, delivered_audiences, settings_of
from cio_activation.journal.days import Meter, Told, header_number

TIME_ZONE = "account:time_zone"
"""Key of the catalog under which the schema step keeps the account's time zone."""


def meter(activation: Activation, catalog: Mapping[str, Any]) -> Meter:
    """Return how HubSpot counts by the day: calls, of which ``rate_share`` are ours."""
    options = settings_of(activation)
    live = lane_is_delivered(activation, NAME, Lane.REALTIME, delivered_audiences(activation))
    return Meter(
        unit="calls",
        zone=_zone(str(catalog.get(TIME_ZONE, "UTC"))),
        ours=None if options.requests_per_day is None else options.requests_per_day * options.rate_share,
        share=options.rate_share,
        realtime_reserve=options.realtime_reserve if live else 0.0,
        read=read_headers,
    )


def read_headers(headers: Mapping[str, str]) -> Told:
    """Return what an answer says of the ten seconds and of the day."""
    names = ("remaining", "max", "daily-remaining", "daily")
    return Told(*(header_number(headers, f"x-hubspot-ratelimit-{name}") for name in names))


def _zone(name: str) -> str:
    """Return ``name`` if it is a time zone, else UTC: an hour's error costs no more than a late start."""
    try:
        return ZoneInfo(name).key
    except (KeyError, ValueError, OSError):
        return "UTC"
