"""How long moments stay: rows for ``workspace.moment_retention``, bodies for ``workspace.moment_body_retention``.

By the event's own time before the window's end, in whole days of UTC: so what is seen at an as-of does not depend on
when something was dropped, and only a day's first run has anything to drop. A moment that cannot be used has no time
to be trusted, and goes by when it came. The text of one in quarantine goes with its body, and its entry with its row.

A row stays, however old its event, while a repeated delivery could still be compared with it (REMEMBERED_S).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cio_activation.activation.models import Workspace
from cio_activation.activation.windows import Window
from cio_activation.customerio.inbox import REMEMBERED_S
from cio_activation.customerio.moment_people import EVENT_NAME, LAYER
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import scalar, timestamp
from cio_activation.warehouse.tables import MOMENTS, QUARANTINE

_WHEN = "CASE WHEN problem IS NULL THEN occurred_at ELSE received_at END"


def cuts_sql(as_of: str, workspace: Workspace) -> tuple[str, str]:
    """Return, as SQL, the times before which rows and bodies are dropped at ``as_of`` (a TIMESTAMP expression)."""
    rows, bodies = (
        f"(date_trunc('day', CAST({as_of} AS TIMESTAMP)) - to_seconds({span.total_seconds():.0f}))"
        for span in (workspace.moment_retention, workspace.moment_body_retention)
    )
    return rows, bodies


def any_old(con: Connection, workspace: Workspace, window: Window, oldest_waiting: float | None) -> bool:
    """Return whether :func:`drop_old` would change anything; for the same arguments."""
    rows, bodies, texts = _old(workspace, window, oldest_waiting)
    return bool(
        scalar(
            con,
            f"SELECT EXISTS (FROM {MOMENTS} WHERE {rows} OR ({bodies} AND body IS NOT NULL)) "
            f"OR EXISTS (FROM {QUARANTINE} WHERE {texts})",
        )
    )


def drop_old(con: Connection, workspace: Workspace, window: Window, oldest_waiting: float | None) -> int:
    """Drop what is too old at the window's end; return how many moments.

    ``oldest_waiting`` is when the oldest event still in the inbox arrived (epoch seconds; None: there is none): a
    killed run may have landed it, and the next one has to know it again.
    """
    rows, bodies, texts = _old(workspace, window, oldest_waiting)
    con.execute(f"UPDATE {QUARANTINE} SET row = NULL WHERE {texts}")
    con.execute(f"UPDATE {MOMENTS} SET body = NULL WHERE {bodies} AND body IS NOT NULL")
    con.execute(
        f"DELETE FROM {QUARANTINE} WHERE layer = '{LAYER}' "
        f"AND detail IN (SELECT {EVENT_NAME} FROM {MOMENTS} WHERE {rows})"
    )
    return int(con.execute(f"DELETE FROM {MOMENTS} WHERE {rows}").fetchall()[0][0])


def _old(workspace: Workspace, window: Window, oldest_waiting: float | None) -> tuple[str, str, str]:
    """Return the SQL conditions of rows, of bodies and of quarantine's texts to drop."""
    rows, bodies = cuts_sql(timestamp(window.as_of), workspace)
    # The window's start: its end may be in the future.
    waited = window.start if oldest_waiting is None else datetime.fromtimestamp(oldest_waiting, UTC)
    known = (min(window.start, waited) - timedelta(seconds=REMEMBERED_S)).replace(tzinfo=None)
    with_text = f"SELECT {EVENT_NAME} FROM {MOMENTS} WHERE problem IS NOT NULL AND {_WHEN} < {bodies}"
    return (
        f"{_WHEN} < {rows} AND received_at < {timestamp(known)}",
        f"{_WHEN} < {bodies}",
        f"layer = '{LAYER}' AND row IS NOT NULL AND detail IN ({with_text})",
    )
