"""How each lane is: what it published last, what is behind, what its plans came to, and what a person is warned of."""

from __future__ import annotations

from datetime import datetime

from cio_activation.activation.models import Activation
from cio_activation.outcome.report.page import Note, Section, Table
from cio_activation.warehouse.sessions import Connection


def section(con: Connection, _activation: Activation, _as_of: datetime) -> Section:
    """Return the section."""
    lanes = con.execute(
        """WITH newest AS (SELECT lane, max(window_end) AS window_end FROM meta.published GROUP BY lane)
        SELECT p.lane, strftime(max(n.window_end), '%Y-%m-%d %H:%M'),
            count(*) FILTER (p.window_end = n.window_end), count(*) FILTER (p.window_end < n.window_end),
            coalesce(string_agg(p.name, ', ' ORDER BY p.name) FILTER (p.window_end < n.window_end), '')
        FROM meta.published AS p JOIN newest AS n ON n.lane = p.lane GROUP BY p.lane ORDER BY p.lane"""
    ).fetchall()
    plans = con.execute(
        """WITH newest AS (SELECT lane, max(window_end) AS window_end FROM delivery.plans GROUP BY lane)
        SELECT p.lane, p.destination, sum(planned)::BIGINT, sum(delivered)::BIGINT, sum(rejected)::BIGINT,
            sum(unneeded)::BIGINT, sum(held)::BIGINT, count(*) FILTER (p.status NOT IN ('done', 'sending'))
        FROM delivery.plans AS p JOIN newest AS n ON n.lane = p.lane AND n.window_end = p.window_end
        GROUP BY ALL ORDER BY ALL"""
    ).fetchall()
    unread = con.execute(
        """SELECT destination, lane, problem FROM feedback.readings WHERE problem IS NOT NULL ORDER BY ALL"""
    ).fetchall()
    warned = con.execute("SELECT kind, sentence, mend FROM outcome.warnings ORDER BY kind, key").fetchall()
    return Section(
        "Health",
        "What each lane published for its newest window, and what is behind it. Times are UTC.",
        [
            Table(("lane", "newest window's end", "tables published", "behind", "which are behind"), lanes),
            Table(
                ("lane", "destination", "planned", "delivered", "rejected", "unneeded", "held", "plans stopped"),
                plans,
                "The newest window's plans",
                "Nothing was planned yet.",
            ),
            *(Note(f"{d} could not be asked what humans did ({lane} lane): {why}", "bad") for d, lane, why in unread),
            Table(("kind", "what", "mend"), warned, "Warnings", "Nobody is warned of anything."),
        ],
    )
