"""From segment to outcome, one table for each audience: who is still there at each stage, and each loss by its name."""

from __future__ import annotations

from datetime import datetime

from cio_activation.activation.models import Activation, Audience
from cio_activation.outcome import actions
from cio_activation.outcome.audiences import Outcome, outcomes
from cio_activation.outcome.report.page import Section, Table
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import timestamp

Row = tuple[str, int, str]


def section(con: Connection, activation: Activation, as_of: datetime) -> Section:
    """Return the section."""
    asked = actions.by_audience(con, as_of)
    came_to = {(o.audience, o.version): o for o in outcomes(con, as_of) if not o.ghost}
    tables = []
    for name, audience in activation.audiences.items():
        rows = [*_entered(con, audience, as_of), _delivered(con, name)]
        rows += _acted(asked.get(name, {})) + _bought(came_to.get((name, audience.version)))
        tables.append(Table(("stage", "people", "lost before it"), rows, f"{audience.label} ({name})"))
    return Section(
        "From segment to outcome",
        "Segment to delivered is who is there now, by the newest window; actions and purchases are of all entries so "
        "far. Every loss has the name of what keeps people out.",
        tables,
        side_by_side=True,
    )


def _entered(con: Connection, audience: Audience, as_of: datetime) -> list[Row]:
    found = con.execute(
        f"""SELECT decision, code, people FROM audience.counts
        WHERE audience = $1 AND as_of = (
            SELECT max(as_of) FROM audience.counts WHERE audience = $1 AND as_of <= {timestamp(as_of)})
            AND decision <> 'left' ORDER BY people DESC, code""",
        [audience.name],
    ).fetchall()
    inside = sum(int(people) for decision, _, people in found if decision in ("entered", "stayed"))
    withheld = {str(code): int(people) for decision, code, people in found if decision == "withheld"}
    candidates = inside + sum(withheld.values())
    rows: list[Row] = []
    if audience.segment is not None:
        members = con.execute(
            "SELECT count(*) FROM raw.memberships WHERE lane = ? AND segment_id = ?",
            [audience.lane.value, audience.segment],
        ).fetchall()[0][0]
        outside = int(members) - candidates
        rows.append((f"in segment {audience.segment}", int(members), ""))
        rows.append(("eligible", candidates, _told({"gate": outside}) if outside > 0 else ""))
    else:
        rows.append((f"moment {audience.moment.name if audience.moment else ''}", candidates, ""))
    return [*rows, ("in the audience", inside, _told(withheld))]


def _delivered(con: Connection, name: str) -> Row:
    found = con.execute(
        """WITH inside AS (
            SELECT cio_id, entry_id, entered_at FROM audience.memberships
            WHERE audience = $1 AND exited_at IS NULL AND NOT coalesce(ghost, FALSE)
        ), taken AS (
            SELECT cio_id FROM delivery.members WHERE audience = $1
            UNION SELECT a.cio_id FROM delivery.actions AS a JOIN inside AS i ON i.entry_id = a.entry_id
            UNION SELECT l.cio_id FROM delivery.ledger AS l JOIN inside AS i ON i.cio_id = l.cio_id
            WHERE l."end" = 'delivered' AND l.window_end >= i.entered_at AND list_contains(
                from_json(json_extract(json_extract_string(l.payload, '$.audiences'), '$.in'), '["VARCHAR"]'), $1)
        ), rejected AS (
            SELECT cio_id, min(reason) AS reason FROM delivery.rejected WHERE field IS NULL GROUP BY cio_id
        )
        SELECT CASE WHEN t.cio_id IS NOT NULL THEN NULL
            WHEN p.cio_id IS NULL OR NOT p.deliverable THEN coalesce(p.undeliverable_reason, 'undeliverable')
            WHEN i.cio_id IN (SELECT cio_id FROM delivery.key_clashes) THEN 'key clash'
            WHEN i.cio_id IN (SELECT cio_id FROM delivery.gone_records) THEN 'record is gone'
            WHEN r.cio_id IS NOT NULL THEN concat('rejected: ', r.reason)
            WHEN i.cio_id IN (SELECT cio_id FROM delivery.deferred) THEN 'deferred'
            ELSE 'not sent yet' END AS loss, count(*)
        FROM inside AS i
        LEFT JOIN taken AS t ON t.cio_id = i.cio_id
        LEFT JOIN identity.persons AS p ON p.cio_id = i.cio_id
        LEFT JOIN rejected AS r ON r.cio_id = i.cio_id
        GROUP BY ALL ORDER BY 2 DESC, 1""",
        [name],
    ).fetchall()
    lost = {str(loss): int(people) for loss, people in found if loss is not None}
    return "delivered to a CRM", sum(int(people) for loss, people in found if loss is None), _told(lost)


def _acted(states: dict[str, int]) -> list[Row]:
    if not states:
        return []
    rest = {state: count for state, count in states.items() if state != "done"}
    return [("action made", sum(states.values()), ""), ("done by a human", states.get("done", 0), _told(rest))]


def _bought(found: Outcome | None) -> list[Row]:
    if found is None:
        return []
    return [
        ("first entries that are over", found.people, _told({"not over yet": found.open} if found.open else {})),
        ("bought", found.buyers, _told({"no purchase": found.people - found.buyers} if found.people else {})),
    ]


def _told(lost: dict[str, int]) -> str:
    return ", ".join(f"{code} {people:,}" for code, people in lost.items())
