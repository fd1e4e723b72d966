"""Stage 11: a whole daily run without the vendor calls: land, resolve, derive, decide, plan."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import duckdb

from benchmarks import pandas_pipeline, people
from benchmarks.cases import Row, Stage
from benchmarks.homes import Site, activation, digest, land_day, plan_properties, planned_people, take
from benchmarks.measure import Sample
from cio_activation.activation.models import Lane
from cio_activation.audience.members import update
from cio_activation.delivery.plan import Plan
from cio_activation.identity.resolve import resolve
from cio_activation.runtime import Runtime
from cio_activation.state.derive import derive


def run_day(
    site: Site, run: Runtime, day: int, path: Path, part: Callable[[str], AbstractContextManager[None]]
) -> tuple[Plan, int]:
    """Run the daily lane of ``day`` but for the sending; return the plan, and how many landed or resolved anew.

    ``part`` measures what is done within it, under a name.
    """
    window = people.window(day)
    with part("land"):
        landed = land_day(site, run, day)
    with part("resolve"):
        persons = resolve(run, window)
    with part("derive"):
        derive(run, window)
    with part("decide"):
        update(run, window)
    with part("plan"), run.warehouse.write() as con:
        plan = plan_properties(run, con, day, path)
    return plan, landed.changed + persons.changed


def ours(day: int, site: Site, sample: Sample) -> None:
    """Run the daily lane of ``day`` over a home that has delivered day 1."""
    run = take(site, "delivered", "whole")
    path = site.root / "work" / "whole.parquet"
    with sample.timed():
        plan, changed = run_day(site, run, day, path, sample.part)
    if day == 1 and (plan.operations or changed):
        raise AssertionError(f"nothing changed, and yet {plan.operations} operations are planned")
    with run.warehouse.read() as con:
        eligible = con.execute("SELECT audience, count(*) FROM audience.eligibility GROUP BY 1 ORDER BY 1").fetchall()
        sample.answer = {
            "ids": digest(con, f"({planned_people(path)})", "cio_id"),
            "eligible": {str(name): int(number) for name, number in eligible},
            "operations": plan.operations,
        }


def by_pandas(day: int, site: Site, sample: Sample) -> None:
    """Run the same day as a pandas script."""
    pandas_pipeline.export(site, take(site, "delivered", "whole"))
    with sample.timed():
        found = pandas_pipeline.run_day(site, activation(), day)
    with duckdb.connect(":memory:") as con:
        con.execute("CREATE TABLE found AS SELECT unnest(?::VARCHAR[]) AS cio_id", [found["ids"]])
        audiences = [a.name for a in activation().lane_audiences(Lane.DAILY) if found["eligible"][a.name]]
        sample.answer = {
            "ids": digest(con, "found", "cio_id"),
            "eligible": {name: found["eligible"][name] for name in sorted(audiences)},
            "operations": len(found["ids"]),
        }


def read_bytes(site: Site, sample: Sample) -> None:
    """Read the export's bytes."""
    with sample.timed(), site.csv(2).open("rb") as file:
        while file.read(1 << 20):
            pass


_SAME = ("ids", "eligible", "operations")
STAGE = Stage(
    11,
    "whole run",
    frozenset({"delivered"}),
    {
        "nothing": partial(ours, 1),
        "one_percent": partial(ours, 2),
        "pandas_nothing": partial(by_pandas, 1),
        "pandas_one_percent": partial(by_pandas, 2),
        "bytes": read_bytes,
    },
    (
        Row("nothing changed: the same window again", "nothing", ("pandas_nothing",), "bytes", _SAME),
        Row("1 % changed, clock + 1 day", "one_percent", ("pandas_one_percent",), "bytes", _SAME),
    ),
    heavy=True,
    small_only=frozenset({"pandas_nothing", "pandas_one_percent"}),
)
