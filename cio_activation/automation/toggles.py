"""Switches the schedule and the sensor on in the current Dagster instance, as the UI's toggles do."""

from __future__ import annotations

import sys

import dagster as dg


def switch_on() -> None:
    """Mark the daily schedule and the real-time sensor as running, for the location ``dagster dev -m`` loads."""
    import subprocess

    base = [sys.executable, "-m", "dagster"]
    target = ["-m", "cio_activation.definitions"]
    with dg.DagsterInstance.get():
        for command in (["schedule", "start", "daily_schedule"], ["sensor", "start", "realtime_sensor"]):
            subprocess.run([*base, *command[:2], *target, command[2]], check=True, capture_output=True)
