"""What the warehouse and the journal tell a Prometheus: windows, steps, rejects, decisions, actions, days, audits.

Gauges, read when asked for: no process has to live for them. No label ever names a person.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from cio_activation.journal.engine import JournalDatabase
from cio_activation.journal.schema import days
from cio_activation.warehouse.sessions import Connection

PREFIX = "cio_activation_"


@dataclass(frozen=True)
class Gauge:
    """One gauge by SQL: its labels are the SELECT's columns but the last, which is its value."""

    name: str
    told: str
    labels: tuple[str, ...]
    select: str


GAUGES = (
    Gauge(
        "newest_window_timestamp_seconds",
        "End of the newest window that was decided, by lane.",
        ("lane",),
        "SELECT lane, epoch(max(window_end)) FROM meta.published WHERE name LIKE 'audience.%' GROUP BY ALL",
    ),
    Gauge(
        "newest_run_timestamp_seconds",
        "When the newest plan of a step was made.",
        ("destination", "step"),
        "SELECT destination, step, epoch(max(made_at)) FROM delivery.plans WHERE made_at IS NOT NULL GROUP BY ALL",
    ),
    Gauge(
        "plan_operations",
        "Operations of a step's newest plan, by what became of them.",
        ("destination", "step", "end"),
        """SELECT destination, step, "end", operations FROM (
            UNPIVOT (SELECT destination, step, planned, delivered, rejected, unneeded, held FROM delivery.plans
                QUALIFY row_number() OVER (PARTITION BY destination, step ORDER BY made_at DESC NULLS LAST) = 1)
            ON planned, delivered, rejected, unneeded, held INTO NAME "end" VALUE operations)""",
    ),
    Gauge(
        "rejected",
        "Operations and fields that a destination rejects and that are still wanted.",
        ("destination", "step"),
        "SELECT destination, step, count(*) FROM delivery.rejected GROUP BY ALL",
    ),
    Gauge(
        "conflicts",
        "Values that humans changed and that stay.",
        ("destination",),
        "SELECT destination, count(*) FROM delivery.conflicts GROUP BY ALL",
    ),
    Gauge(
        "decisions",
        "People decided in the newest window of an audience, by decision and code.",
        ("audience", "lane", "decision", "code"),
        """SELECT audience, lane, decision, coalesce(code, ''), people FROM audience.counts
        QUALIFY dense_rank() OVER (PARTITION BY audience ORDER BY as_of DESC, window_key DESC) = 1""",
    ),
    Gauge(
        "members",
        "People in an audience, held-out ones aside.",
        ("audience",),
        "SELECT audience, count(*) FROM audience.memberships WHERE exited_at IS NULL AND NOT ghost GROUP BY ALL",
    ),
    Gauge(
        "paused",
        "Audiences that are paused.",
        ("audience",),
        "SELECT audience, 1 FROM audience.pauses WHERE resumed_at IS NULL",
    ),
    Gauge(
        "actions",
        "What people are or were asked to do, by state.",
        ("audience", "destination", "kind", "state"),
        "SELECT audience, destination, kind, status, count(*) FROM delivery.actions GROUP BY ALL",
    ),
    Gauge(
        "actions_overdue",
        "Open actions past their due time at the newest window's end.",
        ("audience", "destination"),
        """SELECT audience, destination, count(*) FROM delivery.actions WHERE ended_at IS NULL
            AND due_at < (SELECT max(window_end) FROM meta.published WHERE name LIKE 'audience.%') GROUP BY ALL""",
    ),
    Gauge(
        "quarantined",
        "Rows that the newest windows refused, by layer.",
        ("layer", "lane"),
        """SELECT layer, lane, count(*) FROM quarantine.rows GROUP BY layer, lane, window_key
        QUALIFY row_number() OVER (PARTITION BY layer, lane ORDER BY window_key DESC) = 1""",
    ),
    Gauge(
        "warnings",
        "Warnings that hold, by kind.",
        ("kind",),
        "SELECT kind, count(*) FROM outcome.warnings GROUP BY ALL",
    ),
)


def text(con: Connection, journal: JournalDatabase) -> bytes:
    """Return all gauges in Prometheus' text format; ``con`` and ``journal`` are only read."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Read([*(_read(con, gauge) for gauge in GAUGES), *_days(journal)]))
    return generate_latest(registry)


class _Read(Collector):
    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def _read(con: Connection, gauge: Gauge) -> GaugeMetricFamily:
    return _family(gauge.name, gauge.told, gauge.labels, con.execute(f"FROM ({gauge.select}) ORDER BY ALL").fetchall())


def _days(journal: JournalDatabase) -> Iterator[GaugeMetricFamily]:
    """Yield what is used and left of each vendor's day, as of the newest day it was counted on."""
    with journal.transaction(durable=False) as con:
        rows = con.execute(sa.select(days).order_by(days.c.day)).mappings().all()
    newest: Mapping[str, Mapping[str, Any]] = {str(row["vendor"]): dict(row) for row in rows}
    told = {name: day for name, day in newest.items() if day["told_left"] is not None}
    used = "Units (calls, tokens) used of a vendor's day, on the newest day counted."
    yield _family("day_used", used, ("vendor", "day"), [(v, d["day"], d["used"]) for v, d in newest.items()])
    left = "Units left of a vendor's day, as it last said, less what was used since."
    yield _family("day_left", left, ("vendor", "day"), [(v, d["day"], d["told_left"]) for v, d in told.items()])


def _family(name: str, told: str, labels: Sequence[str], rows: Sequence[Sequence[Any]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"{PREFIX}{name}", told, labels=list(labels))
    for *values, number in rows:
        family.add_metric([str(value) for value in values], float(number or 0))
    return family
