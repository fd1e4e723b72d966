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


def entries(
    run: Runtime,
    audience: str,
    people: Mapping[str, Mapping[str, Any]],
    *,
    exited: Mapping[str, str] | None = None,
    destination: str = "",
) -> dict[str, str]:
    """Let ``people`` enter a touch audience with whom acts until when, and others leave it (person -> reason).

    A person's values may be ``owner_id``, ``due_at`` and the like of ``audience.assignments``; ``evidence`` (JSON) is
    what the rules read. Without a ``destination`` nobody is assigned. Who is in already stays, and has that as newer evidence. Return person -> id of the newest entry.
    """
    tables = ("audience.memberships", "audience.assignments", "audience.current_evidence")
    with run.warehouse.write() as con, noting(con, *tables):
        inside = "audience = ? AND cio_id = ? AND exited_at IS NULL"
        for cio_id, reason in (exited or {}).items():
            con.execute(
                f"UPDATE audience.memberships SET exited_at = now()::TIMESTAMP, exit_reason = ? WHERE {inside}",
                [reason, audience, cio_id],
            )
        for cio_id, given in people.items():
            known = con.execute(
                f"SELECT entry_id FROM audience.memberships WHERE {inside}", [audience, cio_id]
            ).fetchall()
            if known:
                new = {"entry_id": known[0][0], "audience": audience, "cio_id": cio_id, "as_of": datetime.now()}
                con.execute("DELETE FROM audience.current_evidence WHERE entry_id = ?", [new["entry_id"]])
                _insert(con, tables[2], (*new, "evidence"), [new | {"evidence": given.get("evidence")}])
                continue
            con.execute(
                """INSERT INTO audience.memberships BY NAME
                SELECT *, md5(concat_ws(chr(31), audience, cio_id, number)) AS entry_id FROM (
                    SELECT ? AS audience, 1 AS version, ? AS cio_id, ? AS evidence, true AS touch,
                        TIMESTAMP '2026-11-01' AS entered_at, CAST(1 + (
                            SELECT count(*) FROM audience.memberships WHERE audience = ? AND cio_id = ?) AS INTEGER)
                            AS number)""",
                [audience, cio_id, given.get("evidence", "{}"), audience, cio_id],
            )
            if not destination:
                continue
            assigned = {"audience": audience, "cio_id": cio_id, "destination": destination, "owner_from": "named"}
            assigned |= {k: v for k, v in given.items() if k != "evidence"}
            entry = con.execute(f"SELECT entry_id FROM audience.memberships WHERE {inside}", [audience, cio_id])
            _insert(con, tables[1], ("entry_id", *assigned), [assigned | {"entry_id": entry.fetchall()[0][0]}])
        rows = con.execute(
            """SELECT cio_id, arg_max(entry_id, number) FROM audience.memberships WHERE audience = ? GROUP BY cio_id""",
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

    person -> what of the entry is not usual: ``owner_id``, ``queue``, ``due_at``, ``inputs`` (of the evidence; other
    ones of somebody who is in already are what the rules read now), ``ghost``, ``baseline``. ``at``: naive UTC.
    """
    tables = ("audience.memberships", "audience.assignments", "audience.current_evidence")
    with run.warehouse.write() as con, noting(con, *tables):
        present = con.execute(
            """SELECT m.cio_id, m.entry_id, coalesce(v.evidence, m.evidence) FROM audience.memberships AS m
            LEFT JOIN audience.current_evidence AS v USING (entry_id)
            WHERE m.audience = ? AND m.exited_at IS NULL""",
            [audience],
        ).fetchall()
        gone = [entry_id for cio_id, entry_id, _ in present if cio_id not in inside]
        con.execute(
            "UPDATE audience.memberships SET exited_at = ?, exit_reason = ? WHERE list_contains(?, entry_id)",
            [at, reason, gone],
        )
        known = {cio_id: (entry_id, evidence) for cio_id, entry_id, evidence in present}
        for cio_id, said in inside.items():
            evidence = json.dumps({"since": at.isoformat(" "), "inputs": said.get("inputs", {})}, sort_keys=True)
            if cio_id in known:
                _read_now(con, audience, cio_id, *known[cio_id], said, at)
                continue
            number = 1 + len(
                con.execute(
                    "SELECT 1 FROM audience.memberships WHERE audience = ? AND cio_id = ?", [audience, cio_id]
                ).fetchall()
            )
            entry_id = hashlib.md5("\x1f".join((audience, cio_id, str(number))).encode()).hexdigest()
            entry = {"audience": audience, "version": 1, "cio_id": cio_id, "entered_at": at, "evidence": evidence,
                     "number": number, "entry_id": entry_id, "touch": True, "ghost": said.get("ghost", False),
                     "baseline": said.get("baseline", False)}  # fmt: skip
            _insert(con, "audience.memberships", entry, [entry])
            asked = {"entry_id": entry_id, "audience": audience, "cio_id": cio_id, "destination": destination,
                     "owner_id": said.get("owner_id"), "owner_from": said.get("owner_from", "named"),
                     "queue": said.get("queue"), "due_at": said.get("due_at", at), "as_of": at}  # fmt: skip
            _insert(con, "audience.assignments", asked, [asked])


def _read_now(
    con: Connection,
    audience: str,
    cio_id: str,
    entry_id: str,
    evidence: str,
    said: Mapping[str, Any],
    at: datetime,
) -> None:
    """Note what the rules read now of somebody who is in, if that is something else."""
    before = json.loads(evidence)
    if "inputs" in said and before["inputs"] != said["inputs"]:
        now = json.dumps(before | {"inputs": said["inputs"]}, sort_keys=True)
        row = {"entry_id": entry_id, "audience": audience, "cio_id": cio_id, "evidence": now, "as_of": at}
        con.execute("DELETE FROM audience.current_evidence WHERE entry_id = ?", [entry_id])
        _insert(con, "audience.current_evidence", row, [row])


def _insert(con: Connection, table: str, columns: Iterable[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Add ``rows``; what a row does not name of ``columns`` is NULL."""
    if rows:
        con.register("given_rows", pa.table({name: pa.array([row.get(name) for row in rows]) for name in columns}))
        con.execute(f"INSERT INTO {table} BY NAME FROM given_rows")
        con.unregister("given_rows")
