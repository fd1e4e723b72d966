"""``python -m benchmarks [--people 1000000] [--stages 1,2,...] [--json FILE]``: measure, prove, print one table."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import asdict
from pathlib import Path

from benchmarks import calls, homes, report
from benchmarks.cases import MODULES, Stage, stage
from benchmarks.homes import Site
from benchmarks.measure import Measurement, Sample, foreign_load

REPEATS = 3
ONCE_ABOVE = 200_000
"""People above which a heavy stage is run once."""
PANDAS_UP_TO = 2_000_000
"""People up to which the cases that hold everything in pandas fit into this machine's kind of memory."""


def main() -> int:
    """Run the benchmark; 0 if every comparison found equal results."""
    given = _arguments()
    run = uuid.uuid4().hex
    chosen = {n: stage(n) for n in given.stages}
    folder = Path(tempfile.mkdtemp(prefix="benchmarks-", dir=given.folder))
    print(report.heading(given.people, foreign_load(), given.repeats), flush=True)
    found: dict[int, dict[str, Measurement]] = {}
    try:
        site = Site(folder, given.people)
        if chosen:
            _say("building homes")
            homes.build(site, set().union(*(s.homes for s in chosen.values())))
        for number, one in chosen.items():
            found[number] = _measure(run, one, site, given.repeats)
            if given.json:  # after every stage: hours of measuring outlive a run that is ended early
                _save(given.json, given.people, run, found, {})
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    counted = calls.count(min(given.people, calls.MOST)) if given.calls else {}
    if found:
        print(report.table(chosen, found), end="\n\n")
        print(report.budget_table(report.budgets(chosen, found)), end="\n\n")
        print(report.notes(found), end="\n\n")
    if counted:
        print(calls.table(counted))
    if given.json:
        _save(given.json, given.people, run, found, counted)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--people", type=int, default=1_000_000, help="100000 is small, 10000000 large")
    parser.add_argument("--stages", type=_stages, default=tuple(MODULES), help="such as 1,2,5; 0 for none")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--folder", type=Path, help="where the files go meanwhile (2 GB per million people)")
    parser.add_argument("--json", type=Path, help="write every measurement there")
    parser.add_argument("--no-calls", dest="calls", action="store_false", help="leave vendor calls uncounted")
    return parser.parse_args()


def _stages(text: str) -> tuple[int, ...]:
    numbers = tuple(n for n in map(int, text.split(",")) if n)
    if unknown := [n for n in numbers if n not in MODULES]:
        raise argparse.ArgumentTypeError(f"no stage {unknown[0]}; there are {', '.join(map(str, MODULES))}")
    return numbers


def _measure(run: str, one: Stage, site: Site, repeats: int) -> dict[str, Measurement]:
    """Run every case of a stage, repetition by repetition, each in a process of its own."""
    cases = [c for c in one.cases if c not in one.small_only or site.people <= PANDAS_UP_TO]
    times = 1 if one.heavy and site.people > ONCE_ABOVE else repeats
    samples: dict[str, list[Sample]] = {case: [] for case in cases}
    for repetition in range(times):
        for case in cases:
            began = time.monotonic()
            samples[case].append(_sample(one.number, case, site))
            sample = samples[case][-1]
            _say(
                f"stage {one.number} {case} {repetition + 1}/{times}: "
                f"CPU {sample.cpu:.2f} s, wall {sample.wall:.2f} s, foreign {sample.foreign:.1f} "
                f"({time.monotonic() - began:.0f} s with preparation)"
            )
    found = {case: Measurement.of(run, case, kept) for case, kept in samples.items()}
    report.agree(one, found)
    return found


def _sample(number: int, case: str, site: Site) -> Sample:
    out = site.root / "sample.json"
    command = [sys.executable, "-m", "benchmarks.worker", str(number), case, str(site.root), str(site.people), str(out)]
    (site.root / "work").mkdir(exist_ok=True)
    subprocess.run(command, check=True, cwd=Path(__file__).parent.parent)
    shutil.rmtree(site.root / "work")
    return Sample(**json.loads(out.read_text()))


def _save(
    path: Path, people: int, run: str, found: dict[int, dict[str, Measurement]], counted: dict[str, calls.Cost]
) -> None:
    data = {
        "run": run,
        "people": people,
        "stages": {n: {c: asdict(m) for c, m in s.items()} for n, s in found.items()},
        "calls": {name: asdict(cost) for name, cost in counted.items()},
    }
    path.write_text(json.dumps(data, indent=2))


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
