"""What a daily run does to those who ask ``why`` meanwhile: the run in a process of its own, the questions in another.

``python -m benchmarks.why_beside ROOT PEOPLE HOME`` is that run: it lands, resolves, derives, decides and plans the
second day over ``HOME``, then sends: it waits as for a vendor, and folds what that has answered. It prints which part it
is at, then what it cost and how long its sessions held the warehouse. :func:`asked_beside` starts it and asks until it
ends. Sending takes most of a real run's hours; here it takes :data:`FOLDS` folds.
"""

from __future__ import annotations

import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from benchmarks import people
from benchmarks.homes import Site, acknowledge, activation, land_day, plan_properties, properties_step
from cio_activation.activation.models import Lane
from cio_activation.activation.settings import DEFAULT_ACTIVATION, Settings
from cio_activation.audience.members import update
from cio_activation.delivery.destination import Context
from cio_activation.destinations import DESTINATIONS
from cio_activation.identity.resolve import resolve
from cio_activation.runtime import Runtime
from cio_activation.state.derive import derive
from cio_activation.warehouse.sessions import Connection, Warehouse
from cio_activation.why.facts import Asking
from cio_activation.why.not_in import why_not_in
from cio_activation.why.story import tell

FOLDS, PAUSE = 4, 5.0
"""Folds of all that was planned, and the seconds of vendors' work before each of them."""
SENDING = "send"
HELD = 0.5
"""Seconds from which on a session of the run is listed."""


def main() -> None:
    """Run the day, and print one JSON object."""
    import pandas  # noqa: F401 - a run of the service finds these imported: no session of its waits for that
    import pandera.pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    root, number, home = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    site, held, part = Site(root, number), dict[str, list[tuple[float, float]]](), ["land"]
    run = Runtime.build(Settings(activation_home=home, _env_file=None), activation(), Lane.DAILY)
    Warehouse._session = _timed(Warehouse._session, held, part)  # type: ignore[method-assign]
    begun, spent = time.perf_counter(), cpu()
    window, took = people.window(2), dict[str, float]()
    for name, work in (
        ("land", lambda: land_day(site, run, 2)), ("resolve", lambda: resolve(run, window)),
        ("derive", lambda: derive(run, window)), ("decide", lambda: update(run, window)), ("plan", lambda: _plan(site, run)),
        (SENDING, lambda: _send(site, run)),
    ):  # fmt: skip
        part[0], before = name, cpu()
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()
        work()
        took[name] = round(cpu() - before, 2)
    longest = {
        name: [{"wall": round(s, 2), "cpu": round(c, 2)} for s, c in sorted(of)[-2:] if s >= HELD]
        for name, of in held.items()
    }
    told = {"cpu_s": round(cpu() - spent, 2), "wall_s": round(time.perf_counter() - begun, 2), "parts_cpu_s": took}
    sys.stdout.write(json.dumps(told | {"longest_sessions_s": {n: s for n, s in longest.items() if s}}) + "\n")


def _plan(site: Site, run: Runtime) -> None:
    with run.warehouse.write() as con:
        plan_properties(run, con, 2, site.root / "work" / "beside.parquet")


def _send(site: Site, run: Runtime) -> None:
    """Fold what was planned as acknowledged, some times over: a fold takes the same of a shadow that has it already."""
    window = people.window(2)
    step, context = properties_step(run.activation), Context(run.settings, run.activation, window, {})
    for _ in range(FOLDS):
        time.sleep(PAUSE)
        with run.warehouse.write() as con:
            acknowledge(con, site.root / "work" / "beside.parquet", window)
            step.fold(con, context, "finished")


def _timed(session: Any, held: dict[str, list[tuple[float, float]]], part: Sequence[str]) -> Any:
    @contextmanager
    def timed(warehouse: Warehouse, *, read_only: bool) -> Iterator[Connection]:
        begun, spent = time.perf_counter(), cpu()
        try:
            with session(warehouse, read_only=read_only) as con:
                yield con
        finally:
            held.setdefault(part[0], []).append((time.perf_counter() - begun, cpu() - spent))

    return timed


def asked_beside(site: Site, run: Runtime, folk: Sequence[str], audience: str) -> dict[str, Any]:
    """Ask at random instants from the run's begin to its end; seconds of each answer, its wait for a turn apart."""
    command = [sys.executable, "-m", "benchmarks.why_beside", str(site.root), str(site.people)]
    child = subprocess.Popen([*command, str(run.settings.activation_home)], stdout=subprocess.PIPE, text=True)
    lines = [str(child.stdout and child.stdout.readline()).strip()]  # its imports are over

    def listen() -> None:
        lines.extend(line.strip() for line in child.stdout or ())

    listening = Thread(target=listen)
    listening.start()
    drawn, found = random.Random(7), dict[str, dict[str, list[float]]]()
    while child.poll() is None:
        for what, asked in (("why", None), ("why_not", audience)):
            time.sleep(drawn.uniform(0.0, 0.3))
            when = "while it sends" if lines[-1] == SENDING else "while it decides"
            waited, answered, spent = ask(run, drawn.choice(folk), asked)
            for part, seconds in (
                ("all", waited + answered), ("waited", waited), ("answered", answered), ("answered_cpu", spent),
            ):  # fmt: skip
                found.setdefault(f"{what} {when}", {}).setdefault(part, []).append(seconds)
    listening.join()
    if child.returncode:
        raise AssertionError("the daily run failed")
    return {"daily_run": json.loads(lines[-1]), "beside_it": {what: _quantiles(parts) for what, parts in found.items()}}


def ask(run: Runtime, cio_id: str, audience: str | None) -> tuple[float, float, float]:
    """Ask why, or why not in ``audience``; return how long it waited, how long the answer took, and its CPU seconds."""
    begun = time.perf_counter()
    with run.warehouse.read() as con:
        let_in, spent = time.perf_counter(), cpu()
        asking = Asking(con, run.settings, run.activation, DESTINATIONS)
        if audience is None:
            tell(asking, cio_id)
        else:
            why_not_in(asking, cio_id, audience)
    return let_in - begun, time.perf_counter() - let_in, cpu() - spent


def by_command(run: Runtime, name: str, *more: str) -> float:
    """Ask by the command line, as a person does; return how long it took, the program's start and all."""
    home = {"ACTIVATION_HOME": str(run.settings.activation_home), "ACTIVATION_FILE": str(DEFAULT_ACTIVATION)}
    begun = time.perf_counter()
    command = [sys.executable, "-m", "cio_activation.cli.main", "why", name, *more, "--json"]
    subprocess.run(command, env=os.environ | home, check=True, capture_output=True)
    return time.perf_counter() - begun


def cpu() -> float:
    """Return the processor seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _quantiles(parts: dict[str, list[float]]) -> dict[str, Any]:
    quantiles = {"p50": 0.5, "p95": 0.95, "most": 1.0}
    found: dict[str, Any] = {"questions": len(parts["all"])}
    for part, seconds in parts.items():
        ordered = sorted(seconds)
        found[part] = {
            name: round(ordered[min(len(ordered) - 1, int(q * len(ordered)))], 3) for name, q in quantiles.items()
        }
        found[part]["mean"] = round(statistics.mean(ordered), 3)
    return found


if __name__ == "__main__":
    main()
