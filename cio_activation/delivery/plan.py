"""Turns a step's SELECT into a plan: one row per operation, identified, guarded, written to a Parquet file.

Computed without calling a vendor. The file lets the send phase read operations in bounded memory while the
warehouse is closed, and stays as the record of what a run meant to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any

import orjson

from cio_activation.activation.windows import Window
from cio_activation.delivery import contract, deferred, guards, order, rejected, release
from cio_activation.delivery.destination import Context, Stages, Step
from cio_activation.delivery.planned import Plan
from cio_activation.delivery.withhold import withhold
from cio_activation.errors import ContractError
from cio_activation.journal.days import Allowance
from cio_activation.journal.operations import Operation, by_name, kind_named, names_sql
from cio_activation.warehouse.scope import gather
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import filled, identifier, literal, scalar

COLUMNS = (
    "kind",  # name of one of the step's kinds
    "cio_id",
    "record_id",  # VARCHAR, NULL where the record is not known or not made yet
    "target",  # VARCHAR, NULL; what it is done to if not the record itself: the audience of a list
    "payload",  # VARCHAR, JSON object: logical names -> values, only what changes
    "keys",  # VARCHAR, JSON object: match keys a creation or look-up needs
    "row_hash",  # UBIGINT, NULL
    "priority",  # INTEGER, higher goes first
    "batch_group",  # VARCHAR: operations of one batch share it
)
"""Columns a step's SELECT must give, in any order."""

OPTIONAL = (
    "before",  # VARCHAR, JSON object: logical names -> what the destination last acknowledged
    "in_doubt",  # VARCHAR, JSON array of payloads sent since then, whose outcome was never learned
    "current",  # VARCHAR, JSON object: logical names -> what the record holds now, where that is known
    "claim",  # VARCHAR: what it brings into being; needed for kinds that create
)
"""Columns it may give."""
_READ = ("operation_id", *COLUMNS[:-1], *OPTIONAL)
"""Columns of a plan file in the order in which an operation is made of them."""


def make_plan(
    con: Connection,
    step: Step,
    destination: str,
    context: Context,
    window: Window,
    plan_id: str,
    path: Path,
    allowance: Allowance | None = None,
) -> Plan:
    """Compute the step's plan for ``window`` and write it to ``path``; no vendor is called.

    ``allowance`` is what is left of the vendor's day; None for a vendor that does not count by the day.
    Raises ContractError where the activation has properties that were not derived yet.
    """
    _require_state(con, step, destination, context)
    step.refresh(con, context)
    people_in_scope = context.scope.size(con)
    if people_in_scope == 0:  # most steps of a quiet window: nobody wants anything, and nothing of theirs waits
        return Plan(plan_id, path, 0, 0, {}, people_in_scope=0)
    gather(con, context.scope, step.reads(context))
    if isinstance(step, Stages):
        step.stage(con, context)
    select = step.plan(con, context)
    if select is None:
        return Plan(plan_id, path, 0, 0, {})
    anything = filled(con, "wanted", _identified(select, destination, step))
    rejected.forget_unwanted(con, destination, step.name, "wanted")
    if not anything:  # nothing to order, to judge or to release
        deferred.forget_unwanted(con, destination, step.name, "wanted", context.scope)
        left = deferred.left(con, destination, step.name, context.scope)
        return Plan(plan_id, path, 0, 0, {}, people_in_scope=people_in_scope, deferred=left)
    _require_kinds(con, step, destination)
    waiting = _leave_waiting(con, step, destination, context, window)
    if scalar(con, "SELECT count(*) FROM planned"):
        origin = f"{destination}/{step.name}"
        limits = step.limits(context)
        broken = contract.screen(con, "planned", context.activation, step.kinds, window, origin, limits)
        _withhold(con, step, destination, f"SELECT operation_id, field FROM {broken}")
    kinds = con.execute("SELECT kind, count(*) FROM planned GROUP BY kind ORDER BY kind").fetchall()
    total = sum(count for _, count in kinds)
    deferred.forget_unwanted(con, destination, step.name, "planned", context.scope)
    arranged = order.arrange(con, step, destination, context, "planned", allowance)
    if total:
        path.parent.mkdir(parents=True, exist_ok=True)
        con.execute(f"COPY ({arranged.select}) TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd)")
    accepted = release.accepted(con, context, destination, step.name)
    verdicts = guards.judge(con, step, destination, context, "planned", total, accepted)
    fingerprint = release.fingerprint(con, "planned") if total else None
    held = guards.held_because(verdicts, plan_id)
    left = deferred.left(con, destination, step.name, context.scope)
    leave = release.leave_for(con, context, destination, step.name, fingerprint, "planned") if held else None
    made = Plan(
        plan_id, path, total, waiting, dict(kinds), held, verdicts, fingerprint,
        units=arranged.units, people_in_scope=people_in_scope, deferred=left,
    )  # fmt: skip
    made = made if leave is None else leave.applied_to(made)
    if arranged.over_budget and made.held_because is None:
        over = f"(SELECT * FROM ({arranged.select}) WHERE {order.HELD_FOR} IS NOT NULL)"
        deferred.defer(con, destination, step.name, context, over)
        made = replace(made, over_budget=arranged.over_budget)
    con.execute("DROP TABLE wanted; DROP TABLE planned; DROP TABLE IF EXISTS arranged")
    return made


