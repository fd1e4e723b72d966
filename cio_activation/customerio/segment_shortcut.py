"""What is known of the real-time segments before Customer.io is asked: big ones need not be read whole every time.

A segment of more than one page is read whole once a window. In between, its count is asked for, and which segments
those few people are in whom a moment was about. Where the count is what the last snapshot and these people make
together, that snapshot stands. Anything else is read, but not by a run with moments as long as the count may yet be
explained: who enters a segment now is in its count before their webhook is here. One who enters while another leaves
shows in no count: they wait for the next whole reading, at the latest the next window's first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cio_activation.activation.windows import Window
from cio_activation.customerio.client import PAGE
from cio_activation.customerio.files import observed_at, segment_kind
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.tables import MEMBERSHIP_CHANGES, MEMBERSHIPS, SEGMENTS_UNEXPLAINED

LOOKED_UP = 10
"""People whose segments are asked for by name, one call each: a second of the vendor's rate. If there are more, the
segments are read whole."""
AGAIN_AFTER = timedelta(minutes=1)
"""So long runs with moments leave a big segment whose count stays unexplained to the next run without; the sensor asks
for it."""


@dataclass(frozen=True)
class SegmentShortcut:
    """The last snapshot of some segments, and who did something since."""

    members: Mapping[int, int] = field(default_factory=dict)
    """Segment -> members."""
    read_at: Mapping[int, datetime] = field(default_factory=dict)
    """Segment -> when it was read whole in this window; naive UTC."""
    unexplained_since: Mapping[int, datetime] = field(default_factory=dict)
    """Segment -> since when its count has not been what anything explains; naive UTC."""
    news: Sequence[str] = ()
    """``cio_id`` of whom moments were about that no run has worked off, at most one more than may be looked up."""
    inside: frozenset[tuple[int, str]] = frozenset()
    """(segment, ``cio_id``) of those of them who were members."""

    def is_enough(self, segment: int) -> bool:
        """Tell whether a segment may do with its count: big, read whole in this window, and few people to ask for."""
        return segment in self.read_at and self.members.get(segment, 0) > PAGE and len(self.news) <= LOOKED_UP

    def can_wait(self, segment: int, now: datetime) -> bool:
        """Tell whether a segment whose count is another need not be read by this run, which has moments to carry."""
        return bool(self.news) and timedelta() <= now - self.unexplained_since.get(segment, now) < AGAIN_AFTER

    def expected(self, segment: int, places: Mapping[str, frozenset[int]]) -> int:
        """Return how many members the segment has if nobody moved but those in ``places`` (``cio_id`` -> segments)."""
        moved = sum((segment in there) - ((segment, cio_id) in self.inside) for cio_id, there in places.items())
        return self.members[segment] + moved


def read_shortcut(con: Connection, window: Window, segments: Sequence[int]) -> SegmentShortcut:
    """Return what the warehouse holds of ``segments``: members, whom moments were about, what is unexplained."""
    lane = window.lane.value
    rows = con.execute(
        f"SELECT cio_id FROM {MEMBERSHIP_CHANGES} WHERE change = 'moment' GROUP BY cio_id "
        f"ORDER BY max(noted_at) DESC, cio_id LIMIT {LOOKED_UP + 1}"
    ).fetchall()
    news = tuple(str(cio_id) for (cio_id,) in rows)
    counted = con.execute(
        f"SELECT segment_id, count(*) FROM {MEMBERSHIPS} WHERE lane = ? GROUP BY ALL", [lane]
    ).fetchall()
    inside = con.execute(
        f"SELECT segment_id, cio_id FROM {MEMBERSHIPS} WHERE lane = ? AND cio_id IN (SELECT unnest(?::VARCHAR[]))",
        [lane, list(news)],
    ).fetchall()
    read_at = {s: at for s in segments if (at := observed_at(con, window, segment_kind(s))) is not None}
    since = {int(s): at for s, at in con.execute(f"SELECT segment_id, since FROM {SEGMENTS_UNEXPLAINED}").fetchall()}
    members = {int(s): int(n) for s, n in counted}
    return SegmentShortcut(members, read_at, since, news, frozenset((int(s), str(c)) for s, c in inside))
