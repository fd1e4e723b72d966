"""What is kept of a decision besides who is in: a row per person where it changed, counts, and the rules of its day."""

from __future__ import annotations

from dataclasses import dataclass, field

from cio_activation.activation.life_cycle import Baseline
from cio_activation.activation.windows import Window
from cio_activation.audience.codes import Code
from cio_activation.audience.inputs import Inputs
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, scalar, timestamp

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


def is_first(con: Connection, audience: str) -> bool:
    """Return whether the audience was never decided with a human act."""
    return not scalar(con, "SELECT count(*) FROM audience.launches WHERE audience = ?", [audience])


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


def count(con: Connection, inputs: Inputs) -> Counts:
    """Count the window's decisions as the tables have them now, keep the counts, and return them."""
    name, window = inputs.audience.name, inputs.window
    counts = counted(con, name, window.key, timestamp(inputs.as_of))
    con.execute("DELETE FROM audience.counts WHERE audience = ? AND window_key = ?", [name, window.key])
    rows: list[tuple[str, str | None, int]] = [("entered", None, counts.entered), ("stayed", None, counts.stayed)]
    rows += [("left", reason, people) for reason, people in counts.left.items()]
    rows += [("withheld", code, people) for code, people in counts.withheld.items()]
    shared = (name, window.lane.value, window.key, inputs.as_of)
    values = [value for row in rows for value in (*shared, *row)]
    con.execute(f"INSERT INTO audience.counts VALUES {', '.join(['(?, ?, ?, ?, ?, ?, ?)'] * len(rows))}", values)
    return counts


def counted(con: Connection, name: str, window_key: str, as_of: str) -> Counts:
    """Return how everybody was decided in a window, each person once.

    Who left and came again within the window entered, or stayed if there was nobody in between.
    """
    now = f"exited_at IS NULL AND audience = {literal(name)}"
    here = f"{literal(window_key)} AND audience = {literal(name)}"
    found = con.execute(
        f"""
        WITH inside AS (
            SELECT cio_id, entry_window = {literal(window_key)} AND entered_at = {as_of} AS fresh, ghost
            FROM audience.memberships WHERE {now}
        ), gone AS (
            SELECT cio_id, arg_max(exit_reason, number) AS reason FROM audience.memberships
            WHERE exit_window = {here} AND exited_at = {as_of} AND cio_id NOT IN (SELECT cio_id FROM inside)
            GROUP BY cio_id
        ), waiting AS (
            SELECT cio_id, code FROM audience.eligibility
            WHERE audience = {literal(name)} AND stage <> 'in'
                AND cio_id NOT IN (SELECT cio_id FROM inside) AND cio_id NOT IN (SELECT cio_id FROM gone)
        )
        SELECT CASE WHEN ghost THEN 'withheld' WHEN fresh THEN 'entered' ELSE 'stayed' END AS decision,
            CASE WHEN ghost THEN {literal(str(Code.HOLDOUT))} END AS code, count(*) FROM inside GROUP BY ALL
        UNION ALL SELECT 'left', reason, count(*) FROM gone GROUP BY ALL
        UNION ALL SELECT 'withheld', code, count(*) FROM waiting GROUP BY ALL
        ORDER BY ALL"""
    ).fetchall()
    by: dict[str, dict[str, int]] = {"entered": {}, "stayed": {}, "left": {}, "withheld": {}}
    for decision, code, people in found:
        by[str(decision)][str(code)] = by[str(decision)].get(str(code), 0) + int(people)
    return Counts(sum(by["entered"].values()), sum(by["stayed"].values()), by["left"], by["withheld"])
