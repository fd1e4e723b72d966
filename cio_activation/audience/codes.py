"""The closed list of what keeps a candidate out of an audience, in the order in which it is asked.

The first that applies is the person's decision in a window. A code that only a *touch* audience knows (one with a human
act) withholds list, flag and action together, so that they never differ.
"""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """Why somebody who is in the segment, or had the moment, and passes the gate is not let in."""

    UNDELIVERABLE = "undeliverable"
    SUPPRESSED = "suppressed"
    STALE_INPUT = "stale_input"
    STALE_MOMENT = "stale_moment"
    GRACE = "grace"
    SPENT = "spent"
    COOLDOWN = "cooldown"
    SNOOZED = "snoozed"
    EXCLUSIVE = "exclusive"
    JOURNEY = "journey"
    PAUSED = "paused"
    LAUNCH_BASELINE = "launch_baseline"
    LAUNCH_SCOPE = "launch_scope"
    LAUNCH_LIMIT = "launch_limit"
    BEING_HANDLED = "being_handled"
    PERSON_CAP = "person_cap"
    NO_OWNER = "no_owner"
    WORKING_TIME = "working_time"
    CAPACITY = "capacity"
    HOLDOUT = "holdout"


MEANING: dict[Code, str] = {
    Code.UNDELIVERABLE: "has no usable identifier, or it belongs to somebody else",
    Code.SUPPRESSED: "takes no messages, and the audience respects that",
    Code.STALE_INPUT: "a value that the rules read is an old one, not today's; or a CRM could not be asked",
    Code.STALE_MOMENT: "the moment came after its time",
    Code.GRACE: "eligible, but not for long enough yet",
    Code.SPENT: "bought, was handled or expired in this spell of eligibility, or was let in by this moment already",
    Code.COOLDOWN: "was handled, or left, less than the cooldown ago",
    Code.SNOOZED: "a human said later",
    Code.EXCLUSIVE: "an audience of the same group with a higher priority has the person",
    Code.JOURNEY: "hold_while is true: a journey is talking to the person",
    Code.PAUSED: "the audience is paused: somebody switched it off",
    Code.LAUNCH_BASELINE: "was eligible already when the audience started to have a human act",
    Code.LAUNCH_SCOPE: "outside launch.only",
    Code.LAUNCH_LIMIT: "launch.max_entries_per_day is reached",
    Code.BEING_HANDLED: "a human or another tool is on the person already, as a CRM says",
    Code.PERSON_CAP: "touched by a human as often as allowed, over all audiences",
    Code.NO_OWNER: "nobody of those named can act: not a user of the CRM, or deactivated",
    Code.WORKING_TIME: "waits for the next opening (wait_for_opening)",
    Code.CAPACITY: "whoever would act has as much as allowed, open or new today",
    Code.HOLDOUT: "held out to measure what the audience brings: all bookkeeping, nothing delivered",
}
"""Each code in the words of whoever asks why."""
