"""What a comparison reads: both arms of each audience and version, counted in SQL; nobody's row leaves the warehouse.

Only entries that were drawn count: of an audience that began to hold people out, those before have nothing to be
compared with.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cio_activation.activation.models import Activation
from cio_activation.outcome.inference import Rates
from cio_activation.outcome.lift import Compared, Money
from cio_activation.outcome.revenue import Sums
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, timestamp
from cio_activation.warehouse.tables import MEASURED_ENTRIES


@dataclass(frozen=True)
class _Arm:
    people: int
    buyers: int
    sums: Sums | None


def compared(con: Connection, activation: Activation, as_of: datetime) -> list[Compared]:
    """Return what can be judged of the measured audiences, in their version of now, by what was known ``as_of``."""
    found = []
    for audience in activation.audiences.values():
        if audience.measure is None:
            continue
        drawn = f"audience = {literal(audience.name)} AND version = {audience.version} AND holdout > 0"
        over = f"{drawn} AND closed_at <= {timestamp(as_of)}"
        arms = {ghost: _arm(con, over, ghost, audience.measure.revenue_cap) for ghost in (False, True)}
        shares = con.execute(
            f"SELECT holdout, count(*) FROM {MEASURED_ENTRIES} WHERE {over} GROUP BY holdout ORDER BY holdout"
        ).fetchall()
        entries, first = con.execute(
            f"""SELECT count(*), min(entered_at) FROM {MEASURED_ENTRIES}
            WHERE {drawn} AND entered_at <= {timestamp(as_of)}"""
        ).fetchall()[0]
        people = sum(count for _, count in shares)
        rates = None
        if arms[False].people and arms[True].people:
            share = sum(share * count for share, count in shares) / people
            rates = Rates(
                arms[False].people, arms[False].buyers, arms[True].people, arms[True].buyers, share
            )  # fmt: skip
        treated, ghosts = arms[False].sums, arms[True].sums
        found.append(
            Compared(
                audience.name,
                audience.version,
                rates,
                tuple((float(share), int(count)) for share, count in shares),
                int(entries),
                first,
                as_of,
                within=audience.measure.within,
                smallest_effect=audience.measure.smallest_effect,
                money=Money(treated, ghosts) if treated is not None and ghosts is not None else None,
            )
        )
    return found


def _arm(con: Connection, where: str, ghost: bool, cap: float | None) -> _Arm:
    """Return one arm's counts, and the means, variances and covariances of what its people spent."""
    revenue = f"least(revenue, {cap})" if cap is not None else "revenue"
    names = ("revenue", "orders", "before")
    told = ", ".join(
        [
            *(f"avg({n}), var_samp({n})" for n in names),
            "covar_samp(revenue, orders), covar_samp(revenue, before), covar_samp(orders, before)",
        ]
    )
    row = con.execute(
        f"""SELECT count(*), count(*) FILTER (orders > 0), count(revenue), {told} FROM (
            SELECT coalesce(orders, 0) AS orders, {revenue} AS revenue, coalesce(spent_before, 0) AS before
            FROM {MEASURED_ENTRIES} WHERE {where} AND ghost = {ghost})"""
    ).fetchall()[0]
    people, buyers, with_revenue, *sums = row
    told_of_all = people > 1 and with_revenue == people
    return _Arm(int(people), int(buyers), Sums(int(people), int(buyers), *map(float, sums)) if told_of_all else None)
