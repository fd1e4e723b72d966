"""The schedules: of the daily lane, and of audits."""

from __future__ import annotations

from typing import Any

import dagster as dg

from cio_activation.activation.models import Activation

MINUTES_AFTER_MIDNIGHT = 20
"""Customer.io's own day-based segments need some time after midnight to settle."""
WEEKLY = "30 4 * * 1"
"""Audits: on Mondays, after the night's daily run and before people work."""


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


def audit_schedule(job: Any, activation: Activation) -> dg.ScheduleDefinition:
    """Return a schedule that audits once a week, in the workspace's time zone."""
    return dg.ScheduleDefinition(
        name="audit_schedule",
        job=job,
        cron_schedule=WEEKLY,
        execution_timezone=activation.workspace.timezone,
        description="Reads back once a week what the destinations hold of ours.",
    )
