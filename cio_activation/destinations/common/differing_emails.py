"""Whose e-mail address differs between Customer.io and a destination, and in which of the systems it is to be mended.

A person who was linked stays linked whatever becomes of the addresses; nothing is written. But a mail that bounces in
one system goes on being sent by the other, and a colleague who searches by address does not find the record.
"""

from __future__ import annotations

from collections.abc import Sequence

from cio_activation.activation.models import Activation
from cio_activation.activation.settings import Settings
from cio_activation.warehouse.sessions import Warehouse
from cio_activation.warehouse.sql import exists

SHOWN = 20
"""People a sentence names."""
SOURCE = "customerio"


def ask_warehouse(settings: Settings, query: str, tables: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the rows of a SELECT; none where there is no home yet, or a table of it is still to come."""
    if not settings.warehouse_path.exists():
        return []
    with Warehouse(settings.warehouse_path, memory_limit=settings.activation_duckdb_memory).read() as con:
        if not all(exists(con, table) for table in tables):
            return []
        return [tuple(str(value) for value in row) for row in con.execute(query).fetchall()]


def sentence(activation: Activation, destination: str, title: str, people: Sequence[str], of_whom: str) -> list[str]:
    """Return the advice on ``people`` (``cio_id``) whose addresses differ; none if there are none."""
    if not people:
        return []
    system = activation.match.email_system
    if system == SOURCE:
        mend = f"Customer.io's is the right one (match.email_system): correct it in {title}"
    elif system == destination:
        mend = f"{title}'s is the right one (match.email_system): correct it in Customer.io"
    else:
        mend = f"{system} has the right one (match.email_system): correct whichever differs from it"
    who = "1 person has" if len(people) == 1 else f"{len(people):,} people have"
    more = f" and {len(people) - SHOWN:,} more" if len(people) > SHOWN else ""
    return [
        f"{who} another e-mail address in {title} than in Customer.io{of_whom}: {', '.join(people[:SHOWN])}{more}. "
        f"They stay matched, and no address is written. {mend}"
    ]
