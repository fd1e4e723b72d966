"""Who published what, and the quarantine: the two books that every room keeps in the same way."""

from __future__ import annotations

from datetime import datetime

from cio_activation.activation.windows import Window
from cio_activation.warehouse.store import Connection


def newest_end(con: Connection, name: str, lane: str) -> datetime | None:
    """Return the end (naive UTC) of the newest window that published table ``name`` in ``lane``; None if none did."""
    rows = con.execute(
        "SELECT max(window_end) FROM meta.published WHERE name = ? AND lane = ?", [name, lane]
    ).fetchall()
    end: datetime | None = rows[0][0]
    return end


def is_superseded(con: Connection, name: str, window: Window) -> bool:
    """Tell whether a newer window of the lane already published ``name``: an older one publishes nothing over it."""
    newest = newest_end(con, name, window.lane)
    return newest is not None and newest > window.as_of


def mark_published(con: Connection, name: str, window: Window, rows: int, run_id: str) -> None:
    """Note that ``window`` is now the newest one that published ``name`` in its lane."""
    con.execute("DELETE FROM meta.published WHERE name = ? AND lane = ?", [name, window.lane])
    con.execute(
        "INSERT INTO meta.published VALUES (?, ?, ?, ?, ?, ?)",
        [name, window.lane, window.key, window.as_of, run_id, rows],
    )


def published_rows(con: Connection, name: str, lane: str) -> int | None:
    """Return how many rows the newest publication of ``name`` had; None if there was none."""
    rows = con.execute("SELECT rows FROM meta.published WHERE name = ? AND lane = ?", [name, lane]).fetchall()
    return int(rows[0][0]) if rows else None


def clear_quarantine(con: Connection, layer: str, window: Window) -> None:
    """Drop what an earlier run of the same window put into quarantine, so that a re-run counts nothing twice."""
    con.execute(
        "DELETE FROM quarantine.rows WHERE layer = ? AND lane = ? AND window_key = ?", [layer, window.lane, window.key]
    )


def quarantined(con: Connection, layer: str, window: Window) -> dict[str, int]:
    """Return the number of rows in quarantine per reason, for one layer and window."""
    rows = con.execute(
        "SELECT reason, count(*) FROM quarantine.rows WHERE layer = ? AND lane = ? AND window_key = ? "
        "GROUP BY reason ORDER BY reason",
        [layer, window.lane, window.key],
    ).fetchall()
    return {str(reason): int(count) for reason, count in rows}
