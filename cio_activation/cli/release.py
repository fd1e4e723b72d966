"""``cio-activation release``: lets a plan go that a guard holds, with who and why on record."""

from __future__ import annotations

import dataclasses
import getpass
from typing import Annotated

import typer

from cio_activation.cli.output import Json, decided, emit, exit_codes, notes


def release(
    plan: Annotated[str, typer.Argument(help="Id of the held plan, as the run's note and its asset check tell it.")],
    why: Annotated[str, typer.Option(help="Why what the guard saw is right; recorded with the release.")],
    who: Annotated[str | None, typer.Option(help="Who lets it go; the user of this machine by default.")] = None,
    json: Json = False,
) -> None:
    """Let a held plan go: the next run of its step sends it, if it still plans the same operations."""
    from cio_activation.delivery.release import release as let_go

    with exit_codes(json):
        done = let_go(decided(), plan, who or getpass.getuser(), why)
    if json:
        emit({"ok": True, **dataclasses.asdict(done)})
        return
    where = f"{done.destination}/{done.step}"
    notes.print(f"[green]released[/] {done.operations:,} operations of {where} ({done.window_key}) by {done.who}")
    notes.print(f"   {done.held_because}", markup=False)
    if done.together:
        notes.print(f"   with it, of the same run: {', '.join(done.together)}", markup=False)
    if done.moved:
        notes.print(f"   {done.moved}", markup=False)
    else:
        notes.print(f"   materialize {where} again: the same operations go out, anything more is judged again")
