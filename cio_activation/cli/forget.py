"""``cio-activation forget``: has people forgotten, here and in the CRMs, with a receipt for each."""

from __future__ import annotations

import dataclasses
import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cio_activation.cli.output import Json, decided, emit, exit_codes, notes
from cio_activation.errors import ConfigError

if TYPE_CHECKING:
    from cio_activation.privacy.erasing import Erased


def forget(
    person: Annotated[
        str | None,
        typer.Argument(help="cio_id, id, e-mail address, or a CRM's record (id or address). Without one, whoever was "
                       "asked for is erased as far as the CRMs hold nothing of ours any more."),
    ] = None,
    batch: Annotated[Path | None, typer.Option(help="File with a person a line.", exists=True, dir_okay=False)] = None,
    why: Annotated[str, typer.Option(help="Why: a ticket, the person's own wish; kept until they are erased.")] = "",
    who: Annotated[str | None, typer.Option(help="Who wants it; the user of this machine by default.")] = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Forget people: nothing takes them in, the lanes' next runs empty the CRMs, then all that is here goes."""
    from cio_activation.dagster_runtime.forgetting import clean as beside
    from cio_activation.destinations import DESTINATIONS
    from cio_activation.privacy.erasing import erase
    from cio_activation.privacy.keeping_out import clean
    from cio_activation.privacy.people import found
    from cio_activation.privacy.requests import ask

    asked = 0
    with exit_codes(json):
        given = _given(person, batch)
        runtime, now = decided(), datetime.now(UTC).replace(tzinfo=None)
        if given:
            with runtime.warehouse.read() as con:
                people = found(con, given, DESTINATIONS)
            with runtime.warehouse.write() as con:
                asked = ask(con, people, now, who or getpass.getuser(), why)
        home = runtime.settings.activation_home
        cleaned = clean(runtime)  # before: what is new is then written anew once, not for each of the two
        done = erase(runtime, now, DESTINATIONS, beside=lambda names: beside(home, names))
    if json:
        emit({"ok": True, "asked": asked, **dataclasses.asdict(done), "cleaned": done.cleaned + cleaned})
        return
    _show(asked, done)


def _given(person: str | None, batch: Path | None) -> list[str]:
    if person is not None and batch is not None:
        raise ConfigError("give one person, or --batch, not both")
    if batch is not None:
        lines = [line.strip() for line in batch.read_text(encoding="utf-8").splitlines()]
        if given := [line for line in lines if line]:
            return given
        raise ConfigError(f"{batch} names nobody; write a person a line")
    return [person] if person is not None else []


def _show(asked: int, done: Erased) -> None:
    if asked:
        who = "1 person is" if asked == 1 else f"{asked:,} people are"
        notes.print(f"{who} to be forgotten; from now on nothing takes them in")
    for cio_id, places in done.waiting.items():
        told = "; ".join(f"{destination}: {', '.join(what)}" for destination, what in places.items())
        notes.print(f"{cio_id} waits for the lanes' next runs ({told})", markup=False)
    if done.erased:
        who = "1 person is" if done.erased == 1 else f"{done.erased:,} people are"
        notes.print(f"[green]{who} erased[/]: {done.rows:,} rows, {done.cleaned:,} files")
        notes.print('receipts: `cio-activation sql "FROM privacy.receipts"`')
        notes.print("the profiles themselves are to be deleted in Customer.io")
    if not (asked or done.waiting or done.erased):
        notes.print("nobody waits to be forgotten")
