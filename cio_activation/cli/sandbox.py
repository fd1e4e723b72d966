"""``cio-activation sandbox``: only the vendors' stand-ins."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from cio_activation.cli.output import Json, emit, exit_codes, notes


def sandbox(
    port: Annotated[
        int, typer.Option(help="First of three ports: Customer.io, HubSpot, Pipedrive. 0: any free.")
    ] = 8765,
    people: Annotated[int | None, typer.Option(help="Only this many people.")] = None,
    orders: Annotated[
        Path | None, typer.Option(help="Order history (Parquet) to use as the world instead of the default one.")
    ] = None,
    json: Json = False,
) -> None:
    """Run stand-ins of Customer.io, HubSpot and Pipedrive until interrupted, and print the settings that use them."""
    from cio_activation.cli.world import start_sandbox

    with exit_codes(json):
        running = start_sandbox(orders=orders, people=people, port=port)
    environment = running.environment()
    if json:
        emit({"ok": True, "urls": running.urls, "environment": environment})
    else:
        notes.print("The stand-ins answer at:")
        for name, url in running.urls.items():
            notes.print(f"  {name:<11} {url}   (control surface: {url}/_sandbox/state)")
        notes.print("Settings that point the project at them:\n")
        for name, value in environment.items():
            print(f"{name}={value}", flush=True)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        running.stop()
