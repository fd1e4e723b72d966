"""``python -m benchmarks.journal``: how many batches a second the journal takes, on SQLite and on PostgreSQL.

One batch of 100 operations is two durable commits: the claim with its intents before the call, the results after it.
HubSpot takes 19 such calls a second; the journal has to keep up with ten times that. PostgreSQL is a server of this
program's own (``cio_activation_tests.drivers.postgres``); without one its rows are left out, and the reason is printed.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import sqlalchemy as sa

from benchmarks.measure import foreign_load
from cio_activation.destinations.common.kinds import CREATE, UPDATE
from cio_activation.journal.attempts import Journal, Provenance
from cio_activation.journal.open_plans import open_plan
from cio_activation.journal.operations import End, Operation, Result
from cio_activation.journal.schema import leases
from cio_activation_tests.drivers.postgres import NoPostgresError, postgres_server

BATCH = 100
NEEDED = 190.0
"""Batches a second: ten times HubSpot's 190 calls in 10 s."""
KINDS = ("update", "create")


@dataclass(frozen=True)
class Speed:
    """Medians over the repeats, of all workers together."""

    place: str
    kind: str
    workers: int
    batches_per_s: float
    cpu_ms: float
    """CPU time of the workers per batch; a PostgreSQL server's own is not in it."""
    bare_per_s: float
    """Commits a second of one row by one worker, at the same moment: what the disk and the other load leave."""


def main() -> int:
    """Measure and print the table; 0 always, speed is judged by who reads it."""
    parser = argparse.ArgumentParser(prog="benchmarks.journal", description=__doc__)
    parser.add_argument("--batches", type=int, default=300, help="per worker and repeat")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    print(f"Foreign load at the start: {foreign_load():.1f} cores.", flush=True)
    found: list[Speed] = []
    versions = [f"Python {platform.python_version()}", f"SQLAlchemy {sa.__version__}"]
    with _folder() as folder:
        found += _measure(f"SQLite {sqlite3.sqlite_version}", _files(folder), given.batches, given.repeats)
    try:
        with postgres_server() as server:
            databases = iter(server.new_database, "")
            found += _measure(f"PostgreSQL {server.version}", databases, given.batches, given.repeats)
    except NoPostgresError as error:
        print(f"PostgreSQL is left out: {error}", file=sys.stderr)
    print(", ".join(versions))
    print(table(found))
    return 0


def table(found: list[Speed]) -> str:
    """Return the speeds as Markdown."""
    names = ("journal", "operations", "workers", f"batches of {BATCH} per s", "commits per s", "times HubSpot's rate",
             "CPU ms a batch", "bare commits per s")  # fmt: skip
    lines = [f"| {' | '.join(names)} |", "|---|---|" + "---:|" * (len(names) - 2)]
    for s in found:
        lines.append(
            f"| {s.place} | {s.kind} | {s.workers} | {s.batches_per_s:,.0f} | {2 * s.batches_per_s:,.0f} "
            f"| {s.batches_per_s / (NEEDED / 10):.1f} | {s.cpu_ms:.2f} | {s.bare_per_s:,.0f} |"
        )
    return "\n".join(lines)


def _measure(place: str, urls: Iterator[str], batches: int, repeats: int) -> Iterator[Speed]:
    for kind in KINDS:
        for workers in (1, 2):
            bare = statistics.median(_bare(next(urls)) for _ in range(repeats))
            runs = [_run(next(urls), kind, workers, batches) for _ in range(repeats)]
            rate, cpu_ms = (statistics.median(column) for column in zip(*runs, strict=True))
            yield Speed(place, kind, workers, rate, cpu_ms, bare)


def _bare(url: str, commits: int = 100) -> float:
    journal = Journal(url)
    start = time.perf_counter()
    for number in range(commits):
        with journal.transaction() as con:
            journal.insert_if_absent(con, leases, {"name": str(number), "owner": "x", "expires_at": 0.0})
    return commits / (time.perf_counter() - start)


def _run(url: str, kind: str, workers: int, batches: int) -> tuple[float, float]:
    """Return (batches a second of all workers, CPU milliseconds a batch)."""
    journal = Journal(url)
    open_plan(journal, "plan", "toy", "people")
    journal.close()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        list(pool.map(_warm, [url] * workers))
        spent = list(pool.map(_work, [url] * workers, [kind] * workers, range(workers), [batches] * workers))
    span = max(end for _, end, _ in spent) - min(start for start, _, _ in spent)
    return workers * batches / span, 1e3 * sum(cpu for _, _, cpu in spent) / (workers * batches)


def _warm(url: str) -> int:
    journal = Journal(url)
    time.sleep(0.3)  # so that each of the pool's processes gets one
    return len(journal.open_attempts("toy", "people", {}))


def _work(url: str, kind: str, worker: int, batches: int) -> tuple[float, float, float]:
    """Claim, intend and record ``batches`` batches; return (start, end, CPU seconds)."""
    journal = Journal(url)
    where = Provenance("run", "plan", "toy", "people", "daily", "w", 1.0)
    start, cpu = time.time(), time.process_time()
    for turn in range(batches):
        number = worker * batches + turn
        batch = [_operation(kind, number * BATCH + i) for i in range(BATCH)]
        journal.intend(batch, where)
        journal.record([Result(o.operation_id, End.DELIVERED, record_id=o.cio_id, status=200) for o in batch], where)
    return start, time.time(), time.process_time() - cpu


def _operation(kind: str, number: int) -> Operation:
    payload = {"lapse_bucket": "31-90", "ltv_tier": "gold", "cart_value_tier": "mid"}
    creates = kind == "create"
    return Operation(
        f"{number:032x}", "people", CREATE if creates else UPDATE, f"{number:012x}", None, None, payload,
        {"email": "a@example.com"}, claim=f"person:{number}" if creates else None,
    )  # fmt: skip


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="journal-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _files(folder: Path) -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"sqlite:///{folder / f'{number}.sqlite'}"


if __name__ == "__main__":
    raise SystemExit(main())
