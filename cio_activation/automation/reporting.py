"""The report's own job and schedule: every morning, after the day's window."""

from __future__ import annotations

import dagster as dg

from cio_activation.activation.models import Activation

HOUR = 6
"""In the workspace's time zone; the daily lane begins shortly after midnight."""


def report_schedule(activation: Activation, report: dg.AssetsDefinition) -> dg.ScheduleDefinition:
    """Return the schedule that writes the report, with its job."""
    job = dg.define_asset_job(
        "report",
        selection=dg.AssetSelection.assets(*report.keys),
        executor_def=dg.in_process_executor,
        description="Writes the report of the newest window.",
    )
    return dg.ScheduleDefinition(
        name="report_schedule",
        job=job,
        cron_schedule=f"0 {HOUR} * * *",
        execution_timezone=activation.workspace.timezone,
        description="Writes the report every morning, in the workspace's time zone.",
    )
