"""``cio-activation fields``: every field we write, whose it is, where it comes from, when it changes."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from cio_activation.cli.output import Json, emit, exit_codes

if TYPE_CHECKING:
    from cio_activation.activation.models import Activation
    from cio_activation.delivery.destination import OwnedField

HEADINGS = ("field", "comes from", "owner", "changes", "a human's edit")


def fields(
    activation: Annotated[Path | None, typer.Option(help="Activation file; ACTIVATION_FILE by default.")] = None,
    markdown: Annotated[bool, typer.Option(help="Print a page in Markdown.")] = False,
    json: Json = False,
) -> None:
    """List every field that is written, whose it is, where it comes from and when it changes. Calls nobody."""
    from cio_activation.activation.loader import load_activation
    from cio_activation.activation.settings import Settings
    from cio_activation.destinations import DESTINATIONS

    with exit_codes(json):
        loaded = load_activation(activation or Settings().activation_file, DESTINATIONS)
        found = field_ownership(loaded)
    if json:
        emit({"ok": True, "fields": {name: [asdict(f) for f in rows] for name, rows in found.items()}})
    elif markdown:
        typer.echo(page(found), nl=False)
    else:
        for name, rows in found.items():
            table = Table(*HEADINGS, title=name)
            for row in rows:
                table.add_row(*_cells(row))
            Console().print(table)


def field_ownership(activation: Activation) -> dict[str, list[OwnedField]]:
    """Return destination -> its fields; of a property also the attributes it is derived from."""
    from cio_activation.delivery.destination import TellsFields
    from cio_activation.destinations import DESTINATIONS

    return {
        d.name: [_with_source(activation, f) for f in d.fields(activation)]
        for d in DESTINATIONS
        if d.name in activation.destinations and isinstance(d, TellsFields)
    }


def page(found: dict[str, list[OwnedField]]) -> str:
    """Return the fields as a page of the documentation."""
    lines = [
        "# Fields",
        "",
        "Every field that is written, as `cio-activation fields --markdown` tells it; in the documentation, of the",
        "default activation. Do not edit.",
    ]
    for name, rows in found.items():
        lines += ["", f"## {name}", f"| {' | '.join(HEADINGS)} |", "|---" * len(HEADINGS) + "|"]
        lines += [f"| {' | '.join(_cells(row, quote='`'))} |" for row in rows]
    return "\n".join(lines) + "\n"


def _cells(row: OwnedField, quote: str = "") -> tuple[str, ...]:
    cells = (f"{quote}{row.name}{quote}", row.source, row.owner, row.changes, row.edit)
    return tuple(cell.replace("|", "\\|") for cell in cells) if quote else cells


def _with_source(activation: Activation, field: OwnedField) -> OwnedField:
    from cio_activation.state.rules import derive_property

    if field.of_property is None:
        return field
    derived = derive_property(activation, activation.properties[field.of_property], datetime(2026, 1, 1))
    read = ", ".join(f"`{name}`" for name in dict.fromkeys(derived.attributes))
    changes = f"{field.changes}, also by the clock alone" if derived.instants else field.changes
    return replace(field, source=f"{field.source} ({read})" if read else field.source, changes=changes)
