"""``cio-activation sql``: one SELECT over the warehouse, in a short read-only session that is in the lanes' queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cio_activation.cli.output import Json, emit, exit_codes, notes
from cio_activation.errors import ConfigError

if TYPE_CHECKING:
    from cio_activation.activation.settings import Settings


def sql(
    statement: Annotated[str, typer.Argument(help="One SELECT; tables as schema.table, such as delivery.ledger.")],
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Rows at most.")] = 1_000,
    json: Json = False,
) -> None:
    """Look into the warehouse without harm: read-only, and no other file, setting or program is reached from there."""
    with exit_codes(json):
        columns, rows, more = _ask(statement, limit)
    if json:
        emit({"ok": True, "columns": columns, "rows": rows, "more": more})
        return
    table = Table(*columns)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    Console().print(table)
    if more:
        notes.print(f"There are more than {limit:,} rows; ask for fewer, or for more with --limit.")


def _ask(statement: str, limit: int) -> tuple[list[str], list[list[Any]], bool]:
    from cio_activation.activation.settings import Settings

    return _rows(Settings(), statement, limit)


def _rows(settings: Settings, statement: str, limit: int) -> tuple[list[str], list[list[Any]], bool]:
    from cio_activation.warehouse.one_select import rows_of
    from cio_activation.warehouse.sessions import Warehouse

    path = settings.warehouse_path
    if not path.exists():
        raise ConfigError(f"{path.absolute()} does not exist; point ACTIVATION_HOME at the right folder")
    columns, rows = rows_of(Warehouse(path, memory_limit=settings.activation_duckdb_memory), statement, limit + 1)
    return columns, [list(row) for row in rows[:limit]], len(rows) > limit
