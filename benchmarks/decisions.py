"""``python -m benchmarks.decisions [--people N] [--audiences N]``: deciding audiences where little moved, against all.

A home of N people on its second day (1 % changed), in which as many audiences are decided as asked for, half of them
touch audiences with cooldown, cap, groups and holdout. Compared with deriving everybody's state, in processor seconds
of one process; medians of three.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks import homes, people
from benchmarks.homes import Site
from benchmarks.why import cpu
from cio_activation.activation.life_cycle import Exclusive
from cio_activation.activation.models import Activation, Audience, Lane
from cio_activation.audience.members import update
from cio_activation.runtime import Runtime
from cio_activation.state.derive import derive

REPEATS = 3


def main() -> None:
    """Measure, and print one JSON object."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--people", type=int, default=1_000_000)
    asked.add_argument("--audiences", type=int, default=20)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="decisions-") as folder:
        site = Site(Path(folder), given.people)
        homes.build(site, {"second"})
        found = [_measured(site, given.audiences) for _ in range(REPEATS)]
    sys.stdout.write(
        json.dumps({"people": given.people, "audiences": given.audiences, **_medians(found)}, indent=2) + "\n"
    )


def _measured(site: Site, many: int) -> dict[str, float]:
    """Return processor seconds: everybody derived; all audiences decided first, then again on the second day.

    In between the first day is decided once more, as it is on any later day: the first of an audience lets everybody
    in at once, which touches more people than the change log names.
    """
    run = homes.take(site, "second", "decided")
    run = Runtime(run.settings, _with_audiences(run.activation, many), run.warehouse)
    everybody = _spent(lambda: derive(run, people.window(1), full=True))
    first = _spent(lambda: update(run, people.window(1)))
    update(run, people.window(1))
    derive(run, people.window(2))
    second = _spent(lambda: update(run, people.window(2)))
    return {"derive_everybody_cpu_s": everybody, "decide_first_cpu_s": first, "decide_again_cpu_s": second}


def _with_audiences(activation: Activation, many: int) -> Activation:
    """Return the activation with ``many`` daily audiences: copies of its own, every other one a touch audience."""
    own = [a for a in activation.lane_audiences(Lane.DAILY) if not a.asks()]
    made: dict[str, Audience] = {}
    for number in range(many):
        base = own[number % len(own)]
        name = f"a{number:02}_{base.name}"
        changes: dict[str, Any] = {"name": name, "label": f"{base.label} {number}", "touch": number % 2 == 1}
        if changes["touch"]:
            group = Exclusive(group=f"g{number % 3}", priority=number)
            changes |= {"cooldown": timedelta(days=7), "exclusive": group, "holdout": 0.1}
        made[name] = base.model_copy(update=changes)
    return activation.model_copy(update={"audiences": made})


def _spent(work: Any) -> float:
    before = cpu()
    work()
    return cpu() - before


def _medians(found: list[dict[str, float]]) -> dict[str, float]:
    medians = {name: round(statistics.median(one[name] for one in found), 2) for name in found[0]}
    medians["again_to_everybody"] = round(medians["decide_again_cpu_s"] / medians["derive_everybody_cpu_s"], 3)
    return medians


if __name__ == "__main__":
    main()
