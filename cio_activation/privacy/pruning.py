"""How long rows stay: what was decided, sent, found and refused. Deciding and sending never miss what goes.

What is decided next rests on stays, spells, acts and actions (``audience.memberships``, ``audience.eligibility``,
``feedback.acts``, ``delivery.actions``), what is sent next on shadows, links, acknowledged members and plans, and that
nothing is made twice on the journal's claims. None of them is pruned here: the number of a stay is in its id and so in
its claim, and cooldowns, caps and snoozes look into the past of all three. What goes tells the story of it: each rule
below says why nothing else reads what it takes. ``meta.change_log`` bounds itself (``warehouse.change_log``), and the
journal's attempts go when they are folded.

Every piece is a transaction by itself, and finds what is left: whoever dies in between has pruned less.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cio_activation.activation.models import Workspace
from cio_activation.runtime import Runtime
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, timestamp
from cio_activation.warehouse.tables import (
    ACTIONS,
    ASSIGNMENTS,
    AUDIENCE_MEMBERSHIPS,
    AUDIT_FINDINGS,
    AUDITS,
    CURRENT_EVIDENCE,
    DECISION_COUNTS,
    DECISIONS,
    ELIGIBILITY,
    ESCALATIONS,
    HANDOVERS,
    LEDGER,
    MEASURED_ENTRIES,
    PLANS,
    QUARANTINE,
    REJECTED,
    ROTATIONS,
    SCOPES,
)

PIECE = 100_000
"""Rows of one transaction: the real-time lane waits for one of them at most."""
CONTESTED_FOR = timedelta(days=90)
"""Audits look so far back for what they repaired (``audit.treating.REMEMBERED``)."""


@dataclass(frozen=True)
class Rule:
    """Which rows of a table go: ``old`` is SQL over its row ``r``."""

    table: str
    old: str


def prune_rows(runtime: Runtime, now: datetime, piece: int | None = None) -> dict[str, int]:
    """Delete what is older at ``now`` (naive UTC) than the workspace keeps it; return table -> rows, none left out."""
    gone: dict[str, int] = {}
    most = piece or PIECE
    for rule in _rules(runtime.activation.workspace, now):
        while True:
            with runtime.warehouse.write() as con:
                taken = _take(con, rule, most)
            if taken:
                gone[rule.table] = gone.get(rule.table, 0) + taken
            if taken < most:
                break
    return gone


def _take(con: Connection, rule: Rule, piece: int) -> int:
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE pruned AS
        SELECT r.rowid AS place FROM {rule.table} AS r WHERE {rule.old} ORDER BY r.rowid LIMIT {piece}"""
    )
    if rule.table == ASSIGNMENTS:
        _keep_rotations(con)
    con.execute(f"DELETE FROM {rule.table} WHERE rowid IN (SELECT place FROM pruned)")
    taken = int(con.execute("SELECT count(*) FROM pruned").fetchall()[0][0])
    con.execute("DROP TABLE pruned")
    return taken


