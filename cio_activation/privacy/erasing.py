"""Deletes every trace of people of whom nothing of ours is left in the CRMs.

Files first, then the journal, then the warehouse with the requests themselves, then both databases are written anew,
because a deleted row stays in pages that are free. Each part may be done again: whoever dies on the way is followed by
a run that finds the requests, or that something is left over, and begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cio_activation.activation.models import Lane
from cio_activation.delivery import catalog
from cio_activation.delivery.accounts import require_account
from cio_activation.delivery.destination import CarriesKey, Context, Destination
from cio_activation.delivery.pacing import pacer_for
from cio_activation.journal.attempts import Journal
from cio_activation.journal.forgetting import compact, forget_people
from cio_activation.privacy import files
from cio_activation.privacy.people import also_of_others
from cio_activation.privacy.remaining import remaining
from cio_activation.privacy.requests import Request, requests
from cio_activation.runtime import Runtime
from cio_activation.transport import event_loop
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier, scalar
from cio_activation.warehouse.tables import (
    FORGET_REQUESTS,
    LEFTOVERS,
    MOMENTS,
    PHONE_MAP,
    PIPEDRIVE_PERSONS,
    QUARANTINE,
    RECEIPTS,
)

_IS_NO_OTHER = "(contains(n.value, '@') OR n.value IN (SELECT cio_id FROM erased))"
"""SQL: the name ``n`` cannot be part of something else, as an id such as 42 can."""
_OF_A_CRM = (
    "our fields are empty, our lists and flags let go, what people were asked is withdrawn; the record itself is the "
    "CRM's, as is what people there finished"
)
HOME, CUSTOMERIO, PIPEDRIVE = "home", "customerio", "pipedrive"
_HOLDS_A_PERSON = ("cio_id", "owner_cio_id", "rival")
"""Columns that hold a ``cio_id``, whatever the table."""


@dataclass(frozen=True)
class Erased:
    """What one round came to."""

    erased: int = 0
    """People of whom nothing is left here."""
    waiting: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    """``cio_id`` -> destination -> what has still to be taken back there by the lanes' next runs."""
    rows: int = 0
    """Rows deleted from the warehouse."""
    cleaned: int = 0
    """Files written anew."""


def erase(
    runtime: Runtime,
    now: datetime,
    destinations: Sequence[Destination] = (),
    *,
    beside: Callable[[Sequence[str]], int] | None = None,
) -> Erased:
    """Erase whoever was asked for and has nothing of ours left in a CRM; ``now`` (naive UTC) dates the receipts.

    ``destinations`` that mark records with our key take it off first; VendorError leaves everything for the next time.
    ``beside`` is told the identifiers too, for what others keep of them (Dagster's storage); it returns how many files
    or runs it cleaned. Takes as long as reading every file of the home once.
    """
    with closing(Journal(runtime.settings.journal)) as journal:
        with runtime.warehouse.read() as con:
            asked = requests(con)
            people = [request.cio_id for request in asked]
            waiting = remaining(con, journal, runtime.activation, people)
            ready = [request for request in asked if request.cio_id not in waiting]
            names = _names(con, [request.cio_id for request in ready])
            sure = [name for name in names if "@" in name or name in set(people)]
            leftovers = bool(scalar(con, f"SELECT EXISTS (FROM {LEFTOVERS})"))
        if ready:
            _take_keys(runtime, journal, destinations, [request.cio_id for request in ready])
            rewritten = _files(runtime, [r.cio_id for r in ready], sure)
            rewritten += beside(sure) if beside is not None else 0
            forget_people(journal, [request.cio_id for request in ready], sure)
            with runtime.warehouse.write() as con:
                rows = _rows(con, ready, names, now)
        else:
            rewritten, rows = 0, 0
        if ready or leftovers:
            compact(journal)
            runtime.warehouse.compact()
            with runtime.warehouse.write() as con:
                con.execute(f"DELETE FROM {LEFTOVERS}")
    return Erased(len(ready), waiting, rows, rewritten)


def _take_keys(runtime: Runtime, journal: Journal, destinations: Sequence[Destination], people: Sequence[str]) -> None:
    """Have the records of ``people`` carry our key no more. Again, it changes nothing."""
    for destination in destinations:
        if destination.name not in runtime.activation.destinations or not isinstance(destination, CarriesKey):
            continue
        event_loop.run(_take_key(runtime, journal, destination, people))


async def _take_key(runtime: Runtime, journal: Journal, destination: Destination, people: Sequence[str]) -> None:
    assert isinstance(destination, CarriesKey)
    with runtime.warehouse.read() as con:
        known = catalog.read(con, destination.name)
    pacer = pacer_for(runtime.activation, journal, destination, str(Lane.DAILY), known)
    async with destination.connect(runtime.settings, pacer) as client:
        context = Context(runtime.settings, runtime.activation, None, known)
        await require_account(runtime, destination, client, context)
        await destination.take_key(client, people)


