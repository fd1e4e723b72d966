"""The simulation's clock: one present time for this project's code and the stand-ins, which days can be jumped in.

What a run records (when a call was made, when it was planned) is compared with what the vendors say of humans, so
both sides have to live at the same time, and Dagster, which runs no window that has not begun. Time goes on by itself
between two jumps.
"""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from types import ModuleType
from typing import Any
from unittest import mock

PROJECT, STAND_INS = "cio_activation.", "cio_activation.sandbox."
_real_time = time.time


class _OfReal(type):
    """Whatever is a datetime is one of ours."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, datetime)


class SimulatedDatetime(datetime, metaclass=_OfReal):
    """``datetime`` of a module whose ``now`` is the simulation's; everything it makes is an ordinary one."""

    def __new__(cls, *args: Any, **more: Any) -> Any:
        return datetime(*args, **more)

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Any:
        """Return the simulated present."""
        return datetime.fromtimestamp(time.time(), tz)


class Clock:
    """Where the simulation is. ``set`` jumps; modules that were imported meanwhile follow."""

    def __init__(self) -> None:
        self._offset = 0.0
        self._looked: set[str] = set()
        self._patched: list[ModuleType] = []

    def now(self) -> float:
        """Return the present, seconds since the epoch."""
        return _real_time() + self._offset

    def aware(self) -> datetime:
        """Return the present in UTC."""
        return datetime.fromtimestamp(self.now(), UTC)

    def set(self, instant: float) -> None:
        """Make it ``instant``."""
        self._offset = instant - _real_time()
        self.follow()

    def follow(self) -> None:
        """Have modules that were imported meanwhile live now."""
        for name, module in list(sys.modules.items()):
            if name.startswith(PROJECT) and not name.startswith(STAND_INS) and name not in self._looked:
                self._looked.add(name)
                if getattr(module, "datetime", None) is datetime and "datetime.now(" in inspect.getsource(module):
                    module.datetime = SimulatedDatetime  # type: ignore[attr-defined]
                    self._patched.append(module)

    def undo(self) -> None:
        """Give the modules their datetime back."""
        for module in self._patched:
            module.datetime = datetime  # type: ignore[attr-defined]


@contextmanager
def simulated(instant: float) -> Iterator[Clock]:
    """Live at ``instant``, and then wherever the clock is set."""
    clock = Clock()
    clock.set(instant)
    dagsters = "dagster._time._mockable_get_current_datetime"  # made to be replaced, as its comment says
    with mock.patch.object(time, "time", clock.now), mock.patch(dagsters, clock.aware):
        try:
            yield clock
        finally:
            clock.undo()
