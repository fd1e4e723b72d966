"""``cio-activation metrics``: what a Prometheus is told of windows, steps, decisions and actions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from cio_activation.cli.output import Json, decided, emit, exit_codes, notes


def metrics(
    out: Annotated[
        Path | None, typer.Option(help="File to write them to, all at once: for a node exporter's textfile collector.")
    ] = None,
    json: Json = False,
) -> None:
    """Tell what is known in Prometheus' text format. Calls nobody, and names nobody."""
    from contextlib import closing

    from cio_activation.journal.engine import JournalDatabase
    from cio_activation.outcome.metrics import text

    with exit_codes(json):
        runtime = decided()
        with closing(JournalDatabase(runtime.settings.journal)) as journal, runtime.warehouse.read() as con:
            told = text(con, journal)
        if out is not None:
            part = out.with_name(f"{out.name}.part")
            part.write_bytes(told)
            os.replace(part, out)
    if json:
        emit({"ok": True, "written": str(out) if out else None, "metrics": told.decode().splitlines()})
    elif out is None:
        print(told.decode(), end="")
    else:
        notes.print(f"{out} holds {sum(not line.startswith(b'#') for line in told.splitlines()):,} values")
