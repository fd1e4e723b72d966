"""``python -m cio_activation_tests.life.report``: lives the simulation, prints what the judge found, and what it came to.

``--days 15`` for a short one, ``--dwell both`` for the same simulation with grace and without, side by side, ``--write``
puts both tables into ``docs/reliability.md``. The last days (``--dagster-days``) are lived through Dagster's runs, all
others through the functions these call. Ends with 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cio_activation_tests.life.oracle import CHECKS
from cio_activation_tests.life.play import Life, live
from cio_activation_tests.life.rules import written
from cio_activation_tests.life.world import FIRST_DAY
from cio_activation_tests.marked import put

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
COMMAND = "python -m cio_activation_tests.life.report"
START, END = "<!-- simulation: written by the command below -->", "<!-- end of the simulation -->"
EXAMPLES = 5
DWELL = {"on": (True,), "off": (False,), "both": (True, False)}


def checks(life: Life) -> str:
    """Return the table of checks."""
    lines = ["| check | days | judged | violations | for example |", "|---|---|---|---|---|"]
    for name, meaning in CHECKS.items():
        found = life.oracle.violations[name]
        if not life.oracle.judges(name):
            continue
        examples = "; ".join(found[:1])
        lines.append(f"| {meaning} | {life.days} | {life.oracle.judged[name]} | {len(found)} | {examples} |")
    return "\n".join(lines)


def totals(lives: dict[str, Life]) -> str:
    """Return the table of what each simulation came to, one column each."""
    rows: dict[str, list[str]] = {}
    for life in lives.values():
        days, oracle = life.days, life.oracle
        actions = list(oracle.history.ours())
        appeared = sum(oracle.appearances.values())
        numbers = {
            "daily runs": life.runs["daily"],
            "real-time runs, of windows with news": life.runs["realtime"],
            "of both, runs of Dagster": sum(life.dagster_runs.values()),
            "entries shown on a list or by a flag": appeared,
            "exits shown there": oracle.disappearances,
            **{
                f"entries of `{name}`, grace {said['grace']}": oracle.appearances[name]
                for name, said in swaying("audiences", "grace")
            },
            **{
                f"changes of `{name}`, dwell {said['min_dwell']}": life.changed[name]
                for name, said in swaying("properties", "min_dwell")
            },
            "tasks in HubSpot": sum(record.key[0] == "hubspot" for record in actions),
            "activities in Pipedrive": sum(record.key[0] == "pipedrive" for record in actions),
            "of both, ended by a human": sum(record.ended_by_human for record in actions),
            "of both, taken back": sum(not record.open and not record.ended_by_human for record in actions),
            "deeds of reps": sum(life.deeds.values()),
            "calls to HubSpot": life.calls["hubspot"],
            "calls to Pipedrive": life.calls["pipedrive"],
            "calls to Customer.io": life.calls["customerio"],
        }
        for name, number in numbers.items():
            rows.setdefault(name, []).append(f"{number:,} ({number / days:.1f} a day)")
    head = f"| | {' | '.join(lives)} |\n|{'---|' * (len(lives) + 1)}"
    return "\n".join([head, *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items())])


def swaying(what: str, by: str) -> list[tuple[str, dict[str, Any]]]:
    """Return what of the activation declares to wait, and so is what people who flap show in."""
    return [(name, said) for name, said in written()[what].items() if by in said]


def page(lives: dict[str, Life], people: int) -> str:
    """Return the part of the page that the command writes."""
    first = next(iter(lives.values()))
    seconds = sum(life.seconds for life in lives.values())
    text = (
        f"\n`{COMMAND}` lived {first.days} days of {people} people in {seconds:.0f} s on Python "
        f"{platform.python_version()}, duckdb {version('duckdb')}."
    )
    return "\n\n".join([text, checks(first), totals(lives)]) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Live it, print the tables; the page is written only if nothing is wrong."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--days", type=int, default=120)
    parser.add_argument("--people", type=int, default=300)
    parser.add_argument("--first", type=date.fromisoformat, default=FIRST_DAY)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--dagster-days", type=int, default=5, help="so many days at the end through Dagster's runs")
    parser.add_argument(
        "--dwell", choices=list(DWELL), default="on", help="grace and dwell on, off, or one after the other"
    )
    parser.add_argument("--quiet", action="store_true", help="no line a day")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.name}")
    given = parser.parse_args(arguments)
    lives: dict[str, Life] = {}
    for grace in DWELL[given.dwell]:
        with tempfile.TemporaryDirectory(prefix="life-", dir=_memory()) as folder:
            lives["with grace and dwell" if grace else "without"] = live(
                Path(folder) / "home",
                given.days,
                people=given.people,
                first=given.first,
                seed=given.seed,
                grace=grace,
                dagster_days=given.dagster_days,
                tell=not given.quiet,
            )
    print(page(lives, given.people))
    wrong = 0
    for life in lives.values():
        for name, found in life.oracle.violations.items():
            wrong += len(found)
            for text in found[:EXAMPLES]:
                print(f"{name}: {text}")
    if given.write and not wrong:
        put(PAGE, page(lives, given.people), START, END)
    return 1 if wrong else 0


def _memory() -> str | None:
    """Return a folder in memory, where there is one: a commit to a disk is not what is measured here."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


if __name__ == "__main__":
    raise SystemExit(main())
