"""Statements of the journal over a whole batch.

To PostgreSQL its rows travel as one JSON parameter, and are one statement: a statement a row costs a plan a row.
SQLite is faster by row; its driver is given them, as SQLAlchemy's handling of parameters costs more than the database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from cio_activation.journal.operations import End, Operation, Result
from cio_activation.journal.schema import attempts, claims

SENDING = "sending"
_OF_OPERATION = ("operation_id", "kind", "cio_id", "record_id", "target", "payload", "keys", "row_hash", "claim")
_OF_RUN = ("run_id", "plan_id", "destination", "step", "lane", "window_key", "window_end", "end", "intent_at")
_NAMED = sa.bindparam("named", expanding=True, type_=sa.String)
"""The batch's operations once more, as a list: joined with a relation of unknown size, either database may choose to
read a whole table (measured: 100 times slower)."""
# As this it is tested on the few rows found; as ``"end" IN`` it would be looked up for the whole table.
_OPEN = sa.or_(attempts.c.ended_at.is_(None), attempts.c.end == sa.literal_column(f"'{End.UNKNOWN}'"))
_OF_RESULT = ("end", "reason", "request_id", "observed", "result_record_id")


def insert_attempts(con: sa.Connection, batch: Sequence[Operation], common: Mapping[str, Any]) -> None:
    """Insert the intents of ``batch``; ``common`` is what they share (``_OF_RUN`` without ``end``)."""
    rows = [
        {
            "operation_id": o.operation_id,
            "kind": o.kind.name,
            "cio_id": o.cio_id,
            "record_id": o.record_id,
            "target": o.target,
            "payload": _json(dict(o.payload)),
            "keys": _json(dict(o.keys)),
            "row_hash": None if o.row_hash is None else str(o.row_hash),
            "claim": o.claim,
        }
        for o in batch
    ]
    shared = {"end": SENDING, **common}
    if con.dialect.name == "sqlite":
        _each(con, _inserting_one(), [row | shared for row in rows])
    else:
        con.execute(_inserting(), {"rows": _json(rows), **shared})


def insert_claims(con: sa.Connection, operations: Mapping[str, str], destination: str) -> set[str]:
    """Insert claims (claim -> operation id) nobody has; return those that were got."""
    # In one order everywhere: two processes that insert the same keys crosswise would wait for each other.
    rows = [{"claim": claim, "operation_id": operations[claim]} for claim in sorted(operations)]
    given = {"rows": _json(rows), "destination": destination}
    return set(con.execute(_claiming(con.dialect.name), given).scalars())


def record_ends(con: sa.Connection, results: Sequence[Result], plan_id: str, now: float) -> None:
    """Write how open attempts of the plan ended, and which records claimed creations made."""
    rows = [
        {
            "operation_id": r.operation_id,
            "end": str(r.end),
            "reason": _storable(r.reason),
            "status": r.status,
            "request_id": _storable(r.request_id),
            "observed": _json(dict(r.observed)) if r.observed else None,
            "result_record_id": r.record_id,
        }
        for r in results
    ]
    made = {r.operation_id: r.record_id for r in results if r.end is End.DELIVERED and r.record_id}
    shared: dict[str, Any] = {"of_plan": plan_id, "now": now}
    if con.dialect.name == "sqlite":
        _each(con, _ending_one(), [row | shared for row in rows])
        _each(con, _making_one(), [{"operation_id": o, "record_id": r} for o, r in made.items()])
        return
    con.execute(_ending(), {"rows": _json(rows), "named": [r.operation_id for r in results], **shared})
    if made:
        con.execute(_making(), {"made": _json(made), "named": list(made)})


def _each(con: sa.Connection, statement: tuple[str, Sequence[str]], rows: Sequence[Mapping[str, Any]]) -> None:
    """Execute a statement of SQLite once for each row."""
    text, names = statement
    if rows:
        con.exec_driver_sql(text, list(map(itemgetter(*names), rows)))


def _text(statement: sa.Insert | sa.Update) -> tuple[str, Sequence[str]]:
    """Return the text of a statement as SQLite's driver takes it, and the names of its parameters in their order."""
    compiled = statement.compile(dialect=sqlite.dialect())
    return str(compiled), tuple(compiled.positiontup or ())


