"""One signal ends all: whoever gets SIGTERM or Ctrl-C ends what it started, and what that started, before itself."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

STANDARD_ERROR = 2
GRACE_S = 10.0
"""Who has not ended so long after SIGTERM is killed; nothing is lost by it, the next run settles what was begun."""


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Have SIGTERM interrupt this process as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def noticed() -> Iterator[Callable[[], bool]]:
    """Give a function that tells whether SIGINT or SIGTERM came since the block began, whoever took it.

    Dagster takes both while it runs a window, and what comes after the last step it forgets.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def came() -> bool:
        with suppress(BlockingIOError):
            return any(number in (signal.SIGINT, signal.SIGTERM) for number in os.read(reading, 4096))
        return False

    try:
        yield came
    finally:
        signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)


@contextmanager
def beside(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command with all it starts as one group, which ends with the block.

    A group of its own: Ctrl-C reaches this process alone, so that it is the one who ends the others, in order. What it
    says goes to standard error: standard output is the result's.
    """
    process = subprocess.Popen(command, start_new_session=True, stdout=STANDARD_ERROR)
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a group that was begun by :func:`beside`: SIGTERM, then SIGKILL for whoever is still there."""
    _signal(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_S)
    _signal(process.pid, signal.SIGKILL)
    process.wait()


def _signal(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS refuses for a group of zombies only
        os.killpg(group, number)