def _keep_rotations(con: Connection) -> None:
    """Count what a rotation gave and goes: who is next depends on how often it came round."""
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE rotated AS
        SELECT audience, destination, CAST(sum(given) AS BIGINT) AS given FROM (
            SELECT audience, destination, given FROM {ROTATIONS}
            UNION ALL
            SELECT audience, destination, count(*) FROM {ASSIGNMENTS}
            WHERE rowid IN (SELECT place FROM pruned) AND owner_from = 'rotation' GROUP BY ALL)
        GROUP BY ALL"""
    )
    con.execute(f"DELETE FROM {ROTATIONS}")
    con.execute(f"INSERT INTO {ROTATIONS} BY NAME FROM rotated")
    con.execute("DROP TABLE rotated")


def _rules(workspace: Workspace, now: datetime) -> Iterator[Rule]:
    decided = timestamp(now - workspace.decision_retention)
    yield from _of_decisions(decided)
    yield from _of_entries(decided)
    yield from _of_deliveries(now, workspace.ledger_retention)
    day = (now - workspace.quarantine_retention).replace(tzinfo=ZoneInfo("UTC"))
    yield _of_quarantine(f"{day.astimezone(ZoneInfo(workspace.timezone)) - timedelta(days=1):%Y-%m-%d}")


def _of_decisions(before: str) -> Iterator[Rule]:
    """Give decisions and their counts. Nothing is decided by them: codes and times stand in the spell.

    Those of a spell that goes on stay, for ``why`` tells its code's values by them; so do the newest counts of an
    audience, which warnings and ``outcome/governance`` read, and the last decision, whose number the next counts on
    from.
    """
    yield Rule(
        DECISIONS,
        f"""r.as_of < {before} AND r.sequence < (SELECT max(sequence) FROM {DECISIONS}) AND NOT EXISTS (
            SELECT 1 FROM {ELIGIBILITY} AS e
            WHERE e.audience = r.audience AND e.cio_id = r.cio_id AND e.since <= r.as_of)""",
    )
    newest = f"SELECT max(n.as_of) FROM {DECISION_COUNTS} AS n WHERE n.audience = r.audience"
    yield Rule(DECISION_COUNTS, f"r.as_of < {before} AND r.as_of < ({newest})")


def _of_entries(before: str) -> Iterator[Rule]:
    """Give who was to act, what rules read, handovers and escalations, of entries that ended and are in nobody's hands.

    Steps, desks and escalations join them with stays that are open or actions that are not ended; of those
    that a rotation gave only the number counts, and that is kept.
    """
    over = f"""r.entry_id IN (
            SELECT m.entry_id FROM {AUDIENCE_MEMBERSHIPS} AS m WHERE m.exited_at < {before})
        AND NOT EXISTS (SELECT 1 FROM {AUDIENCE_MEMBERSHIPS} AS m
            WHERE m.entry_id = r.entry_id AND m.exited_at IS NULL)
        AND NOT EXISTS (SELECT 1 FROM {ACTIONS} AS a WHERE a.entry_id = r.entry_id AND a.ended_at IS NULL)"""
    yield from (Rule(table, over) for table in (CURRENT_EVIDENCE, HANDOVERS, ESCALATIONS, ASSIGNMENTS))


def _of_deliveries(now: datetime, retention: timedelta) -> Iterator[Rule]:
    """Give the ledger, what vendors rejected and nobody plans any more, audits and their findings.

    Of the ledger stay: attempts without an answer, which plans with ``on_conflict: keep`` and the count of those in a
    row read, until the same step wrote the same person's record later; what belongs to a step's newest plan, by which
    ``why`` tells what is not sent yet; writes that put somebody into an audience they are still in, which the report
    counts; and what is younger than the oldest measured entry whose span is not over. A rejected operation is tried
    every 30 days at least while a plan wants it, so one that was not for so long belongs to no step; should it be
    wanted again it is sent and rejected anew.
    """
    before = timestamp(now - retention)
    measured = f"coalesce((SELECT min(e.entered_at) FROM {MEASURED_ENTRIES} AS e WHERE e.closed_at IS NULL), {before})"
    newest = f"""SELECT p.plan_id FROM {PLANS} AS p WHERE p.plan_id IS NOT NULL
        QUALIFY row_number() OVER (PARTITION BY p.destination, p.step ORDER BY p.made_at DESC NULLS LAST) = 1"""
    answered = f"""EXISTS (SELECT 1 FROM {LEDGER} AS l WHERE l.cio_id = r.cio_id AND l.destination = r.destination
        AND l.step = r.step AND l."end" = 'delivered' AND l.intent_at > r.intent_at)"""
    inside = f"""EXISTS (SELECT 1 FROM {AUDIENCE_MEMBERSHIPS} AS m
        WHERE m.cio_id = r.cio_id AND m.exited_at IS NULL AND m.entered_at <= r.window_end)"""
    yield Rule(
        LEDGER,
        f"""r.window_end < least({before}, {measured}) AND coalesce(r.plan_id NOT IN ({newest}), TRUE)
        AND (r."end" <> 'retry' OR {answered})
        AND NOT (coalesce(json_exists(r.payload, '$.audiences'), FALSE) AND {inside})""",
    )
    yield Rule(REJECTED, f"r.refused_at < {before}")
    audited = timestamp(now - max(retention, CONTESTED_FOR))
    last = f"SELECT arg_max(n.audit_id, n.ended_at) FROM {AUDITS} AS n GROUP BY n.destination"
    yield Rule(AUDIT_FINDINGS, f"r.found_at < {audited} AND r.audit_id NOT IN ({last})")
    yield Rule(AUDITS, f"r.ended_at < {audited} AND r.audit_id NOT IN ({last})")


def _of_quarantine(day: str) -> Rule:
    """Give what windows before ``day`` (the workspace's) refused, but for a layer's newest window.

    A window's key begins with its day in both lanes. Moments' entries go with the moments
    (``workspace.moment_retention``); last good values stand in tables of their own. The window that a step last planned
    for stays: whom a plan refused is looked at again by the next.
    """
    newest = f"""SELECT max(n.window_key) FROM {QUARANTINE} AS n WHERE n.layer = r.layer AND n.lane = r.lane"""
    return Rule(
        QUARANTINE,
        f"""r.window_key < {literal(day)} AND r.layer <> 'moments' AND r.window_key < ({newest})
        AND r.window_key NOT IN (SELECT s.window_key FROM {SCOPES} AS s WHERE s.window_key IS NOT NULL)""",
    )
