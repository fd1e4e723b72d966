"""``cio-activation check``: activation, credentials, scopes, limits, property and field drift; changes nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from cio_activation.activation.models import Activation
from cio_activation.activation.settings import Settings
from cio_activation.cli.output import Json, emit, exit_codes, notes
from cio_activation.errors import CioActivationError


def check(
    activation: Annotated[Path | None, typer.Option(help="Activation file; ACTIVATION_FILE by default.")] = None,
    offline: Annotated[bool, typer.Option(help="Only the activation file and its expressions; call nobody.")] = False,
    json: Json = False,
) -> None:
    """Check the activation file, then that every vendor lets us in and still has what we write to."""
    from cio_activation.activation.loader import load_activation
    from cio_activation.destinations import DESTINATIONS
    from cio_activation.state.expressions import check_expressions

    with exit_codes(json):
        settings = Settings()
        path = activation or settings.activation_file
        loaded = load_activation(path, DESTINATIONS)
        check_expressions(loaded)
    problems: dict[str, list[str]] = {} if offline else _vendors(settings, loaded)
    failed = any(problems.values())
    if json:
        emit({"ok": not failed, "activation": str(path), "problems": problems})
    else:
        notes.print(f"[green]ok[/] {path}: {len(loaded.properties)} properties, {len(loaded.audiences)} audiences")
        for vendor, found in problems.items():
            notes.print(f"[{'red' if found else 'green'}]{'failed' if found else 'ok'}[/] {vendor}")
            for problem in found:
                notes.print(f"   {problem}", markup=False)
    if failed:
        raise typer.Exit(1)


def _vendors(settings: Settings, activation: Activation) -> dict[str, list[str]]:
    from cio_activation.customerio.check import check_customerio
    from cio_activation.delivery.destination import Context, Destination
    from cio_activation.destinations import DESTINATIONS
    from cio_activation.transport.http import Unpaced

    async def ask(destination: Destination) -> list[str]:
        async with destination.connect(settings, Unpaced()) as client:
            return await destination.check(client, Context(settings, activation, None))

    def safely(call: Any) -> list[str]:
        try:
            return list(call())
        except CioActivationError as error:
            return str(error).splitlines()

    found = {"customerio": safely(lambda: check_customerio(settings, activation))}
    for destination in DESTINATIONS:
        if destination.name in activation.destinations:
            found[destination.name] = safely(lambda d=destination: asyncio.run(ask(d)))
    return found
