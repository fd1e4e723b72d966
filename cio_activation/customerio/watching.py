"""Has a segment changed? Asked every few seconds, as cheaply as Customer.io's API allows.

A segment that fits one page of members (30,000) costs one call, as its count would, and shows one in and one out. A
bigger one is asked for its count every half minute, as a run that follows may read all of it, and less and less often
while that stands still: it is read whole once a window anyway.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cio_activation.customerio.client import PAGE, CustomerIO

FINISHED = "finished"
FIRST_WAIT_S = 30.0
LONGEST_WAIT_S = 120.0


@dataclass(frozen=True)
class Look:
    """What a segment had at a look. Times are seconds since the epoch."""

    members: str = ""
    """Digest of the members of a small one; the count of a big one; empty while it was never finished."""
    big: bool = False
    due_at: float = 0.0
    """A big one is not asked for before."""
    wait_s: float = FIRST_WAIT_S


def digest(members: Iterable[str]) -> str:
    """Return a short text that is the same for the same members, in whatever order."""
    return hashlib.sha256("\n".join(sorted(set(members))).encode()).hexdigest()[:16]


async def look(client: CustomerIO, segments: Sequence[int], before: Mapping[str, Look], now: float) -> dict[str, Look]:
    """Return segment id -> how it looks now. ``before``: the last looks.

    A segment that Customer.io is still building shows a part of its members: it keeps its last look.
    """
    states = {s.id: s.state for s in await client.segments()}
    found: dict[str, Look] = {}
    for segment in dict.fromkeys(segments):
        last = before.get(str(segment), Look())
        ready = states.get(segment) == FINISHED and now >= last.due_at
        found[str(segment)] = await _look(client, segment, last, now) if ready else last
    return found


async def _look(client: CustomerIO, segment: int, last: Look, now: float) -> Look:
    count = await client.customer_count(segment) if last.big else 0
    if count <= PAGE and (members := await client.small_segment(segment)) is not None:
        return Look(digest(members))
    count = count or await client.customer_count(segment)
    still = last.big and last.members == str(count)
    wait = min(2 * last.wait_s, LONGEST_WAIT_S) if still else FIRST_WAIT_S
    return Look(str(count), True, now + wait, wait)
