"""What may be asked of this room: people, segments, live people, moments: plain functions of (runtime, window)."""

from __future__ import annotations

from cio_activation.customerio.exports import Poll
from cio_activation.customerio.live import LivePull, pull_live
from cio_activation.customerio.moments import MomentsPull, pull_moments
from cio_activation.customerio.people import PeoplePull, pull_people
from cio_activation.customerio.segments import SegmentsPull, pull_segments

__all__ = [
    "LivePull",
    "MomentsPull",
    "PeoplePull",
    "Poll",
    "SegmentsPull",
    "pull_live",
    "pull_moments",
    "pull_people",
    "pull_segments",
]
