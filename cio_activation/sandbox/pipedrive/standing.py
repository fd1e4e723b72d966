"""What hangs on persons, as ``include_fields`` shows it: counts of deals, activities, notes and mails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from cio_activation.sandbox.pipedrive.activities import Activity
from cio_activation.sandbox.pipedrive.deals import Deal
from cio_activation.sandbox.pipedrive.envelope import utc

_DEALS = ("open_deals_count", "closed_deals_count", "won_deals_count", "lost_deals_count")
INCLUDED = (
    *_DEALS,
    *(f"related_{name}" for name in _DEALS),
    *("participant_open_deals_count", "participant_closed_deals_count", "email_messages_count", "activities_count"),
    *("done_activities_count", "undone_activities_count", "files_count", "notes_count", "followers_count"),
    *("next_activity_id", "last_activity_id", "last_incoming_mail_time", "last_outgoing_mail_time", "smart_bcc_email"),
)
"""What ``include_fields`` may name; ``marketing_status`` and ``doi_status`` need the marketing app, not here."""


@dataclass
class Mails:
    """The mails of the account's users with persons, by person: how many, and the last of each direction."""

    count: Counter[int] = field(default_factory=Counter)
    incoming: dict[int, float] = field(default_factory=dict)
    outgoing: dict[int, float] = field(default_factory=dict)

    def note(self, person_id: int, direction: str, at: float) -> None:
        """Note one mail; ``direction`` is incoming or outgoing."""
        last = {"incoming": self.incoming, "outgoing": self.outgoing}.get(direction)
        if last is None:
            raise ValueError("direction must be incoming or outgoing")
        self.count[person_id] += 1
        last[person_id] = max(at, last.get(person_id, at))

    def repoint(self, old: int, new: int) -> None:
        """Move a merged person's mails to the survivor."""
        self.count[new] += self.count.pop(old, 0)
        for last in (self.incoming, self.outgoing):
            if old in last:
                last[new] = max(last.pop(old), last.get(new, 0.0))


def tally(
    activities: Iterable[Activity], deals: Iterable[Deal], mails: Mails, notes_of: Callable[[int], int]
) -> Callable[[int], dict[str, Any]]:
    """Count once for everybody; return what one person has. Archived deals count for nothing."""
    done: Counter[tuple[int | None, bool]] = Counter()
    following: dict[int | None, Activity] = {}
    last: dict[int | None, Activity] = {}
    for activity in activities:
        person = activity.person_id
        done[person, activity.done] += 1
        best = last if activity.done else following
        best[person] = activity if person not in best else _nearer(best[person], activity)
    by_status: Counter[tuple[int | None, str]] = Counter(
        (d.values["person_id"], d.values["status"]) for d in deals if not d.values["is_archived"]
    )

    def of(person_id: int) -> dict[str, Any]:
        finished, open_ = done[person_id, True], done[person_id, False]
        states = {state: by_status[person_id, state] for state in ("open", "won", "lost")}
        closed = states["won"] + states["lost"]
        deals_of = {f"{state}_deals_count": number for state, number in (states | {"closed": closed}).items()}
        return {
            **deals_of,
            **{f"related_{name}": 0 for name in deals_of},  # of other persons of the organization
            "participant_open_deals_count": 0,
            "participant_closed_deals_count": 0,
            "activities_count": finished + open_,
            "done_activities_count": finished,
            "undone_activities_count": open_,
            "notes_count": notes_of(person_id),
            "files_count": 0,
            "followers_count": 1,
            "email_messages_count": mails.count[person_id],
            "next_activity_id": following[person_id].id if person_id in following else None,
            "last_activity_id": last[person_id].id if person_id in last else None,
            "last_incoming_mail_time": _time(mails.incoming.get(person_id)),
            "last_outgoing_mail_time": _time(mails.outgoing.get(person_id)),
            "smart_bcc_email": None,
        }

    return of


def _time(at: float | None) -> str | None:
    return None if at is None else utc(at)


def _nearer(one: Activity, other: Activity) -> Activity:
    """Return the open activity that is due first, or of two done ones the one done last."""
    if one.done:
        return max(one, other, key=lambda a: (a.done_at or 0, a.id))
    return min(one, other, key=lambda a: (a.due_date or "9999", a.values["due_time"] or "", a.id))