def _leave_waiting(con: Connection, step: Step, destination: str, context: Context, window: Window) -> int:
    """Fill ``planned`` with what of ``wanted`` is due; return how many operations wait with all they write."""
    waiting = rejected.waiting(destination, step.name, context, window.as_of)
    con.execute(f"CREATE OR REPLACE TEMP TABLE planned AS FROM wanted ANTI JOIN ({waiting}) USING (operation_id)")
    whole = "SELECT (SELECT count(*) FROM wanted) - (SELECT count(*) FROM planned)"
    fields = rejected.waiting_fields(destination, step.name, context, window.as_of, "planned")
    return int(str(scalar(con, whole))) + _withhold(con, step, destination, fields)


def _withhold(con: Connection, step: Step, destination: str, fields: str) -> int:
    return withhold(con, "planned", fields, step, lambda row: _operation_id(destination, step, row))


def _require_state(con: Connection, step: Step, destination: str, context: Context) -> None:
    """Refuse to plan from a state table that was derived before the activation gained a property."""
    if step.lane is None:
        return
    table = f"{step.lane}_properties"
    query = "SELECT column_name FROM duckdb_columns() WHERE schema_name = 'state' AND table_name = ?"
    there = {str(name) for (name,) in con.execute(query, [table]).fetchall()}
    lacking = [p.name for p in context.activation.lane_properties(step.lane, destination) if p.name not in there]
    if lacking:
        raise ContractError(
            f"state.{table} has no {', '.join(lacking)} yet: the activation gained that after it was derived; "
            f"materialize state/{table} first, or the whole {step.lane} job"
        )


def operations(path: Path, step: Step) -> Iterator[Operation]:
    """Yield a plan file's operations in sending order, reading it piece by piece."""
    for _, _, operation in _read(path, step):
        yield operation


def batches(path: Path, step: Step, *, whole: bool = False) -> Iterator[list[Operation]]:
    """Yield lists of up to ``step.batch_size`` operations that may share one call, in sending order.

    Only of those that are to be sent, unless ``whole``: what does not fit today's budget ends the file.
    """
    batch: list[Operation] = []
    group: str | None = None
    for its_group, held_for, operation in _read(path, step):
        if not whole and held_for is not None:
            break
        if batch and (len(batch) >= step.batch_size or its_group != group):
            yield batch
            batch = []
        group = its_group
        batch.append(operation)
    if batch:
        yield batch


