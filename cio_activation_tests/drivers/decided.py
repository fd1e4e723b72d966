"""What the deciding rooms would have written: persons, states and members, where a test is about what comes after them.

Each of these makes a table hold exactly what it is given, and notes whom that changed, as the rooms do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from cio_activation.activation.models import Lane
from cio_activation.runtime import Runtime
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier
from cio_activation.warehouse.tables import ASSIGNMENTS, CURRENT_EVIDENCE, PERSONS, SQL_TYPE
from cio_activation.warehouse.tables import AUDIENCE_MEMBERSHIPS as MEMBERSHIPS
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


def entries(
    run: Runtime,
    audience: str,
    people: Mapping[str, Mapping[str, Any]],
    *,
    exited: Mapping[str, str] | None = None,
    destination: str = "",
    at: datetime = datetime(2026, 11, 1),
) -> dict[str, str]:
    """Let ``people`` enter a touch audience with whom acts until when, and others leave it (person -> reason).

    A person's values may be ``owner_id``, ``due_at`` and the like of ``audience.assignments``, ``ghost`` and ``baseline``
    of the entry; ``evidence`` (JSON) is what the rules read. Without a ``destination`` nobody is assigned. Who is in
    already stays, and has that as newer evidence. ``at``: naive UTC. Return person -> id of the newest entry.
    """
    with run.warehouse.write() as con, noting(con, MEMBERSHIPS, ASSIGNMENTS, CURRENT_EVIDENCE):
        inside = "audience = ? AND cio_id = ? AND exited_at IS NULL"
        for cio_id, reason in (exited or {}).items():
            con.execute(
                f"UPDATE {MEMBERSHIPS} SET exited_at = ?, exit_reason = ? WHERE {inside}",
                [at, reason, audience, cio_id],
            )
        for cio_id, given in people.items():
            about = {"audience": audience, "cio_id": cio_id, "as_of": at}
            known = con.execute(f"SELECT entry_id FROM {MEMBERSHIPS} WHERE {inside}", [audience, cio_id]).fetchall()
            if known:
                new = about | {"entry_id": known[0][0], "evidence": given.get("evidence")}
                con.execute(f"DELETE FROM {CURRENT_EVIDENCE} WHERE entry_id = ?", [new["entry_id"]])
                _insert(con, CURRENT_EVIDENCE, new, [new])
                continue
            entry = _enter(con, audience, cio_id, given, at)
            if destination:
                own = {k: v for k, v in given.items() if k not in ("evidence", "ghost", "baseline")}
                asked = about | {"entry_id": entry, "destination": destination, "owner_from": "named"} | own
                _insert(con, ASSIGNMENTS, asked, [asked])
        rows = con.execute(
            f"SELECT cio_id, arg_max(entry_id, number) FROM {MEMBERSHIPS} WHERE audience = ? GROUP BY cio_id",
            [audience],
        ).fetchall()
    return {str(cio_id): str(entry_id) for cio_id, entry_id in rows}


def write_entries(
    run: Runtime,
    audience: str,
    inside: Mapping[str, Mapping[str, Any]],
    *,
    at: datetime,
    destination: str = "hubspot",
    reason: str = "left_segment",
) -> None:
    """Make exactly ``inside`` the people who are in a touch audience; whoever was in before has left for ``reason``.

    As :func:`entries`, but for ``inputs`` in place of the evidence: of somebody who is in already, other ones are what the
    rules read now. Something is due ``at`` once, if nothing is said.
    """
    with run.warehouse.read() as con:
        present = con.execute(
            f"""SELECT m.cio_id, coalesce(v.evidence, m.evidence) FROM {MEMBERSHIPS} AS m
            LEFT JOIN {CURRENT_EVIDENCE} AS v USING (entry_id) WHERE m.audience = ? AND m.exited_at IS NULL""",
            [audience],
        ).fetchall()
    before = {str(cio_id): json.loads(evidence) for cio_id, evidence in present}
    people = {}
    for cio_id, said in inside.items():
        kept = before.get(cio_id)
        if kept is not None and said.get("inputs", kept["inputs"]) == kept["inputs"]:
            continue
        evidence = (kept or {"since": at.isoformat(" ")}) | {"inputs": said.get("inputs", {})}
        rest = {name: value for name, value in said.items() if name != "inputs"}
        people[cio_id] = {"due_at": at} | rest | {"evidence": json.dumps(evidence, sort_keys=True)}
    gone = {cio_id: reason for cio_id in before if cio_id not in inside}
    entries(run, audience, people, exited=gone, destination=destination, at=at)


def _enter(con: Connection, audience: str, cio_id: str, given: Mapping[str, Any], at: datetime) -> str:
    """Add the person's next entry; return its id."""
    stays = f"SELECT count(*) FROM {MEMBERSHIPS} WHERE audience = ? AND cio_id = ?"
    number = 1 + int(con.execute(stays, [audience, cio_id]).fetchall()[0][0])
    entry = {
        "audience": audience, "version": 1, "cio_id": cio_id, "entered_at": at, "number": number, "touch": True,
        "entry_id": hashlib.md5("\x1f".join((audience, cio_id, str(number))).encode()).hexdigest(),
        "evidence": given.get("evidence", "{}"), "ghost": given.get("ghost", False),
        "baseline": given.get("baseline", False),
    }  # fmt: skip
    _insert(con, MEMBERSHIPS, entry, [entry])
    return str(entry["entry_id"])


def _insert(con: Connection, table: str, columns: Iterable[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Add ``rows``; what a row does not name of ``columns`` is NULL."""
    if rows:
        con.register("given_rows", pa.table({name: pa.array([row.get(name) for row in rows]) for name in columns}))
        con.execute(f"INSERT INTO {table} BY NAME FROM given_rows")
        con.unregister("given_rows")
