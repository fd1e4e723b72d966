"""What the deciding rooms would have written: persons, states and members, where a test is about what comes after them.

Each of these makes a table hold exactly what it is given, and notes whom that changed, as the rooms do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from cio_activation.activation.models import Lane
from cio_activation.runtime import Runtime
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier
from cio_activation.warehouse.tables import PERSONS, SQL_TYPE
from cio_activation_tests.drivers.tables import noting


def write_persons(run: Runtime, people: Iterable[Mapping[str, Any]]) -> None:
    """Make ``identity.persons`` hold exactly ``people``: column -> value. Deliverable, and owners of their e-mail, if not told."""
    rows = [
        {"deliverable": True, "email_owner": one.get("deliverable", True), "external_id_owner": False, **one}
        for one in people
    ]
    with run.warehouse.write() as con, noting(con, PERSONS):
        con.execute(f"DELETE FROM {PERSONS}")
        _insert(con, PERSONS, sorted({name for row in rows for name in row}), rows)


def write_state(run: Runtime, lane: Lane, states: Mapping[str, Mapping[str, Any]]) -> None:
    """Make the lane's state table hold exactly ``states``: person -> property -> value; other properties are NULL."""
    properties = run.activation.lane_properties(lane)
    types = {"cio_id": "VARCHAR"} | {p.name: SQL_TYPE[p.type] for p in properties}
    listed = ", ".join(identifier(p.name) for p in properties) or "0"
    hashes = ", ".join(f"hash({listed}) AS {identifier(f'hash_{name}')}" for name in run.activation.destinations)
    table = f"state.{lane}_properties"
    with run.warehouse.write() as con, noting(con, table):
        columns = ", ".join(f"{identifier(name)} {kind}" for name, kind in types.items())
        con.execute(f"CREATE OR REPLACE TEMP TABLE stated ({columns})")
        _insert(con, "stated", types, [{"cio_id": c, **values} for c, values in states.items()])
        con.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT *, hash({listed}) AS row_hash, {hashes} FROM stated")


def write_members(run: Runtime, inside: Mapping[str, Iterable[str]]) -> None:
    """Make the audiences of ``inside`` have exactly these members; whoever was in before has left."""
    with run.warehouse.write() as con, noting(con, "audience.memberships"):
        for audience, people in inside.items():
            wanted = sorted(set(people))
            con.execute(
                """UPDATE audience.memberships SET exited_at = now()::TIMESTAMP
                WHERE audience = ? AND exited_at IS NULL AND cio_id NOT IN (SELECT unnest(?::VARCHAR[]))""",
                [audience, wanted],
            )
            con.execute(
                """INSERT INTO audience.memberships BY NAME
                SELECT ? AS audience, 1 AS version, cio_id FROM (SELECT unnest(?::VARCHAR[]) AS cio_id)
                WHERE cio_id NOT IN (
                    SELECT cio_id FROM audience.memberships WHERE audience = ? AND exited_at IS NULL)""",
                [audience, wanted, audience],
            )


def _insert(con: Connection, table: str, columns: Iterable[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Add ``rows``; what a row does not name of ``columns`` is NULL."""
    if rows:
        con.register("given_rows", pa.table({name: pa.array([row.get(name) for row in rows]) for name in columns}))
        con.execute(f"INSERT INTO {table} BY NAME FROM given_rows")
        con.unregister("given_rows")
