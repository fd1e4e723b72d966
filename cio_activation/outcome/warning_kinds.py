"""What warnings are about, and what one is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a warning is about."""

    NO_OWNER = "no_owner"
    ACTIONS_OVER_LIMIT = "actions_over_limit"
    PEOPLE_WAITING = "people_waiting"
    LATE_ACTIONS = "late_actions"
    REJECT_SHARE = "reject_share"
    FEEDBACK_UNREAD = "feedback_unread"
    SEGMENT_CHANGED = "segment_changed"
    SOFT_SEGMENT = "soft_segment"
    NEAR_DUPLICATE = "near_duplicate"
    WEBHOOK_FAIR_USE = "webhook_fair_use"
    UNSIGNED = "unsigned"


MEANING: dict[Kind, str] = {
    Kind.NO_OWNER: "everybody who should be acted for has somebody who can act",
    Kind.ACTIONS_OVER_LIMIT: "no more new actions today than `limits.alerts.actions_per_day`",
    Kind.PEOPLE_WAITING: "no more people wait for a place than `limits.alerts.people_waiting`",
    Kind.LATE_ACTIONS: "nothing waits untouched of which an action's `sla` says to tell",
    Kind.REJECT_SHARE: "no destination rejected more than `limits.alerts.reject_share` of the last day's operations",
    Kind.FEEDBACK_UNREAD: "every CRM told what humans did within `limits.alerts.feedback_unread_for`",
    Kind.SEGMENT_CHANGED: "no segment was renamed, got other conditions or another size of late",
    Kind.SOFT_SEGMENT: "no segment turns over more than `limits.alerts.segment_turnover` of its members a day",
    Kind.NEAR_DUPLICATE: "no two audiences have more than `limits.alerts.audience_overlap` of their people in common",
    Kind.WEBHOOK_FAIR_USE: "journeys' webhooks are below half of `limits.alerts.webhook_fair_use`",
    Kind.UNSIGNED: "a human signed every audience that asks a human to act, in its version",
}
"""Each kind by what is in order while it does not hold."""
DAILY_KINDS = frozenset({Kind.NEAR_DUPLICATE})
"""What takes a look at everybody: once a day is enough."""


@dataclass(frozen=True)
class FoundWarning:
    """One warning that holds."""

    key: str
    kind: Kind
    about: str
    """The audience, segment, destination or day."""
    sentence: str
    mend: str
