"""Claims: what has been brought into being, or is about to be, each by one attempt only.

A claim is written in the commit that records the intent, and outlives its attempt: a second run that planned the same
creation from an older snapshot finds it taken. It is freed when the vendor refused the creation, when it surely was
not applied, and when its record is found gone.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from cio_activation.journal import statements
from cio_activation.journal.operations import End, Operation, Result
from cio_activation.journal.schema import claims


def take(con: sa.Connection, batch: Sequence[Operation], destination: str) -> tuple[list[Operation], list[Operation]]:
    """Claim what ``batch`` creates, in the caller's transaction; return (to send, already created elsewhere)."""
    wanted = {claim: o for o in reversed(batch) if (claim := o.claim) is not None}
    if not wanted:
        return list(batch), []
    won = statements.insert_claims(con, {c: o.operation_id for c, o in wanted.items()}, destination)
    free = [o for o in batch if o.claim is None or (o.claim in won and wanted[o.claim] is o)]
    mine = {id(o) for o in free}
    return free, [o for o in batch if id(o) not in mine]


def free(con: sa.Connection, results: Sequence[Result], destination: str) -> None:
    """Free the claims of creations that ``results`` say did not happen, and of records that are gone."""
    freed = [r.frees for r in results if r.frees]
    if freed:
        con.execute(sa.delete(claims).where(claims.c.destination == destination, claims.c.claim.in_(freed)))
    undone = [r.operation_id for r in results if r.end in (End.REJECTED, End.RETRY)]
    if undone:
        con.execute(sa.delete(claims).where(claims.c.operation_id.in_(undone), claims.c.record_id.is_(None)))
