"""What :mod:`benchmarks.same_work` runs inside one checkout, with that checkout's code: its demo, or measured windows.

A file of its own that knows as little as it can of the project: it is started by its path (``python -P``) with another
checkout on ``PYTHONPATH``, and has to work with the code as it was and as it is. What it leans on: the command line,
``cli.world.start_sandbox``, ``definitions.defs``, the control surface ``/_sandbox``, plan files, ledger and plans.

The stand-ins' clock is held: it shows what the demo sets it to and does not run on, so that a person does not become
due in one checkout because it took a second longer.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import Request, urlopen

SETTLE_SECONDS = 300
"""Vendors' time after a day's end at which it is run, as in the demo."""
VOLATILE = ("id", "update_time", "raw")
"""What a record of a stand-in says of itself that depends on the order in which calls arrived, or says a thing twice."""
KINDS = """
    WITH files AS (
        SELECT operation_id, kind, parse_filename(filename, true) AS plan_id
        FROM read_parquet(?, filename = true, union_by_name = true)),
    ended AS (
        SELECT DISTINCT ON (plan_id, operation_id) plan_id, operation_id, "end" AS ended
        FROM {ledger} ORDER BY plan_id, operation_id, ended_at DESC),
    counted AS (
        SELECT plan_id, p.destination, f.kind, p.held AS held_of_plan, p.{unneeded} AS unneeded_of_plan, count(*) AS planned,
               count(*) FILTER (e.ended = 'delivered') AS delivered, count(*) FILTER (e.ended = 'rejected') AS rejected,
               count(*) FILTER (e.ended = '{unneeded}') AS known_unneeded
        FROM files AS f JOIN {plans} AS p USING (plan_id) LEFT JOIN ended AS e USING (plan_id, operation_id)
        GROUP BY ALL),
    parted AS (
        SELECT *, planned - delivered - rejected AS rest,
               -- A claim that found nothing to do leaves no row in the ledger: the plan knows what the others were.
               CASE WHEN unneeded_of_plan = 0 THEN 0 WHEN held_of_plan = 0 THEN rest ELSE known_unneeded END AS unneeded
        FROM counted)
    SELECT destination, kind, sum(planned), sum(delivered), sum(rejected), sum(unneeded), sum(rest - unneeded)
    FROM parted GROUP BY destination, kind ORDER BY destination, kind"""
"""Operations of all plans per destination and kind: planned, delivered, rejected, unneeded, held."""


@dataclass(frozen=True)
class Task:
    """What to do in a checkout. ``now``: seconds since the epoch at which the world's history ends."""

    do: str
    checkout: str
    home: str
    out: str
    now: int
    people: int
    days: int
    daily: str = ""
    realtime: str = ""


def main(task: Task) -> int:
    """Do it, write what was found to ``task.out`` as JSON; the exit code is the command's own."""
    import cio_activation

    found = Path(str(cio_activation.__file__)).resolve()
    if Path(task.checkout).resolve() not in found.parents:
        raise SystemExit(f"cio_activation was imported from {found}, not from {task.checkout}")
    return {"demo": demo, "cost": cost, "windows": windows}[task.do](task)


def demo(task: Task) -> int:
    """Run ``cio-activation demo --json``, then note what is behind its counts: kinds, and who got which value."""
    started = hold_sandbox(task.now)
    from cio_activation.cli.main import app

    words = ["demo", "--json", "--home", task.home, "--days", str(task.days), "--people", str(task.people)]
    code = int(app(words, standalone_mode=False) or 0)
    if started:
        held = {name: started[0].vendors[name].state() for name in ("hubspot", "pipedrive")}
        Path(task.out).write_text(json.dumps({"kinds": kinds(Path(task.home)), "records": records(held)}))
    return code


def hold_sandbox(now: int) -> list[Any]:
    """Make the world of every sandbox end at ``now`` and hold its clock; return the list that they will be put in."""
    from cio_activation.cli import world

    started: list[Any] = []
    start = world.start_sandbox

    def start_held(**options: Any) -> Any:
        sandbox = start(**options)
        started.append(sandbox)
        clock = sandbox.shared.clock
        hold_time(sys.modules[type(clock).__module__], now)
        clock.set(float(now))
        if clock.now() != now:
            raise SystemExit(f"{type(clock).__module__} does not take the time from time.time(): it cannot be held")
        return sandbox

    hold_time(world, now)
    world.start_sandbox = start_held
    return started


