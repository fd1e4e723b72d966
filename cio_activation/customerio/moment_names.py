"""Names of moments that an activation asks for, and whether any of that name ever came: a typing error shows so."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from cio_activation.activation.expressions import moments_read
from cio_activation.activation.models import Activation
from cio_activation.activation.problems import meant
from cio_activation.warehouse.sessions import Warehouse
from cio_activation.warehouse.sql import exists
from cio_activation.warehouse.tables import MOMENTS


def never_received(warehouse: Path, activation: Activation) -> list[str]:
    """Return a sentence for each name that was never received; changes nothing, also where there is no home yet."""
    asked = _asked(activation)
    known = _received(warehouse) if asked else set()
    return [
        f"no moment called {name} was ever received ({', '.join(audiences)}); see whether a webhook sends an event of "
        f"that name{meant(name, known)}"
        for name, audiences in sorted(asked.items())
        if name not in known
    ]


def _asked(activation: Activation) -> dict[str, list[str]]:
    """Return name -> the audiences that start from it, or ask for it."""
    asked: dict[str, list[str]] = defaultdict(list)
    for audience in activation.audiences.values():
        names = {count.name for count in moments_read(activation, audience)}
        for name in names | ({audience.moment.name} if audience.moment is not None else set()):
            asked[name].append(f"audiences.{audience.name}")
    return asked


def _received(warehouse: Path) -> set[str]:
    if not warehouse.exists():
        return set()
    with Warehouse(warehouse).read() as con:
        if not exists(con, MOMENTS):
            return set()
        return {str(name) for (name,) in con.execute(f"SELECT DISTINCT kind FROM {MOMENTS}").fetchall()}
