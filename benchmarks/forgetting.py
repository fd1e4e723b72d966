"""``python -m benchmarks.forgetting [--people N] [--forget N] [--windows N]``: many people forgotten by one file, timed.

A town of N people delivers to its stand-ins on two days. Then a file of people is given to ``cio-activation forget``, the
lanes take back what is theirs in the CRMs, and ``forget`` again erases them: seconds of each on the processor and by
the clock, which files were written anew and how often, and what of them is left in any file, by their bytes and as
DuckDB reads them. ``--windows`` daily windows more show whether anybody comes back.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb
import numpy as np
from typer.testing import CliRunner

from benchmarks.why_beside import cpu
from cio_activation.activation.models import Lane
from cio_activation.cli.main import app
from cio_activation.customerio import files as customerio_files
from cio_activation.privacy import files
from cio_activation_tests.drivers import lanes
from cio_activation_tests.drivers.town import Town, town
from cio_activation_tests.drivers.warm import warm_warehouses

WORD = 8
"""Bytes of a name that are looked for first: whatever is shorter can be part of something else."""


def main() -> int:
    """Measure, and print one JSON object; 1 if anything of them is left."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--forget", type=int, default=1_000)
    parser.add_argument("--windows", type=int, default=2)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="forgetting-") as folder,
        town(Path(folder) / "home", people=given.people, warm=False) as here,
        mock.patch.dict(os.environ, here.sandbox.environment()),
    ):
        (Path(folder) / "activation.yaml").write_text(lanes.ACTIVATION)
        os.environ |= {"ACTIVATION_HOME": str(here.home), "ACTIVATION_FILE": f"{folder}/activation.yaml"}
        found = measured(here, Path(folder) / "batch.txt", given.forget, given.windows)
    sys.stdout.write(json.dumps({"people": given.people} | found, indent=2) + "\n")
    return (
        1
        if any(found[name] for name in ("left", "left_later", "more_than_once", "in_the_crms", "others_not_as_decided"))
        else 0
    )


def measured(here: Town, batch: Path, many: int, windows: int) -> dict[str, Any]:
    """Deliver, forget ``many`` people, and return what it took and what is left."""
    run(here, Lane.DAILY, Lane.REALTIME, Lane.DAILY)
    here.wait(timedelta(days=1))
    run(here, Lane.DAILY)
    rows = here.query(f"SELECT cio_id, email, phone FROM identity.persons ORDER BY md5(cio_id) LIMIT {many}")
    shared = {str(value) for (value,) in here.query(_SHARED)}
    names = {
        str(v) for row in rows for v in row if v is not None and len(str(v)) >= WORD and str(v).lower() not in shared
    }
    people = [str(row[0]) for row in rows]
    batch.write_text("\n".join(people) + "\n")
    before = len(files_with(here.home, names))
    took: dict[str, Any] = {}
    with timed(took, "asked"):
        asked = forget("--batch", str(batch), "--why", "a file")
    here.wait(timedelta(minutes=15))
    with timed(took, "taken_back"):
        run(here, Lane.REALTIME, Lane.DAILY)
    rewritten: Counter[str] = Counter()
    with timed(took, "erased"), counting(rewritten):
        done = forget()
    left = files_with(here.home, names)
    for _ in range(windows):
        here.wait(timedelta(days=1))
        run(here, Lane.DAILY, Lane.REALTIME, Lane.DAILY)
        forget()
    return {
        "asked": asked["asked"], "erased": asked["erased"] + done["erased"], "waiting": len(done["waiting"]),
        "seconds": took, "rows": done["rows"], "files_that_named_them": before, "files_rewritten": len(rewritten),
        "more_than_once": {name: n for name, n in rewritten.items() if n > 1}, "left": left,
        "left_later": files_with(here.home, names) if windows else {}, "in_the_crms": held(here, set(people)),
        "others_not_as_decided": here.differences(),
    }  # fmt: skip


_SHARED = """SELECT value FROM (
        SELECT cio_id, lower(trim(unnest([email, phone]))) AS value FROM (
            SELECT cio_id, email, phone FROM identity.persons UNION ALL SELECT cio_id, email, phone FROM raw.people_current))
    WHERE value IS NOT NULL GROUP BY value HAVING count(DISTINCT cio_id) > 1"""
"""Names of several people: what is left of them is the others'."""


def run(here: Town, *those: Lane) -> None:
    """Run lanes now, with the warehouse's file kept open between their sessions."""
    with warm_warehouses():
        for lane in those:
            here.run(lane)


def forget(*arguments: str) -> dict[str, Any]:
    """Run the command, and return its object."""
    result = CliRunner().invoke(app, ["forget", *arguments, "--json"], catch_exceptions=False)
    if result.exit_code:
        raise AssertionError(result.output)
    return dict(json.loads(result.stdout))


@contextmanager
def timed(took: dict[str, Any], name: str) -> Iterator[None]:
    """Note processor and clock seconds of the block."""
    begun, spent = time.perf_counter(), cpu()
    yield
    took[name] = {"cpu": round(cpu() - spent, 2), "wall": round(time.perf_counter() - begun, 2)}


@contextmanager
def counting(rewritten: Counter[str]) -> Iterator[None]:
    """Count how often each file is put in its own place."""
    real: Callable[[Path, Path], None] = customerio_files.settle

    def settle(part: Path, path: Path) -> None:
        rewritten[str(path)] += 1
        real(part, path)

    with mock.patch.object(files, "settle", settle):
        yield


def held(here: Town, people: set[str]) -> int:
    """Return how many records of the CRMs still carry the key of one of ``people``."""
    contacts = here.there["hubspot"]["contacts"].values()
    persons = here.there["pipedrive"]["persons"].values()
    keys = [*(one.get("cio_id") for one in contacts), *(one["custom_fields"].get("cio_id") for one in persons)]
    return sum(key in people for key in keys)


def files_with(home: Path, names: Collection[str]) -> dict[str, int]:
    """Return each file of ``home`` -> how many of ``names`` its bytes hold; those of Parquet as DuckDB reads them."""
    wanted = {name.lower().encode() for name in names}
    first = np.unique(np.array([int.from_bytes(word[:WORD], sys.byteorder) for word in wanted], dtype=np.uint64))
    found = {}
    for path in sorted(p for p in home.rglob("*") if p.is_file()):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content += str(duckdb.execute(f"FROM read_parquet('{path}')").fetchall()).encode()
        if hits := _held(content.lower(), wanted, first):
            found[path.relative_to(home).as_posix()] = hits
    return found


def _held(content: bytes, wanted: set[bytes], first: np.ndarray) -> int:
    """Return how many of ``wanted`` are in ``content``: by their first eight bytes at every place, then by all."""
    lengths, hits = sorted({len(word) for word in wanted}), set()
    for shift in range(WORD):
        whole = (len(content) - shift) // WORD * WORD
        if whole <= 0:
            break
        words = np.frombuffer(content, dtype=np.uint64, count=whole // WORD, offset=shift)
        for place in np.flatnonzero(np.isin(words, first)) * WORD + shift:
            hits |= {content[place : place + n] for n in lengths} & wanted
    return len(hits)


if __name__ == "__main__":
    raise SystemExit(main())
