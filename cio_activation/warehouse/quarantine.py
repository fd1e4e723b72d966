"""The quarantine's book-keeping: one window's refused rows of one layer, replaced as a whole by a re-run."""

from __future__ import annotations

from cio_activation.activation.windows import Window
from cio_activation.warehouse.sessions import Connection


def clear(con: Connection, layer: str, window: Window) -> None:
    """Drop what an earlier run of the same window put there, so that a re-run counts nothing twice."""
    con.execute(
        "DELETE FROM quarantine.rows WHERE layer = ? AND lane = ? AND window_key = ?",
        [layer, window.lane.value, window.key],
    )


def counts(con: Connection, layer: str, window: Window) -> dict[str, int]:
    """Return rows in quarantine per reason, for one layer and window."""
    rows = con.execute(
        "SELECT reason, count(*) FROM quarantine.rows WHERE layer = ? AND lane = ? AND window_key = ? "
        "GROUP BY reason ORDER BY reason",
        [layer, window.lane.value, window.key],
    ).fetchall()
    return {str(reason): int(count) for reason, count in rows}
