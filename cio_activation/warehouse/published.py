"""Which window a table was last published for: the guard that keeps an old window from overwriting newer state."""

from __future__ import annotations

from datetime import datetime

from cio_activation.activation.windows import Window
from cio_activation.warehouse.sql import scalar
from cio_activation.warehouse.store import Connection


def newest(con: Connection, name: str) -> datetime | None:
    """Return the end (naive UTC) of the newest window that published ``name``, None if none did."""
    value = scalar(con, "SELECT max(window_end) FROM meta.published WHERE name = ?", [name])
    return value if isinstance(value, datetime) else None


def superseded(con: Connection, name: str, window: Window) -> bool:
    """Return whether a window newer than ``window`` has published ``name``; the same window may publish again."""
    last = newest(con, name)
    return last is not None and window.as_of < last


def publish(con: Connection, name: str, window: Window, rows: int, run_id: str = "") -> None:
    """Record that ``window`` is now the newest published window of ``name``."""
    con.execute("DELETE FROM meta.published WHERE name = ?", [name])
    con.execute(
        "INSERT INTO meta.published (name, lane, window_key, window_end, run_id, rows) VALUES (?, ?, ?, ?, ?, ?)",
        [name, window.lane.value, window.key, window.as_of, run_id, rows],
    )
