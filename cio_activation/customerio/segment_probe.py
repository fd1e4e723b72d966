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
class Fingerprint:
    """What a segment had when it was last asked for. Times are seconds since the epoch."""

    members: str = ""
    """Digest of the members of a small one; the count of a big one; empty while it was never finished."""
    big: bool = False
    due_at: float = 0.0
    """A big one is not asked for before."""


def digest(members: Iterable[str]) -> str:
    """Return a short text that is the same for the same members, in whatever order."""
    return hashlib.sha256("\n".join(sorted(set(members))).encode()).hexdigest()[:16]


async def fingerprint(
    client: CustomerIO, segments: Sequence[int], before: Mapping[str, Fingerprint], now: float
) -> dict[str, Fingerprint]:
    """Return segment id -> its fingerprint now. ``before``: the last ones.

    A segment that Customer.io is still building shows a part of its members: its last one stands.
    """
    states = {s.id: s.state for s in await client.segments()}
    found: dict[str, Fingerprint] = {}
    for segment in dict.fromkeys(segments):
        last = before.get(str(segment), Fingerprint())
        ready = states.get(segment) == FINISHED and now >= last.due_at
        found[str(segment)] = await _fingerprint(client, segment, last, now) if ready else last
    return found


async def _fingerprint(client: CustomerIO, segment: int, last: Fingerprint, now: float) -> Fingerprint:
    count = await client.customer_count(segment) if last.big else 0
    if count <= PAGE and (members := await client.small_segment(segment)) is not None:
        return Fingerprint(digest(members))
    count = count or await client.customer_count(segment)
    if last.big and last.members == str(count):
        return Fingerprint(str(count), True)
    rest = min(max(REST_S, REST_A_PAGE_S * math.ceil(count / PAGE)), LONGEST_REST_S)
    return Fingerprint(str(count), True, now + rest)
