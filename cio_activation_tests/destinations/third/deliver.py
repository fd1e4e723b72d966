"""Runs in a copy of the project that has the sheet: decides by hand who is in, and delivers it all, once.

``python deliver.py ACTIVATION [DIE_IN_STEP]``: with the latter, this process is killed after that step's call was
answered and before the answer is recorded. Prints each step's counts as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cio_activation.activation.loader import load_activation
from cio_activation.activation.models import Lane
from cio_activation.activation.settings import Settings
from cio_activation.activation.windows import Window
from cio_activation.delivery.run import run_step
from cio_activation.delivery.schema import run_schema
from cio_activation.destinations import DESTINATIONS
from cio_activation.journal.attempts import Journal, Provenance
from cio_activation.journal.operations import Result
from cio_activation.runtime import Runtime

START = datetime(2026, 11, 1, tzinfo=UTC)
WINDOW = Window(Lane.DAILY, "2026-11-01", START, START + timedelta(days=1))
PEOPLE = 7


def decide(runtime: Runtime) -> None:
    """Write what the deciding rooms would: everybody has state, the first three are in the audience."""
    with runtime.warehouse.write() as con:
        con.execute("DROP TABLE IF EXISTS state.daily_properties")
        con.execute(
            """CREATE TABLE state.daily_properties AS
            SELECT 'p' || i AS cio_id, 'high' AS size, hash(i) AS row_hash, hash(i) AS hash_sheet FROM range(?) AS t(i)""",
            [PEOPLE],
        )
        con.execute("DELETE FROM audience.memberships")
        con.execute(
            """INSERT INTO audience.memberships (audience, version, cio_id, entered_at)
            SELECT 'vip', 1, 'p' || i, TIMESTAMP '2026-11-02' FROM range(3) AS t(i)"""
        )


def die_in(step: str) -> None:
    """Have this process killed when the first answers of ``step`` are to be recorded."""
    real = Journal.record

    def record(self: Journal, results: Sequence[Result], provenance: Provenance) -> None:
        if provenance.step == step:
            os.kill(os.getpid(), signal.SIGKILL)
        real(self, results, provenance)

    Journal.record = record  # type: ignore[method-assign]


def main(activation: Path, dies_in: str | None = None) -> None:
    """Deliver everything the sheet's steps have."""
    if dies_in is not None:
        die_in(dies_in)
    runtime = Runtime.build(Settings(_env_file=None), load_activation(activation, DESTINATIONS))  # type: ignore[call-arg]
    decide(runtime)
    (sheet,) = (d for d in DESTINATIONS if d.name == "sheet")
    run_schema(runtime, sheet)
    counts = {}
    for step in sheet.steps(runtime.activation):
        report = run_step(runtime, sheet, step, WINDOW, "run")
        counts[step.name] = {n: getattr(report, n) for n in ("planned", "delivered", "unneeded", "held", "recovered")}
    print(json.dumps(counts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
