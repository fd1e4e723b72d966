"""Runs what waits for vendors, so that a request to stop is neither lost nor raised in the midst of anything."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` in a loop of its own and return what it returns, as ``asyncio.run`` does.

    Dagster has SIGINT and SIGTERM raise an exception of its own wherever the main thread is; in a callback of the loop
    asyncio logs it and goes on, and the request to stop is lost. Here such a signal cancels ``main``, and at the end
    KeyboardInterrupt is raised, whatever ``main`` made of that. What Python does not handle does what it always does.
    """
    if threading.current_thread() is not threading.main_thread():
        return asyncio.run(main)  # signals are never delivered to others
    request = _Request()
    numbers = [number for number in (signal.SIGINT, signal.SIGTERM) if callable(signal.getsignal(number))]
    before = {number: signal.signal(number, request) for number in numbers}
    try:
        return asyncio.run(request.may_end(main))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if request.made:
            raise KeyboardInterrupt


class _Request:
    """A request to stop, as a handler of signals."""

    def __init__(self) -> None:
        self.made = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Future[Any] | None = None

    async def may_end(self, main: Coroutine[Any, Any, T]) -> T:
        """Await ``main``, which is cancelled as soon as the request is made."""
        task = asyncio.ensure_future(main)
        self._loop, self._task = asyncio.get_running_loop(), task
        if self.made:
            task.cancel()
        return await task

    def __call__(self, *_: Any) -> None:
        self.made = True
        if self._loop is not None and self._task is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._task.cancel)
