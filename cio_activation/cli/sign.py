"""``cio-activation sign``: keeps who looked at a sample and found right what an audience puts into the CRMs."""

from __future__ import annotations

import dataclasses
import getpass
from datetime import UTC, datetime
from typing import Annotated

import typer

from cio_activation.cli.output import Json, decided, emit, exit_codes, notes
from cio_activation.errors import ConfigError


def sign(
    audiences: Annotated[
        list[str] | None, typer.Argument(metavar="[AUDIENCE]...", help="The audiences that are signed.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Sign every audience of the activation.")] = False,
    why: Annotated[str, typer.Option(help="Why it is right, what was looked at; kept with the signature.")] = "",
    who: Annotated[str | None, typer.Option(help="Who signs; the user of this machine by default.")] = None,
    sample: Annotated[
        str | None, typer.Option(help="The sample that was looked at, as its page names it; the newest by default.")
    ] = None,
    json: Json = False,
) -> None:
    """Sign audiences in the version they have, after a look at the page of `sample`; a new version is signed anew."""
    from cio_activation.warehouse import signatures

    with exit_codes(json):
        if everything == bool(audiences):
            raise ConfigError("name the audiences that are signed, or give --all for every one")
        runtime = decided()
        names = list(runtime.activation.audiences) if everything else list(audiences or ())
        with runtime.warehouse.write() as con:
            found = signatures.sign(
                con, runtime.activation, names,
                now=datetime.now(UTC).replace(tzinfo=None), who=who or getpass.getuser(), why=why, sample_id=sample,
            )  # fmt: skip
    if json:
        emit({"ok": True, "signed": [dataclasses.asdict(one) for one in found]})
        return
    for one in found:
        notes.print(f"{one.audience}: signed is {one}", markup=False)
