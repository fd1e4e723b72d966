"""What is kept of a decision besides who is in: a row per person where it changed, counts, and the rules of its day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cio_activation.activation.life_cycle import Baseline
from cio_activation.activation.windows import Window
from cio_activation.audience.codes import Code
from cio_activation.audience.inputs import Inputs
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, timestamp

DECISIONS = "audience.decisions"


@dataclass(frozen=True)
class Counts:
    """How many were decided how: ``candidates`` is the sum of the others, exactly (I16)."""

    entered: int = 0
    stayed: int = 0
    left: dict[str, int] = field(default_factory=dict)
    """By reason."""
    withheld: dict[str, int] = field(default_factory=dict)
    """By code."""

    @property
    def candidates(self) -> int:
        """Everybody who was eligible in the window, or in the audience when it began."""
        return self.entered + self.stayed + sum(self.left.values()) + sum(self.withheld.values())


def launch(con: Connection, inputs: Inputs) -> None:
    """Note that the audience has a human act from this window on; whoever is in already was not let in for that."""
    name = literal(inputs.audience.name)
    con.execute(
        f"INSERT INTO audience.launches VALUES ({name}, {timestamp(inputs.as_of)}, {literal(inputs.window.key)}, "
        f"{literal(inputs.rules)})"
    )
    if inputs.audience.launch.baseline is Baseline.SKIP:
        con.execute(f"UPDATE audience.memberships SET baseline = TRUE WHERE audience = {name} AND exited_at IS NULL")


def started(con: Connection) -> set[str]:
    """Return the audiences that were decided with a human act before."""
    return {str(name) for (name,) in con.execute("SELECT audience FROM audience.launches").fetchall()}


def log(con: Connection, inputs: Inputs, run_id: str) -> None:
    """Append to ``audience.decisions`` what ``decided`` changes. Called after it was carried in."""
    audience, window = inputs.audience, inputs.window
    name, holdout = literal(audience.name), literal(str(Code.HOLDOUT))
    con.execute(
        f"""INSERT INTO {DECISIONS} BY NAME
        SELECT (SELECT coalesce(max(sequence), 0) FROM {DECISIONS}) + row_number() OVER (ORDER BY d.cio_id) AS sequence,
            {name} AS audience, {audience.version} AS version,
            d.cio_id, d.decision, d.why AS code, d.detail, coalesce(o.entry_id, d.entry_id) AS entry_id,
            {timestamp(inputs.as_of)} AS as_of, {literal(window.lane.value)} AS lane,
            {literal(window.key)} AS window_key,
            {_source(inputs)}
            {literal(inputs.rules)} AS activation, {literal(run_id)} AS run_id
        FROM (
            SELECT cio_id, detail, CASE WHEN enters THEN NULL ELSE entry_id END AS entry_id,
                CASE WHEN enters AND ghost THEN 'withheld' WHEN enters THEN 'entered'
                    WHEN exit_reason IS NOT NULL THEN 'left' WHEN code IS NOT NULL THEN 'withheld'
                    WHEN drop_reason IS NOT NULL THEN 'dropped' END AS decision,
                CASE WHEN enters AND ghost THEN {holdout} WHEN enters THEN NULL
                    ELSE coalesce(exit_reason, code, drop_reason) END AS why
            FROM decided
            WHERE enters OR exit_reason IS NOT NULL OR drop_reason IS NOT NULL OR code IS DISTINCT FROM code_before
        ) AS d
        LEFT JOIN audience.memberships AS o
            ON o.audience = {name} AND o.cio_id = d.cio_id AND o.exited_at IS NULL
        WHERE d.decision IS NOT NULL
        ORDER BY d.cio_id"""
    )


def _source(inputs: Inputs) -> str:
    """Return the columns of where the audience took its people from; a moment stands in the entry's evidence."""
    segment = inputs.audience.segment
    if segment is None:
        return ""
    return f"""{segment} AS segment,
            (SELECT max(name) FROM raw.segments WHERE segment_id = {segment}) AS segment_name,
            (SELECT max(run_id) FROM meta.published
             WHERE name = 'raw.memberships' AND lane = {literal(inputs.window.lane.value)}) AS snapshot,"""


