"""Actions that nobody touched in time: their priority is raised, they go to somebody else, or a person is told.

The clock is the working time of whoever has the action, and the window's end is the only "now": a window that is run
again escalates nothing twice. Nothing follows once anything happened: a human's act of any kind, or a sign of somebody
on the record, as its CRM said for this very window.
"""

from __future__ import annotations

from datetime import UTC, datetime

from cio_activation.activation.actions import Ask
from cio_activation.activation.models import Activation, Audience
from cio_activation.activation.sla import RAISE_PRIORITY, REASSIGN, TELL, ReassignTo, Sla
from cio_activation.audience.desks import TABLE as DESKS
from cio_activation.audience.handing import ASSIGNMENTS, HANDOVERS, hand_over, open_ones, seen_now
from cio_activation.audience.heirs import Owners, heirs
from cio_activation.audience.inputs import Inputs
from cio_activation.audience.opening import Hours
from cio_activation.warehouse import change_log
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import filled, literal, timestamp

ESCALATIONS = "audience.escalations"
OVERDUE = "overdue"


def overdue(con: Connection, activation: Activation, audience: Audience, place: str, sla: Sla, as_of: datetime) -> str:
    """Return the SELECT of the open actions whose next step is due by ``as_of``, as far as our own data tells.

    Each as :func:`handing.open_ones` has it, and with ``step``.
    """
    clocks = ", ".join(_clocks(con, activation, place, sla, as_of))
    of_place = f"audience = {literal(audience.name)} AND destination = {literal(place)}"
    return f"""
        SELECT a.*, coalesce(e.steps, 0) + 1 AS step
        FROM ({open_ones(audience, place)}) AS a
        LEFT JOIN (
            SELECT entry_id, count(*) AS steps, max(as_of) AS last_at FROM {ESCALATIONS} WHERE {of_place}
            GROUP BY entry_id
        ) AS e ON e.entry_id = a.entry_id
        LEFT JOIN (VALUES {clocks}) AS c (owner_id, since) ON c.owner_id = a.had_by
        JOIN (VALUES {clocks}) AS w (owner_id, since) ON w.owner_id IS NULL
        WHERE coalesce(e.steps, 0) < {len(sla.then)}
            AND greatest(a.planned_at, a.given_at, e.last_at) <= coalesce(c.since, w.since)
            AND NOT EXISTS (
                SELECT 1 FROM feedback.acts AS f WHERE f.entry_id = a.entry_id AND f.destination = {literal(place)})"""


def _clocks(con: Connection, activation: Activation, place: str, sla: Sla, as_of: datetime) -> list[str]:
    """Return rows of owner and the instant since which what they have may wait; without an owner the workspace's."""
    working, zone = activation.limits.working_time, activation.workspace.timezone
    found = con.execute(
        "SELECT owner_id, email, timezone FROM feedback.owners WHERE destination = ? ORDER BY owner_id", [place]
    ).fetchall()
    at, known, rows = as_of.replace(tzinfo=UTC), dict[Hours, datetime](), []
    for owner_id, email, its_zone in [(None, None, None), *found]:
        hours = Hours.of(working, email, its_zone, zone)
        if hours not in known:
            known[hours] = hours.asked_before(at, sla.after).replace(tzinfo=None)
        owner = literal(owner_id) if owner_id is not None else "CAST(NULL AS VARCHAR)"
        rows.append(f"({owner}, {timestamp(known[hours])})")
    return rows


def escalate(con: Connection, inputs: Inputs) -> None:
    """Take the next step about every action that nobody touched in time."""
    for place, ask in inputs.audience.asks().items():
        if ask.sla is not None:
            _escalate(con, inputs, place, ask, ask.sla)


def _escalate(con: Connection, inputs: Inputs, place: str, ask: Ask, sla: Sla) -> None:
    late = overdue(con, inputs.activation, inputs.audience, place, sla, inputs.as_of)
    seen = seen_now(inputs, place)
    untouched = f"""SELECT o.*, s.owner_now FROM ({late}) AS o JOIN ({seen}) AS s ON s.cio_id = o.cio_id
        WHERE s.handled_by IS NULL OR s.handled_by = 'contacted' AND s.handled_at <= o.planned_at"""
    if not filled(con, OVERDUE, untouched):
        return
    for number, step in enumerate(sla.then, 1):
        if step == RAISE_PRIORITY:
            _raise(con, inputs, place, number)
        elif step == REASSIGN or isinstance(step, ReassignTo):
            _reassign(con, inputs, place, ask, number, step)
        else:
            _note(con, inputs, place, f"FROM {OVERDUE} WHERE step = {number}", TELL)


def _raise(con: Connection, inputs: Inputs, place: str, number: int) -> None:
    those = f"FROM {OVERDUE} WHERE step = {number}"
    con.execute(
        f"""UPDATE {ASSIGNMENTS} SET raised_at = {timestamp(inputs.as_of)}
        WHERE destination = {literal(place)} AND entry_id IN (SELECT entry_id {those})"""
    )
    change_log.note(con, ASSIGNMENTS, f"SELECT cio_id {those}")
    _note(con, inputs, place, those, RAISE_PRIORITY)


def _reassign(con: Connection, inputs: Inputs, place: str, ask: Ask, number: int, step: str | ReassignTo) -> None:
    """Give them to the next one who never had them and has room; whatever nobody can take is told."""
    those = f"FROM {OVERDUE} WHERE step = {number}"
    had = f"""o.owner_id = f.had_by OR EXISTS (
        SELECT 1 FROM {HANDOVERS} AS h WHERE h.entry_id = f.entry_id AND h.had_by = o.owner_id)"""
    owners: Owners
    if isinstance(step, ReassignTo):  # whoever is named for it takes as many as there are
        owners, but, room = (step.reassign,), had, ""
    else:
        desk = f"SELECT free FROM {DESKS} WHERE destination = {literal(place)} AND owner_id = "
        new = f"SELECT count(*) FROM {ASSIGNMENTS} WHERE as_of = {timestamp(inputs.as_of)} AND owner_id = t.owner_id"
        owners, but = ask.owners, f"{had} OR ({desk} o.owner_id) <= 0"
        room = f"""QUALIFY row_number() OVER (PARTITION BY t.owner_id ORDER BY t.entry_id)
            <= coalesce(({desk} t.owner_id) - ({new} AND destination = {literal(place)}), 1000000)"""
    takers = heirs(inputs.audience, place, owners, f"SELECT entry_id, owner_now, had_by {those}", but)
    con.execute(f"CREATE OR REPLACE TEMP TABLE takers AS SELECT * FROM ({takers}) AS t {room}")
    con.execute(f"CREATE OR REPLACE TEMP TABLE waiting AS SELECT * {those}")
    hand_over(con, inputs, place, "waiting", "FROM takers", "sla")
    taken = "entry_id IN (SELECT entry_id FROM takers)"
    _note(con, inputs, place, f"{those} AND {taken}", REASSIGN)
    _note(con, inputs, place, f"{those} AND NOT ({taken})", TELL)
    con.execute("DROP TABLE takers; DROP TABLE waiting")


def _note(con: Connection, inputs: Inputs, place: str, those: str, does: str) -> None:
    con.execute(
        f"""INSERT INTO {ESCALATIONS} BY NAME
        SELECT entry_id, {literal(inputs.audience.name)} AS audience, cio_id, {literal(place)} AS destination, step,
            {literal(does)} AS does, had_by, {timestamp(inputs.as_of)} AS as_of {those}"""
    )
