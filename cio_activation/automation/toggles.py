"""Switches the schedules and the sensor on in the current Dagster instance, as the UI's toggles do."""

from __future__ import annotations

import sys

import dagster as dg

from cio_activation.activation.models import Activation
from cio_activation.audit.run import audited
from cio_activation.destinations import DESTINATIONS


def switch_on(activation: Activation) -> None:
    """Mark the schedules and the real-time sensor as running, for the location ``dagster dev -m`` loads."""
    import subprocess

    base = [sys.executable, "-m", "dagster"]
    target = ["-m", "cio_activation.definitions"]
    with dg.DagsterInstance.get():
        audits = ["audit_schedule"] if audited(DESTINATIONS, list(activation.destinations)) else []
        schedules = [["schedule", "start", name] for name in ("daily_schedule", *audits)]
        for command in [*schedules, ["sensor", "start", "realtime_sensor"]]:
            subprocess.run([*base, *command[:2], *target, command[2]], check=True, capture_output=True)
