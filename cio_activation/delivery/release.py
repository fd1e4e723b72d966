"""Releases: a person looks at a held plan and lets it go. What was released is exactly what was looked at.

A release lets a later plan of the same step pass the guards if it holds the same operations (same fingerprint), or
only some of them (the vendor was down half-way). If the world moved since, the plan holds operations that nobody
looked at, and the guards judge it again. A release is spent once a plan of its step has gone out whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from cio_activation.activation.settings import Settings
from cio_activation.delivery.destination import Context
from cio_activation.delivery.guards import Accepted
from cio_activation.delivery.planned import Plan
from cio_activation.errors import ConfigError
from cio_activation.runtime import Runtime
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, scalar


@dataclass(frozen=True)
class Release:
    """A recorded release of one held plan."""

    plan_id: str
    destination: str
    step: str
    window_key: str
    operations: int
    held_because: str
    who: str
    why: str
    moved: str | None
    """Why the release will probably not be enough: the step was planned again since, with other operations."""
    together: tuple[str, ...] = ()
    """Plans of other steps that the same run held: they are released with it."""


@dataclass(frozen=True)
class Leave:
    """What the standing releases of a step say to one plan that a guard tripped on."""

    plan_id: str
    told: str
    outside: int
    """Operations of the plan that nobody released; 0 lets it pass."""

    def applied_to(self, plan: Plan) -> Plan:
        """Return ``plan`` as let through, or still held and saying that the world moved."""
        if self.outside == 0:
            note = f"{self.told} (plan {self.plan_id})"
            return replace(plan, held_because=None, released_from=self.plan_id, note=note)
        moved = (
            f"plan {self.plan_id} was {self.told}, but the world moved since: {self.outside:,} of {plan.operations:,} "
            "operations are not among those released, so the guards judged again"
        )
        return replace(plan, held_because=f"{plan.held_because} ({moved})")


def plan_file(settings: Settings, lane: str, window_key: str, plan_id: str) -> Path:
    """Return where a plan's operations are kept."""
    return settings.activation_home / "plans" / lane / window_key.replace(":", "-") / f"{plan_id}.parquet"


def fingerprint(con: Connection, planned: str) -> str:
    """Return a hash of the set of operation ids in ``planned``: the same for the same set in any order.

    Sums and exclusive ors of 128-bit hashes instead of a sorted text, which for millions of ids would not fit memory.
    """
    upper, lower = "md5_number_upper(operation_id)", "md5_number_lower(operation_id)"
    parts = f"count(*), bit_xor({upper}), bit_xor({lower}), sum(CAST({upper} AS HUGEINT))"
    return str(scalar(con, f"SELECT md5(concat_ws(':', {parts})) FROM {planned}"))


def accepted(con: Connection, context: Context, destination: str, step: str) -> Accepted:
    """Return the newest plan of the step that was let through, and how many windows have passed unplanned since."""
    rows = con.execute(
        """SELECT window_end, lane, window_key, plan_id FROM delivery.plans
        WHERE destination = ? AND step = ? AND status <> 'held' AND planned > 0
        ORDER BY made_at DESC NULLS LAST, window_end DESC LIMIT 1""",
        [destination, step],
    ).fetchall()
    windows = _windows_passed(con, context, destination, step)
    if not rows:
        return Accepted(windows=windows)
    return Accepted([plan_file(context.settings, *row[1:]) for row in rows], rows[0][0], windows)


def _windows_passed(con: Connection, context: Context, destination: str, step: str) -> int:
    """Return this window and those since the last plan that went through in which the step was not planned at all.

    A window whose plan a guard held is not one of them: else what is held would let itself go after a while.
    """
    assert context.window is not None
    as_of, length = context.window.as_of, context.window.end - context.window.start
    last, held = con.execute(
        """WITH earlier AS (
            SELECT window_end, status FROM delivery.plans WHERE destination = $1 AND step = $2 AND window_end < $3
        ), passed AS (SELECT max(window_end) AS last FROM earlier WHERE status <> 'held')
        SELECT any_value(last), count(DISTINCT window_end) FILTER (status = 'held' AND window_end > last)
        FROM passed LEFT JOIN earlier ON true""",
        [destination, step, as_of],
    ).fetchall()[0]
    return 1 if last is None else max(1, round((as_of - last) / length) - int(held))


