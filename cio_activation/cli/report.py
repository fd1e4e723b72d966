"""``cio-activation report``: what came of it all, as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cio_activation.cli.output import Json, decided, emit, exit_codes, notes


def report(
    out: Annotated[
        Path | None, typer.Option(help="File to write; report.html in the home if left out. What is there is replaced.")
    ] = None,
    json: Json = False,
) -> None:
    """Write the report: one HTML file of lanes, audiences, deliveries and what they brought; counts, nobody by name.

    It is of the newest window, and the same bytes as long as nothing ran. Needs the extra [report].
    """
    with exit_codes(json):
        from cio_activation.outcome.report.build import write

        written = write(decided(), out.resolve() if out is not None else None)
    if json:
        emit({"ok": True, "report": str(written.path), "bytes": written.bytes, "as_of": f"{written.as_of} UTC"})
        return
    notes.print(f"{written.path}: {written.bytes:,} bytes, as of {written.as_of} UTC", markup=False, soft_wrap=True)
