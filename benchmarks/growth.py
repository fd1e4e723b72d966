"""``python -m benchmarks.growth``: daily windows of a year, one after the other, in one home: what the last costs, and the first.

100,000 people by default, of whom one in a hundred orders on each day, and whose ages move on by themselves. Each day is
landed, resolved, derived, decided, planned and pruned by the product's own functions; what is planned counts as
acknowledged, without a vendor. Printed by four weeks: CPU seconds of a day (the median, and the mean with the days on which
everybody is looked at), and what the home has on disk.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import people
from benchmarks.homes import Site, acknowledge, build, properties_step, take
from benchmarks.whole import run_day
from cio_activation.delivery.destination import Context
from cio_activation.privacy.retention import prune
from cio_activation.runtime import Runtime

A_ROW = 28
"""Days of a row of the table: in each week everybody is decided once, in each four everybody is resolved once."""


@dataclass
class Day:
    """CPU seconds of each part of a day, and the bytes of the home after it."""

    parts: dict[str, float] = field(default_factory=dict)
    size: int = 0

    @property
    def seconds(self) -> float:
        return sum(self.parts.values())

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        start = time.process_time()
        yield
        self.parts[name] = time.process_time() - start


def live(site: Site, run: Runtime, day: int) -> Day:
    """Run one daily window over the home that the days before left."""
    found, window, path = Day(), people.window(day), site.root / "work" / f"{day}.parquet"
    people.write(run.activation, site.people, day, site.csv(day))
    plan, _ = run_day(site, run, day, path, found.part)
    if plan.operations:
        context = Context(run.settings, run.activation, window, {})
        with run.warehouse.write() as con:
            acknowledge(con, path, window)
            properties_step(run.activation).fold(con, context, "finished")
        path.unlink()
    with found.part("prune"):
        prune(run, window.as_of)
    site.csv(day).unlink()
    home = run.settings.activation_home
    found.size = sum(file.stat().st_size for file in home.rglob("*") if file.is_file())
    return found


def table(days: list[Day]) -> str:
    """Return the table, a row for four weeks; parts are medians."""
    names = list(days[0].parts)
    lines = [
        f"| days | a day, median | mean | {' | '.join(names)} | home, MB |",
        f"|---|{'---:|' * (len(names) + 3)}",
    ]
    for begin in range(0, len(days), A_ROW):
        some = days[begin : begin + A_ROW]
        cells = [statistics.median(d.seconds for d in some), statistics.mean(d.seconds for d in some)]
        cells += [statistics.median(d.parts[name] for d in some) for name in names]
        figures = " | ".join(f"{cell:.2f}" for cell in cells)
        lines.append(f"| {begin + 2} to {begin + 1 + len(some)} | {figures} | {some[-1].size / 1e6:.1f} |")
    return "\n".join(lines)


def main() -> int:
    """Live the days and print the table."""
    parser = argparse.ArgumentParser(prog="benchmarks.growth", description=__doc__)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--folder", type=Path, help="where the home is made; in a temporary folder without")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="growth-", dir=given.folder) as folder:
        site = Site(Path(folder) / "site", given.people)
        site.root.mkdir()
        build(site, {"delivered"})
        run = take(site, "delivered", "growth")
        days = []
        for day in range(2, given.days + 2):
            days.append(live(site, run, day))
            if len(days) % 7 == 0:
                told = f"day {day}: {days[-1].seconds:.2f} CPU s, {days[-1].size / 1e6:.1f} MB"
                print(told, flush=True)
    print(table(days))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
