"""Forgets what a destination acknowledged, so that the next plan compares anew and writes what is wanted again.

For whatever happened there without our knowing: a property was deleted and made anew, a list was emptied, values were
imported over ours. What is forgotten is put in doubt (see ``in_doubt``), which a plan settles by writing it once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from cio_activation.delivery.destination import Destination, IdentifiesAccount, KeepsAcknowledged, ReadsAhead
from cio_activation.delivery.shadows import shadows
from cio_activation.journal.attempts import Journal
from cio_activation.journal.forgetting import forget_destination
from cio_activation.runtime import Runtime
from cio_activation.warehouse import accounts, change_log
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier, literal, scalar

ANEW = "anew:"
"""Start of catalog entries by which a schema step tells what it made again: ``anew:field:<name>``, ``anew:key``."""

MEMBERS = "members:"
"""Start of catalog entries by which it tells how many members an audience's list has there: ``members:<audience>``."""
RECHECKED = 1_000
"""Members of a list that lost some whose records are looked at in a day: it does not grow with people."""


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """What one destination's part of a resync came to: rows that the next plan looks at anew."""

    destination: str
    records: int
    memberships: int


def resync(
    runtime: Runtime, destination: Destination, fields: Sequence[str] = (), lists: Sequence[str] = ()
) -> Forgotten:
    """Put in doubt what ``destination`` acknowledged: of these fields and lists (audiences), of all if neither."""
    name, everything = destination.name, not (fields or lists)
    with runtime.warehouse.write() as con:
        records = fields_in_doubt(con, name, fields) if fields or everything else 0
        memberships = _members_in_doubt(con, name, lists) if lists or everything else 0
        if everything and isinstance(destination, KeepsAcknowledged):
            records += destination.write_again(con)
        con.execute("DELETE FROM delivery.rejected WHERE destination = ?", [name])
        if (lists or everything) and isinstance(destination, ReadsAhead):
            destination.read_again(con)
        change_log.note(con, f"delivery.{name}", None)
    return Forgotten(destination=name, records=records, memberships=memberships)


_READ_THERE = ("owners", "contexts", "readings", "outcome_fields", "reviews")
"""Tables of the schema ``feedback`` that hold what was read of an account."""


def leave_account(runtime: Runtime, destination: Destination) -> None:
    """Forget everything known of the destination's account, for good: the next run is first contact with another."""
    name = destination.name
    with runtime.warehouse.write() as con:
        for table in (
            "links",
            "members",
            "catalog",
            "rejected",
            "deferred",
            "conflicts",
            "key_clashes",
            "gone_records",
            "audits",
            "audit_findings",
        ):
            con.execute(f"DELETE FROM delivery.{identifier(table)} WHERE destination = ?", [name])
        for shadow in shadows(con, name):
            con.execute(f"DELETE FROM {shadow}")
        # Who was to act, who they are and whom they are on: all by ids of that account.
        decided = ("audience.assignments", "audience.rotations", "audience.handovers", "audience.escalations")
        for table in (*decided, *(f"feedback.{part}" for part in _READ_THERE)):
            con.execute(f"DELETE FROM {table} WHERE destination = ?", [name])
        if isinstance(destination, IdentifiesAccount):
            destination.forget_account(con)
        accounts.forget(con, name)
        change_log.note(con, f"delivery.{name}", None)
    with closing(Journal(runtime.settings.journal)) as journal:
        forget_destination(journal, name)


def refill(runtime: Runtime, destination: str, catalog: Mapping[str, Any]) -> dict[str, Any]:
    """Put in doubt what the schema step says it made anew, or lost members; return the catalog without saying so."""
    fields = [key.removeprefix(f"{ANEW}field:") for key in catalog if key.startswith(f"{ANEW}field:")]
    key = f"{ANEW}key" in catalog
    if fields or key:
        with runtime.warehouse.write() as con:
            fields_in_doubt(con, destination, () if key else fields)
            if key:
                con.execute("UPDATE delivery.links SET stamped = false WHERE destination = ?", [destination])
            change_log.note(con, f"delivery.{destination}", None)
    shrunk = {k.removeprefix(MEMBERS): int(size) for k, size in catalog.items() if k.startswith(MEMBERS)}
    if shrunk:
        _recheck(runtime, destination, shrunk)
    return {name: value for name, value in catalog.items() if not name.startswith((ANEW, MEMBERS))}


def _recheck(runtime: Runtime, destination: str, sizes: Mapping[str, int]) -> None:
    """Have the records of members looked at where a list has fewer than it acknowledged: some may be gone.

    Whose link is oldest first, so that all of a long list have their turn.
    """
    with runtime.warehouse.read() as con:
        found = con.execute(
            """SELECT audience, count(*) FROM delivery.members WHERE destination = ? AND acked_at IS NOT NULL
            GROUP BY audience""",
            [destination],
        ).fetchall()
    less = [audience for audience, acknowledged in found if sizes.get(audience, acknowledged) < acknowledged]
    if not less:
        return
    chosen = f"""SELECT l.cio_id FROM delivery.links AS l
        WHERE l.destination = {literal(destination)} AND l.record_id IS NOT NULL AND l.record_id IN (
            SELECT record_id FROM delivery.members
            WHERE destination = {literal(destination)} AND audience IN ({", ".join(map(literal, less))}))
        ORDER BY l.linked_at NULLS FIRST, l.cio_id LIMIT {RECHECKED}"""
    with runtime.warehouse.write() as con:
        con.execute(f"CREATE OR REPLACE TEMP TABLE rechecked AS {chosen}")
        con.execute(
            """UPDATE delivery.links SET recheck = true
            WHERE destination = ? AND cio_id IN (SELECT cio_id FROM rechecked)""",
            [destination],
        )
        change_log.note(con, f"delivery.{destination}", "SELECT cio_id FROM rechecked")
        con.execute("DROP TABLE rechecked")


def fields_in_doubt(con: Connection, destination: str, fields: Sequence[str]) -> int:
    """Put these fields (all, if none is named) in doubt in every record; return how many records that are."""
    records = 0
    for shadow in shadows(con, destination):
        columns = [str(row[0]) for row in con.execute(f"DESCRIBE {shadow}").fetchall()]
        present = [c.removeprefix("p_") for c in columns if c.startswith("p_")]
        chosen = [f for f in present if not fields or f in fields]
        if chosen:
            marks = literal("".join(f"|{f}|" for f in chosen))
            con.execute(f"UPDATE {shadow} SET whole_hash = NULL, in_doubt = concat(in_doubt, {marks})")
            records += int(str(scalar(con, f"SELECT count(*) FROM {shadow}")))
    return records


def _members_in_doubt(con: Connection, destination: str, lists: Sequence[str]) -> int:
    which = f" AND audience IN ({', '.join(map(literal, lists))})" if lists else ""
    where = f"destination = {literal(destination)}{which}"
    con.execute(f"UPDATE delivery.members SET acked_at = NULL WHERE {where}")
    return int(str(scalar(con, f"SELECT count(*) FROM delivery.members WHERE {where}")))
