"""Up to where each step's plans have looked, and so for whom the next one has to be made.

A plan compares what is wanted with what the destination acknowledged, person by person. If the step's last plan was
carried out, only those can come out different whom a change touched since (``warehouse.change_log``), and those whose
operations are not settled: deferred, rejected, or in quarantine. The real-time lane plans every few seconds, mostly for
one cart, so its steps look at these; of the deferred, who may be everybody, at those whose turn it is
(``delivery.deferred``). Everybody is looked at again once a day, and whenever it is not certain.

A record that was found or made for somebody lets more be done for them and takes nothing back, and what was sent to no
end is wanted as before. Where a step has something deferred for them anyway, that is no news: a daily push finds and
makes records of thousands between two carts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from cio_activation.activation.models import Lane
from cio_activation.activation.windows import Window
from cio_activation.delivery import contract, deferred, rejected
from cio_activation.delivery.destination import Context, Step
from cio_activation.journal.operations import Kind, names_sql
from cio_activation.warehouse import change_log
from cio_activation.warehouse.scope import EVERYONE, Scope, narrowed_to
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, scalar, timestamp

EVERYBODY_AFTER = timedelta(days=1)
"""As-of time after which everybody is looked at, whatever is known to have changed."""
_TABLES = (
    "identity.persons", "state.realtime_properties", "audience.memberships", "audience.assignments",
    "audience.current_evidence", "delivery.actions", "feedback.acts",
)  # fmt: skip


def scope_for(con: Connection, step: Step, destination: str, context: Context, window: Window) -> Scope:
    """Return for whom the step has to plan in ``window``."""
    if not step.reads(context) or window.lane is not Lane.REALTIME:
        return EVERYONE
    last = _last(con, step, destination)
    if last is None or last["status"] != "done" or last["basis"] != _basis(context):
        return EVERYONE
    if last["everybody_at"] <= window.as_of - EVERYBODY_AFTER:
        return EVERYONE
    people = change_log.since(con, last["sequence"], (*_TABLES, _table(destination)))
    found = change_log.since(con, last["sequence"], (_found(destination),))
    if people is None or found is None:
        return EVERYONE
    mine = f"destination = {literal(destination)} AND step = {literal(step.name)}"
    # No more than a guard lets through with what is new.
    most = min(deferred.TAKEN_UP, max(1, context.activation.limits.guards.max_operations // 2))
    return narrowed_to(
        con,
        f"""{people}
        UNION (({found}) EXCEPT ({deferred.people(destination, step.name)}))
        UNION ({deferred.first(destination, step.name, most)})
        UNION SELECT cio_id FROM delivery.rejected WHERE {mine}
        UNION SELECT cio_id FROM quarantine.rows
            WHERE layer = {literal(contract.LAYER)} AND lane = {literal(window.lane.value)}
              AND window_key = {literal(last["window_key"])} AND detail = {literal(f"{destination}/{step.name}")}""",
    )


def brings_news(con: Connection, step: Step, destination: str) -> bool:
    """Return whether the deciding rooms said something new of somebody since the step last looked."""
    last = _last(con, step, destination)
    people = change_log.since(con, last["sequence"], _TABLES) if last else None
    return people is not None and bool(scalar(con, f"SELECT EXISTS ({people})"))


def remember(con: Connection, step: Step, destination: str, context: Context, window: Window, plan_id: str) -> None:
    """Remember that the plan made just now has seen everything up to here; call in its transaction."""
    if not step.reads(context) or window.lane is not Lane.REALTIME:
        return
    mine = f"destination = {literal(destination)} AND step = {literal(step.name)}"
    before = f"(SELECT max(everybody_at) FROM delivery.scopes WHERE {mine})"
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE looked_now AS
        SELECT ? AS destination, ? AS step, CAST(? AS BIGINT) AS sequence, ? AS basis, ? AS plan_id, ? AS window_key,
               {timestamp(window.as_of) if context.scope.is_everyone else before} AS everybody_at""",
        [destination, step.name, change_log.next_sequence(con), _basis(context), plan_id, window.key],
    )
    con.execute(f"DELETE FROM delivery.scopes WHERE {mine}")
    con.execute("INSERT INTO delivery.scopes BY NAME FROM looked_now")
    con.execute("DROP TABLE looked_now")


