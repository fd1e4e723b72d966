"""The rules of every activation that derived or decided something: the past is explained by those of its day."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cio_activation.activation.models import Activation
from cio_activation.activation.windows import Window
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.tables import ACTIVATIONS


def note(con: Connection, activation: Activation, window: Window) -> str:
    """Retain the rules that are used now, once, with the windows that first and last used them; return their name."""
    name = activation.fingerprint()
    found = con.execute(f"SELECT last_used FROM {ACTIVATIONS} WHERE activation = ?", [name]).fetchall()
    if not found:
        con.execute(
            f"INSERT INTO {ACTIVATIONS} (activation, first_used, rules, last_used) VALUES (?, ?, ?, ?)",
            [name, window.as_of, activation.model_dump_json(), window.as_of],
        )
    elif found[0][0] is None or found[0][0] < window.as_of:
        con.execute(f"UPDATE {ACTIVATIONS} SET last_used = ? WHERE activation = ?", [window.as_of, name])
    return name


def rules(con: Connection, name: str | None) -> Mapping[str, Any] | None:
    """Return the rules of that name as JSON has them; None where they were not retained."""
    found = con.execute(f"SELECT rules FROM {ACTIVATIONS} WHERE activation = ?", [name]).fetchall()
    return dict(json.loads(found[0][0])) if found else None
