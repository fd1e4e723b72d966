"""The daily lane's schedule."""

from __future__ import annotations

from typing import Any

import dagster as dg

MINUTES_AFTER_MIDNIGHT = 20
"""Customer.io's own day-based segments need some time after midnight to settle."""


def daily_schedule(job: Any) -> Any:
    """Return a schedule that runs yesterday's window shortly after midnight in the workspace's time zone.

    Dagster resolves it with the job, whose partitions tell it the time zone.
    """
    return dg.build_schedule_from_partitioned_job(
        job,
        name="daily_schedule",
        hour_of_day=0,
        minute_of_hour=MINUTES_AFTER_MIDNIGHT,
        description="Runs the day that just ended, in the workspace's time zone.",
    )
