"""When somebody last looked at each property and audience: as declared, and by signatures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time

from cio_activation.activation.models import Activation
from cio_activation.warehouse import signatures
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.tables import ACTIVATIONS


@dataclass(frozen=True)
class Reviewed:
    """The last review of something, or else since when it is there."""

    owner: str
    version: int
    at: datetime | None
    """Naive UTC; None: no window has used it yet."""
    ever: bool
    """Whether anybody reviewed it; else ``at`` is the end of the first window that used it."""


def reviewed(con: Connection, activation: Activation) -> Mapping[str, Reviewed]:
    """Return ``properties.<name>`` and ``audiences.<name>`` -> the last review. A signature of a version is one."""
    signed = signatures.newest(con)
    began = _began(con)
    found = {}
    for kind, things in (("properties", activation.properties), ("audiences", activation.audiences)):
        for name, one in things.items():
            at = None if one.reviewed is None else datetime.combine(one.reviewed, time())
            by_hand = signed.get(name) if kind == "audiences" else None
            if by_hand is not None and by_hand.version == one.version:
                at = max(at or by_hand.signed_at, by_hand.signed_at)
            about = f"{kind}.{name}"
            found[about] = Reviewed(one.owner, one.version, at or began.get(about), at is not None)
    return found


def _began(con: Connection) -> dict[str, datetime]:
    """Return since when each property and audience is used, by the rules that are kept."""
    each = " UNION ALL ".join(
        f"SELECT '{kind}.' || unnest(json_keys(rules, '$.{kind}')) AS about, first_used FROM {ACTIVATIONS}"
        for kind in ("properties", "audiences")
    )
    rows = con.execute(f"SELECT about, min(first_used) FROM ({each}) GROUP BY about").fetchall()
    return {str(about): at for about, at in rows if at is not None}
