"""Who came and went: sizes, entries and exits by day, what keeps people out, and the load of whoever acts."""

from __future__ import annotations

from datetime import datetime, timedelta

from cio_activation.activation.models import Activation
from cio_activation.outcome import actions
from cio_activation.outcome.report import charts
from cio_activation.outcome.report.page import Cell, Section, Table, masked
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import timestamp

DAYS = 28


def audiences(con: Connection, activation: Activation, as_of: datetime) -> Section:
    """Return the section of sizes, entries, exits and codes."""
    since = timestamp(as_of - timedelta(days=DAYS))
    inside = con.execute(
        """SELECT audience, count(*) FILTER (NOT coalesce(ghost, FALSE)), count(*) FILTER (coalesce(ghost, FALSE))
        FROM audience.memberships WHERE exited_at IS NULL GROUP BY audience"""
    ).fetchall()
    sizes = {str(name): {"in": int(people), "held out": int(ghosts)} for name, people, ghosts in inside}
    shown = {name: sizes.get(name, {"in": 0, "held out": 0}) for name in activation.audiences}
    moved = con.execute(
        f"""WITH moves AS (
            SELECT entered_at AS moved_at, 1 AS came FROM audience.memberships
            UNION ALL SELECT exited_at, -1 FROM audience.memberships WHERE exited_at IS NOT NULL
        )
        SELECT strftime(moved_at - INTERVAL 1 SECOND, '%Y-%m-%d'), coalesce(sum(came) FILTER (came > 0), 0)::BIGINT,
            coalesce(sum(came) FILTER (came < 0), 0)::BIGINT
        FROM moves WHERE moved_at > {since} AND moved_at <= {timestamp(as_of)} GROUP BY ALL ORDER BY ALL"""
    ).fetchall()
    exits = con.execute(
        f"""SELECT audience, coalesce(exit_reason, '?'), count(*) FROM audience.memberships
        WHERE exited_at > {since} AND exited_at <= {timestamp(as_of)} GROUP BY ALL ORDER BY 1, 3 DESC, 2"""
    ).fetchall()
    withheld = con.execute(
        """SELECT code, sum(people)::BIGINT FROM audience.counts
        JOIN (SELECT audience, max(as_of) AS as_of FROM audience.counts GROUP BY audience) USING (audience, as_of)
        WHERE decision = 'withheld' GROUP BY code ORDER BY 2 DESC, 1"""
    ).fetchall()
    drawn = [charts.bars("In each audience now", shown)]
    if moved:
        days = {str(day): {"entered": int(came), "left": int(went)} for day, came, went in moved}
        drawn.append(charts.days(f"Entered and left, last {DAYS} days (UTC)", days, "people"))
    if withheld:
        drawn.append(charts.bars("Kept out now, by code", {str(c): {"people": int(n)} for c, n in withheld}))
    return Section(
        "Audiences",
        "How many are in, who came and went, and what keeps others out; the codes are explained in docs/audiences.md.",
        [
            *drawn,
            Table(("audience", "why they left", "people"), exits, f"Exits of the last {DAYS} days", "Nobody left."),
        ],
    )


def work(con: Connection, _activation: Activation, as_of: datetime) -> Section:
    """Return the section of who has what to do."""
    loads = actions.load(con, as_of)
    by_audience = actions.by_audience(con, as_of)
    desks: dict[str, dict[str, int]] = {}
    for one in loads:
        parts = desks.setdefault(masked(one.owner), {"open": 0, "late": 0, "done": 0})
        for part, count in (("open", one.open - one.late), ("late", one.late), ("done", one.done)):
            parts[part] += count
    states = actions.STATES
    rows: list[list[Cell]] = [
        [name, *(counts.get(state, 0) for state in states)] for name, counts in by_audience.items()
    ]
    drawn = [charts.bars("Actions by who acts", desks, "actions")] if desks else []
    return Section(
        "People who act",
        "What people are asked to do, and what became of it; open does not count what is late.",
        [*drawn, Table(("audience", *states), rows, "Actions by audience", "Nobody was asked to do anything.")],
    )
