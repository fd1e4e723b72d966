"""One row of the table, measured: disturb, strike, run, mend, run until settled, run once more in quiet."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

from cio_activation.activation.models import Lane
from cio_activation.delivery.destination import Destination
from cio_activation.delivery.report import StepReport
from cio_activation.delivery.run import run_step
from cio_activation.delivery.schema import run_schema
from cio_activation.runtime import Runtime
from cio_activation.sandbox.server.request_log import Entry
from cio_activation.transport.errors import Stop, VendorError
from cio_activation_tests.drivers.bench import OverStandIn
from cio_activation_tests.drivers.builders import window
from cio_activation_tests.drivers.stand_ins.stand_in import StandIn
from cio_activation_tests.drivers.warm import warm_warehouses
from cio_activation_tests.faults.cases import Case, Ending

BACKOFF_S = 0.01
MOST_RUNS = 2
"""Runs after the fault is gone within which everything has to be right."""


@dataclass(frozen=True)
class Counts:
    """How the operations of one lane's run ended, over all its steps."""

    planned: int = 0
    delivered: int = 0
    rejected: int = 0
    fields_rejected: int = 0
    unneeded: int = 0
    held: int = 0
    stopped: bool = False
    failed: tuple[str, ...] = ()
    """Steps that could not begin, and why."""

    def with_step(self, report: StepReport) -> Counts:
        return replace(
            self,
            planned=self.planned + report.planned,
            delivered=self.delivered + report.delivered,
            rejected=self.rejected + report.rejected,
            fields_rejected=self.fields_rejected + report.fields_rejected,
            unneeded=self.unneeded + report.unneeded,
            held=self.held + report.held,
            stopped=self.stopped or report.stopped,
        )

    @property
    def ended(self) -> int:
        return self.delivered + self.rejected + self.unneeded + self.held

    @property
    def ending(self) -> Ending:
        if self.stopped:
            return Ending.STOPPED
        if self.held or self.failed:
            return Ending.HELD
        return Ending.REJECTED if self.rejected or self.fields_rejected else Ending.RIDDEN


@dataclass(frozen=True)
class Row:
    """What was measured."""

    case: Case
    faulty: Counts
    struck: int
    """Requests that the planned faults hit."""
    waited: float | None
    calls: int
    """Calls of the faulty run."""
    runs: int
    """Runs after the fault was gone until the vendor held the desired state and nothing was open."""
    differences: tuple[str, ...]
    duplicates: int
    quiet_writes: tuple[str, ...]


class Rig(OverStandIn[StandIn[Any]], ABC):
    """One vendor's stand-in, one home, one small population whose desired state the rig writes."""

    @abstractmethod
    def disturb(self) -> None:
        """Change what is desired: values, entries, exits, newcomers with and without a record, people who leave."""

    @abstractmethod
    def run(self, case: Case | None = None) -> Counts:
        """Run the lane's steps, for the next window or again; ``case``: the fault is on."""

    @abstractmethod
    def differences(self) -> list[str]:
        """Compare what the vendor holds, read from the stand-in, with what is desired."""

    @abstractmethod
    def duplicates(self) -> int:
        """Count records, lists and fields that exist more than once."""

    @abstractmethod
    def is_write(self, entry: Entry) -> bool:
        """Tell whether a request changes something at the vendor, or costs per person."""

    @abstractmethod
    def calm(self) -> None:
        """Undo every setting a trouble may have changed, except what was done to data."""

    def settle(self) -> None:
        """Bring the vendor up to a first desired state, before anything goes wrong."""
        self.disturb()
        first = self.run()
        assert first.ending is Ending.RIDDEN, first

    def do(self, name: str) -> None:
        """Do what a case names: a method that only this vendor's rig may have."""
        method: Callable[[], Any] = getattr(self, name)
        method()

    def strike(self, case: Case) -> None:
        for plan in case.strikes:
            self.fault(**plan)

    def struck(self, case: Case) -> int:
        left = sum(fault.times for fault in self.shared.faults.planned)
        return sum(plan["times"] for plan in case.strikes) - left

    def mend(self) -> None:
        self.stand_in.mend()
        self.calm()


