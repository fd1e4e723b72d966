"""What may be asked of this room: people, segments and live people, each a plain function of (runtime, window)."""

from __future__ import annotations

from cio_activation.customerio.exports import Poll
from cio_activation.customerio.live import LivePull, pull_live
from cio_activation.customerio.people import PeoplePull, pull_people
from cio_activation.customerio.segments import SegmentsPull, pull_segments

__all__ = ["LivePull", "PeoplePull", "Poll", "SegmentsPull", "pull_live", "pull_people", "pull_segments"]
