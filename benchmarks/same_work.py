"""``python -m benchmarks.same_work --before OLD``: proves that a refactoring changed nothing, or says what it changed.

Two checkouts run the demo over the same people, the same days and the same instant: operations, what the stand-ins
hold of each person, quarantine and vendor calls have to be the same. Then one daily and one real-time run of each are
measured, turn by turn. Every process has its own fresh home and stand-ins. Exit code 0 same, 1 different, 2 not compared.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import same_run
from benchmarks.measure import foreign_load
from benchmarks.same_run import Task
from cio_activation.cli.readback import READS

RENAMED = {"superseded": "unneeded"}
"""Words of a checkout's output that were changed on purpose: old to new."""
ALLOWED = 0.05
"""Part by which CPU may differ before it is called different."""
PASSED_ON = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "TZ")
"""All that a run gets of the environment: settings and credentials of this machine would be a difference."""
VENDORS = ("hubspot", "pipedrive", "customerio")
_ABSENT = object()

Facts = dict[str, Any]
"""What one checkout did: a name for each figure. A mapping is a field's values by person."""


class NotComparable(Exception):
    """A checkout could not be run, or what it says of itself does not fit together."""


@dataclass(frozen=True)
class Checkout:
    """One side of the comparison."""

    name: str
    path: Path
    compiled: Path
    """Folder for bytecode: none is written into a checkout, and none that lies there favours one."""

    @property
    def python(self) -> str:
        """The checkout's own interpreter; this one if it has none."""
        own = self.path / ".venv/bin/python"
        return str(own) if own.exists() else sys.executable

    def run(self, task: Task) -> tuple[Any, Any]:
        """Do ``task`` with this checkout's code in a new home; return its JSON on standard output, and what it found."""
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        environment |= {"PYTHONPATH": str(self.path), "PYTHONPYCACHEPREFIX": str(self.compiled), "PYTHONHASHSEED": "0"}
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=f"same-{self.name}-") as folder:
            home, out = Path(folder) / "home", Path(folder) / "found.json"
            task = replace(task, checkout=str(self.path), home=str(home), out=str(out))
            command = [self.python, "-P", str(Path(same_run.__file__).resolve()), json.dumps(asdict(task))]
            ended = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
            if not out.exists():
                raise NotComparable(
                    f"{self.path}: {task.do} ended with {ended.returncode}\n{(ended.stdout + ended.stderr)[-3000:]}"
                )
            told = json.loads(ended.stdout.replace(str(home), "HOME")) if ended.stdout.strip() else {}
            found = json.loads(out.read_text())
        print(f"{self.name}: {task.do}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        return told, found


@dataclass(frozen=True)
class Difference:
    """One figure that is not the same, as text."""

    what: str
    before: str
    after: str


@dataclass
class Cpu:
    """CPU seconds of one lane's run, in the order measured."""

    before: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Median after over median before."""
        return statistics.median(self.after) / statistics.median(self.before)

    @property
    def spread(self) -> float:
        """How far repetitions of one checkout lie apart, as a part of their median; the larger of both."""
        return max((max(side) - min(side)) / statistics.median(side) for side in (self.before, self.after))


def main(words: Sequence[str] | None = None) -> int:
    """Compare, print, and return the exit code."""
    given = _arguments(words)
    with tempfile.TemporaryDirectory(prefix="same-compiled-") as folder:
        paths = {"before": given.before, "after": given.after}
        return _compare([Checkout(name, path.resolve(), Path(folder)) for name, path in paths.items()], given)


def _compare(sides: Sequence[Checkout], given: argparse.Namespace) -> int:
    task = Task("demo", "", "", "", int(time.time()), given.people, given.days)
    try:
        answers = {side.name: side.run(task) for side in sides}
        one, other = (facts(*answers[side.name]) for side in sides)
        if one["failed"]:
            raise NotComparable(f"{sides[0].path} itself fails: {one['failed']}")
        found = differences(one, other)
        told = {name: answer for name, (answer, _) in answers.items()}
        print(heading(sides, task), calls_table(told, given.people), difference_table(found), sep="\n", flush=True)
        cpu = measured(sides, task, told["before"]["windows"], given.repeat)
    except NotComparable as problem:
        print(problem, file=sys.stderr)
        return 2
    figures = len(one.keys() | other.keys())
    print(cpu_table(cpu))
    print(f"different: {len(found):,} of {figures:,} figures" if found else f"same: {figures:,} figures compared")
    if given.json:
        lanes = {lane: {**asdict(c), "ratio": c.ratio, "spread": c.spread} for lane, c in cpu.items()}
        report = {"same": not found, "differences": [asdict(d) for d in found], "cpu": lanes}
        report |= {"now": task.now, "before": _counts(one), "after": _counts(other)}
        given.json.write_text(json.dumps(report, indent=2))
    return 1 if found else 0


def facts(told: Mapping[str, Any], found: Mapping[str, Any]) -> Facts:
    """Return every figure that has to be the same, by name: ``told`` by the demo, ``found`` behind its counts.

    NotComparable if nothing failed and the operations of the kinds are not those of the destinations.
    """
    told, kinds = renamed(told), renamed(found["kinds"])
    for destination, ends in told["operations"].items() if not told["failed"] else ():
        for end, count in ends.items():
            if (summed := sum(k[end] for k in kinds.get(destination, {}).values())) != count:
                raise NotComparable(f"{destination}: {count} operations {end}, but {summed} by kind in the plan files")
    calls = {v: told[v]["calls"] for v in ("hubspot", "pipedrive")}
    held = {v: {n: x for n, x in told[v].items() if n not in ("calls", "throttled")} for v in calls}
    throttled = {v: told[v]["throttled"] for v in calls}
    figures = {"operations": told["operations"], "operations by kind": kinds, "quarantined": told["quarantined"],
               **held, "calls": calls, "429": throttled, "second run": told["second_run"], "windows": told["windows"],
               "customerio": {"calls that counted": _counted(told["customerio"])}}  # fmt: skip
    people = {f"{v}: {n} of each person": x for v, fields in found["records"].items() for n, x in fields.items()}
    return {"failed": told["failed"], **dict(_flat(figures, "")), **people}


def differences(before: Facts, after: Facts) -> list[Difference]:
    """Return the figures that differ, in the order of their names."""
    found = []
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name, _ABSENT), after.get(name, _ABSENT)
        if one == other:
            continue
        if isinstance(one, dict) and isinstance(other, dict):  # people: how many, never who
            differ = sum(one.get(p, _ABSENT) != other.get(p, _ABSENT) for p in one.keys() | other.keys())
            found.append(Difference(name, f"{len(one):,} people", f"{len(other):,} people, {differ:,} differ"))
        else:
            found.append(Difference(name, _shown(one), _shown(other)))
    return found


def renamed(value: Any) -> Any:
    """Return ``value`` with the old words of :data:`RENAMED` replaced in the names of its entries."""
    if isinstance(value, Mapping):
        return {RENAMED.get(name, name): renamed(entry) for name, entry in value.items()}
    return value


def measured(
    sides: Sequence[Checkout], task: Task, windows: Mapping[str, Sequence[str]], repeat: int
) -> dict[str, Cpu]:
    """Measure the newest window of both lanes ``repeat`` times, the checkouts in turn; each run is a first contact."""
    found = {"daily": Cpu(), "realtime": Cpu()} if repeat else {}
    task = replace(task, do="cost", daily=windows["daily"][-1], realtime=windows["realtime"][-1])
    for _ in range(repeat):
        for side in sides:
            _, seconds = side.run(task)
            for lane, cpu in found.items():
                getattr(cpu, side.name).append(seconds[lane])
    return found


def heading(sides: Sequence[Checkout], task: Task) -> str:
    """Return what was compared, as Markdown."""
    now = datetime.fromtimestamp(task.now, UTC).isoformat()
    paths = "\n".join(f"- {side.name}: {side.path}, {side.python}" for side in sides)
    return f"# The same work?\n\n{paths}\n- {task.people:,} people, days: {task.days}, the world's now is {now}\n"


def calls_table(told: Mapping[str, Any], people: int) -> str:
    """Return calls per 1,000 people of both sides as Markdown; Customer.io's depend on timing and are only shown."""
    lines = ["| calls per 1,000 people | before | after | writes before | after | 429 before | after |",
             "|---|---:|---:|---:|---:|---:|---:|"]  # fmt: skip
    for vendor in VENDORS:
        sides = [told[side][vendor] for side in ("before", "after")]
        cells = [f"{_all(side) / people * 1000:.1f}" for side in sides]
        cells += [f"{_writes(side) / people * 1000:.1f}" if vendor != "customerio" else "" for side in sides]
        lines.append(f"| {vendor} | {' | '.join([*cells, *(str(side['throttled']) for side in sides)])} |")
    return "\n".join(lines) + "\n"


def cpu_table(cpu: Mapping[str, Cpu]) -> str:
    """Return medians and ratios as Markdown; empty if nothing was measured."""
    lines = ["| one run | before: CPU s | after: CPU s | after / before | spread of repetitions | |",
             "|---|---:|---:|---:|---:|---|"]  # fmt: skip
    for lane, c in cpu.items():
        before, after = statistics.median(c.before), statistics.median(c.after)
        within = f"{'' if abs(c.ratio - 1) <= ALLOWED else 'not '}within {ALLOWED:.0%}"
        within += ", but one checkout differs from itself by more" if c.spread > ALLOWED else ""
        within += ", measured once" if len(c.before) == 1 else ""
        lines.append(f"| {lane} | {before:.2f} | {after:.2f} | {c.ratio:.3f} | {c.spread:.1%} | {within} |")
    return "\n".join(lines) + f"\n\nForeign load at the end: {foreign_load():.1f} cores.\n" if cpu else ""


def difference_table(found: Sequence[Difference]) -> str:
    """Return the differences as Markdown; empty if there are none."""
    lines = ["| what | before | after |", "|---|---|---|", *(f"| {d.what} | {d.before} | {d.after} |" for d in found)]
    return "\n".join(lines) + "\n" if found else ""


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.same_work", description=__doc__)
    parser.add_argument("--before", type=Path, required=True, help="checkout of the code as it was")
    parser.add_argument("--after", type=Path, default=Path(), help="checkout of the code as it is")
    parser.add_argument("--people", type=int, default=2469)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=3, help="measurements of each checkout; 0 measures none")
    parser.add_argument("--json", type=Path, help="file for every figure")
    given = parser.parse_args(words)
    for path in (given.before, given.after):
        if not (path / "cio_activation/cli").is_dir():
            parser.error(f"{path} is no checkout of this project")
    return given


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield every leaf with the names that lead to it; an empty mapping is a leaf."""
    if isinstance(value, Mapping) and value:
        for part, entry in value.items():
            yield from _flat(entry, f"{name}: {part}" if name else str(part))
    else:
        yield name, value


def _counted(vendor: Mapping[str, Any]) -> int:
    """Return calls that were let in; how often an export is asked for, and what comes too soon, is the clock's doing."""
    return _all(vendor) - int(vendor["calls"].get("GET /v1/exports/{id}", 0)) - int(vendor["throttled"])


def _all(vendor: Mapping[str, Any]) -> int:
    return int(sum(vendor["calls"].values()))


def _writes(vendor: Mapping[str, Any]) -> int:
    return sum(n for call, n in vendor["calls"].items() if not call.startswith("GET ") and not call.endswith(READS))


def _counts(side: Facts) -> Facts:
    """Return the figures without a person's values."""
    return {name: len(value) if isinstance(value, dict) else value for name, value in side.items()}


def _shown(value: Any) -> str:
    return "(none)" if value is _ABSENT else f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    raise SystemExit(main())
