"""Open actions follow the record's owner: decided here with the audience, carried out by the destination's next plan.

What the room ``feedback`` read for this very window counts (``feedback.records``); what was read for another one does
not. An action that a human gave to somebody stays with whom they chose, for ever.
"""

from __future__ import annotations

from cio_activation.activation.actions import Ask
from cio_activation.activation.models import Audience
from cio_activation.audience.heirs import heirs
from cio_activation.audience.inputs import Inputs
from cio_activation.warehouse import change_log
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import filled, literal, timestamp

ASSIGNMENTS, HANDOVERS = "audience.assignments", "audience.handovers"


def open_ones(audience: Audience, place: str) -> str:
    """Return the SELECT of the actions of ``audience`` that are open in ``place``, and that no human gave to anybody.

    Each with who has it (``had_by``), whom we last meant (``meant``), and the entry's assignment.
    """
    return f"""
        SELECT x.entry_id, x.cio_id, x.record_id AS action_id, x.about, x.owner_id AS had_by, a.owner_id AS meant,
            a.record_owner, a.owner_from, a.given_at, a.planned_at
        FROM delivery.actions AS x
        JOIN audience.memberships AS m ON m.entry_id = x.entry_id AND m.exited_at IS NULL
        JOIN {ASSIGNMENTS} AS a ON a.entry_id = x.entry_id AND a.destination = x.destination
        WHERE x.audience = {literal(audience.name)} AND x.destination = {literal(place)}
            AND x.kind IN ('task', 'activity') AND x.status = 'open' AND x.ended_at IS NULL
            AND NOT EXISTS (
                SELECT 1 FROM feedback.acts AS f
                WHERE f.entry_id = x.entry_id AND f.destination = x.destination AND f.act = 'reassigned')"""


def seen_now(inputs: Inputs, place: str) -> str:
    """Return the SELECT of what the place said of records for this window."""
    return f"""SELECT cio_id, owner_id AS owner_now, handled_by, handled_at FROM feedback.records
        WHERE destination = {literal(place)} AND lane = {literal(inputs.window.lane.value)}
            AND window_key = {literal(inputs.window.key)} AND record_id IS NOT NULL"""


def follow(con: Connection, inputs: Inputs) -> None:
    """Assign open actions whose record got another owner to that one, else to the next of the chain who can act."""
    for place, ask in inputs.audience.asks().items():
        if ask.follow_owner:
            _follow(con, inputs, place, ask)


def _follow(con: Connection, inputs: Inputs, place: str, ask: Ask) -> None:
    # Also where whom we meant cannot act any more and the action is not theirs yet.
    unable = f"SELECT owner_id FROM feedback.owners WHERE destination = {literal(place)} AND NOT active"
    changed = f"""SELECT a.*, coalesce(s.owner_now, '') AS owner_now FROM ({open_ones(inputs.audience, place)}) AS a
        JOIN ({seen_now(inputs, place)}) AS s ON s.cio_id = a.cio_id
        WHERE coalesce(s.owner_now, '') IS DISTINCT FROM a.record_owner
            OR a.given_at IS NOT NULL AND a.had_by IS DISTINCT FROM a.meant AND a.meant IN ({unable})"""
    if not filled(con, "changed_records", changed):
        return
    # A record that was not there at the entry was made since: by us, mostly, and then its owner is the credential's.
    known = "SELECT entry_id, owner_now FROM changed_records WHERE record_owner IS NOT NULL"
    takers = heirs(inputs.audience, place, ask.owners, known)
    hand_over(con, inputs, place, "changed_records", takers, "record_owner")
    con.execute(
        f"""UPDATE {ASSIGNMENTS} AS a SET record_owner = r.owner_now FROM changed_records AS r
        WHERE a.entry_id = r.entry_id AND a.destination = {literal(place)}"""
    )


def hand_over(con: Connection, inputs: Inputs, place: str, about: str, to: str, reason: str) -> None:
    """Assign the entries of ``about`` to whom ``to`` (see :func:`heirs`) names, if that is somebody else.

    ``about`` is a table of what :func:`open_ones` gives.
    """
    as_of = timestamp(inputs.as_of)
    handed = f"""SELECT b.entry_id, b.cio_id, b.had_by, t.owner_id, t.owner_email, t.owner_from
        FROM {about} AS b JOIN ({to}) AS t ON t.entry_id = b.entry_id
        WHERE t.owner_id IS DISTINCT FROM coalesce(b.had_by, b.meant)
            OR t.owner_id IS DISTINCT FROM b.meant AND b.given_at IS NOT NULL"""
    if not filled(con, "handed", handed):
        return
    con.execute(
        f"""INSERT INTO {HANDOVERS} BY NAME
        SELECT entry_id, {literal(inputs.audience.name)} AS audience, cio_id, {literal(place)} AS destination, had_by,
            owner_id, {literal(reason)} AS reason, {as_of} AS as_of FROM handed"""
    )
    con.execute(
        f"""UPDATE {ASSIGNMENTS} AS a SET owner_id = h.owner_id, owner_email = h.owner_email, owner_from = h.owner_from,
            queue = NULL, given_at = {as_of}
        FROM handed AS h WHERE a.entry_id = h.entry_id AND a.destination = {literal(place)}"""
    )
    change_log.note(con, ASSIGNMENTS, "SELECT cio_id FROM handed")