def leave_for(
    con: Connection, context: Context, destination: str, step: str, print_of_it: str | None, planned: str
) -> Leave | None:
    """Return what the standing releases say to a held plan: the one that covers most of it; None without any."""
    rows = con.execute(
        """SELECT r.plan_id, r.who, r.why, r.fingerprint, p.lane, p.window_key
        FROM delivery.releases AS r JOIN delivery.plans AS p ON p.plan_id = r.plan_id
        WHERE p.destination = ? AND p.step = ? AND r.spent_by IS NULL ORDER BY r.released_at DESC""",
        [destination, step],
    ).fetchall()
    best: Leave | None = None
    for plan_id, who, why, released, lane, window_key in rows:
        path = plan_file(context.settings, lane, window_key, plan_id)
        outside = 0 if released == print_of_it else _outside(con, planned, path)
        if best is None or outside < best.outside:
            best = Leave(plan_id, f"released by {who}: {why}", outside)
    return best


def spend(con: Connection, destination: str, step: str, plan_id: str) -> None:
    """Mark the step's standing releases as used up: ``plan_id`` went out whole, what comes next is another matter."""
    con.execute(
        """UPDATE delivery.releases SET spent_by = ? WHERE spent_by IS NULL AND plan_id IN (
            SELECT plan_id FROM delivery.plans WHERE destination = ? AND step = ?)""",
        [plan_id, destination, step],
    )


def release(runtime: Runtime, plan_id: str, who: str, why: str) -> Release:
    """Record that ``who`` lets the held plan go. ConfigError if there is no such plan, or it is not held."""
    if not why.strip() or not who.strip():
        raise ConfigError("a release is kept with who and why; neither may be empty")
    with runtime.warehouse.write() as con:
        found = con.execute(
            """SELECT destination, step, window_key, planned, status, note, fingerprint, made_at, run_id
            FROM delivery.plans WHERE plan_id = ?""",
            [plan_id],
        ).fetchall()
        if not found:
            raise ConfigError(f"there is no plan {plan_id}; {_held_now(con)}")
        destination, step, window_key, planned, status, note, print_of_it, made_at, run_id = found[0]
        if status != "held":
            raise ConfigError(f"plan {plan_id} is not held, its status is {status!r}; {_held_now(con)}")
        earlier = con.execute("SELECT who FROM delivery.releases WHERE plan_id = ?", [plan_id]).fetchall()
        if earlier:
            raise ConfigError(f"plan {plan_id} was already released by {earlier[0][0]}; run {destination}/{step} again")
        moved = _moved(con, destination, step, made_at, print_of_it)
        others = _held_by_run(con, run_id, destination, step)
        for other_plan, its_print in [(plan_id, print_of_it), *others]:
            con.execute(
                "INSERT INTO delivery.releases VALUES (?, ?, ?, ?, ?, NULL)",
                [other_plan, who, why, datetime.now(UTC).replace(tzinfo=None), its_print],
            )
    together = tuple(other_plan for other_plan, _ in others)
    return Release(plan_id, destination, step, window_key, planned, note or "", who, why, moved, together)


def _held_by_run(con: Connection, run_id: str, destination: str, step: str) -> list[tuple[str, str]]:
    """Return id and fingerprint of the newest held plan of every other step of the run that nobody released yet."""
    return con.execute(
        """SELECT plan_id, fingerprint FROM delivery.plans
        WHERE run_id = ? AND status = 'held' AND (destination, step) <> (?, ?)
          AND plan_id NOT IN (SELECT plan_id FROM delivery.releases)
        QUALIFY row_number() OVER (PARTITION BY destination, step ORDER BY made_at DESC) = 1 ORDER BY plan_id""",
        [run_id, destination, step],
    ).fetchall()


def _outside(con: Connection, planned: str, path: Path) -> int:
    """Return how many operations of ``planned`` the plan in ``path`` does not hold; all, if the file is gone."""
    known = f"ANTI JOIN read_parquet({literal(str(path))}) USING (operation_id)" if path.exists() else ""
    return int(str(scalar(con, f"SELECT count(*) FROM {planned} {known}")))


def _moved(con: Connection, destination: str, step: str, made_at: datetime, print_of_it: str) -> str | None:
    newer = con.execute(
        """SELECT plan_id, status FROM delivery.plans
        WHERE destination = ? AND step = ? AND made_at > ? AND planned > 0 AND fingerprint <> ?
        ORDER BY made_at DESC LIMIT 1""",
        [destination, step, made_at, print_of_it],
    ).fetchall()
    if not newer:
        return None
    plan_id, status = newer[0]
    return (
        f"the world moved since: {destination}/{step} was planned again as {plan_id} ({status}), with other "
        "operations; the next run computes its plan again, and the guards judge it again"
    )


def _held_now(con: Connection) -> str:
    rows = con.execute(
        """SELECT plan_id FROM delivery.plans WHERE status = 'held'
        AND plan_id NOT IN (SELECT plan_id FROM delivery.releases) ORDER BY made_at DESC LIMIT 5"""
    ).fetchall()
    return f"held plans, newest first: {', '.join(r[0] for r in rows)}" if rows else "no plan is held"
