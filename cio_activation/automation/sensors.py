"""The real-time lane's sensor: looks whether a segment's count moved, and asks for one run of the current window.

It never fetches people: one small call per source segment, paced with everything else, and the run does the work.
A window that passes without news still gets one run, so that grace periods and expiries end on time.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from cio_activation.activation.models import Activation, Lane
from cio_activation.delivery.journal import Journal
from cio_activation.delivery.run import pacer_for
from cio_activation.errors import CioActivationError
from cio_activation.lanes import Lanes, runtime_of
from cio_activation.runtime import Runtime

POLL_SECONDS = 15
_WAITING = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING]


def realtime_sensor(job: Any, activation: Activation, lanes: Lanes) -> dg.SensorDefinition:
    """Return the sensor that keeps the real-time lane moving."""

    @dg.sensor(
        name="realtime_sensor",
        job=job,
        minimum_interval_seconds=POLL_SECONDS,
        description="Runs the current window when a real-time segment's count moved, and once per window anyway.",
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        waiting = context.instance.get_runs_count(dg.RunsFilter(job_name=str(Lane.REALTIME), statuses=_WAITING))
        if waiting:
            return dg.SkipReason("a run of this lane is already waiting; it will see everything that is new")
        window = lanes.window_at(Lane.REALTIME, datetime.now(UTC))
        segments = [a.segment for a in activation.lane_audiences(Lane.REALTIME)]
        try:
            counts = count_members(runtime_of(activation), segments)
        except CioActivationError as error:
            return dg.SkipReason(f"Customer.io could not be asked: {error}")
        cursor = json.dumps({"window": window.key, "counts": counts})
        if cursor == context.cursor:
            return dg.SkipReason("no segment count moved since the last look")
        digest = hashlib.sha256(f"{context.cursor} -> {cursor}".encode()).hexdigest()[:12]
        request = dg.RunRequest(run_key=f"{window.key} {digest}", partition_key=window.key)
        return dg.SensorResult(run_requests=[request], cursor=cursor)

    return watch


def count_members(runtime: Runtime, segments: list[int]) -> dict[str, int]:
    """Return segment id -> how many people Customer.io counts in it now."""
    from cio_activation.customerio.client import CustomerIO

    journal = Journal(runtime.settings.journal)

    async def ask() -> dict[str, int]:
        async with CustomerIO(runtime.settings, pacer_for(runtime, journal, (), str(Lane.REALTIME))) as vendor:
            return {str(s): await vendor.customer_count(s) for s in segments}

    try:
        return asyncio.run(ask())
    finally:
        journal.close()
