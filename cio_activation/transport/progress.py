"""How far long work is, told to whoever looks: nobody, unless a terminal does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Protocol, TypeVar

S = TypeVar("S", bound=Sized)


class Watcher(Protocol):
    """Somebody who looks; called from any thread."""

    def begin(self, what: str, total: float | None) -> int:
        """Note that work begins, of so many units (None: nobody knows); return what it is called from now on."""

    def advance(self, work: int, by: float) -> None:
        """Note that so many units more are done."""

    def end(self, work: int) -> None:
        """Note that it is over, done or not."""


_watchers: list[Watcher] = []


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Have ``watcher`` told of all work of this process."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


@contextmanager
def working(what: str, total: float | None = None) -> Iterator[Callable[[float], None]]:
    """Tell that ``what`` is under way; yields what is called with so many units more. Free where nobody looks."""
    told = [(watcher, watcher.begin(what, total)) for watcher in _watchers]

    def advance(by: float) -> None:
        for watcher, work in told:
            watcher.advance(work, by)

    try:
        yield advance
    finally:
        for watcher, work in told:
            watcher.end(work)


def counted(batches: Iterable[S], advance: Callable[[float], None]) -> Iterator[S]:
    """Yield the batches; each counts as done, item by item, when the next one is asked for."""
    for batch in batches:
        yield batch
        advance(len(batch))
