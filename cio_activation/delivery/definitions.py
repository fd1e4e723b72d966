"""What a destination has of fields, lists and options that are ours or under our prefix, and how that differs.

The schema step reads them anyway and hands them on with its catalog; ``cio-activation check`` reads them anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable

from cio_activation.delivery.destination import Context
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.tables import DEFINITIONS

FOUND = "definitions"
"""Key under which ``ensure_schema`` hands on what it found; it is kept in a table, not in the catalog."""


class DefinitionKind(StrEnum):
    """What is defined at a destination."""

    FIELD = "field"
    LIST = "list"
    OPTION = "option"


@dataclass(frozen=True, kw_only=True)
class Definition:
    """One field, list or option, as the destination has it."""

    kind: DefinitionKind
    address: str
    """By what the destination knows it: a field's name or code, the id of a list or option."""
    name: str
    """What people there see."""
    declared: str | None = None
    """Where the activation says it, such as ``properties.ltv``; None: nowhere, so it is orphaned."""
    differences: tuple[tuple[str, str], ...] = ()
    """How it differs from what the activation says: a sentence, and the mend."""
    mend: str = ""
    """Of an orphaned one: what to do with it."""


@runtime_checkable
class Defining(Protocol):
    """A destination that has definitions of ours which people there may change."""

    async def definitions(self, client: VendorClient, context: Context) -> Sequence[Definition]:
        """Return what is ours or under our prefix; reads only, a few calls whatever the number of people."""


def replace(con: Connection, destination: str, found: Sequence[Definition]) -> None:
    """Make ``found`` what is known of ``destination``."""
    now = datetime.now(UTC).replace(tzinfo=None)
    con.execute(f"DELETE FROM {DEFINITIONS} WHERE destination = ?", [destination])
    for one in found:
        con.execute(
            f"INSERT INTO {DEFINITIONS} VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                destination, one.kind.value, one.address, one.name, one.declared, json.dumps(one.differences), one.mend,
                now,
            ],
        )  # fmt: skip


def known(con: Connection) -> Mapping[str, list[Definition]]:
    """Return destination -> what its schema step last found."""
    rows = con.execute(
        f"""SELECT destination, kind, address, name, declared, differences, mend FROM {DEFINITIONS}
        ORDER BY destination, rowid"""
    ).fetchall()
    found: dict[str, list[Definition]] = {}
    for destination, kind, address, name, declared, differences, mend in rows:
        found.setdefault(destination, []).append(
            Definition(
                kind=DefinitionKind(kind),
                address=address,
                name=name,
                declared=declared,
                differences=tuple((str(sentence), str(how)) for sentence, how in json.loads(differences)),
                mend=mend,
            )
        )
    return found
