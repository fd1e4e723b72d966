"""What each audience came to, by version: counted over first entries whose span is over, by intention to treat.

Everybody who was let in counts, whatever happened to the action; whoever was held out is counted apart, and is what the
others are compared with (``outcome/lift.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.tables import MEASURED_ENTRIES

COLUMNS = (
    "audience", "arm", "people", "still open", "buyers", "share", "orders", "revenue", "repeat rate", "reactivated",
    "synced", "actions", "done", "time to act", "acts per buyer",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """One audience in one version, those held out or the others."""

    audience: str
    version: int
    ghost: bool
    people: int
    """First entries whose span is over."""
    open: int
    """First entries whose span is not."""
    buyers: int
    orders: int
    revenue: float | None
    """Of their orders since; None where nothing is declared that tells."""
    had_bought: int
    bought_again: int
    """Of those who had bought before they entered, who bought again: the repeat rate."""
    lapsed: int
    reactivated: int
    """Of those who had not bought for ``measure.lapsed_after``, who bought: the reactivation rate."""
    synced: int
    actions: int
    done: int
    hours_to_act: float | None
    """Median of the hours from an entry to the first act that a human did for it."""

    @property
    def rate(self) -> float | None:
        """The share of buyers."""
        return _share(self.buyers, self.people)

    @property
    def repeat_rate(self) -> float | None:
        """Of whoever had bought before, the share that bought again."""
        return _share(self.bought_again, self.had_bought)

    @property
    def reactivation_rate(self) -> float | None:
        """Of whoever had not bought for long, the share that did."""
        return _share(self.reactivated, self.lapsed)

    @property
    def acts_per_buyer(self) -> float | None:
        """The cost in human touches: acts done for each who bought; no claim that they bought because of it."""
        return _share(self.done, self.buyers)

    def shown(self) -> tuple[str | int, ...]:
        """Return it as a row of ``COLUMNS``, for people to read."""
        hours = "" if self.hours_to_act is None else f"{self.hours_to_act:,.1f} h"
        return (
            f"{self.audience} v{self.version}", "held out" if self.ghost else "let in", self.people, self.open,
            self.buyers, _percent(self.rate), self.orders, "" if self.revenue is None else f"{self.revenue:,.2f}",
            _percent(self.repeat_rate), _percent(self.reactivation_rate), self.synced, self.actions, self.done, hours,
            "" if self.acts_per_buyer is None else f"{self.acts_per_buyer:.2f}",
        )  # fmt: skip


def outcomes(con: Connection, until: datetime | None = None) -> list[Outcome]:
    """Return what there is, by audience, version and arm; ``until`` (naive UTC): closed by then."""
    over = "closed_at IS NOT NULL" if until is None else f"closed_at <= TIMESTAMP '{until}'"
    rows = con.execute(
        f"""WITH entries AS (SELECT *, coalesce({over}, FALSE) AS over, coalesce(orders, 0) > 0 AS bought,
                bought_before IS NOT NULL OR coalesce(orders_before, 0) > 0 AS had_bought
            FROM {MEASURED_ENTRIES})
        SELECT audience, version, ghost, count(*) FILTER (over), count(*) FILTER (NOT over),
            count(*) FILTER (over AND bought), coalesce(sum(orders) FILTER (over), 0)::BIGINT,
            round(sum(revenue) FILTER (over), 2),
            count(*) FILTER (over AND had_bought), count(*) FILTER (over AND had_bought AND bought),
            count(*) FILTER (over AND lapsed), count(*) FILTER (over AND lapsed AND bought),
            count(*) FILTER (over AND synced), coalesce(sum(actions) FILTER (over), 0)::BIGINT,
            coalesce(sum(done) FILTER (over), 0)::BIGINT,
            median(greatest(date_diff('minute', entered_at, acted_at), 0) / 60) FILTER (over AND acted_at IS NOT NULL)
        FROM entries GROUP BY audience, version, ghost ORDER BY audience, version, ghost"""
    ).fetchall()
    return [Outcome(*row) for row in rows]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"
