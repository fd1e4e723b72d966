"""``cio-activation pause`` and ``resume``: the switch of an audience."""

from __future__ import annotations

import dataclasses
import getpass
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from cio_activation.cli.output import Json, decided, emit, exit_codes, notes

_Who = Annotated[str | None, typer.Option(help="Who wants it; the user of this machine by default.")]


def pause(
    audience: Annotated[
        str | None, typer.Argument(help="The audience; without one, those that are paused are listed.")
    ] = None,
    why: Annotated[str, typer.Option(help="Why; kept with the pause, and shown wherever it is.")] = "",
    who: _Who = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Let nobody into an audience from its next run on. Who is in leaves as ever, and what is open stays open."""
    from cio_activation.audience import pauses

    with exit_codes(json):
        runtime = decided()
        if audience is None:
            with runtime.warehouse.read() as con:
                found = list(pauses.in_force(con).values())
        else:
            with runtime.warehouse.write() as con:
                who = who or getpass.getuser()
                found = [pauses.pause(con, runtime.activation, audience, _now(), who, why)]
    if json:
        emit({"ok": True, "paused": [dataclasses.asdict(one) for one in found]})
        return
    if audience is not None:
        notes.print(f"{audience} is {found[0]}", markup=False)
        notes.print(f"nobody enters until `cio-activation resume {audience}`; exits clear as ever")
        notes.print(f"`cio-activation actions withdraw --audience {audience}` takes back what is open, too")
    elif found:
        table = Table("audience", "paused since (UTC)", "by", "why")
        for one in found:
            table.add_row(one.audience, f"{one.paused_at:%Y-%m-%d %H:%M}", one.paused_by, one.why)
        notes.print(table)
    else:
        notes.print("no audience is paused")


def resume(
    audience: Annotated[str, typer.Argument(help="The audience that is paused.")],
    who: _Who = None,
    json: Json = False,
) -> None:
    """Let people into a paused audience again, from its next run on: whoever is eligible by then."""
    from cio_activation.audience import pauses

    with exit_codes(json), decided().warehouse.write() as con:
        over = pauses.resume(con, audience, _now(), who or getpass.getuser())
    if json:
        emit({"ok": True, "resumed": dataclasses.asdict(over)})
        return
    notes.print(f"people enter {audience} again with its next run; it was {over}", markup=False)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
