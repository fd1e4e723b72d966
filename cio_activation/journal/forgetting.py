"""Forgets what the journal holds: of one destination, for whoever leaves its account for good; of people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import sqlalchemy as sa

from cio_activation.journal.attempts import Journal
from cio_activation.journal.operations import End
from cio_activation.journal.schema import attempts, claims, inbox

_T = TypeVar("_T")
_AT_ONCE = 500
"""Ids in one statement: SQLite takes so many parameters and no more."""


def forget_destination(journal: Journal, destination: str) -> None:
    """Delete the attempts and claims of ``destination``: in another account nothing of it was ever made."""
    with journal.transaction() as con:
        for table in (attempts, claims):
            con.execute(sa.delete(table).where(table.c.destination == destination))


def unsettled(journal: Journal, people: Sequence[str]) -> list[tuple[str, str]]:
    """Return (``cio_id``, destination) of writes about ``people`` whose outcome is not known yet, each once."""
    found: set[tuple[str, str]] = set()
    with journal.transaction(durable=False) as con:
        for some in _by_lot(people):
            rows = con.execute(
                sa.select(attempts.c.cio_id, attempts.c.destination).where(
                    attempts.c.cio_id.in_(some),
                    sa.or_(attempts.c.ended_at.is_(None), attempts.c.end == str(End.UNKNOWN)),
                )
            )
            found |= {(str(cio_id), str(destination)) for cio_id, destination in rows}
    return sorted(found)


def forget_people(journal: Journal, people: Sequence[str], identifiers: Sequence[str]) -> None:
    """Delete the attempts and claims about ``people``, and what still waits in the inbox and names one of them.

    ``identifiers``: whatever names them in a webhook's body. Call when none of their writes is unsettled.
    """
    named = [value.encode() for value in identifiers]
    with journal.transaction() as con:
        for some in _by_lot(people):
            theirs = sa.select(attempts.c.operation_id).where(attempts.c.cio_id.in_(some))
            con.execute(sa.delete(claims).where(claims.c.operation_id.in_(theirs)))
            con.execute(sa.delete(claims).where(claims.c.claim.in_([f"person:{cio_id}" for cio_id in some])))
            con.execute(sa.delete(attempts).where(attempts.c.cio_id.in_(some)))
        waiting = con.execute(sa.select(inbox.c.id, inbox.c.body).where(inbox.c.body.is_not(None))).all()
        about = [number for number, body in waiting if any(value in bytes(body) for value in named)]
        for numbers in _by_lot(about):
            con.execute(sa.delete(inbox).where(inbox.c.id.in_(numbers)))


def compact(journal: Journal) -> None:
    """Have the database give back the pages of what was deleted, so that nothing of it can be read in its files."""
    with journal.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as con:
        if journal.engine.dialect.name == "sqlite":
            con.exec_driver_sql("VACUUM")
            con.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        else:
            for table in (attempts, claims, inbox):
                con.exec_driver_sql(f"VACUUM (FULL) {table.name}")


def _by_lot(values: Sequence[_T]) -> Iterator[list[_T]]:
    for start in range(0, len(values), _AT_ONCE):
        yield list(values[start : start + _AT_ONCE])
