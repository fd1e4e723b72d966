"""How much a test does: a short form for every change, a long one for ``scripts/test --long``.

A test has a long form in one of three ways: it takes its numbers from :func:`form`, its cases from :func:`some`, or it
is marked ``long`` and runs in the long form only. A ``conftest`` asks inside of functions only: pytest may import it before
it reads ``--long``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeVar

VARIABLE = "ACTIVATION_TESTS_LONG"
"""Set by ``pytest --long`` before any test is imported; processes that tests start have it too."""
T = TypeVar("T")


def form(short: T, long: T) -> T:
    """Return what the form of this run of the tests takes."""
    return long if os.environ.get(VARIABLE) else short


def some(cases: Iterable[T], every: int = 2) -> list[T]:
    """Return all cases in the long form, each ``every``-th in the short one, always the same; the first is one of them.

    For cases that go the same way through the product, and whose neighbours the short form has.
    """
    return list(cases)[:: form(every, 1)]
