"""``python -m cio_activation_tests.faults.report``: runs every row, writes the table into ``docs/reliability.md``.

``--only TEXT`` for some rows: the others stay as they were measured.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from cio_activation_tests.faults.rigs import RIGS
from cio_activation_tests.faults.table import CASES
from cio_activation_tests.faults.world import MOST_RUNS, Rig, Row, measure, problems, quick
from cio_activation_tests.marked import put

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
COMMAND = "python -m cio_activation_tests.faults.report"
START, END = "<!-- fault table: written by the command below -->", "<!-- end of the fault table -->"
PACKAGES = ("cio-activation", "httpx", "tenacity", "duckdb", "sqlalchemy", "starlette", "uvicorn")
HEAD = (
    "vendor", "fault", "the run ended", "planned", "delivered", "rejected", "unneeded", "held", "calls",
    "runs until converged", "duplicates", "writes of a further run",
)  # fmt: skip
_NAMES = {
    "hubspot": "HubSpot",
    "hubspot_tasks": "HubSpot tasks",
    "hubspot_notes": "HubSpot notes",
    "pipedrive": "Pipedrive",
    "customerio": "Customer.io",
    "write_back": "Customer.io (write-back)",
}


def key_of(vendor: str, fault: str) -> str:
    """Return how a row of the page begins."""
    return f"| {_NAMES[vendor]} | {fault} |"


def line(row: Row) -> str:
    """Return one line of the table."""
    f = row.faulty
    cells = [f.ending, f.planned, f.delivered, f.rejected, f.unneeded, f.held, row.calls, row.runs, row.duplicates]
    return key_of(row.case.vendor, row.case.fault) + "".join(f" {c} |" for c in [*cells, len(row.quiet_writes)])


def page(lines: Sequence[str], again: int, seconds: float) -> str:
    """Return the part of the page that the command writes; ``again``: so many lines are of this run."""
    versions = ", ".join(f"{name} {version(name).partition('+')[0]}" for name in PACKAGES)
    _, runs, doubles, writes = zip(*([*map(int, one.rstrip(" |").split(" | ")[-4:])] for one in lines), strict=True)
    took = f"in {seconds:.0f} s"
    if again < len(lines):
        took = f"({again} of them later by themselves, with `--only`, {took})"
    text = [
        "",
        f"`{COMMAND}` ran {len(lines)} faults {took} on Python {platform.python_version()},",
        f"{versions}.",
        f"planned = delivered + rejected + unneeded + held in every row; {runs.count(0)} faults left nothing to do, the",
        f"others were mended by {max(runs)} further run(s) at most; {sum(doubles)} "
        f"duplicates; a run with nothing changed made {sum(writes)} writes.",
        "",
        "| " + " | ".join(HEAD) + " |",
        "|" + "---|" * len(HEAD),
        *lines,
        "",
    ]
    return "\n".join(text)


def write(rows: Sequence[Row], seconds: float, path: Path = PAGE) -> None:
    """Put the table into the page; the text around it stays, and so do rows that were not run this time."""
    new = {key_of(row.case.vendor, row.case.fault): line(row) for row in rows}
    held = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    lines = []
    for case in CASES:
        key = key_of(case.vendor, case.fault)
        lines += [new[key]] if key in new else [one for one in held if one.startswith(key)]
    put(path, page(lines, len(new), seconds), START, END, _FIRST)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rows; the page is written only if all of them are good."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--only", metavar="TEXT", default="", help="run rows only that have it in their name")
    only = parser.parse_args(arguments).only
    began, rows, bad = time.monotonic(), [], 0
    rigs: dict[str, Rig] = {}
    with quick() as folder:
        for number, case in enumerate(CASES):
            if only not in case.name:
                continue
            if case.rig not in rigs:
                rigs[case.rig] = RIGS[case.rig](folder / str(number))
                rigs[case.rig].settle()
            row = measure(rigs[case.rig], case)
            rows.append(row)
            print(line(row), flush=True)
            if found := problems(row):
                bad += 1
                print("   " + "\n   ".join(found), file=sys.stderr)
                rigs.pop(case.rig).stop()
        for rig in rigs.values():
            rig.stop()
    if bad:
        print(f"{bad} of {len(rows)} rows are wrong; {PAGE.name} stays as it is", file=sys.stderr)
        return 1
    write(rows, time.monotonic() - began)
    print(f"{len(rows)} rows, {time.monotonic() - began:.0f} s: {PAGE}")
    return 0


_FIRST = f"""# Reliability: what happens when a vendor fails

Every row is measured: a stand-in of the vendor answers over HTTP, a lane runs while the fault is on, the fault is
taken away, and the lane runs again, at most {MOST_RUNS} times. Then what the vendor holds, read from the stand-in and
not from this project's tables, has to equal what is desired, field by field and list by list, nothing may exist
twice, and a further run must not write.

How a run with the fault in it may end:

- **ridden out**: everything was delivered; the call was repeated where that is safe, a refused batch was split.
- **rejected**: the vendor refused some records or fields for good; they are queued with the reason and tried again.
- **held**: something was not sent, or its outcome is not known; the next run looks first and then goes on. A creation
  without an answer is looked up by our key before it is made again.
- **stopped**: nothing more was sent to that vendor: a firewall's page, an empty daily budget, or a vendor that asks for
  a longer pause than a run waits (two minutes).

Customer.io stands here twice. As the source it is read: there, the counts are snapshots (everyone's attributes, the
members of each segment, the attributes of those who changed): delivered is published, held means that the last good
snapshot stays in force. As a destination it is written to like the CRMs.

"All the time" means every call of the run is struck, retries included. For destinations the faults strike the
writes; at Customer.io as the source the reads, and the request for an export.

So that the whole takes some minutes, the first pause between two attempts is a hundredth of a second and files are
kept in memory. Pauses that the vendor asks for are kept to, and measured.

{START}
{END}
"""

if __name__ == "__main__":
    sys.exit(main())
