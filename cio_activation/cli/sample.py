"""``cio-activation sample``: a page of some people, here and in the CRMs side by side, for whoever signs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cio_activation.cli.output import Json, Personal, decided, emit, exit_codes, notes, shows_personal
from cio_activation.errors import ConfigError

if TYPE_CHECKING:
    from cio_activation.runtime import Runtime
    from cio_activation.sign_off.sample import Sample


def sample(
    out: Annotated[Path, typer.Option(help="File to write; what is there is replaced.")] = Path("sample.html"),
    people: Annotated[
        int, typer.Option(min=20, max=50, help="So many people; more, up to 50, where each stratum needs them.")
    ] = 30,
    personal: Personal = False,
    json: Json = False,
) -> None:  # fmt: skip
    """Write the page that a human looks at before signing an audience; only reads, with few calls.

    People of each audience, of each value of a property, and of none: our values beside what HubSpot and Pipedrive
    hold, with links to the records. The same window draws the same people.
    """
    shows_personal("sample", personal)
    with exit_codes(json):
        from cio_activation.destinations import DESTINATIONS
        from cio_activation.sign_off.sample import make

        if not out.parent.is_dir() or out.is_dir():  # said before anybody is called
            raise ConfigError(f"--out {out}: name a file in a folder that is there")
        runtime = decided()
        found = make(runtime, DESTINATIONS, people)
        _write(runtime, found, out, personal)
    if json:
        emit(
            {
                "ok": True,
                "sample_id": found.sample_id,
                "window_key": found.window_key,
                "page": str(out),
                "people": len(found.people),
                "differing": [one.cio_id for one in found.people if one.differs],
                "audiences": dict(found.audiences),
                "calls": found.calls,
            }
        )
        return
    notes.print(
        f"{out}: {len(found.people)} people of window {found.window_key}, {found.differing} with a difference, "
        f"{found.calls} calls; sample {found.sample_id}",
        markup=False,
        soft_wrap=True,
    )
    notes.print("look at it, then `cio-activation sign AUDIENCE --why ...`; it is about people: delete it afterwards")


def _write(runtime: Runtime, found: Sample, out: Path, personal: bool) -> None:
    from cio_activation.destinations import DESTINATIONS
    from cio_activation.sign_off.page import render
    from cio_activation.why.facts import Asking

    with runtime.warehouse.read() as con:
        private = Asking(con, runtime.settings, runtime.activation, DESTINATIONS).private
    text = render(found, runtime.activation, private=private, personal=personal)
    # For its owner's eyes: it is about people. Replaced as a whole, so that nobody ever opens half of it.
    half = out.with_name(f".{out.name}.{os.getpid()}")
    half.unlink(missing_ok=True)
    with open(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    half.replace(out)
