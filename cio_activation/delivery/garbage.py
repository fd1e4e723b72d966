"""Has Python look for garbage less often while a step is at work."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

SELDOM = (50_000, 20, 100)
"""Thresholds of the three generations. A push makes rows by the thousand, none of them in a circle; by Python's own
thresholds a twelfth of a first push's processor time is looking through them."""


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Collect by :data:`SELDOM` within the block, unless whoever runs the process chose to do so even less often."""
    before = gc.get_threshold()
    if 0 < before[0] < SELDOM[0]:
        gc.set_threshold(*SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*before)
