"""In which order a plan goes out, and where the vendor's day cuts it.

Exits first. Then in the daily lane whom an earlier plan left over, longest first, so that nobody starves; in the
real-time lane whom Customer.io told of most recently, for a cart is worth minutes. Then by the step's own priority and
the destination's ``priority`` (the most valuable people). Batches stay as full as they can be: each goes out at the
place of its best operation. What does not fit today's budget stays in the plan's file, marked, and is held.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isinf

from cio_activation.activation.expressions import vocabulary
from cio_activation.activation.models import DestinationLimits, Lane
from cio_activation.activation.ordering import Rank, read_order
from cio_activation.delivery.destination import EXIT, Context, Step
from cio_activation.journal.days import Allowance
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier, literal, scalar

HELD_FOR = "held_for"
"""Column of a plan's file: why the operation is not sent by this plan; NULL if it is."""
BUDGET = "held for the daily budget"
_NEWEST = Rank("observed_at", descending=True, attribute=True)
_PEOPLE = {Lane.DAILY: "raw.people", Lane.REALTIME: "raw.people_current"}


@dataclass(frozen=True)
class Order:
    """The SELECT of a plan in sending order, and what the day's budget does to it.

    Beside the plan's columns: ``place``, by urgency, and ``newest``, when Customer.io told of whom (real-time lane).
    """

    select: str
    units: float
    """What the whole plan will use of the vendor's day: at least, if a batch is refused and halved."""
    over_budget: int
    """Operations that do not fit."""


def arrange(
    con: Connection, step: Step, destination: str, context: Context, planned: str, allowance: Allowance | None
) -> Order:
    """Return ``planned`` in sending order, marked where today's budget ends."""
    size, each = step.batch_size, float(step.tokens_per_call or 1)
    groups = f"SELECT (count(*) + {size - 1}) // {size} AS batches FROM {planned} GROUP BY batch_group"
    batches = int(str(scalar(con, f"SELECT coalesce(sum(batches), 0)::BIGINT FROM ({groups})")))
    binds = allowance is not None and batches * each > allowance.others
    ranks = _ranks(destination, context)
    if step.lane is Lane.REALTIME and batches > 1:
        ranks = (_NEWEST, *ranks)
    mine = f"destination = {literal(destination)} AND step = {literal(step.name)}"
    deferred = scalar(con, f"SELECT count(*) FROM delivery.deferred WHERE {mine}")
    if not binds and not ranks and not deferred:
        order_by = "ORDER BY priority DESC, batch_group, cio_id, operation_id"
        plain = f"""SELECT *, CAST(NULL AS TIMESTAMP) AS newest, row_number() OVER ({order_by}) AS place,
               CAST(NULL AS VARCHAR) AS {HELD_FOR} FROM {planned} {order_by}"""
        return Order(plain, batches * each, 0)
    con.execute(f"CREATE OR REPLACE TEMP TABLE arranged AS {_batched(con, step, destination, planned, ranks)}")
    fits = _fits(allowance, each) if allowance is not None else "true"
    why = f"CASE WHEN NOT ({fits}) THEN {literal(BUDGET)} END"
    select = f"""SELECT * EXCLUDE (number, exits), {why} AS {HELD_FOR}
        FROM arranged ORDER BY number, place"""
    over = int(str(scalar(con, f"SELECT count(*) FROM arranged WHERE NOT ({fits})")))
    return Order(select, batches * each, over)


def _batched(con: Connection, step: Step, destination: str, planned: str, ranks: tuple[Rank, ...]) -> str:
    """Return ``planned`` with each operation's ``place``, its batch's ``number`` and whether that has ``exits``."""
    assert step.lane is not None
    joins, terms = _values(con, step.lane, planned, ranks)
    newest = [term] if (term := terms.pop(_NEWEST, None)) else []
    told = f"{_alias(_PEOPLE[step.lane])}.{identifier(_NEWEST.name)}" if newest else "CAST(NULL AS TIMESTAMP)"
    keys = [f"p.priority >= {EXIT} DESC", *newest, "h.since NULLS LAST", "p.priority DESC", *terms.values()]
    keys += ["p.batch_group", "p.cio_id", "p.operation_id"]
    return f"""
    WITH placed AS (
        SELECT p.*, {told} AS newest, row_number() OVER (ORDER BY {", ".join(keys)}) AS place
        FROM {planned} AS p
        LEFT JOIN delivery.deferred AS h ON h.destination = {literal(destination)} AND h.step = {literal(step.name)}
            AND h.cio_id = p.cio_id AND h.target IS NOT DISTINCT FROM p.target
        {joins}
    ), cut AS (
        SELECT *, (row_number() OVER (PARTITION BY batch_group ORDER BY place) - 1) // {step.batch_size} AS piece
        FROM placed
    ), batched AS (
        SELECT * EXCLUDE (piece), min(place) OVER (PARTITION BY batch_group, piece) AS first,
               max(priority) OVER (PARTITION BY batch_group, piece) >= {EXIT} AS exits
        FROM cut
    )
    SELECT * EXCLUDE (first), dense_rank() OVER (ORDER BY first) AS number FROM batched"""


def _fits(allowance: Allowance, each: float) -> str:
    def within(units: float) -> str:
        return "true" if isinf(units) else f"number * {each} <= {units}"

    return f"{within(allowance.others)} OR (exits AND {within(allowance.exits)})"


def _ranks(destination: str, context: Context) -> tuple[Rank, ...]:
    settings = context.activation.destinations.get(destination)
    if not isinstance(settings, DestinationLimits) or settings.priority is None:
        return ()
    return read_order(settings.priority, *vocabulary(context.activation))


def _values(con: Connection, lane: Lane, planned: str, ranks: tuple[Rank, ...]) -> tuple[str, dict[Rank, str]]:
    """Return the joins that fetch what people are ranked by, and the sort keys; what is not there yet ranks nobody."""
    known = set(con.execute("SELECT schema_name || '.' || table_name, column_name FROM duckdb_columns()").fetchall())
    chosen: dict[str, dict[str, str]] = {}
    terms: dict[Rank, str] = {}
    for rank in ranks:
        relation = _PEOPLE[lane] if rank.attribute else f"state.{Lane.DAILY}_properties"
        if (relation, rank.name) not in known:
            continue
        chosen.setdefault(relation, {})[rank.name] = f"max({identifier(rank.name)}) AS {identifier(rank.name)}"
        terms[rank] = rank.sql(f"{_alias(relation)}.{identifier(rank.name)}")
    # One row a person, whatever the relation holds: an operation must not be doubled by its rank.
    joins = [
        f"""LEFT JOIN (SELECT cio_id, {", ".join(columns.values())} FROM {relation} SEMI JOIN {planned} USING (cio_id)
        GROUP BY cio_id) AS {_alias(relation)} ON {_alias(relation)}.cio_id = p.cio_id"""
        for relation, columns in chosen.items()
    ]
    return " ".join(joins), terms


def _alias(relation: str) -> str:
    return relation.replace(".", "_")