def hold_time(module: Any, now: int) -> None:
    """Let ``time.time()`` be ``now`` for this one module; everything else goes on with real time."""
    if getattr(module, "time", None) is not time:
        raise SystemExit(f"{module.__name__} does not import time: where does the world's now come from?")
    module.time = SimpleNamespace(**{**vars(time), "time": lambda: float(now)})


def kinds(home: Path) -> dict[str, dict[str, dict[str, int]]]:
    """Return counts per destination and kind, from plan files, ledger and plans."""
    import duckdb

    files = sorted(str(path) for path in home.glob("plans/**/*.parquet"))
    if not files:
        return {}
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as con:
        tables = dict(con.execute("SELECT table_name, schema_name FROM duckdb_tables()").fetchall())
        names = {n: f"{tables[n]}.{n}" for n in ("ledger", "plans")}
        columns = {
            name for (name,) in con.execute("SELECT column_name FROM (DESCRIBE " + names["plans"] + ")").fetchall()
        }
        unneeded = "unneeded" if "unneeded" in columns else "superseded"
        rows = con.execute(KINDS.format(unneeded=unneeded, **names), [files]).fetchall()
    ends = ("planned", "delivered", "rejected", "unneeded", "held")
    found: dict[str, dict[str, dict[str, int]]] = {}
    for destination, kind, *counts in rows:
        found.setdefault(destination, {})[kind] = dict(zip(ends, map(int, counts), strict=True))
    return found


def records(held: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return what each vendor holds, per field and person, by names that do not depend on the vendor's ids."""
    contacts = {key: dict(values) for key, values in held["hubspot"]["contacts"].items()}
    for one in held["hubspot"]["lists"]:
        for key in one["members"] if not one["deleted"] else ():
            contacts[key][f"list {one['name']}"] = True
    persons = [{**one, **one["custom_fields"], "custom_fields": None} for one in held["pipedrive"]["persons"].values()]
    return {"hubspot": _by_field(list(contacts.values())), "pipedrive": _by_field(persons)}


def _by_field(people: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    seen: Counter[str] = Counter()
    for one in sorted(
        people, key=lambda o: json.dumps({n: v for n, v in o.items() if n not in VOLATILE}, sort_keys=True)
    ):
        name = str(one.get("cio_id") or one.get("email") or one.get("emails") or one.get("name"))
        seen[name] += 1
        for field, value in one.items():
            if field not in VOLATILE and value not in (None, "", []):
                found.setdefault(field, {})[f"{name} {seen[name]}"] = value
    return found


def cost(task: Task) -> int:
    """Start the stand-ins here and run the windows in a child, so that only the project's own work is measured."""
    hold_sandbox(task.now)
    from cio_activation.cli.world import start_sandbox

    dagster_home = Path(task.home) / "dagster"
    dagster_home.mkdir(parents=True)
    shutil.copyfile(Path(task.checkout) / "dagster.yaml", dagster_home / "dagster.yaml")
    sandbox = start_sandbox(orders=None, people=task.people)
    try:
        homes = {"ACTIVATION_HOME": task.home, "DAGSTER_HOME": str(dagster_home)}
        command = [sys.executable, "-P", __file__, json.dumps(asdict(replace(task, do="windows")))]
        return subprocess.run(command, env={**os.environ, **sandbox.environment(), **homes}, check=False).returncode
    finally:
        sandbox.stop()


def windows(task: Task) -> int:
    """Run one daily and one real-time window against stand-ins that are up; note the CPU seconds of each."""
    import dagster as dg
    import pandas  # noqa: F401 - a run of the service finds these imported: they are not its cost
    import pandera.pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    from cio_activation.definitions import defs

    built, spent = defs(), {}
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.get() as instance:
        for lane, key in (("daily", task.daily), ("realtime", task.realtime)):
            job: Any = built.resolve_job_def(lane)
            end = job.partitions_def.time_window_for_partition_key(key).end.timestamp()
            _set_clock(min(end + SETTLE_SECONDS, float(task.now)))
            before = _cpu()
            job.execute_in_process(partition_key=key, instance=instance, run_config=quiet)
            spent[lane] = _cpu() - before
    Path(task.out).write_text(json.dumps(spent))
    return 0


def _set_clock(moment: float) -> None:
    address = f"{os.environ['HUBSPOT_URL']}/_sandbox/clock"
    with urlopen(Request(address, json.dumps({"set": moment}).encode(), method="POST"), timeout=30):
        pass


def _cpu() -> float:
    """Return user and system seconds of this process and of its children that ended."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(s.ru_utime + s.ru_stime for s in spent)


if __name__ == "__main__":
    raise SystemExit(main(Task(**json.loads(sys.argv[1]))))