def _read(path: Path, step: Step) -> Iterator[tuple[str | None, str | None, Operation]]:
    """Yield (batch group, what it is held for, operation) in the file's order.

    By column: rows as dictionaries take twice as long.
    """
    import pyarrow.parquet as pq

    kinds, name = by_name(step.kinds), step.name
    with pq.ParquetFile(path) as file:
        for piece in file.iter_batches(batch_size=5_000):
            columns = {name: piece.column(name) for name in piece.schema.names}
            values = [_values(columns.get(name), piece.num_rows) for name in ("batch_group", order.HELD_FOR, *_READ)]
            for group, held_for, *values_of_it in zip(*values, strict=True):
                operation_id, kind, cio_id, record_id, target, payload, keys, row_hash, priority, *known = values_of_it
                before, in_doubt, current, claim = known
                yield (
                    group,
                    held_for,
                    Operation(
                        operation_id,
                        name,
                        kinds[kind] if kind in kinds else kind_named(kinds, kind, name),
                        cio_id,
                        record_id,
                        target,
                        orjson.loads(payload),
                        _object(keys),
                        row_hash,
                        priority,
                        _object(before),
                        orjson.loads(in_doubt) if in_doubt else (),
                        _object(current),
                        claim,
                    ),
                )


def _object(text: str | None) -> dict[str, Any]:
    """Return a JSON object that is empty in most rows."""
    return {} if text is None or text == "{}" else orjson.loads(text)


def _values(column: Any, rows: int) -> Iterable[Any]:
    """Return a column's values; a plan file of an older version may lack one, and most of the optional are empty."""
    if column is None or column.null_count == rows:
        return repeat(None, rows)
    values: list[Any] = column.to_pylist()
    return values


def _identified(select: str, destination: str, step: Step) -> str:
    """Add the operation id: a pure function of destination, step, kind, person, record, target and payload.

    Of an action's creation also of its claim: another try of the same entry is another operation. A person's claim says
    no more than the rest.
    """
    columns = ", ".join(identifier(c) for c in (*COLUMNS, *OPTIONAL))
    absent = ", ".join(f"CAST(NULL AS VARCHAR) AS {identifier(c)}" for c in OPTIONAL)
    return (
        f"SELECT {_operation_id(destination, step, 's')} AS operation_id, {columns} "
        f"FROM (FROM ({select}) UNION ALL BY NAME (SELECT {absent} LIMIT 0)) AS s"
    )


def _operation_id(destination: str, step: Step, row: str) -> str:
    """Return the SQL of the operation id over the plan's columns in ``row``."""
    actions = names_sql(step.kinds, lambda kind: kind.creates and not kind.makes_person)
    names = ("kind", "cio_id", "record_id", "target", "payload")
    kind, cio_id, record_id, target, payload = (f"{row}.{name}" for name in names)
    parts = f"{kind}, {cio_id}, coalesce({record_id}, ''), coalesce({target}, ''), {payload}"
    parts += f", CASE WHEN {kind} IN {actions} THEN {row}.claim END"
    return f"md5(concat_ws(chr(31), {literal(destination)}, {literal(step.name)}, {parts}))"


def _require_kinds(con: Connection, step: Step, destination: str) -> None:
    """Refuse a plan with a kind its step does not declare, or with a creation that nothing keeps from a repetition."""
    declared = names_sql(step.kinds, lambda _kind: True)
    creating = names_sql(step.kinds, lambda kind: kind.creates)
    wrong = con.execute(
        f"SELECT DISTINCT kind FROM wanted WHERE coalesce(kind NOT IN {declared}, true) "
        f"OR (kind IN {creating} AND claim IS NULL) ORDER BY kind"
    ).fetchall()
    if wrong:
        raise ContractError(
            f"{destination}/{step.name} planned operations of the kind {', '.join(str(k) for (k,) in wrong)}, which it "
            "does not declare, or which create something without a claim; nothing was sent. This is a defect, please "
            "report it"
        )
