"""Measuring: one case in one fresh process, what it cost, and ratios that only exist within one run.

CPU is the headline, since the machine may be shared: user and system time of the process and of its children.
Wall time stands beside it, with the load that others put on the machine meanwhile.
"""

from __future__ import annotations

import gc
import os
import resource
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Answer = dict[str, Any]
"""What a case found: counts and digests, compared between the cases of a stage before their times are."""


class DifferentRuns(ValueError):
    """Two measurements of different runs were to be divided by each other."""


@dataclass(frozen=True)
class Measurement:
    """Medians of one case over its repetitions in one run. Seconds; ``peak_mb`` is the largest, in MiB."""

    run: str
    case: str
    cpu: float
    wall: float
    peak_mb: float
    foreign: float
    """Cores that other processes kept busy on average while it ran."""
    repeats: int
    answer: Answer
    parts: dict[str, float] = field(default_factory=dict)
    """CPU seconds of named parts (medians), for cases that have some."""

    @classmethod
    def of(cls, run: str, case: str, samples: Sequence[Sample]) -> Measurement:
        """Summarize repetitions; they must all have found the same."""
        answers = {repr(sorted(s.answer.items())) for s in samples}
        if len(answers) > 1:
            raise AssertionError(f"{case} found different things in its repetitions: {answers}")
        return cls(
            run,
            case,
            statistics.median(s.cpu for s in samples),
            statistics.median(s.wall for s in samples),
            max(s.peak_mb for s in samples),
            statistics.mean(s.foreign for s in samples),
            len(samples),
            samples[0].answer,
            {name: statistics.median(s.parts[name] for s in samples) for name in samples[0].parts},
        )


@dataclass
class Sample:
    """One repetition."""

    cpu: float = 0.0
    wall: float = 0.0
    peak_mb: float = 0.0
    foreign: float = 0.0
    answer: Answer = field(default_factory=dict)
    parts: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return asdict(self)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Measure the work in the block; what is before and after it is preparation and proof, not cost."""
        gc.collect()
        _forget_peak()
        busy, cpu, start = _busy(), _cpu(), time.perf_counter()
        yield
        self.wall = time.perf_counter() - start
        self.cpu = _cpu() - cpu
        self.peak_mb = _peak_mb()
        if self.wall > 0.05:  # the kernel counts in hundredths: over shorter spans the difference says nothing
            self.foreign = max(0.0, (_busy() - busy - self.cpu) / self.wall)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Note the CPU seconds of the block under ``name``; for use inside ``timed``."""
        before = _cpu()
        yield
        self.parts[name] = _cpu() - before


def ratio(one: Measurement, other: Measurement) -> float:
    """Return CPU over CPU; DifferentRuns unless both were measured in the same run."""
    if one.run != other.run:
        raise DifferentRuns(f"{one.case} is of run {one.run}, {other.case} of run {other.run}: measure them together")
    return one.cpu / max(other.cpu, 1e-6)


def foreign_load(seconds: float = 1.0) -> float:
    """Return how many cores others keep busy, seen over ``seconds`` of doing nothing."""
    busy, cpu = _busy(), _cpu()
    time.sleep(seconds)
    return max(0.0, (_busy() - busy - (_cpu() - cpu)) / seconds)


def _cpu() -> float:
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(s.ru_utime + s.ru_stime for s in spent)


def _busy() -> float:
    """Return the seconds all cores of the machine have been busy; 0 where the kernel does not say."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    fields = [int(n) for n in stat.read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq, *_ = fields
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def _forget_peak() -> None:
    """Reset the kernel's high-water mark, so that preparation does not count; it stays where that is not allowed."""
    mark = Path("/proc/self/clear_refs")
    if mark.exists() and os.access(mark, os.W_OK):
        mark.write_text("5")


def _peak_mb() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
