"""``cio-activation resync``: forgets what destinations acknowledged, so that the next run writes it again."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cio_activation.cli.output import Json, decided, emit, exit_codes, notes
from cio_activation.errors import ConfigError

if TYPE_CHECKING:
    from cio_activation.delivery.destination import Destination

SOURCE = "customerio"


def resync(
    destination: Annotated[list[str] | None, typer.Option(help="Only this destination; may be given again.")] = None,
    field: Annotated[list[str] | None, typer.Option(help="Only this property; may be given again.")] = None,
    list_: Annotated[
        list[str] | None, typer.Option("--list", help="Only this audience's list or flag; may be given again.")
    ] = None,
    new_account: Annotated[
        bool, typer.Option("--new-account", help="Forget the account itself, with all links: another one follows.")
    ] = False,
    json: Json = False,
) -> None:
    """Forget what was acknowledged; the next run of each lane compares anew. Calls nobody, changes nothing there."""
    with exit_codes(json):
        found = _resync(destination or [], field or [], list_ or [], new_account)
    if json:
        emit({"ok": True, "forgotten": found})
        return
    for one in found:
        if one.get("account"):
            notes.print(f"{one['destination']}: the account is forgotten; the next run is first contact")
        else:
            counts = f"{one['records']:,} records, {one['memberships']:,} memberships"
            notes.print(f"{one['destination']}: {counts} are compared anew by the next run")


def _resync(names: list[str], fields: list[str], lists: list[str], new_account: bool) -> list[dict[str, Any]]:
    from cio_activation.customerio.workspace import leave_workspace
    from cio_activation.delivery.resync import leave_account
    from cio_activation.delivery.resync import resync as forget
    from cio_activation.destinations import DESTINATIONS

    runtime = decided()
    known = {d.name: d for d in DESTINATIONS if d.name in runtime.activation.destinations}
    _require("--destination", names, [*known, SOURCE] if new_account else list(known))
    _require("--field", fields, list(runtime.activation.properties))
    _require("--list", lists, list(runtime.activation.audiences))
    if not new_account:
        chosen: list[Destination] = [known[n] for n in names or known]
        return [dataclasses.asdict(forget(runtime, d, fields, lists)) for d in chosen]
    if len(names) != 1 or fields or lists:
        raise ConfigError("--new-account goes with exactly one --destination, and with nothing else")
    if names == [SOURCE]:
        leave_workspace(runtime)
    if names[0] in known:  # Customer.io may be the source and a destination
        leave_account(runtime, known[names[0]])
    return [{"destination": names[0], "account": "forgotten"}]


def _require(option: str, given: list[str], known: list[str]) -> None:
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ConfigError(f"{option} {', '.join(unknown)}: there is {', '.join(known) or 'none'}")