def is_quiet(con: Connection, step: Step, destination: str, context: Context, tables: Sequence[str]) -> bool:
    """Return whether nothing of ``tables`` was noted since the step last looked, in this very window.

    For a step of the real-time lane whose work is for everybody or nobody; it says :func:`note_seen` itself.
    """
    window = context.window
    last = _last(con, step, destination)
    if window is None or window.lane is not Lane.REALTIME or last is None:
        return False
    if last["window_key"] != window.key or last["basis"] != _basis(context):
        return False
    if change_log.since(con, last["sequence"], (_table(destination),)) is None:  # all that was known is forgotten
        return False
    people = change_log.since(con, last["sequence"], tables)
    return people is not None and not scalar(con, f"SELECT EXISTS ({people})")


def note_seen(con: Connection, step: Step, destination: str, context: Context) -> None:
    """Remember that the step has seen everything up to here, but for what it notes itself from now on."""
    if context.window is None or context.window.lane is not Lane.REALTIME:
        return
    con.execute("DELETE FROM delivery.scopes WHERE destination = ? AND step = ?", [destination, step.name])
    con.execute(
        "INSERT INTO delivery.scopes (destination, step, sequence, basis, window_key) VALUES (?, ?, ?, ?, ?)",
        [destination, step.name, change_log.next_sequence(con), _basis(context), context.window.key],
    )


def note_fold(con: Connection, destination: str, kinds: Sequence[Kind], finished: str) -> None:
    """Note in the change log whom the fold of ``finished`` touched; call in its transaction.

    Not whom a daily step only wrote to the record that was known already: of that the real-time lane reads nothing,
    and a daily push does it for everybody. Apart from the others: for whom a record was found or made, who was looked
    for in vain, and of whom something is to be tried again.
    """
    only_writes = names_sql(kinds, lambda kind: kind.only_writes)
    links = names_sql(kinds, lambda kind: kind.links or kind.makes_person)
    stamps = names_sql(kinds, lambda kind: kind.stamps)
    gone = "coalesce(json_exists(observed, '$.gone') OR json_exists(observed, '$.lost'), false)"
    same = f"coalesce(result_record_id, record_id) = record_id AND NOT {gone}"
    parted = "json_exists(keys, '$.known') OR json_extract_string(keys, '$.was_gone') IS NOT NULL"
    known = f"""lane = {literal(Lane.DAILY.value)} AND "end" = 'delivered' AND kind IN {only_writes} AND {same}"""
    found = f"""("end" = 'retry' AND NOT {gone} OR "end" = 'delivered' AND (
        kind IN {links} AND record_id IS NULL AND NOT {gone} AND NOT coalesce({parted}, false)
        OR kind IN {stamps} AND {same}))"""
    rest = f"SELECT cio_id FROM {finished} WHERE NOT coalesce({known}, false)"
    change_log.note(con, _table(destination), f"{rest} AND NOT coalesce({found}, false)")
    change_log.note(con, _found(destination), f"{rest} AND coalesce({found}, false)")


def _last(con: Connection, step: Step, destination: str) -> dict[str, Any] | None:
    """Return the step's last look, with what became of its plan; None if there was none."""
    names = ("sequence", "basis", "window_key", "everybody_at", "status")
    rows = con.execute(
        """SELECT l.sequence, l.basis, l.window_key, l.everybody_at, p.status
        FROM delivery.scopes AS l LEFT JOIN delivery.plans AS p ON p.plan_id = l.plan_id
        WHERE l.destination = ? AND l.step = ?""",
        [destination, step.name],
    ).fetchall()
    return dict(zip(names, rows[0], strict=True)) if rows else None


def _basis(context: Context) -> str:
    return f"{context.activation.fingerprint()} {rejected.catalog_hash(context.catalog)}"


def _table(destination: str) -> str:
    """Return what the change log calls all that is known of a destination."""
    return f"delivery.{destination}"


def _found(destination: str) -> str:
    """Return what the change log calls records that were found or made, and nothing else."""
    return f"{_table(destination)}/found"