def usual(case: Case | None) -> dict[str, float]:
    """Return the settings of a run: short pauses, no waiting for a write to settle, and the client's timeout of the case."""
    timeout_s = case.timeout_s if case else None
    return {"vendor_backoff_s": BACKOFF_S, "vendor_settle_s": 0.0, "vendor_timeout_s": timeout_s or 30.0}


def deliver(
    runtime: Runtime, destination: Destination, day: int, *, schema: bool, after: Callable[[str], object] = str
) -> Counts:
    """Run the daily lane's steps, the schema step first if asked; ``after`` is called with each step's name."""
    counts = Counts()
    try:
        if schema:
            run_schema(runtime, destination)
        for step in destination.steps(runtime.activation):
            if step.lane is Lane.DAILY:
                counts = counts.with_step(run_step(runtime, destination, step, window(day), f"run{day}"))
                after(step.name)
    except VendorError as error:
        failed = (f"{type(error).__name__} {error.operation}",)
        return replace(counts, failed=failed, stopped=isinstance(error, Stop))
    return counts


def measure(rig: Rig, case: Case) -> Row:
    """Run one case through; leaves the rig settled if the row is good."""
    rig.disturb()
    mark = rig.mark()
    rig.strike(case)
    if case.trouble:
        rig.do(case.trouble)
    faulty = rig.run(case)
    entries = rig.entries(mark)
    struck = rig.struck(case)
    rig.mend()
    if case.afterwards:
        rig.do(case.afterwards)
    runs, settled = 0, not rig.differences() and faulty.ending is Ending.RIDDEN
    while not settled and runs < MOST_RUNS:
        runs += 1
        counts = rig.run()
        settled = counts.ending is Ending.RIDDEN and not rig.differences()
    mark = rig.mark()
    rig.run()
    # A call that was delayed on purpose is logged when its delay is over.
    writes = tuple(f"{e.method} {e.path}" for e in rig.entries(mark) if e.fault is None and rig.is_write(e))
    return Row(
        case, faulty, struck, _waited(entries), len(entries), runs, tuple(rig.differences()), rig.duplicates(), writes
    )


def problems(row: Row) -> list[str]:
    """Return what is wrong with a row; empty if every invariant holds."""
    case, faulty = row.case, row.faulty
    found = []
    if case.strikes and not row.struck:
        found.append("the fault never struck")
    if faulty.planned != faulty.ended:
        found.append(f"I1: {faulty.planned} planned, {faulty.ended} accounted for")
    if faulty.ending is not case.ending:
        found.append(f"the run ended {faulty.ending}, not {case.ending}: {faulty}")
    if row.waited is not None and case.waits > row.waited:
        found.append(f"called again after {row.waited:.2f} s, the vendor asked for {case.waits:g} s")
    if case.waits and row.waited is None:
        found.append("not called again")
    if row.differences:
        found.append(f"I2: after {row.runs} runs: {'; '.join(row.differences[:6])}")
    if row.quiet_writes:
        found.append(f"I3: a run with nothing changed wrote {len(row.quiet_writes)} times: {row.quiet_writes[:3]}")
    if row.duplicates:
        found.append(f"I4: {row.duplicates} duplicates")
    return found


def _waited(entries: list[Entry]) -> float | None:
    """Return the shortest time between a struck call and its repetition."""
    gaps = []
    for i, entry in enumerate(entries):
        if entry.fault is None:
            continue
        same = (entry.method, entry.path, entry.request)
        again = [e for e in entries[i + 1 :] if (e.method, e.path, e.request) == same]
        gaps += [again[0].real_at - entry.real_at] if again else []
    return min(gaps, default=None)


@contextmanager
def quick() -> Iterator[Path]:
    """Make a hundred rows affordable, and yield a folder for homes; everything else is as in production.

    Shortens the pauses that no setting shortens (after a 429 that names no time, after a day that is used up), and
    keeps each warehouse's file attached: letting go of it some fifty times a row is a third of the time. The folder is
    in memory where there is such a thing: nothing here pulls the plug, so nothing needs to reach a disk.
    """
    memory = Path("/dev/shm")
    with (
        tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder,
        mock.patch("cio_activation.journal.rates.PAUSE_S", 0.02),
        mock.patch("cio_activation.journal.rates.PAUSE_SHARE", 0.0),
        mock.patch("cio_activation.journal.days.PROBE_S", 0.0),  # a new day comes at once
        warm_warehouses(),
    ):
        yield Path(folder)
