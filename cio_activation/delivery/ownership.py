"""Ownership (invariant I5): what may be written at all, and what is left alone because a human changed it.

A destination's fields under our prefix are ours; no other field is ever written, except when we make the record. Of
ours, those with ``on_conflict: keep`` are compared before each write: what the record holds now against what the
destination last acknowledged. What differs was changed by a human since, and is left out of the write. Such a
conflict is remembered, so that it is looked at again only when our own value changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cio_activation.errors import ContractError
from cio_activation.journal.operations import End, Operation, Result
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal

CONFLICTS = "conflicts"
"""Key of ``Result.observed``: logical names that were not written -> what the record holds in them."""
KEPT = "kept: changed by hand"
"""Reason of an operation that had nothing left to write."""


@dataclass(frozen=True)
class Conflict:
    """Values of one field that humans changed and that were left as they are."""

    destination: str
    step: str
    field: str
    people: int
    newest: datetime
    """As-of (naive UTC) of the last window that found one."""


@dataclass(frozen=True)
class Examined:
    """Operations after what humans changed was taken out of them."""

    write: Sequence[Operation]
    """What is left to write, with smaller payloads."""
    settled: Sequence[Result]
    """Operations that have nothing left."""
    conflicts: Mapping[str, Mapping[str, Any]]
    """Operation id -> what was left out, and what the record holds there."""

    def told(self, results: Iterable[Result]) -> list[Result]:
        """Return ``results`` of writing, with what was left out noted on each, and the settled ones."""
        noted = [
            replace(r, observed={**r.observed, CONFLICTS: dict(self.conflicts[r.operation_id])})
            if r.operation_id in self.conflicts
            else r
            for r in results
        ]
        return [*noted, *self.settled]


def refuse_foreign(names: Iterable[str], prefix: str, also: Collection[str] = ()) -> None:
    """Raise ContractError if a payload would write a field that is not ours; nothing is sent then.

    ``also`` names the destination's own fields that may be written as well: our key, and those of a new record.
    """
    foreign = sorted(n for n in names if not n.startswith(prefix) and n not in also)
    if foreign:
        raise ContractError(
            f"a payload holds {', '.join(foreign)}, which is not under our prefix {prefix}; nothing was sent. "
            "This is a defect, please report it"
        )


def examine(batch: Sequence[Operation], keeps: Collection[str], current: Mapping[str, Mapping[str, Any]]) -> Examined:
    """Take out of each operation what a human changed. ``current``: operation id -> what its record holds now.

    A name that ``current`` does not have is not known, and is written.
    """
    write: list[Operation] = []
    settled: list[Result] = []
    conflicts: dict[str, Mapping[str, Any]] = {}
    for operation in batch:
        there = current.get(operation.operation_id, {})
        kept = {
            n: there[n] for n in operation.payload if n in keeps and n in there and _changed(operation, n, there[n])
        }
        if kept:
            conflicts[operation.operation_id] = kept
            operation = replace(operation, payload={n: v for n, v in operation.payload.items() if n not in kept})
        if kept and not operation.payload and not operation.kind.stamps:
            observed = {CONFLICTS: dict(kept)}
            settled.append(Result(operation.operation_id, End.UNNEEDED, KEPT, observed=observed))
        else:
            write.append(operation)
    return Examined(write, settled, conflicts)


def known(destination: str, step: str) -> str:
    """Return a SELECT of the remembered conflicts: ``cio_id, record_id, field, ours``."""
    return (
        "SELECT cio_id, record_id, field, ours FROM delivery.conflicts "
        f"WHERE destination = {literal(destination)} AND step = {literal(step)}"
    )


def fold_conflicts(con: Connection, destination: str, step: str, finished: str) -> None:
    """Remember the conflicts in ``finished``; forget those whose field has been written since."""
    found = f"""SELECT 1 FROM {finished} WHERE json_exists(observed, '$.{CONFLICTS}') LIMIT 1"""
    if not con.execute(found).fetchall() and not con.execute(f"{known(destination, step)} LIMIT 1").fetchall():
        return  # as it is almost always: nothing to take apart
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE settled AS
        SELECT * FROM (
            SELECT cio_id, coalesce(result_record_id, record_id) AS record_id, payload, observed, window_key,
                   window_end, intent_at, unnest(json_keys(payload)) AS field
            FROM {finished} WHERE "end" IN ('delivered', 'unneeded'))
        QUALIFY row_number() OVER (PARTITION BY cio_id, field ORDER BY intent_at DESC) = 1"""
    )
    con.execute(
        """DELETE FROM delivery.conflicts WHERE destination = ? AND step = ?
        AND (cio_id, field) IN (SELECT (cio_id, field) FROM settled)""",
        [destination, step],
    )
    con.execute(
        f"""INSERT INTO delivery.conflicts BY NAME
        SELECT {literal(destination)} AS destination, {literal(step)} AS step, cio_id, record_id, field,
               json_extract_string(payload, '$.' || field) AS ours,
               json_extract_string(observed, '$.{CONFLICTS}.' || field) AS theirs,
               window_key AS found_window, window_end AS found_at
        FROM settled WHERE json_exists(observed, '$.{CONFLICTS}.' || field)"""
    )
    con.execute("DROP TABLE settled")


def conflicts(con: Connection) -> list[Conflict]:
    """Return how many people have a conflict, by destination, step and field."""
    rows = con.execute(
        """SELECT destination, step, field, count(DISTINCT cio_id), max(found_at) FROM delivery.conflicts
        GROUP BY ALL ORDER BY ALL"""
    ).fetchall()
    return [Conflict(*row) for row in rows]


def _changed(operation: Operation, name: str, now: Any) -> bool:
    """Tell whether somebody else wrote ``now``: it is neither what was acknowledged, nor anything of ours."""
    ours = [operation.before.get(name), operation.payload[name]]
    ours += [sent[name] for sent in operation.in_doubt if name in sent]
    return _text(now) not in {_text(value) for value in ours}


def _text(value: Any) -> str:
    """Return a value as text; an empty one and none at all are the same to a person who looks at the record."""
    return "" if value is None else str(value)
