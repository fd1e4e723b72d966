"""Forks workers from this warm, single-threaded process: everything is imported once, a worker starts in milliseconds.

The parent itself never opens a warehouse, a journal or an event loop, so no thread and no lock is forked along.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn


@dataclass(frozen=True)
class Ended:
    """How a child ended: killed by SIGKILL, or with ``answer``."""

    killed: bool
    seconds: float
    answer: Any = None


class Failed(Exception):
    """A child failed by itself; ``str()`` is its traceback."""


def warm_up(modules: Iterable[str]) -> None:
    """Import what a child found it needs (:func:`imported`), so that no further child has to."""
    for name in modules:
        with suppress(ImportError):  # some are only there in parts, as their package made them
            importlib.import_module(name)
    if other := _other_threads():
        raise RuntimeError(f"importing started the threads {', '.join(other)}")


def imported() -> list[str]:
    """Return the names of all modules this process has imported."""
    return sorted(name for name in sys.modules if not name.startswith("__"))


class Child:
    """A forked process that computes something."""

    def __init__(self, function: Callable[[], Any], environment: Mapping[str, str]) -> None:
        if other := _other_threads():
            raise RuntimeError(f"this process cannot be forked safely, it runs the threads {', '.join(other)}")
        read, write = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self._started = time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(read)
            _run(function, environment, write)
        os.close(write)
        self._answer = os.fdopen(read, "rb")

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        os.kill(self.pid, signal.SIGKILL)  # not reaped yet, so the id is still this child's

    def wait(self) -> Ended:
        """Wait for the end; raises Failed with the child's traceback if it failed by itself."""
        with self._answer as pipe:
            raw = pipe.read()
        _, status = os.waitpid(self.pid, 0)
        seconds = time.monotonic() - self._started
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            return Ended(True, seconds)
        if status != 0 or not raw:
            raise Failed(raw.decode() or f"ended with status {status}")
        return Ended(False, seconds, json.loads(raw))


def call(function: Callable[[], Any], environment: Mapping[str, str]) -> Any:
    """Return what ``function`` returns in a child."""
    return Child(function, environment).wait().answer


def _other_threads() -> list[str]:
    """Return the names of threads that a fork would leave behind; an allocator's own copes with forks."""
    tasks = Path("/proc/self/task")
    names = [path.joinpath("comm").read_text().strip() for path in tasks.iterdir()] if tasks.exists() else []
    return [n for n in names[1:] if not n.startswith("jemalloc")]


def _run(function: Callable[[], Any], environment: Mapping[str, str], write: int) -> NoReturn:
    status = 1
    try:
        os.environ.update(environment)
        answer = json.dumps(function()).encode()
        status = 0
    except BaseException:
        answer = traceback.format_exc().encode()
    with os.fdopen(write, "wb") as pipe:
        pipe.write(answer)
    os._exit(status)
