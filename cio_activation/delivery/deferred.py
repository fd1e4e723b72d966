"""What a plan leaves for a later one (``delivery.deferred``): each operation with its place, and whose turn is next.

The daily lane plans for everybody each time, and whom an earlier plan left over goes first. The real-time lane plans
every few seconds, mostly for one cart: beside the first contact of everybody it must not make the plan of all that
waits again. So a run takes up the first :data:`TAKEN_UP` of it and leaves the others where they are. They were judged
by the guards with the plan that left them over; what is new is always planned, and judged, whole.

Nothing is left for ever: a run that leaves some has the next one asked for, and a plan for everybody (once a day,
after a plan that was not carried out, after another activation) gives all of it a place anew.
"""

from __future__ import annotations

from cio_activation.delivery.destination import EXIT, Context
from cio_activation.warehouse.scope import Scope
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, scalar, timestamp
from cio_activation.warehouse.tables import DEFERRED, LEDGER

TAKEN_UP = 8_000
"""Operations that a plan takes up: at least what a step of the real-time lane sends in its time."""
TRIES = 3
"""After so many tries to no end in a window an operation waits behind all others: else it would fill every plan."""


def first(destination: str, step: str, most: int) -> str:
    """Return a SELECT of the ``cio_id`` of those whose turn it is: exits, then whom Customer.io told of last.

    Of whom that is not known before all others: they were in a plan of one batch, which nobody ranked.
    """
    return f"""SELECT cio_id FROM (
        SELECT cio_id FROM {DEFERRED} AS h WHERE {_of(destination, step)}
        ORDER BY coalesce(tries, 0) >= {TRIES}, coalesce(exits, false) DESC, newest DESC NULLS FIRST, since, place,
                 cio_id
        LIMIT {most})"""


def people(destination: str, step: str) -> str:
    """Return a SELECT of the ``cio_id`` of everybody who has something deferred."""
    return f"SELECT cio_id FROM {DEFERRED} AS h WHERE {_of(destination, step)}"


def left(con: Connection, destination: str, step: str, scope: Scope) -> int:
    """Return how many operations are left where they are by a plan for ``scope``."""
    if scope.is_everyone:
        return 0
    return int(str(scalar(con, f"SELECT count(*) FROM ({waiting(destination, step, scope)})")))


def waiting(destination: str, step: str, scope: Scope) -> str:
    """Return a SELECT of the operations that a plan for ``scope`` leaves where they are, without what they write."""
    others = "false" if scope.is_everyone else f"cio_id NOT IN (SELECT cio_id FROM {scope.people})"
    return f"""SELECT operation_id, kind, cio_id, target, CAST(NULL AS VARCHAR) AS payload
        FROM {DEFERRED} AS h WHERE {_of(destination, step)} AND {others}"""


def accepted(destination: str, step: str) -> str:
    """Return a SELECT of the ``operation_id`` of what the guards let through with the plan that left it over."""
    return f"SELECT operation_id FROM {DEFERRED} AS h WHERE {_of(destination, step)} AND operation_id IS NOT NULL"


def forget_unwanted(con: Connection, destination: str, step: str, planned: str, scope: Scope) -> None:
    """Forget what was deferred of those in ``scope`` and is not planned any more.

    That is delivered, not wanted any longer, or waiting elsewhere (rejected, in quarantine).
    """
    con.execute(
        f"""DELETE FROM {DEFERRED} AS h WHERE {_of(destination, step)}{scope.condition()}
        AND NOT EXISTS (
            SELECT 1 FROM {planned} AS w WHERE w.cio_id = h.cio_id AND w.target IS NOT DISTINCT FROM h.target)"""
    )


def defer(con: Connection, destination: str, step: str, context: Context, operations: str) -> None:
    """Give what a plan leaves over (a relation of its file's rows) its place; since when it waits stays."""
    assert context.window is not None
    as_of = timestamp(context.window.as_of)
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE deferred_now AS
        SELECT {literal(destination)} AS destination, {literal(step)} AS step, o.cio_id, o.target, o.operation_id,
               o.kind, o.priority >= {EXIT} AS exits, coalesce(o.newest, h.newest) AS newest, o.place,
               coalesce(h.since, {as_of}) AS since, coalesce(g.tries, 0) AS tries
        FROM {operations} AS o
        LEFT JOIN (SELECT * FROM {DEFERRED} AS h WHERE {_of(destination, step)}) AS h
            ON h.cio_id = o.cio_id AND h.target IS NOT DISTINCT FROM o.target
        LEFT JOIN (
            SELECT operation_id, CAST(count(*) AS INTEGER) AS tries FROM {LEDGER} AS h
            WHERE {_of(destination, step)} AND h.window_end = {as_of} AND h."end" = 'retry' GROUP BY operation_id
        ) AS g ON g.operation_id = o.operation_id
        QUALIFY row_number() OVER (PARTITION BY o.cio_id, o.target ORDER BY o.place) = 1"""
    )
    con.execute(
        f"""DELETE FROM {DEFERRED} AS h WHERE {_of(destination, step)} AND EXISTS (
            SELECT 1 FROM deferred_now AS o WHERE o.cio_id = h.cio_id AND o.target IS NOT DISTINCT FROM h.target)"""
    )
    con.execute(f"INSERT INTO {DEFERRED} BY NAME FROM deferred_now")
    con.execute("DROP TABLE deferred_now")


def settle(con: Connection, destination: str, step: str, ended: str) -> None:
    """Forget what was deferred of what ``ended`` holds (a relation of a plan's rows)."""
    if not scalar(con, f"SELECT EXISTS ({people(destination, step)})"):  # as after most plans
        return
    con.execute(
        f"""DELETE FROM {DEFERRED} AS h WHERE {_of(destination, step)} AND EXISTS (
            SELECT 1 FROM {ended} AS o WHERE o.cio_id = h.cio_id AND o.target IS NOT DISTINCT FROM h.target)"""
    )


def _of(destination: str, step: str) -> str:
    return f"h.destination = {literal(destination)} AND h.step = {literal(step)}"