def _names(con: Connection, people: Sequence[str]) -> list[str]:
    """Return whatever names ``people`` and nobody else."""
    rows = con.execute(
        f"SELECT DISTINCT unnest(identifiers) FROM {FORGET_REQUESTS} WHERE cio_id IN (SELECT unnest(?::VARCHAR[]))",
        [list(people)],
    ).fetchall()
    names = sorted(str(name) for (name,) in rows)
    shared = also_of_others(con, names, people) - {cio_id.lower() for cio_id in people}
    return [name for name in names if name.strip().lower() not in shared]


def _files(runtime: Runtime, people: Sequence[str], names: Sequence[str]) -> int:
    """Take the people out of every raw file and every plan of the home; return how many were written anew."""
    home, rewritten = runtime.settings.activation_home, 0
    for path in files.all_of(runtime.settings.raw_dir, home / "plans"):
        if fewer := files.take_out(path, people, names):
            rewritten += 1
            _note(runtime, path, fewer)
    return rewritten


def _note(runtime: Runtime, path: Path, fewer: int) -> None:
    with runtime.warehouse.write() as con:
        files.keep_books(con, runtime.settings.activation_home, path, fewer)


def _rows(con: Connection, ready: Sequence[Request], names: Sequence[str], now: datetime) -> int:
    """Delete the rows about the people of ``ready``, write their receipts; return how many rows that were."""
    people = [request.cio_id for request in ready]
    con.execute(f"INSERT INTO {LEFTOVERS} VALUES (?)", [now])
    con.execute("CREATE OR REPLACE TEMP TABLE erased AS SELECT unnest(?::VARCHAR[]) AS cio_id", [people])
    con.execute("CREATE OR REPLACE TEMP TABLE names AS SELECT unnest(?::VARCHAR[]) AS value", [list(names)])
    theirs = [record.partition("/") for request in ready for record in request.records]
    con.execute(
        "CREATE OR REPLACE TEMP TABLE theirs AS SELECT unnest(?::VARCHAR[]) AS record_id",
        [[number for place, _, number in theirs if place == PIPEDRIVE]],
    )
    deleted = 0
    for table, column in _with_people(con):
        deleted += _delete(con, table, f"{identifier(column)} IN (SELECT cio_id FROM erased)")
    lowered = "SELECT lower(value) FROM names"
    deleted += _delete(con, MOMENTS, f"lower(email) IN ({lowered}) OR external_id IN (SELECT value FROM names)")
    deleted += _delete(con, PIPEDRIVE_PERSONS, "person_id IN (SELECT record_id FROM theirs)")
    deleted += _delete(con, PHONE_MAP, "raw IN (SELECT value FROM names) OR e164 IN (SELECT value FROM names)")
    deleted += _delete(
        con,
        QUARANTINE,
        f"""EXISTS (FROM names AS n
            WHERE {_IS_NO_OTHER} AND contains(lower(concat("row", detail)), lower(n.value)))""",
    )
    _receipts(con, ready, now)
    for table in ("erased", "names", "theirs"):
        con.execute(f"DROP TABLE {table}")
    return deleted


def _receipts(con: Connection, ready: Sequence[Request], now: datetime) -> None:
    rows = [(request.person_hash, *one) for request in ready for one in _recipients(request).items()]
    con.execute(
        f"""INSERT INTO {RECEIPTS} SELECT unnest($people::VARCHAR[]), unnest($recipients::VARCHAR[]),
            unnest($done::VARCHAR[]), $now""",
        {"people": [r[0] for r in rows], "recipients": [r[1] for r in rows], "done": [r[2] for r in rows], "now": now},
    )


def _recipients(request: Request) -> dict[str, str]:
    """Return who held something of the person -> what was done there."""
    told = dict.fromkeys(sorted({record.partition("/")[0] for record in request.records}), _OF_A_CRM)
    told[CUSTOMERIO] = "our attributes are cleared; the profile itself is to be deleted in Customer.io"
    told[HOME] = "files, warehouse, journal and run history hold nothing of the person"
    return told


def _with_people(con: Connection) -> list[tuple[str, str]]:
    """Return (table, column) of whatever holds a ``cio_id``, of tables that are no view."""
    rows = con.execute(
        """SELECT c.schema_name, c.table_name, c.column_name FROM duckdb_columns() AS c
        JOIN duckdb_tables() AS t USING (database_name, schema_name, table_name)
        WHERE c.database_name = current_database() AND NOT t.temporary
            AND c.column_name IN (SELECT unnest(?::VARCHAR[])) ORDER BY ALL""",
        [list(_HOLDS_A_PERSON)],
    ).fetchall()
    return [(f"{identifier(schema)}.{identifier(table)}", str(column)) for schema, table, column in rows]


def _delete(con: Connection, table: str, where: str) -> int:
    return int(con.execute(f"DELETE FROM {table} WHERE {where}").fetchall()[0][0])
