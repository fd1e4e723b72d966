"""The switch of an audience: while it is paused nobody enters, and exits clear as ever.

What a run decides is what the switch says when it decides. Both positions are kept for good, with who and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cio_activation.activation.models import Activation
from cio_activation.errors import ConfigError
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.tables import PAUSES

_IN_FORCE = f"FROM {PAUSES} WHERE resumed_at IS NULL"


@dataclass(frozen=True)
class Pause:
    """A pause that holds."""

    audience: str
    paused_at: datetime
    """Naive UTC."""
    paused_by: str
    why: str

    def __str__(self) -> str:
        return f"paused since {self.paused_at:%Y-%m-%d %H:%M} UTC by {self.paused_by}: {self.why}"


def in_force(con: Connection) -> Mapping[str, Pause]:
    """Return the pauses that hold, by audience."""
    rows = con.execute(f"SELECT audience, paused_at, paused_by, why {_IN_FORCE} ORDER BY audience").fetchall()
    return {str(row[0]): Pause(*row) for row in rows}


def pause(con: Connection, activation: Activation, audience: str, now: datetime, who: str, why: str) -> Pause:
    """Pause ``audience`` from ``now`` (naive UTC) on; one that is paused stays so, and its pause is returned.

    Raises ConfigError for an audience that the activation does not have.
    """
    if audience not in activation.audiences:
        raise ConfigError(f"there is no audience {audience}; there are: {', '.join(activation.audiences) or 'none'}")
    if not why.strip():
        raise ConfigError("say why, for whoever wonders later that nobody enters")
    if audience not in in_force(con):
        con.execute(f"INSERT INTO {PAUSES} VALUES (?, ?, ?, ?, NULL, NULL)", [audience, now, who, why])
    return in_force(con)[audience]


def resume(con: Connection, audience: str, now: datetime, who: str) -> Pause:
    """Let people into ``audience`` again; return the pause that is over. Raises ConfigError if there is none.

    Also of an audience that the activation has no more.
    """
    found = in_force(con)
    if audience not in found:
        raise ConfigError(f"{audience} is not paused; paused: {', '.join(found) or 'none'}")
    con.execute(
        f"UPDATE {PAUSES} SET resumed_at = ?, resumed_by = ? WHERE audience = ? AND resumed_at IS NULL",
        [now, who, audience],
    )
    return found[audience]
