"""The gap people without an own one go by: the median of their group, else of everyone."""

from __future__ import annotations

from cio_activation.activation.models import ExpectNext
from cio_activation.state.rules import own_gap
from cio_activation.state.sql import StateSql
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier, literal

SMALLEST_GROUP = 5
"""A group of fewer people says too little: its members take everyone's median."""


def refresh(con: Connection, statements: StateSql) -> None:
    """Recompute the lane's rows of the gaps table from its whole population.

    Medians are rounded to whole days (at least one), so that a fallback moves seldom; when it does, everyone who
    depends on it is derived again. ``group_value`` NULL is everyone.
    """
    declared = {name for name, prop in statements.activation.properties.items() if isinstance(prop.rule, ExpectNext)}
    named = ", ".join(literal(name) for name in sorted(declared)) or "''"
    con.execute(f"DELETE FROM {statements.gaps} WHERE property NOT IN ({named})")
    for prop in statements.properties:
        if isinstance(prop.rule, ExpectNext):
            con.execute(f"DELETE FROM {statements.gaps} WHERE property = ?", [prop.name])
            con.execute(f"INSERT INTO {statements.gaps} {_medians(prop.name, prop.rule, statements.people)}")


def _medians(name: str, rule: ExpectNext, people: str) -> str:
    group = f"CAST(p.{identifier(rule.fallback_by)} AS VARCHAR)" if rule.fallback_by else "CAST(NULL AS VARCHAR)"
    days = "CAST(greatest(1, round(median(gap))) AS BIGINT)"
    everyone = f"SELECT {literal(name)}, NULL, {days} FROM gaps HAVING count(*) > 0"
    by_group = (
        f"SELECT {literal(name)}, grp, {days} FROM gaps WHERE grp IS NOT NULL "
        f"GROUP BY grp HAVING count(*) >= {SMALLEST_GROUP}"
    )
    union = f"{everyone} UNION ALL {by_group}" if rule.fallback_by else everyone
    gap = own_gap(rule, "p")
    return f"WITH gaps AS (SELECT {group} AS grp, {gap} AS gap FROM {people} AS p WHERE {gap} IS NOT NULL) {union}"
