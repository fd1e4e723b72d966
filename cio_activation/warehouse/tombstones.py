"""People who were forgotten: kept by a salted hash of their id only, so that whatever names them is left out.

A customer who comes back is a new profile to Customer.io, with another ``cio_id``, and welcome.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime

from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, scalar
from cio_activation.warehouse.tables import TOMBSTONE_SALT, TOMBSTONES


def make(con: Connection, people: Sequence[str], at: datetime) -> None:
    """Make a tombstone for each ``cio_id`` of ``people`` that has none; ``at`` is naive UTC."""
    if not scalar(con, f"SELECT count(*) FROM {TOMBSTONE_SALT}"):
        con.execute(f"INSERT INTO {TOMBSTONE_SALT} VALUES (?)", [secrets.token_hex(16)])
    con.execute(
        f"""INSERT INTO {TOMBSTONES} SELECT DISTINCT {hash_of(con, "cio_id")}, CAST(? AS TIMESTAMP)
        FROM (SELECT unnest(?::VARCHAR[]) AS cio_id) WHERE NOT {is_forgotten(con, "cio_id")}""",
        [at, list(people)],
    )


def any_made(con: Connection) -> bool:
    """Return whether anybody was ever forgotten."""
    return bool(scalar(con, f"SELECT EXISTS (FROM {TOMBSTONES})"))


def is_forgotten(con: Connection, cio_id: str) -> str:
    """Return the SQL condition that the person of ``cio_id`` (SQL) was forgotten."""
    return f"coalesce({hash_of(con, cio_id)} IN (SELECT person_hash FROM {TOMBSTONES}), FALSE)"


def drop(con: Connection, table: str, *, where: str = "TRUE") -> int:
    """Delete the rows of ``table`` (with ``cio_id``) that are about somebody who was forgotten; return how many."""
    if not any_made(con):
        return 0
    deleted = con.execute(f"DELETE FROM {table} WHERE {where} AND {is_forgotten(con, 'cio_id')}").fetchall()
    return int(deleted[0][0])


def drop_records(con: Connection, table: str, destination: str, record_id: str) -> None:
    """Delete the rows of ``table`` about records of people who were forgotten, by its column ``record_id``."""
    if any_made(con):
        record = f"concat({literal(f'{destination}/')}, {record_id})"
        con.execute(f"DELETE FROM {table} WHERE {is_forgotten(con, record)}")


def hash_of(con: Connection, cio_id: str) -> str:
    """Return the SQL of the hash by which a person is kept out."""
    salt = scalar(con, f"SELECT any_value(value) FROM {TOMBSTONE_SALT}")
    return f"sha256(concat({literal(str(salt))}, {cio_id}))"
