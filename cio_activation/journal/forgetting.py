"""Forgets what the journal holds of one destination: for whoever leaves its account for good."""

from __future__ import annotations

import sqlalchemy as sa

from cio_activation.journal.attempts import Journal
from cio_activation.journal.schema import attempts, claims


def forget_destination(journal: Journal, destination: str) -> None:
    """Delete the attempts and claims of ``destination``: in another account nothing of it was ever made."""
    with journal.transaction() as con:
        for table in (attempts, claims):
            con.execute(sa.delete(table).where(table.c.destination == destination))
