"""Asking to forget somebody: from then on they count as gone from Customer.io, and nothing takes them in again.

The lanes' next runs do the rest as for anybody who left: entries end, fields are emptied, lists let go, open actions
are withdrawn, all by ordinary plans. When nothing of ours is left there, ``erasing`` deletes what is here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cio_activation.activation.models import Lane
from cio_activation.privacy.people import identifiers, records
from cio_activation.warehouse import change_log, tombstones
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import exists, identifier
from cio_activation.warehouse.tables import (
    FORGET_REQUESTS,
    MEMBERSHIP_CHANGES,
    MEMBERSHIPS,
    MOMENTS,
    PEOPLE,
    PEOPLE_CURRENT,
    PEOPLE_LIVE,
    STALE_CELLS,
)


@dataclass(frozen=True)
class Request:
    """One person who is to be forgotten."""

    cio_id: str
    person_hash: str
    asked_at: datetime
    """Naive UTC."""
    records: tuple[str, ...]
    """Each as ``<destination>/<record id>``."""


def ask(con: Connection, people: Sequence[str], now: datetime, who: str, why: str) -> int:
    """Have ``people`` (``cio_id``) forgotten from ``now`` (naive UTC) on; return how many were not asked for before."""
    known, theirs = identifiers(con, people), records(con, people)
    tombstones.make(con, [*people, *(record for there in theirs.values() for record in there)], now)
    already = {request.cio_id for request in requests(con)}
    fresh = [cio_id for cio_id in dict.fromkeys(people) if cio_id not in already]
    con.execute(
        f"""INSERT INTO {FORGET_REQUESTS}
        SELECT x.cio_id, {tombstones.hash_of(con, "x.cio_id")}, x.identifiers, x.records, $now, $who, $why
        FROM (SELECT unnest($people::VARCHAR[]) AS cio_id, unnest($identifiers::VARCHAR[][]) AS identifiers,
            unnest($records::VARCHAR[][]) AS records) AS x""",
        {
            "people": fresh, "identifiers": [known[one] for one in fresh], "records": [theirs[one] for one in fresh],
            "now": now, "who": who, "why": why,
        },
    )  # fmt: skip
    _let_go(con, fresh)
    return len(fresh)


def requests(con: Connection) -> list[Request]:
    """Return who is to be forgotten and is not yet, the oldest request first."""
    rows = con.execute(
        f"SELECT cio_id, person_hash, asked_at, records FROM {FORGET_REQUESTS} ORDER BY asked_at, cio_id"
    ).fetchall()
    return [Request(cio_id, key, at, tuple(there)) for cio_id, key, at, there in rows]


def _let_go(con: Connection, people: Sequence[str]) -> None:
    """Take what was read of ``people`` out of the raw tables, as if Customer.io had them no more."""
    them = "SELECT unnest(?::VARCHAR[]) AS cio_id"
    for changed in (PEOPLE, PEOPLE_CURRENT, *map(change_log.members_of, Lane), MOMENTS):
        change_log.note(con, changed, them, [list(people)])
    for table in (PEOPLE, PEOPLE_LIVE, STALE_CELLS, MEMBERSHIPS, MEMBERSHIP_CHANGES, MOMENTS):
        if exists(con, table):
            con.execute(f"DELETE FROM {table} WHERE {identifier('cio_id')} IN ({them})", [list(people)])
