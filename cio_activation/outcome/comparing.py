"""What a comparison reads: both arms of each audience and version, counted in SQL; nobody's row leaves the warehouse.

Only entries that were drawn count: of an audience that began to hold people out, those before have nothing to be
compared with.
"""

from __future__ import annotations

from datetime import datetime

from cio_activation.activation.models import Activation
from cio_activation.outcome.inference import Rates
from cio_activation.outcome.lift import Compared, Money
from cio_activation.outcome.revenue import Sums
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, timestamp
from cio_activation.warehouse.tables import MEASURED_ENTRIES


def compared(con: Connection, activation: Activation, as_of: datetime) -> list[Compared]:
    """Return what can be judged of the measured audiences, in their version of now, by what was known ``as_of``."""
    found = []
    for audience in activation.audiences.values():
        if audience.measure is None:
            continue
        drawn = f"audience = {literal(audience.name)} AND version = {audience.version} AND holdout > 0"
        over = f"{drawn} AND closed_at <= {timestamp(as_of)}"
        (treated, bought), (ghosts, ghosts_bought) = (_arm(con, over, ghost) for ghost in (False, True))
        # Of whom it was not told what they had spent is left out: that was so before anything happened, in both arms.
        told = over
        if activation.workspace.purchase_moment is None:
            told += " AND (spent_before IS NOT NULL OR bought_before IS NULL)"
        spent, ghosts_spent = (_sums(con, told, ghost, audience.measure.revenue_cap) for ghost in (False, True))
        shares = con.execute(
            f"SELECT holdout, count(*) FROM {MEASURED_ENTRIES} WHERE {over} GROUP BY holdout ORDER BY holdout"
        ).fetchall()
        entries, first = con.execute(
            f"""SELECT count(*), min(entered_at) FROM {MEASURED_ENTRIES}
            WHERE {drawn} AND entered_at <= {timestamp(as_of)}"""
        ).fetchall()[0]
        people = sum(count for _, count in shares)
        rates = None
        if treated and ghosts:
            share = sum(share * count for share, count in shares) / people
            rates = Rates(treated, bought, ghosts, ghosts_bought, share)
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
                money=None if spent is None or ghosts_spent is None else Money(spent, ghosts_spent),
            )
        )
    return found


def _arm(con: Connection, where: str, ghost: bool) -> tuple[int, int]:
    """Return one arm's people and buyers."""
    people, buyers = con.execute(
        f"SELECT count(*), count(*) FILTER (orders > 0) FROM {MEASURED_ENTRIES} WHERE {where} AND ghost = {ghost}"
    ).fetchall()[0]
    return int(people), int(buyers)


def _sums(con: Connection, where: str, ghost: bool, cap: float | None) -> Sums | None:
    """Return the means, variances and covariances of what one arm's people spent; None where it is not told of all."""
    revenue = f"least(revenue, {cap})" if cap is not None else "revenue"
    told = ", ".join(
        [
            *(f"avg({name}), var_samp({name})" for name in ("revenue", "orders", "before")),
            "covar_samp(revenue, orders), covar_samp(revenue, before), covar_samp(orders, before)",
        ]
    )
    people, buyers, with_revenue, *sums = con.execute(
        f"""SELECT count(*), count(*) FILTER (orders > 0), count(revenue), {told} FROM (
            SELECT coalesce(orders, 0) AS orders, {revenue} AS revenue, coalesce(spent_before, 0) AS before
            FROM {MEASURED_ENTRIES} WHERE {where} AND ghost = {ghost})"""
    ).fetchall()[0]
    if people < 2 or with_revenue < people:
        return None
    return Sums(int(people), int(buyers), *map(float, sums))
