"""What of ours still stands in the CRMs, of people who are to be forgotten."""

from __future__ import annotations

from collections.abc import Sequence

from cio_activation.activation.models import Activation, Lane
from cio_activation.delivery.fields import shadow_column, shadow_columns, shadow_name
from cio_activation.delivery.shadows import shadows
from cio_activation.journal.attempts import Journal
from cio_activation.journal.forgetting import unsettled
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal
from cio_activation.warehouse.tables import ACTIONS, MEMBERS, OUTREACH_FLAGS


def remaining(
    con: Connection, journal: Journal, activation: Activation, people: Sequence[str]
) -> dict[str, dict[str, list[str]]]:
    """Return ``cio_id`` -> destination -> what the next runs have to take back still; nobody of whom that is none."""
    found: dict[str, dict[str, list[str]]] = {}

    def note(destination: str, what: str, select: str) -> None:
        for (cio_id,) in con.execute(select, [list(people)]).fetchall():
            there = found.setdefault(str(cio_id), {}).setdefault(destination, [])
            if what not in there:  # both lanes have fields
                there.append(what)

    them = "cio_id IN (SELECT unnest(?::VARCHAR[]))"
    for destination in activation.destinations:
        place = literal(destination)
        there = shadows(con, destination)
        for lane in Lane:
            if (shadow := shadow_name(destination, lane.value)) in there:
                filled = _filled(con, destination, lane)
                note(destination, "fields", f"SELECT DISTINCT cio_id FROM {shadow} WHERE {them} AND ({filled})")
        note(destination, "lists", f"SELECT DISTINCT cio_id FROM {MEMBERS} WHERE destination = {place} AND {them}")
        note(
            destination,
            "open actions",
            f"""SELECT DISTINCT cio_id FROM {ACTIONS}
            WHERE destination = {place} AND ended_at IS NULL AND status = 'open' AND {them}""",
        )
    note("customerio", "attributes", f"SELECT DISTINCT cio_id FROM {OUTREACH_FLAGS} WHERE active AND {them}")
    for cio_id, destination in unsettled(journal, people):
        found.setdefault(cio_id, {}).setdefault(destination, []).append("writes whose outcome is not known")
    return found


def _filled(con: Connection, destination: str, lane: Lane) -> str:
    """Return the condition that a row of the lane's shadow has a value that the record still holds."""
    columns = shadow_columns(con, destination, lane.value)
    return " OR ".join(f"{shadow_column(column)} IS NOT NULL" for column in columns) or "FALSE"
