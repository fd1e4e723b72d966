"""The processes of :mod:`benchmarks.push`: ``stand-in``, and ours at work: ``decide``, ``define``, ``push``, ``change``."""

from __future__ import annotations

import sys
from pathlib import Path

TOKEN = "sandbox-hubspot-token"
DAY = 1


def stand_in() -> None:
    """Be an empty portal until standard input ends."""
    from cio_activation_tests.drivers.stand_ins import hubspot

    made = hubspot.begin([], property_lag_s=0.0, search_lag_s=0.0)
    print(made.url, flush=True)
    sys.stdin.read()
    made.stop()


def decide(home: str) -> None:
    """Derive everybody's state."""
    from benchmarks import homes, people
    from cio_activation.audience.members import update
    from cio_activation.state.derive import derive

    runtime = homes.runtime(Path(home))
    derive(runtime, people.window(DAY))
    update(runtime, people.window(DAY))


def change(home: str) -> None:
    """Give everybody another lapse bucket, as if the clock had."""
    from benchmarks import homes
    from cio_activation.activation.models import Lane

    runtime = homes.runtime(Path(home))
    name = next(p.name for p in runtime.activation.lane_properties(Lane.DAILY, "hubspot"))
    one, other = runtime.activation.properties[name].labels[:2]
    with runtime.warehouse.write() as con:
        con.execute(
            f'UPDATE state.daily_properties SET "{name}" = CASE WHEN "{name}" = ? THEN ? ELSE ? END, '
            "hash_hubspot = hash(hash_hubspot)",
            [one, other, one],
        )
        con.execute("DELETE FROM delivery.scopes")


def define(home: str, url: str) -> None:
    """Define properties."""
    _work(home, url, only_schema=True)


def push(home: str, url: str) -> None:
    """Carry the day out as the daily lane does: definitions, links, properties."""
    _work(home, url, only_schema=False)


def _work(home: str, url: str, *, only_schema: bool) -> None:
    from benchmarks import homes, people
    from cio_activation.activation.models import Lane
    from cio_activation.delivery.run import run_step
    from cio_activation.delivery.schema import run_schema
    from cio_activation.destinations.hubspot import DESTINATION
    from cio_activation.runtime import Runtime
    from cio_activation_tests.drivers import access

    activation = homes.activation()
    fast = activation.destinations["hubspot"].model_copy(update={"rate_share": 1.0, "requests_per_10s": 100_000})
    activation = activation.model_copy(update={"destinations": {**activation.destinations, "hubspot": fast}})
    settings = access.settings(Path(home), {"HUBSPOT_URL": url, "HUBSPOT_ACCESS_TOKEN": TOKEN})
    runtime = Runtime.build(settings, activation)
    run_schema(runtime, DESTINATION)
    for step in () if only_schema else DESTINATION.steps(activation):
        if step.lane is Lane.DAILY and ("links" in step.name or "properties" in step.name):
            report = run_step(runtime, DESTINATION, step, people.window(DAY), "push")
            if report.held:
                raise SystemExit(f"{step.name} held {report.held}: {report.note}")


if __name__ == "__main__":
    tasks = {"stand-in": stand_in, "decide": decide, "change": change, "define": define, "push": push}
    tasks[sys.argv[1]](*sys.argv[2:])
