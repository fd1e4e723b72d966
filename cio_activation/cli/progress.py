"""Progress bars on a terminal; in a pipe or a file, none."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from cio_activation.cli.output import notes
from cio_activation.transport.progress import watched_by


class _Bars:
    def __init__(self, bars: Progress) -> None:
        self._bars = bars

    def begin(self, what: str, total: float | None) -> int:
        return int(self._bars.add_task(what, total=total))

    def advance(self, work: int, by: float) -> None:
        self._bars.advance(TaskID(work), by)

    def end(self, work: int) -> None:
        self._bars.remove_task(TaskID(work))


@contextmanager
def bars(as_json: bool) -> Iterator[None]:
    """Show what long work is under way, on standard error, if that is somebody's terminal and text was asked for."""
    if as_json or not notes.is_terminal:
        yield
        return
    shown = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        _terminal() as console,
        # What is printed meanwhile goes where it always does, also where that is a file.
        Progress(*shown, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as progress,
        watched_by(_Bars(progress)),
    ):
        yield


@contextmanager
def _terminal() -> Iterator[Console]:
    """Yield a console on the terminal itself: while a step runs, Dagster has standard error go to the step's log."""
    if notes.file is not sys.stderr:
        yield notes
        return
    with os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8") as terminal:
        yield Console(file=terminal, force_terminal=True, width=notes.width)