def log_removed(con: Connection, window: Window, declared: str, run_id: str) -> None:
    """Append to ``audience.decisions`` who was in, or withheld by, an audience that is not among the ``declared``."""
    con.execute(
        f"""INSERT INTO {DECISIONS} BY NAME
        SELECT (SELECT coalesce(max(sequence), 0) FROM {DECISIONS})
                + row_number() OVER (ORDER BY audience, cio_id) AS sequence,
            audience, cio_id, CASE WHEN was_in THEN 'left' ELSE 'dropped' END AS decision, 'audience_removed' AS code,
            entry_id, {timestamp(window.as_of)} AS as_of, {literal(window.lane.value)} AS lane,
            {literal(window.key)} AS window_key, {literal(run_id)} AS run_id
        FROM (
            SELECT coalesce(m.audience, e.audience) AS audience, coalesce(m.cio_id, e.cio_id) AS cio_id, m.entry_id,
                m.cio_id IS NOT NULL AS was_in
            FROM (SELECT * FROM audience.memberships WHERE exited_at IS NULL) AS m
            FULL JOIN audience.eligibility AS e ON e.audience = m.audience AND e.cio_id = m.cio_id
        )
        WHERE coalesce(audience NOT IN {declared}, TRUE)
        ORDER BY audience, cio_id"""
    )


def count(con: Connection, window: Window, names: Sequence[str]) -> dict[str, Counts]:
    """Count the window's decisions of some audiences as the tables have them now; keep the counts, and return them."""
    if not names:
        return {}
    found = counted(con, names, window.key, timestamp(window.as_of))
    listed = ", ".join(map(literal, names))
    con.execute(f"DELETE FROM audience.counts WHERE window_key = ? AND audience IN ({listed})", [window.key])
    values: list[Any] = []
    for name, counts in found.items():
        rows: list[tuple[str, str | None, int]] = [("entered", None, counts.entered), ("stayed", None, counts.stayed)]
        rows += [("left", reason, people) for reason, people in counts.left.items()]
        rows += [("withheld", code, people) for code, people in counts.withheld.items()]
        values += [v for row in rows for v in (name, window.lane.value, window.key, window.as_of, *row)]
    con.execute(
        f"INSERT INTO audience.counts VALUES {', '.join(['(?, ?, ?, ?, ?, ?, ?)'] * (len(values) // 7))}", values
    )
    return found


def counted(con: Connection, names: Sequence[str], window_key: str, as_of: str) -> dict[str, Counts]:
    """Return how everybody was decided in a window by each of ``names``, each person once.

    Who left and came again within the window entered, or stayed if there was nobody in between.
    """
    among, key = f"audience IN ({', '.join(map(literal, names))})", literal(window_key)
    found = con.execute(
        f"""
        WITH inside AS (
            SELECT audience, cio_id, entry_window = {key} AND entered_at = {as_of} AS fresh, ghost
            FROM audience.memberships WHERE exited_at IS NULL AND {among}
        ), gone AS (
            SELECT audience, cio_id, arg_max(exit_reason, number) AS reason
            FROM audience.memberships ANTI JOIN inside USING (audience, cio_id)
            WHERE exit_window = {key} AND exited_at = {as_of} AND {among}
            GROUP BY audience, cio_id
        ), waiting AS (
            SELECT audience, cio_id, code FROM audience.eligibility
            ANTI JOIN inside USING (audience, cio_id) ANTI JOIN gone USING (audience, cio_id)
            WHERE stage <> 'in' AND {among}
        )
        SELECT audience, CASE WHEN ghost THEN 'withheld' WHEN fresh THEN 'entered' ELSE 'stayed' END AS decision,
            CASE WHEN ghost THEN {literal(str(Code.HOLDOUT))} END AS code, count(*) FROM inside GROUP BY ALL
        UNION ALL SELECT audience, 'left', reason, count(*) FROM gone GROUP BY ALL
        UNION ALL SELECT audience, 'withheld', code, count(*) FROM waiting GROUP BY ALL
        ORDER BY ALL"""
    ).fetchall()
    by: dict[str, dict[str, dict[str, int]]] = {
        name: {"entered": {}, "stayed": {}, "left": {}, "withheld": {}} for name in names
    }
    for name, decision, code, people in found:
        here = by[str(name)][str(decision)]
        here[str(code)] = here.get(str(code), 0) + int(people)
    return {
        name: Counts(sum(of["entered"].values()), sum(of["stayed"].values()), of["left"], of["withheld"])
        for name, of in by.items()
    }
