"""``cio-activation rejected``: what destinations refuse, why, and when it is tried again."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import typer
from rich.table import Table

from cio_activation.cli.output import Json, decided, emit, exit_codes, notes


def rejected(
    people: Annotated[
        bool, typer.Option("--people", help="Also list every operation with its person's cio_id.")
    ] = False,
    json: Json = False,
) -> None:
    """List the refused operations that are still wanted, by destination, step and reason; calls nobody."""
    from cio_activation.delivery.rejected import operations, summary

    with exit_codes(json), decided().warehouse.read() as con:
        found = summary(con)
        listed: list[dict[str, Any]] = operations(con) if people else []
    if json:
        result: dict[str, Any] = {"ok": True, "rejected": [dataclasses.asdict(r) for r in found]}
        emit(result | ({"people": listed} if people else {}))
        return
    table = Table("destination", "step", "reason", "operations", "people", "parked", "next try (UTC)")
    for r in found:
        next_try = f"{r.next_try_at:%Y-%m-%d %H:%M}" if r.next_try_at else "when value or schema changes"
        table.add_row(r.destination, r.step, r.reason, f"{r.operations:,}", f"{r.people:,}", f"{r.parked:,}", next_try)
    notes.print(table if found else "nothing is refused")
    for o in listed:
        where, when = f"{o['destination']}/{o['step']}", o["next_try_at"] or "parked"
        print(f"{where} {o['kind']} {o['cio_id']} tried {o['attempts']}, next {when}: {o['reason']}")