@cache
def _inserting_one() -> tuple[str, Sequence[str]]:
    return _text(sa.insert(attempts).values({name: sa.bindparam(name) for name in (*_OF_OPERATION, *_OF_RUN)}))


@cache
def _ending_one() -> tuple[str, Sequence[str]]:
    ended: dict[str, Any] = {name: sa.bindparam(f"its_{name}") for name in (*_OF_RESULT, "status")}
    of = attempts.c.operation_id == sa.bindparam("operation_id"), attempts.c.plan_id == sa.bindparam("of_plan")
    text, names = _text(sa.update(attempts).where(*of, _OPEN).values({**ended, "ended_at": sa.bindparam("now")}))
    return text, tuple(name.removeprefix("its_") for name in names)


@cache
def _making_one() -> tuple[str, Sequence[str]]:
    of = claims.c.operation_id == sa.bindparam("of_operation")
    text, names = _text(sa.update(claims).where(of).values(record_id=sa.bindparam("its_record")))
    return text, tuple({"of_operation": "operation_id", "its_record": "record_id"}[name] for name in names)


@cache
def _inserting() -> sa.Insert:
    rows = _listed("postgresql", _OF_OPERATION)
    constants = [sa.bindparam(name, type_=attempts.c[name].type) for name in _OF_RUN]
    return sa.insert(attempts).from_select([*_OF_OPERATION, *_OF_RUN], sa.select(*rows.c, *constants))


@cache
def _claiming(dialect: str) -> sa.Insert:
    rows = _listed(dialect, ("claim", "operation_id"))
    # SQLite reads ON after a FROM as a join's, unless a WHERE stands between.
    wanted = sa.select(sa.bindparam("destination", type_=sa.String), *rows.c).where(rows.c.claim.is_not(None))
    insert = sqlite.insert(claims) if dialect == "sqlite" else postgresql.insert(claims)
    names = ["destination", "claim", "operation_id"]
    return insert.from_select(names, wanted).on_conflict_do_nothing().returning(claims.c.claim)


@cache
def _ending() -> sa.Update:
    rows = _listed("postgresql", ("operation_id", *_OF_RESULT), numbers=("status",))
    return (
        sa.update(attempts)
        .where(
            attempts.c.operation_id == rows.c.operation_id,
            attempts.c.operation_id.in_(_NAMED),
            attempts.c.plan_id == sa.bindparam("of_plan", type_=sa.String),
            _OPEN,
        )
        .values({name: rows.c[name] for name in (*_OF_RESULT, "status")} | {"ended_at": sa.bindparam("now")})
    )


@cache
def _making() -> sa.Update:
    made = sa.cast(sa.bindparam("made", type_=sa.Text), postgresql.JSONB)[claims.c.operation_id].astext
    # Without the destination, which an operation's id implies: it would draw the planner to all claims of one.
    return sa.update(claims).where(claims.c.operation_id.in_(_NAMED)).values(record_id=made)


def _listed(dialect: str, texts: Sequence[str], numbers: Sequence[str] = ()) -> sa.FromClause:
    """Return the JSON array of objects in the parameter ``rows`` as a relation with these columns."""
    given = sa.bindparam("rows", type_=sa.Text)
    if dialect == "sqlite":
        each = sa.func.json_each(given).table_valued("value")
        fields = [sa.func.json_extract(each.c.value, f"$.{name}").label(name) for name in (*texts, *numbers)]
        return sa.select(*fields).subquery("listed")
    columns = [sa.column(name, sa.Text) for name in texts] + [sa.column(name, sa.Integer) for name in numbers]
    parsed = sa.func.json_to_recordset(sa.cast(given, postgresql.JSON))
    return parsed.table_valued(*columns, name="listed").render_derived(name="listed", with_types=True)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _storable(text: str | None) -> str | None:
    """Return a vendor's words as both databases take them: without NUL, without halves of characters."""
    return None if text is None else text.replace("\0", "").encode("utf-8", "replace").decode()
