"""Has a segment changed? Asked every few seconds, as cheaply as Customer.io's API allows.

A segment that fits one page of members (30,000) costs one call, as its count would, and shows one in and one out. A
bigger one is asked for its count, which costs no more while it stands still. Once it moved, a run may read all pages:
then it is left alone for a while, the longer the more pages it has.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cio_activation.customerio.client import PAGE, CustomerIO

FINISHED = "finished"
REST_S, REST_A_PAGE_S, LONGEST_REST_S = 30.0, 2.0, 120.0
"""How long a big segment that moved is left alone: half a minute, or two seconds a page, a twentieth of the API's rate;
two minutes at most."""


@dataclass(frozen=True)
class Look:
    """What a segment had at a look. Times are seconds since the epoch."""

    members: str = ""
    """Digest of the members of a small one; the count of a big one; empty while it was never finished."""
    big: bool = False
    due_at: float = 0.0
    """A big one is not asked for before."""


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
    if last.big and last.members == str(count):
        return Look(str(count), True)
    rest = min(max(REST_S, REST_A_PAGE_S * math.ceil(count / PAGE)), LONGEST_REST_S)
    return Look(str(count), True, now + rest)
