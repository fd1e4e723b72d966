"""Writes the figures of the crash suite into ``docs/reliability.md``; reads them from standard input.

``python -m cio_activation_tests.crash.run --kills 200 | python -m cio_activation_tests.crash.report``
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cio_activation_tests.marked import put

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
COMMAND = "python -m cio_activation_tests.crash.run --kills 200 | python -m cio_activation_tests.crash.report"
START, END = "<!-- kills: written by the command below -->", "<!-- end of the kills -->"
PACKAGES = ("cio-activation", "duckdb", "sqlalchemy", "httpx")
_NAMES = {"hubspot": "HubSpot", "pipedrive": "Pipedrive"}


def page(figures: Mapping[str, Any]) -> str:
    """Return the section on kills; raises KeyError if the figures are not the crash suite's."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    rows = [
        ("runs killed", figures["kills"]),
        ("runs that had ended before their kill", figures["outlived"]),
        ("fields, flags, lists or records not as desired after the next run", figures["lost"]),
        ("records there twice", figures["doubles"]),
        ("plans whose counts do not add up", figures["unbalanced_plans"]),
        ("next runs that failed", figures["failed_next_runs"]),
        (f"further runs that wrote, of {figures['further_runs']} with nothing changed", figures["loud_further_runs"]),
        *(
            (f"{_NAMES[name]}: rounds in which a call did again what was done", _again(by_count))
            for name, by_count in figures["rounds_by_calls_made_again"].items()
        ),
    ]
    return "\n".join(
        [
            _TEXT.format(python=platform.python_version(), versions=versions),
            *(f"| {what} | {n} |" for what, n in rows),
            "",
        ]
    )


def _again(by_count: Mapping[str, int]) -> str:
    rounds, most = sum(by_count.values()), max(int(n) for n in by_count)
    return f"{rounds - by_count.get('0', 0)} of {rounds}, at most {most} calls"


_TEXT = f"""
## Kills

`{COMMAND}`
on Python {{python}}, {{versions}}.

One round: people come, go, buy and fill carts; a run of a lane, in a process of its own, ends by SIGKILL; the next run
of that lane goes through; then what the vendors hold is compared with what is desired. First 200 kills at random
moments, most of them while vendors are written to, some with a vendor that is slow before or after its write, some with
the next run killed too, some with the change taken back before the next run, some with a run of the other lane before it,
which finds what was answered and is not folded yet. Then one kill at every named boundary that
a run passes: before, during and after each call, each commit of the warehouse and each record of the journal.

A call is made again where the vendor had done it and the run died before the answer was recorded; it writes the same
values to the same records, and is never a creation. It can be at most what was in flight, sixteen calls of a step; of the
30 people here, more than four batches to HubSpot or eight calls to Pipedrive for a kill would be counted as a fault.

| | |
|---|---|"""


def main() -> int:
    """Write the section, if the figures are good."""
    figures = json.load(sys.stdin)
    if figures["complaints"]:
        print("\n".join(figures["complaints"]), file=sys.stderr)
        return 1
    put(PAGE, page(figures), START, END)
    return 0


if __name__ == "__main__":
    sys.exit(main())
