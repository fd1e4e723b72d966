"""``python -m benchmarks.why [--people N] [--windows N]``: what the history costs, and how long an answer takes.

A home of N people as stage 5 has it, its second day derived with and without history; then days of decisions, writes
and changes for one person in a hundred each, added by arithmetic, and people asked about through the command line: on
a quiet home, and while a daily run of everybody is on in another process (``benchmarks.why_beside``).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks import homes, people
from benchmarks.homes import Site
from benchmarks.why_beside import ask, asked_beside, by_command, cpu
from cio_activation.activation.models import Lane
from cio_activation.runtime import Runtime
from cio_activation.state.derive import derive
from cio_activation.warehouse.sql import scalar, timestamp

SHARE = 100
"""One person in so many has something in each window."""


def main() -> None:
    """Measure, and print one JSON object."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--people", type=int, default=200_000)
    asked.add_argument("--windows", type=int, default=90)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="why-") as folder:
        site = Site(Path(folder), given.people)
        homes.build(site, {"second"})
        found: dict[str, Any] = {"people": given.people, "windows": given.windows}
        found["derive_cpu_s"] = {
            name: _derived(site, name) for name in ("without", "with", "without again", "with again")
        }
        run = homes.take(site, "delivered", "asked")
        found["bytes_per_change"] = _grown(run, given.windows)
        found["rows"] = _rows(run)
        found |= _answers(run)
        folk, audience = _folk(run, 200), run.activation.lane_audiences(Lane.DAILY)[0].name
        found |= asked_beside(site, run, [cio_id for cio_id, _ in folk], audience)
        found["history_share_of_the_daily_run"] = _share(found)
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


def _derived(site: Site, name: str) -> float:
    """Return the processor seconds of the second day's derivation."""
    run = homes.take(site, "second", name.split()[0])
    if name.startswith("without"):
        workspace = run.activation.workspace.model_copy(update={"history_retention": timedelta(0)})
        run = Runtime(run.settings, run.activation.model_copy(update={"workspace": workspace}), run.warehouse)
    before = cpu()
    derive(run, people.window(2))
    return round(cpu() - before, 3)


def _grown(run: Runtime, windows: int) -> float:
    """Add ``windows`` days before the first, and return what a change takes on disk."""
    size = _size(run)
    rows = 0
    for day in range(windows):
        as_of = people.window(1).as_of - timedelta(days=windows - day)
        with run.warehouse.write() as con:
            some = _some(day)
            con.execute(
                f"""INSERT INTO state.derivations VALUES ({day + 1000}, 'daily', 'd{day}', {timestamp(as_of)}, 'r', 'a', []);
                INSERT INTO state.value_changes SELECT {day + 1000}, cio_id, property, before, after, why, inputs FROM (
                    SELECT cio_id, 'lapse_bucket' AS property, '0-30' AS before, '31-90' AS after, 'clock' AS why,
                        json_object('last_order_at', {timestamp(as_of)} - to_seconds(n * 7919 % 86400)) AS inputs FROM {some})
                ORDER BY property, why, before, after, cio_id"""
            )
            rows += int(str(scalar(con, f"SELECT count(*) FROM state.value_changes WHERE derivation = {day + 1000}")))
    grown = _size(run) - size
    for day in range(windows):
        as_of = people.window(1).as_of - timedelta(days=windows - day)
        with run.warehouse.write() as con:
            some = _some(day)
            con.execute(
                f"""INSERT INTO audience.decisions BY NAME SELECT n AS sequence, 'lapsed_91_180' AS audience, 1 AS version, cio_id,
                    'entered' AS decision, md5(cio_id || '{day}') AS entry_id, {timestamp(as_of)} AS as_of, 'daily' AS lane,
                    'd{day}' AS window_key, 'r' AS run_id FROM {some};
                INSERT INTO audience.memberships BY NAME SELECT 'lapsed_91_180' AS audience, 1 AS version, cio_id, {timestamp(as_of)} AS entered_at,
                    'd{day}' AS entry_window, '{{"segment":3,"inputs":{{"lapse_bucket":"91-180"}}}}' AS evidence,
                    {timestamp(as_of)} AS exited_at, 'gate' AS exit_reason, {day} AS number, md5(cio_id || '{day}') AS entry_id FROM {some};
                INSERT INTO delivery.ledger BY NAME SELECT md5(cio_id || 'w{day}') AS operation_id, 'r' AS run_id, 'p{day}' AS plan_id,
                    'hubspot' AS destination, 'properties_daily' AS step, 'daily' AS lane, 'update' AS kind, cio_id, CAST(n AS VARCHAR) AS record_id,
                    '{{"lapse_bucket":"91-180"}}' AS payload, 'delivered' AS "end", 200 AS status, {timestamp(as_of)} AS window_end,
                    md5(cio_id || 'c{day}') AS request_id, {timestamp(as_of)} AS ended_at, {timestamp(as_of)} AS intent_at FROM {some}"""
            )
    return round(grown / max(1, rows), 1)


def _some(day: int) -> str:
    numbered = "(SELECT cio_id, row_number() OVER (ORDER BY cio_id) AS n FROM identity.persons) AS p"
    return f"{numbered} WHERE n % {SHARE} = {day * 37 % SHARE}"


def _rows(run: Runtime) -> dict[str, int]:
    tables = (
        "identity.persons",
        "state.value_changes",
        "audience.decisions",
        "audience.memberships",
        "delivery.ledger",
    )
    with run.warehouse.read() as con:
        return {name: homes.count(con, f"SELECT count(*) FROM {name}") for name in tables}


def _folk(run: Runtime, number: int) -> list[tuple[str, str]]:
    with run.warehouse.read() as con:
        return con.execute(
            f"SELECT cio_id, email FROM identity.persons WHERE deliverable ORDER BY md5(cio_id) LIMIT {number}"
        ).fetchall()


def _answers(run: Runtime) -> dict[str, Any]:
    """Ask about some people, in processes of their own as a person does, and within one; seconds each, the worst last."""
    folk, audience = _folk(run, 5), run.activation.lane_audiences(Lane.DAILY)[0].name
    found: dict[str, Any] = {}
    for what, more in (("why", None), ("why_not", audience)):
        options = [] if more is None else ["--why-not", more]
        found[f"{what}_s"] = sorted(round(by_command(run, name, *options), 3) for name in folk[0])
        within = [ask(run, cio_id, more) for cio_id, _ in folk]
        found[f"{what}_within_a_process_s"] = sorted(round(waited + answered, 3) for waited, answered, _ in within)
        found[f"{what}_within_a_process_cpu_s"] = sorted(round(spent, 3) for *_, spent in within)
    return found


def _share(found: dict[str, Any]) -> float:
    """Return which share of a daily run's processor time the history is: the run has it, so of the run with it."""
    derived = found["derive_cpu_s"]
    extra = derived["with"] + derived["with again"] - derived["without"] - derived["without again"]
    return round(float(extra) / 2 / float(found["daily_run"]["cpu_s"]), 4)


def _size(run: Runtime) -> int:
    with run.warehouse.read() as con:
        used, size = con.execute(
            "SELECT used_blocks, block_size FROM pragma_database_size() WHERE database_name = current_database()"
        ).fetchall()[0]
    return int(used) * int(size)


if __name__ == "__main__":
    main()
